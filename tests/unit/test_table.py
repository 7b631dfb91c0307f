import csv
import io

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import protocol_of, recipe_identity
from vadbench.evaluation.intervals import NOT_COMPUTED, UNSMOOTHED, jackknife_arrays
from vadbench.evaluation.metrics.uncertainty import Jackknife
from vadbench.suite import make_suite
from vadbench.report.tables import csv as csv_report
from vadbench.report.tables import markdown
from vadbench.report.tables.layout import marks
from vadbench.report.tables.make import make_table
from vadbench.report.tables.table import METRICS, USUAL
from vadbench.results.records import RecipeRecord, Results
from vadbench.runner.run import plan_suite


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    return plan_suite(
        make_suite(
            {
                "name": "t",
                "title": "T",
                "methods": ("mulde", "knn", "gmm"),
                "datasets": ("synthetic",),
                "seeds": 2,
            }
        )
    )


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def store(results, recipe, values, reason=None, moves=None, labels="exact"):
    """A record of the recipe whose every metric is `values`, a number, or one per metric title;
    `moves` is what each video does to all but EER.
    """
    from vadbench.runner.run import open_dataset

    protocol = protocol_of(recipe, open_dataset(recipe.dataset))
    rows = []
    for title, (metric, convention, smoothed) in ((name, METRICS[name][0]) for name in USUAL):
        value = values[title] if isinstance(values, dict) else values
        smoothing = "gaussian-3" if smoothed else "none"
        row = {
            "metric": metric,
            "convention": convention,
            "smoothing": smoothing,
            "read_out": "score",
            "video": None,
            "value": value,
        }
        rows.append({**row, "n": 1, "reason": reason, "low": 0.1, "high": 0.9})
    part = recipe.parts[0]
    described = {
        "method": part.part.method,
        "stream": part.part.stream,
        "calibration": part.part.calibration,
        "config": part.job.document["config"],
    }
    record = RecipeRecord(
        identity=recipe_identity(recipe, protocol),
        dataset=recipe.dataset,
        recipe=recipe.name,
        seed=recipe.seed,
        parts=(described,),
        runs=(part.job.identity,),
        protocol=protocol.model_dump(mode="json"),
        labels={"name": labels, "sha256": labels, "videos": 2, "frames": 100, "anomalous": 10},
        read_outs=("score",),
        rows=tuple(rows),
    )
    keys = {
        (metric, convention) for metric, convention, _ in (METRICS[name][0] for name in USUAL)
    } | {(UNSMOOTHED, None)}
    moved = (
        {}
        if moves is None
        else {key: Jackknife.of_left_out(-moves) for key in keys if key[0] != "eer"}
    )
    results.write_recipe(record, {"scores": np.zeros(1), **jackknife_arrays(moved)})


def cell(table, method):
    return next(row for row in table.rows if row.method == method).cells[0]


def test_mean_and_deviation_are_over_seeds(plan, results):
    for recipe, value in zip(
        [r for r in plan.recipes if r.method == "mulde"], (0.80, 0.90), strict=True
    ):
        store(results, recipe, value)
    found = cell(make_table(plan, results), "mulde")
    assert found.value == pytest.approx(0.85)
    assert found.spread == pytest.approx(0.1 / 2**0.5)
    assert found.n == 2


def test_a_job_without_a_record_is_a_dash_and_never_zero(plan, results):
    table = make_table(plan, results)
    assert cell(table, "knn").value is None
    assert "| – [1] |" in " ".join(markdown.render(table).split())
    assert "[1] not run" in markdown.render(table)


def test_a_missing_seed_is_told(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "mulde"), 0.8)
    assert cell(make_table(plan, results), "mulde").note == "1 of 2 seeds failed or have not run"


def test_an_undefined_value_shows_its_reason(plan, results):
    store(
        results, next(r for r in plan.recipes if r.method == "gmm"), None, reason="no normal frame"
    )
    assert cell(make_table(plan, results), "gmm").note == "no normal frame"


def test_best_and_second_are_decided_on_unrounded_values_and_ties_are_shared(plan, results):
    for method, value in (("knn", 0.90001), ("gmm", 0.90002)):
        store(results, next(r for r in plan.recipes if r.method == method), value)
    table = make_table(plan, results)
    assert (cell(table, "gmm").best, cell(table, "knn").best) == (1, 2)
    store(results, next(r for r in plan.recipes if r.method == "knn"), 0.90002)
    table = make_table(plan, results)
    assert (cell(table, "gmm").best, cell(table, "knn").best) == (1, 1)


def test_a_value_alone_in_its_column_is_no_best(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 0.9)
    assert cell(make_table(plan, results), "gmm").best == 0


def test_a_lower_error_rate_is_better(plan, results):
    for method, eer in (("knn", 0.1), ("gmm", 0.2)):
        store(
            results,
            next(r for r in plan.recipes if r.method == method),
            dict.fromkeys(USUAL, 0.9) | {"EER": eer},
        )
    table = make_table(plan, results)
    position = USUAL.index("EER")
    best = {row.method: row.cells[position].best for row in table.rows}
    assert best["knn"] == 1
    assert best["gmm"] == 2


def test_csv_keeps_full_precision(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 1 / 3)
    lines = list(csv.DictReader(io.StringIO(csv_report.render(make_table(plan, results)))))
    values = {line["value"] for line in lines if line["method"] == "gmm"}
    assert values == {repr(1 / 3)}


def test_the_caption_names_the_protocol(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 0.5)
    caption = make_table(plan, results).caption
    for fact in (
        "Preset `fast`",
        "sigma 3",
        "labels `exact`",
        "2 test videos",
        "maximum over objects",
        "`skip`",
    ):
        assert fact in caption


# what each video does to all rows: wide intervals that overlap
SHARED = 0.2 * np.random.default_rng(0).normal(size=12)
OWN = {
    method: 0.002 * np.random.default_rng(seed).normal(size=12)
    for seed, method in enumerate(("mulde", "knn", "gmm"), 1)
}


def store_rows(plan, results, values, moves=None):
    """Seed 0 of each method with its value, moved by the videos in its own way."""
    for method, value in values.items():
        recipe = next(recipe for recipe in plan.recipes if recipe.method == method)
        store(
            results, recipe, value, moves=SHARED + OWN[method] if moves is None else moves[method]
        )


@pytest.mark.parametrize(("gap", "peers"), [(0.0005, True), (0.05, False)])
def test_a_best_is_bold_only_if_it_is_significantly_better(plan, results, gap, peers):
    store_rows(plan, results, {"knn": 0.9, "gmm": 0.9 + gap})
    table = make_table(plan, results)
    assert cell(table, "gmm").peer == cell(table, "knn").peer == peers
    assert ("**" in markdown.render(table)) == (not peers)
    assert ("≈ |" in markdown.render(table)) == peers


def test_a_best_that_one_row_cannot_be_told_from_is_not_bold(plan, results):
    store_rows(plan, results, {"mulde": 0.5, "knn": 0.9, "gmm": 0.9001})
    table = make_table(plan, results)
    assert [cell(table, method).peer for method in ("mulde", "knn", "gmm")] == [False, True, True]


def test_a_claim_is_corrected_by_all_pairs_of_rows(plan, results):
    """p of gmm against knn is 0.03: enough of two rows, not where a third gives three pairs."""
    uncertain = 0.2 * np.random.default_rng(9).normal(size=12)
    moves = {"gmm": SHARED + 0.0012 * np.resize([1.0, -1.0], 12), "knn": SHARED, "mulde": uncertain}
    store_rows(plan, results, {"knn": 0.9, "gmm": 0.91}, moves)
    assert not cell(make_table(plan, results), "knn").peer
    store_rows(plan, results, {"mulde": 0.7}, moves)
    assert cell(make_table(plan, results), "knn").peer


def test_a_row_without_what_the_videos_do_is_never_worse(plan, results):
    store_rows(plan, results, {"mulde": 0.5, "gmm": 0.9})
    store(results, next(r for r in plan.recipes if r.method == "knn"), 0.3)
    table = make_table(plan, results)
    assert [cell(table, method).peer for method in ("mulde", "knn", "gmm")] == [False, True, True]


def test_a_column_without_a_test_has_no_marks_and_says_why(plan, results):
    store_rows(plan, results, {"knn": 0.1, "gmm": 0.9})
    table = make_table(plan, results)
    column = USUAL.index("EER")
    assert table.columns[column].untested == NOT_COMPUTED
    assert {of_row[column] for of_row in marks(table)} == {""}
    assert "No row is marked in EER." in markdown.render(table)


@pytest.mark.parametrize("videos", [1, 2])
def test_of_too_few_videos_nothing_is_marked(plan, results, videos):
    store_rows(
        plan,
        results,
        {"knn": 0.1, "gmm": 0.9},
        {method: moved[:videos] for method, moved in OWN.items()},
    )
    text = markdown.render(make_table(plan, results))
    assert "**" not in text
    assert "≈" not in text
    assert f"too few videos ({videos}; 3 or more are needed)" in text


def test_intervals_of_an_earlier_version_are_not_shown(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 0.9)
    found = cell(make_table(plan, results), "gmm")
    assert (found.low, found.high, found.why) == (None, None, NOT_COMPUTED)


def test_an_interval_has_its_videos_beside_it(plan, results):
    store_rows(plan, results, {"gmm": 0.9})
    table = make_table(plan, results)
    assert cell(table, "gmm").videos == 12
    assert "] n=12" in markdown.render(table)
    lines = [
        line
        for line in csv.DictReader(io.StringIO(csv_report.render(table)))
        if line["method"] == "gmm"
    ]
    assert {(line["metric"], line["videos"]) for line in lines} >= {
        ("micro_auc", "12"),
        ("rbdc", "12"),
        ("eer", ""),
    }


def test_seeds_widen_the_interval_by_their_spread(plan, results):
    recipes = [recipe for recipe in plan.recipes if recipe.method == "mulde"]
    widths = []
    for values in ((0.85, 0.85), (0.8, 0.9)):
        for recipe, value in zip(recipes, values, strict=True):
            store(results, recipe, value, moves=OWN["mulde"])
        found = cell(make_table(plan, results), "mulde")
        widths.append(found.high - found.low)
    assert widths[1] > 5 * widths[0]


def test_near_one_and_of_few_videos_an_interval_is_said_to_cover_less(plan, results):
    for value, videos, told in ((0.9, 12, False), (0.96, 12, True), (0.9, 4, True)):
        store_rows(plan, results, {"gmm": value}, {"gmm": OWN["gmm"][:videos]})
        assert ("covers less than it says" in markdown.render(make_table(plan, results))) == told


def test_two_label_sets_never_share_a_table(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 0.5)
    store(results, next(r for r in plan.recipes if r.method == "knn"), 0.5, labels="intervals")
    with pytest.raises(BadInput, match="synthetic: records under different labels"):
        make_table(plan, results)


def test_without_smoothing_the_unsmoothed_values_stand_in_every_column(plan, results, monkeypatch):
    from vadbench.datasets.synthetic import Synthetic

    monkeypatch.setattr(Synthetic, "smoothing", None)
    recipe = next(r for r in plan.recipes if r.method == "gmm")
    store(results, recipe, 0.5, moves=SHARED)
    folder = next(results.root.glob("recipes/*/*/*/metrics.json"))
    folder.write_text(folder.read_text().replace('"gaussian-3"', '"none"'))
    assert cell(make_table(plan, results), "gmm").value == 0.5


def beside_a_paper(results, value=0.9, **fields):
    """The table of MULDE on the velocity of Avenue, measured as `value`, beside MULDE's Table
    S3.
    """
    row = {"label": "MULDE", "method": "mulde", "published": "MULDE"}
    shown = {
        "metrics": ("micro AUC",),
        "published": ("mulde-cvpr2024/tableS3",),
        "features": ("velocity@import.accivad",),
    }
    plan = plan_suite(
        make_suite({"rows": (row,), "datasets": ("avenue",), "preset": "paper", **shown, **fields})
    )
    store(results, plan.recipes[0], value)
    return make_table(plan, results)


def test_a_difference_to_the_paper_stands_with_what_it_leaves_open(results):
    table = beside_a_paper(results)
    assert table.rows[0].cells[0].published == 0.866
    assert "90.0 Δ +3.4 [1] |" in " ".join(markdown.render(table).split())
    assert "[1] the paper's Gaussian smoothing has no stated sigma" in markdown.render(table)


def test_without_a_difference_the_reason_stands_under_the_table(results):
    text = markdown.render(beside_a_paper(results, settings={"protocol": {"smoothing": 20}}))
    assert "Δ +" not in text
    assert (
        "[1] no difference to the paper: smoothing gaussian-unstated there, gaussian-20 here"
        in text
    )


def test_another_preset_than_the_papers_has_no_difference(results):
    assert beside_a_paper(results, preset="fast").rows[0].cells[0].published is None


def test_a_table_of_unsmoothed_columns_tells_of_no_smoothing(results):
    table = beside_a_paper(results, metrics=("micro AUC, unsmoothed",))
    assert "no smoothing" in table.caption
    assert "Gaussian smoothing sigma" not in table.caption


def test_a_cell_without_a_value_leaves_nothing_open(results):
    assert beside_a_paper(results, value=None).rows[0].cells[0].beside is None
