import csv
import io

import numpy as np
import pytest
from record_builder import make_plan_table as tabulate
from record_builder import make_run, write_record

from vadbench.errors import BadInput
from vadbench.plans.plan import plan_suite
from vadbench.report.tables import csv as csv_report
from vadbench.report.tables import markdown
from vadbench.report.tables.layout import marks
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.spec import NOT_COMPUTED, USUAL
from vadbench.suite import make_suite


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


def store(results, planned, value, reason=None, moves=None, labels="exact"):
    """A record of what was planned, whose every metric is `value`, a number, or one a title;
    `moves` is what each video does to all but EER.
    """
    truth = {"name": labels, "sha256": labels, "videos": 2, "frames": 100, "anomalous": 10}
    runs = [
        make_run(
            planned.result,
            place,
            identity=job.identity,
            fit_identity=job.identity,
            job=job.document,
        )
        for place, job in enumerate(planned.jobs)
    ]
    write_record(
        results,
        value=value,
        result=planned.result,
        runs=runs,
        labels=truth,
        reason=reason,
        moves=moves,
        identity=identity_of(planned.result, planned.runs),
    )


def first(plan, method):
    return next(one for one in plan.planned if one.result.method == method)


def cell(table, method):
    return next(row for row in table.rows if row.method == method).cells[0]


def test_mean_and_deviation_are_over_seeds(plan, results):
    for recipe, value in zip(
        [one for one in plan.planned if one.result.method == "mulde"], (0.80, 0.90), strict=True
    ):
        store(results, recipe, value)
    found = cell(tabulate(plan, results), "mulde")
    assert found.value == pytest.approx(0.85)
    assert found.spread == pytest.approx(0.1 / 2**0.5)
    assert found.n == 2


def test_a_job_without_a_record_is_a_dash_and_never_zero(plan, results):
    table = tabulate(plan, results)
    assert cell(table, "knn").value is None
    assert "| – [1] |" in " ".join(markdown.render(table).split())
    assert "[1] not run" in markdown.render(table)


def test_a_missing_seed_is_told(plan, results):
    store(results, first(plan, "mulde"), 0.8)
    assert cell(tabulate(plan, results), "mulde").note == "1 of 2 seeds failed or have not run"


def test_an_undefined_value_shows_its_reason(plan, results):
    store(results, first(plan, "gmm"), None, reason="no normal frame")
    assert cell(tabulate(plan, results), "gmm").note == "no normal frame"


def test_best_and_second_are_decided_on_unrounded_values_and_ties_are_shared(plan, results):
    for method, value in (("knn", 0.90001), ("gmm", 0.90002)):
        store(results, first(plan, method), value)
    table = tabulate(plan, results)
    assert (cell(table, "gmm").best, cell(table, "knn").best) == (1, 2)
    store(results, first(plan, "knn"), 0.90002)
    table = tabulate(plan, results)
    assert (cell(table, "gmm").best, cell(table, "knn").best) == (1, 1)


def test_a_value_alone_in_its_column_is_no_best(plan, results):
    store(results, first(plan, "gmm"), 0.9)
    assert cell(tabulate(plan, results), "gmm").best == 0


def test_a_lower_error_rate_is_better(plan, results):
    for method, eer in (("knn", 0.1), ("gmm", 0.2)):
        store(
            results,
            first(plan, method),
            dict.fromkeys(USUAL, 0.9) | {"EER": eer},
        )
    table = tabulate(plan, results)
    position = USUAL.index("EER")
    best = {row.method: row.cells[position].best for row in table.rows}
    assert best["knn"] == 1
    assert best["gmm"] == 2


def test_csv_keeps_full_precision(plan, results):
    store(results, first(plan, "gmm"), 1 / 3)
    lines = list(csv.DictReader(io.StringIO(csv_report.render(tabulate(plan, results)))))
    values = {line["value"] for line in lines if line["method"] == "gmm"}
    assert values == {repr(1 / 3)}


def test_the_caption_names_the_protocol(plan, results):
    store(results, first(plan, "gmm"), 0.5)
    caption = tabulate(plan, results).caption
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
        recipe = first(plan, method)
        store(
            results, recipe, value, moves=SHARED + OWN[method] if moves is None else moves[method]
        )


@pytest.mark.parametrize(("gap", "peers"), [(0.0005, True), (0.05, False)])
def test_a_best_is_bold_only_if_it_is_significantly_better(plan, results, gap, peers):
    store_rows(plan, results, {"knn": 0.9, "gmm": 0.9 + gap})
    table = tabulate(plan, results)
    assert cell(table, "gmm").peer == cell(table, "knn").peer == peers
    assert ("**" in markdown.render(table)) == (not peers)
    assert ("≈ |" in markdown.render(table)) == peers


def test_a_best_that_one_row_cannot_be_told_from_is_not_bold(plan, results):
    store_rows(plan, results, {"mulde": 0.5, "knn": 0.9, "gmm": 0.9001})
    table = tabulate(plan, results)
    assert [cell(table, method).peer for method in ("mulde", "knn", "gmm")] == [False, True, True]


def test_a_claim_is_corrected_by_all_pairs_of_rows(plan, results):
    """p of gmm against knn is 0.03: enough of two rows, not where a third gives three pairs."""
    uncertain = 0.2 * np.random.default_rng(9).normal(size=12)
    moves = {"gmm": SHARED + 0.0012 * np.resize([1.0, -1.0], 12), "knn": SHARED, "mulde": uncertain}
    store_rows(plan, results, {"knn": 0.9, "gmm": 0.91}, moves)
    assert not cell(tabulate(plan, results), "knn").peer
    store_rows(plan, results, {"mulde": 0.7}, moves)
    assert cell(tabulate(plan, results), "knn").peer


def test_a_row_without_what_the_videos_do_is_never_worse(plan, results):
    store_rows(plan, results, {"mulde": 0.5, "gmm": 0.9})
    store(results, first(plan, "knn"), 0.3)
    table = tabulate(plan, results)
    assert [cell(table, method).peer for method in ("mulde", "knn", "gmm")] == [False, True, True]


def test_a_column_without_a_test_has_no_marks_and_says_why(plan, results):
    store_rows(plan, results, {"knn": 0.1, "gmm": 0.9})
    table = tabulate(plan, results)
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
    text = markdown.render(tabulate(plan, results))
    assert "**" not in text
    assert "≈" not in text
    assert f"too few videos ({videos}; 3 or more are needed)" in text


def test_an_interval_has_its_videos_beside_it(plan, results):
    store_rows(plan, results, {"gmm": 0.9})
    table = tabulate(plan, results)
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
    recipes = [one for one in plan.planned if one.result.method == "mulde"]
    widths = []
    for values in ((0.85, 0.85), (0.8, 0.9)):
        for recipe, value in zip(recipes, values, strict=True):
            store(results, recipe, value, moves=OWN["mulde"])
        found = cell(tabulate(plan, results), "mulde")
        widths.append(found.high - found.low)
    assert widths[1] > 5 * widths[0]


def test_near_one_and_of_few_videos_an_interval_is_said_to_cover_less(plan, results):
    for value, videos, told in ((0.9, 12, False), (0.96, 12, True), (0.9, 4, True)):
        store_rows(plan, results, {"gmm": value}, {"gmm": OWN["gmm"][:videos]})
        assert ("covers less than it says" in markdown.render(tabulate(plan, results))) == told


def test_two_label_sets_never_share_a_table(plan, results):
    store(results, first(plan, "gmm"), 0.5)
    store(results, first(plan, "knn"), 0.5, labels="intervals")
    with pytest.raises(BadInput, match="synthetic: records under different labels"):
        tabulate(plan, results)


def test_without_smoothing_the_unsmoothed_values_stand_in_every_column(plan, results, monkeypatch):
    from vadbench.datasets.synthetic import Synthetic

    monkeypatch.setattr(Synthetic, "smoothing", None)
    recipe = first(plan, "gmm")
    store(results, recipe, 0.5, moves=SHARED)
    assert cell(tabulate(plan, results), "gmm").value == 0.5


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
    store(results, plan.planned[0], value)
    return tabulate(plan, results)


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
