"""Suites with rows of their own, and the unsupervised setting, from features to table."""

import json

import pytest

from vadbench.plans.plan import plan_suite
from vadbench.report.tables import markdown
from vadbench.results.records import Results
from vadbench.runner.run import evaluate_suite, run_suite
from vadbench.suite import make_suite

SMALL = {"units": [16, 16], "max_steps": 20}
ROWS = (
    {"label": "L = 4", "method": "mulde", "settings": {"mulde": {"scales": 4}}},
    {"label": "L = 8", "method": "mulde", "settings": {"mulde": {"scales": 8}}},
    {
        "label": "maximum",
        "method": "mulde",
        "settings": {"mulde": {"scales": 8}},
        "read_out": "max",
    },
)


def quiet(line):
    """Says nothing."""


@pytest.fixture
def run(street_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    results = Results(tmp_path / "results")

    def call(**fields):
        plan = plan_suite(make_suite({"name": "t", "datasets": ("synthetic",), **fields}))
        return plan, results, run_suite(plan, results, quiet=True, say=quiet)

    return call


@pytest.mark.slow
def test_an_ablation_is_a_row_a_setting_or_read_out_of_one_fit(run):
    plan, results, outcome = run(rows=ROWS, settings={"mulde": SMALL})
    assert not outcome.failed
    assert [row.method for row in outcome.table.rows] == ["L = 4", "L = 8", "maximum"]
    first, second = (results.run(job.document, job.identity) for job in plan.jobs)
    assert second.fit_shared_with == first.identity
    records = {
        record.read_outs[0]: record
        for record in results.all_records()
        if record.runs == (second.identity,)
    }
    assert set(records) == {"gmm5", "max"}
    for row in outcome.table.rows:
        assert all(
            cell.value is not None
            and (cell.low is not None or "macro" in column.title or column.title in ("EER", "AP"))
            for cell, column in zip(row.cells, outcome.table.columns, strict=True)
        )
    whole = {
        value.read_out: value.value
        for value in records["gmm5"].values
        if value.metric == "micro_auc" and value.smoothing != "none" and value.video is None
    }
    assert outcome.table.rows[2].cells[0].value == whole["max"]
    assert "none was chosen by the test labels" in outcome.table.caption
    for path in results.root.rglob("rows.npz"):
        path.unlink()
    assert evaluate_suite(plan, results, quiet).table == outcome.table


def test_a_read_out_is_evaluated_from_the_frames_of_another_recipe(run):
    plan, results, outcome = run(rows=ROWS[1:], settings={"mulde": SMALL})
    wanted = outcome.table
    for path in [*results.root.rglob("rows.npz"), *results.root.rglob("metrics.json")]:
        record = json.loads(path.read_text()) if path.suffix == ".json" else {}
        if path.suffix == ".npz" or record["read_outs"] == ["max"]:
            path.unlink()
    found = evaluate_suite(plan, results, quiet).table
    assert found.rows[1].cells[0].value == wanted.rows[1].cells[0].value


def test_the_unsupervised_setting_tests_the_videos_it_did_not_train_on(run):
    one_class, results, before = run(methods=("magnitude",))
    plan, results, outcome = run(methods=("magnitude",), setting="unsupervised")
    (job,), (normal,) = plan.jobs, one_class.jobs
    apart, together = (results.run(one.document, one.identity) for one in (normal, job))
    assert [name for name, _ in together.test_videos] == [name for name, _ in apart.test_videos][
        ::2
    ]
    assert together.train_rows + together.test_rows == apart.train_rows + apart.test_rows
    (record,) = (record for record in results.all_records() if record.runs == (job.identity,))
    assert record.labels["videos"] == len(together.test_videos)
    assert "setting `unsupervised`" in outcome.table.caption
    assert "every-second-test-video" in markdown.render(outcome.table)
    assert before.table.rows != outcome.table.rows
