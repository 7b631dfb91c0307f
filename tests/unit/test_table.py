import csv
import io

import numpy as np
import pytest

from vadbench.benchmark import plan_suite
from vadbench.errors import BadInput
from vadbench.evaluate import protocol_of, recipe_identity
from vadbench.records import RecipeRecord, Results
from vadbench.report import csv as csv_report
from vadbench.report import markdown
from vadbench.report.from_records import make_table
from vadbench.report.table import METRICS, USUAL
from vadbench.suite import make_suite


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    return plan_suite(make_suite({"name": "t", "title": "T", "methods": ("mulde", "knn", "gmm"), "datasets": ("synthetic",), "seeds": 2}))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def store(results, recipe, values, reason=None, drawn=None, labels="exact"):
    """A record of the recipe whose every metric is `values`: a number, or a number per metric title."""
    from vadbench.benchmark import open_dataset

    protocol = protocol_of(recipe, open_dataset(recipe.dataset))
    rows = []
    for title, (metric, convention, smoothed) in ((name, METRICS[name][0]) for name in USUAL):
        value = values[title] if isinstance(values, dict) else values
        smoothing = "gaussian-3" if smoothed else "none"
        row = {"metric": metric, "convention": convention, "smoothing": smoothing, "read_out": "score", "video": None, "value": value}
        rows.append({**row, "n": 1, "reason": reason})
    part = recipe.parts[0]
    described = {"method": part.part.method, "stream": part.part.stream, "calibration": part.part.calibration, "config": part.job.document["config"]}
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
    names = {f"{metric}.{convention or 'plain'}" for metric, convention, _ in (METRICS[name][0] for name in USUAL)} | {"micro_auc_unsmoothed.plain"}
    frames = {} if drawn is None else {f"resampled.{name}": drawn for name in names}
    results.write_recipe(record, {"scores": np.zeros(1), **frames})


def cell(table, method):
    return next(row for row in table.rows if row.method == method).cells[0]


def test_mean_and_deviation_are_over_seeds(plan, results):
    for recipe, value in zip([r for r in plan.recipes if r.method == "mulde"], (0.80, 0.90), strict=True):
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
    store(results, next(r for r in plan.recipes if r.method == "gmm"), None, reason="no normal frame")
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
        store(results, next(r for r in plan.recipes if r.method == method), dict.fromkeys(USUAL, 0.9) | {"EER": eer})
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
    for fact in ("Preset `fast`", "sigma 3", "labels `exact`", "2 test videos", "maximum over objects", "`skip`"):
        assert fact in caption


def draws(mean, seed, shared):
    """Resampled values around a mean, moved by what both methods share and a little of their own."""
    return mean + shared + 0.001 * np.random.default_rng(seed).normal(size=1000)


@pytest.mark.parametrize(("gap", "peers"), [(0.0005, True), (0.05, False)])
def test_a_best_is_bold_only_if_it_is_significantly_better(plan, results, gap, peers):
    shared = 0.1 * np.random.default_rng(0).normal(size=1000)  # wide intervals that overlap: only the paired difference decides
    for method, value, seed in (("knn", 0.9, 1), ("gmm", 0.9 + gap, 2)):
        store(results, next(r for r in plan.recipes if r.method == method), value, drawn=draws(value, seed, shared))
    table = make_table(plan, results)
    assert cell(table, "gmm").peer == cell(table, "knn").peer == peers
    assert ("**" in markdown.render(table)) == (not peers)
    assert ("≈ |" in markdown.render(table)) == peers


def test_two_label_sets_never_share_a_table(plan, results):
    store(results, next(r for r in plan.recipes if r.method == "gmm"), 0.5)
    store(results, next(r for r in plan.recipes if r.method == "knn"), 0.5, labels="intervals")
    with pytest.raises(BadInput, match="synthetic: records under different labels"):
        make_table(plan, results)


def test_without_smoothing_the_unsmoothed_values_stand_in_every_column(plan, results, monkeypatch):
    from vadbench.datasets.synthetic import Synthetic

    monkeypatch.setattr(Synthetic, "smoothing", None)
    recipe = next(r for r in plan.recipes if r.method == "gmm")
    store(results, recipe, 0.5, drawn=np.full(1000, 0.5))
    folder = next(results.root.glob("recipes/*/*/*/metrics.json"))
    folder.write_text(folder.read_text().replace('"gaussian-3"', '"none"'))
    assert cell(make_table(plan, results), "gmm").value == 0.5
