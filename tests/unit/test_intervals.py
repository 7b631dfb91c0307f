"""What a record keeps of how sure its values are, and what is read of it."""

import shutil

import numpy as np
import pytest

from vadbench.datasets.open import open_dataset
from vadbench.evaluation.evaluate import evaluate, evaluate_all
from vadbench.evaluation.intervals import (
    NO_ROWS,
    UNSMOOTHED,
    add_intervals,
    jackknife_arrays,
    read_jackknife,
)
from vadbench.evaluation.metrics.uncertainty import QUANTILE, Jackknife, combine, interval
from vadbench.evaluation.seeds import OF_SINGLE_SEEDS, aggregate
from vadbench.files.canonical import canonical_hash
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.spec import METRICS, Protocol, Value
from vadbench.suite import make_suite

JACKKNIFE = Jackknife(np.array([0.02, -0.01, -0.01]), np.array([0.78, 0.82, 0.8]))
MICRO = ("micro_auc", None)


def value(metric="micro_auc", convention=None, video=None, value=0.8, **more):
    return Value(metric, convention, video=video, value=value, n=9, **more)


def ends(one):
    return one.low, one.high, one.videos, one.interval_reason


def test_a_value_of_the_whole_set_gets_its_interval_and_its_videos():
    (one,) = add_intervals([value()], {MICRO: JACKKNIFE})
    expected = interval(combine([0.8], [JACKKNIFE]))
    assert ends(one) == (expected.low, expected.high, 3, None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (value("eer"), NO_ROWS),
        (value("fpr_at_95_tpr"), QUANTILE),
        (value("rbdc", "average"), NO_ROWS),
        (value(value=None), None),
    ],
)
def test_without_an_interval_the_reason_is_told(given, reason):
    (one,) = add_intervals([given], {("tbdc", "average"): JACKKNIFE})
    assert ends(one) == (None, None, None, reason)


@pytest.mark.parametrize("given", [value(video="01"), value(video="scene:01"), value("prevalence")])
def test_single_videos_and_the_prevalence_have_no_interval(given):
    assert add_intervals([given], {MICRO: JACKKNIFE}) == [given]


@pytest.mark.parametrize(
    ("key", "title"),
    [
        (MICRO, "micro AUC"),
        ((UNSMOOTHED, None), "micro AUC, unsmoothed"),
        (("macro_auc", "skip"), "macro AUC (skip)"),
        (("rbdc", "average"), "RBDC"),
    ],
)
def test_what_is_stored_is_read_back(key, title):
    whole = key[0] in ("micro_auc", UNSMOOTHED)
    known = JACKKNIFE if whole else Jackknife.of_left_out(JACKKNIFE.left_out)
    stored = jackknife_arrays({key: known})
    one = read_jackknife(stored, METRICS[title], Protocol(smoothing=3))
    assert np.array_equal(one.left_out, known.left_out)
    assert one.influence == pytest.approx(known.influence)


def test_without_smoothing_unsmoothed_values_have_no_name_of_their_own():
    stored = jackknife_arrays({MICRO: JACKKNIFE})
    unsmoothed = METRICS["micro AUC, unsmoothed"]
    assert read_jackknife(stored, unsmoothed, Protocol(smoothing=3)) is None
    assert read_jackknife(stored, unsmoothed, Protocol()).videos == 3


def test_draws_of_an_earlier_version_are_no_jackknife():
    draws = {"resampled.micro_auc.plain": np.zeros(1000)}
    assert read_jackknife(draws, METRICS["micro AUC"], Protocol()) is None
    assert read_jackknife({}, METRICS["micro AUC"], Protocol()) is None


def test_an_estimate_needs_every_seed_that_has_a_value():
    assert aggregate([value(), value(value=0.6)], [JACKKNIFE, None]).estimate is None
    assert aggregate([value(value=None)], [JACKKNIFE]).estimate is None
    assert aggregate([value(), value(value=None)], [JACKKNIFE, None]).estimate.seeds == 1


def test_an_aggregate_is_the_mean_and_deviation_over_seeds():
    total = aggregate([value(value=0.8), value(value=0.6), value(value=None)], [None] * 3)
    assert (total.value, total.spread) == (pytest.approx(0.7), pytest.approx(0.02**0.5))
    assert (total.seeds, total.undefined) == (2, 1)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, street_cache):
    """A run on the synthetic street: its plan, results and record."""
    base = tmp_path_factory.mktemp("intervals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_CACHE", str(street_cache))
        plan = plan_suite(
            make_suite({"name": "small", "methods": ("magnitude",), "datasets": ("synthetic",)})
        )
        results = Results(base / "results")
        run_suite(plan, results, quiet=True, say=lambda line: None)
        yield plan, results, next(results.all_records())


def whole(record):
    return {
        (one.metric, one.convention, one.smoothing): one
        for one in record.values
        if one.video is None
    }


def test_a_record_has_intervals_of_all_metrics_that_can_have_one(evaluated):
    values = whole(evaluated[2])
    without = {key[0] for key, one in values.items() if one.low is None}
    assert without == {"fpr_at_95_tpr", "prevalence"}
    assert all(one.low < one.value < one.high for one in values.values() if one.low is not None)


def test_a_record_keeps_no_draws(evaluated):
    _, results, record = evaluated
    arrays = results.jackknife(record)
    assert {name.partition(".")[0] for name in arrays} == {"left_out", "influence"}
    assert max(map(len, arrays.values())) == record.labels["videos"]


def test_an_identity_is_that_of_earlier_versions(evaluated):
    _, _, record = evaluated
    part = {"method": "magnitude", "stream": "velocity", "calibration": "none"}
    document = {
        "runs": list(record.runs),
        "protocol": {
            "parts": [{**part, "empty": "train-min"}],
            "smoothing": 3.0,
            "calibration_level": "row",
            "macro": ["skip", "pad-rank", "pad-0-1", "pad-0-max"],
            "ties": "average",
            "alpha": 0.1,
            "beta": 0.1,
            "windows": "centre",
            "resamples": 1000,
            "resampling_seed": 0,
        },
    }
    assert record.identity == canonical_hash(document)


def clone_of(results, folder):
    """What git keeps of the results: no row scores."""
    clone = Results(folder / "results")
    shutil.copytree(results.root, clone.root, ignore=shutil.ignore_patterns("rows.npz"))
    return clone


def test_in_a_clone_without_row_scores_a_record_says_the_same(evaluated, tmp_path):
    _, results, record = evaluated
    clone = clone_of(results, tmp_path)
    before = {path: path.read_bytes() for path in clone.root.rglob("*") if path.is_file()}
    again = evaluate(record.result, record.runs, open_dataset("synthetic"), clone)
    assert {key: one.value for key, one in whole(again).items()} == pytest.approx(
        {key: one.value for key, one in whole(record).items()}, abs=1e-6
    )
    after = {path: path.read_bytes() for path in clone.root.rglob("*") if path.is_file()}
    assert after == before


def test_in_a_clone_another_protocol_is_evaluated_from_frame_maxima(evaluated, tmp_path):
    _, results, record = evaluated
    clone, says = clone_of(results, tmp_path), []
    assert evaluate_all(clone, {"smoothing": 7}, says.append) == 1
    assert says == []
    (other,) = [one for one in clone.all_records() if one.identity != record.identity]
    assert other.result.words == ("smoothing=7",)
    rbdc = next(one for one in other.values if one.metric == "rbdc")
    assert rbdc == next(one for one in record.values if one.metric == "rbdc")
    assert whole(other)["micro_auc", None, "none"].value == pytest.approx(
        whole(record)["micro_auc", None, "none"].value, abs=1e-9
    )


def test_over_seeds_unsmoothed_eer_says_that_single_seeds_have_an_interval(evaluated):
    _, _, record = evaluated
    eer = whole(record)["eer", None, "none"]
    over = aggregate([eer, eer], [None, None])
    assert eer.low is not None
    assert over.low is None
    assert over.why == OF_SINGLE_SEEDS
