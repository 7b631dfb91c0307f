"""What a record keeps of how sure its values are, and what is read of it."""

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate, protocol_of, recipe_identity
from vadbench.evaluation.intervals import (
    FIELDS,
    NO_ROWS,
    NOT_COMPUTED,
    UNSMOOTHED,
    estimate_of,
    jackknife_arrays,
    load_jackknives,
    read_jackknife,
    row_interval,
    stored_name,
    with_intervals,
)
from vadbench.evaluation.metrics.uncertainty import QUANTILE, Interval, Jackknife, combine, interval
from vadbench.files.canonical import canonical_hash
from vadbench.suite import make_suite
from vadbench.results.records import Results
from vadbench.runner.run import open_dataset, plan_suite, run_suite

JACKKNIFE = Jackknife(np.array([0.02, -0.01, -0.01]), np.array([0.78, 0.82, 0.8]))
MICRO = ("micro_auc", None)


def row(metric="micro_auc", convention=None, video=None, value=0.8, **more):
    return {
        "metric": metric,
        "convention": convention,
        "video": video,
        "value": value,
        "n": 9,
        "reason": None,
        **more,
    }


def test_a_row_of_the_whole_set_gets_its_interval_and_its_videos():
    (found,) = with_intervals([row()], {MICRO: JACKKNIFE})
    expected = interval(combine([0.8], [JACKKNIFE]))
    assert [found[name] for name in FIELDS] == [expected.low, expected.high, 3, None]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (row("eer"), NO_ROWS),
        (row("fpr_at_95_tpr"), QUANTILE),
        (row("rbdc", "average"), NO_ROWS),
        (row(value=None), None),
    ],
)
def test_without_an_interval_the_reason_is_told(given, reason):
    (found,) = with_intervals([given], {("tbdc", "average"): JACKKNIFE})
    assert [found[name] for name in FIELDS] == [None, None, None, reason]


@pytest.mark.parametrize("given", [row(video="01"), row(video="scene:01"), row("prevalence")])
def test_single_videos_and_the_prevalence_have_no_interval(given):
    assert with_intervals([given], {MICRO: JACKKNIFE}) == [given]


@pytest.mark.parametrize("metric", ["micro_auc", "macro_auc", "rbdc"])
def test_an_interval_of_an_earlier_version_is_not_shown(metric):
    assert row_interval(row(metric, low=0.7, high=0.9)) == Interval(None, None, None, NOT_COMPUTED)


def test_a_stored_interval_is_read_back():
    (found,) = with_intervals([row()], {MICRO: JACKKNIFE})
    assert row_interval(found) == interval(combine([0.8], [JACKKNIFE]))


@pytest.mark.parametrize(
    "key", [MICRO, (UNSMOOTHED, None), ("macro_auc", "skip"), ("rbdc", "average")]
)
def test_what_is_stored_is_read_back(key):
    known = (
        JACKKNIFE
        if key[0] in ("micro_auc", UNSMOOTHED)
        else Jackknife.of_left_out(JACKKNIFE.left_out)
    )
    found = read_jackknife(jackknife_arrays({key: known}), *key)
    assert np.array_equal(found.left_out, known.left_out)
    assert found.influence == pytest.approx(known.influence)


def test_only_what_the_videos_do_is_loaded_of_a_file(tmp_path):
    arrays = jackknife_arrays({MICRO: JACKKNIFE})
    np.savez(tmp_path / "frames.npz", scores=np.zeros(9), **arrays)
    assert load_jackknives(tmp_path / "frames.npz").keys() == arrays.keys()
    assert load_jackknives(tmp_path / "missing.npz") is None


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "frames.npz").write_bytes(b"PK but no archive")
    with pytest.raises(BadInput, match=r"frames\.npz: damaged"):
        load_jackknives(tmp_path / "frames.npz")


def test_draws_of_an_earlier_version_are_no_jackknife():
    assert read_jackknife({"resampled.micro_auc.plain": np.zeros(1000)}, *MICRO) is None
    assert read_jackknife(None, *MICRO) is None


def test_unsmoothed_values_have_a_name_of_their_own_beside_smoothed_ones():
    assert stored_name("micro_auc", smoothed=False, filtered=True) == UNSMOOTHED
    assert stored_name("micro_auc", smoothed=False, filtered=False) == "micro_auc"
    assert stored_name("micro_auc", smoothed=True, filtered=True) == "micro_auc"
    assert stored_name("rbdc", smoothed=False, filtered=True) == "rbdc"


def test_an_estimate_needs_every_seed_that_has_a_value():
    assert estimate_of([row(), row(value=0.6)], [JACKKNIFE, None]) is None
    assert estimate_of([row(value=None)], [JACKKNIFE]) is None
    assert estimate_of([row(), row(value=None)], [JACKKNIFE, None]).seeds == 1


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A run on the synthetic street: its plan, results and record."""
    base = tmp_path_factory.mktemp("intervals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_CACHE", str(base / "cache"))
        plan = plan_suite(
            make_suite({"name": "small", "methods": ("magnitude",), "datasets": ("synthetic",)})
        )
        results = Results(base / "results")
        run_suite(plan, results, quiet=True, say=lambda line: None)
        yield plan, results, next(results.all_recipes())


def whole(record):
    return {
        (one["metric"], one["convention"], one["smoothing"]): one
        for one in record.rows
        if one["video"] is None
    }


def test_a_record_has_intervals_of_all_metrics_that_can_have_one(evaluated):
    rows = whole(evaluated[2])
    without = {key[0] for key, one in rows.items() if one.get("low") is None}
    assert without == {"fpr_at_95_tpr", "prevalence"}
    assert all(
        one["low"] < one["value"] < one["high"]
        for one in rows.values()
        if one.get("low") is not None
    )


def test_a_record_keeps_no_draws(evaluated):
    _, results, record = evaluated
    kept = [
        values
        for name, values in results.frames(record).items()
        if name.startswith(("left_out.", "influence."))
    ]
    assert max(map(len, kept)) == record.labels["videos"]
    assert not any("resampl" in name for name in (*results.frames(record), *record.protocol))


def test_an_identity_is_that_of_earlier_versions(evaluated):
    (recipe,), _, record = evaluated[0].recipes, *evaluated[1:]
    document = {
        "runs": list(record.runs),
        "protocol": record.protocol | {"resamples": 1000, "resampling_seed": 0},
    }
    assert record.identity == canonical_hash(document)
    assert (
        recipe_identity(recipe, protocol_of(recipe, open_dataset("synthetic"))) == record.identity
    )


def test_in_a_clone_without_row_scores_regions_keep_what_was_measured(evaluated, tmp_path):
    import shutil

    (recipe,), results, record = evaluated[0].recipes, *evaluated[1:]
    clone = Results(tmp_path / "results")
    shutil.copytree(results.root, clone.root, ignore=shutil.ignore_patterns("rows.npz"))
    dataset = open_dataset("synthetic")
    again = evaluate(recipe, dataset, clone, protocol_of(recipe, dataset))
    assert whole(again) == whole(record)


def test_regions_of_an_earlier_version_keep_their_values_and_say_why_no_interval(
    evaluated, tmp_path
):
    import shutil

    (recipe,), results, record = evaluated[0].recipes, *evaluated[1:]
    clone = Results(tmp_path / "results")
    shutil.copytree(results.root, clone.root, ignore=shutil.ignore_patterns("rows.npz"))
    rows = [
        {name: value for name, value in one.items() if name not in ("videos", "interval_reason")}
        for one in record.rows
    ]
    earlier = record.protocol | {"resamples": 1000, "resampling_seed": 0}
    kept = {
        name: values
        for name, values in results.frames(record).items()
        if not name.startswith(("left_out.", "influence."))
    }
    clone.write_recipe(record.model_copy(update={"rows": tuple(rows), "protocol": earlier}), kept)
    dataset = open_dataset("synthetic")
    again = whole(evaluate(recipe, dataset, clone, protocol_of(recipe, dataset)))
    for metric in ("rbdc", "tbdc"):
        found, before = (table[metric, "average", "none"] for table in (again, whole(record)))
        assert (found["value"], found["low"], found["interval_reason"]) == (
            before["value"],
            None,
            NO_ROWS,
        )
    assert again["micro_auc", None, "none"] == whole(record)["micro_auc", None, "none"]
