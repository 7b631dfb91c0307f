"""A suite, or a command line, runs what the data and features on this machine allow, and says what
is missing for the rest.
"""

import pytest
from figure_records import write_dataset

from vadbench.errors import BadInput
from vadbench.plans.needs import find_lacking, group_reasons
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")

    def call(datasets):
        some = {"name": "some", "methods": ["magnitude"], "features": ["velocity@grid"]}
        plan = plan_suite(make_suite({**some, "datasets": datasets}))
        return plan, lambda: run_suite(plan, Results(tmp_path / "results"), quiet=True, say=str)

    return call


def test_what_can_run_runs_and_the_rest_is_told(run):
    _, go = run(["folder", "avenue"])
    outcome = go()
    (told,) = outcome.lacking
    assert told.startswith("avenue velocity@grid: ")
    assert "vadbench data fetch avenue" in told
    (row,) = outcome.table.rows
    here, there = row.cells[0], row.cells[len(row.cells) // 2]
    assert here.value is not None
    assert (there.value, there.note) == (
        None,
        "not run; `vadbench plan --suite some` tells what that takes",
    )


def test_with_nothing_to_run_nothing_is_written(run, tmp_path):
    _, go = run(["avenue"])
    with pytest.raises(BadInput, match="nothing of this can be run here: avenue velocity@grid: "):
        go()
    assert not (tmp_path / "results" / "tables").exists()


def test_the_plan_tells_what_is_missing_once_for_all_streams_that_lack_the_same(run, tmp_path):
    suite = make_suite(
        {
            "methods": ["magnitude"],
            "datasets": ["avenue"],
            "features": ["velocity", "velocity.hof1", "deep@import.accivad"],
        }
    )
    (line,) = group_reasons(find_lacking(plan_suite(suite).jobs))
    assert line.startswith("avenue velocity, velocity.hof1, deep@import.accivad: ")
    assert not (tmp_path / "cache").exists()
