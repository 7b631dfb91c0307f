"""What is committed under results/ is what the code makes of the records, with no data set on
disk.
"""

from pathlib import Path

import pytest

from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.report.tables import csv, markdown
from vadbench.report.tables.make import make_table
from vadbench.results.records import Results
from vadbench.suite import read_suite

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Results(ROOT / "results")
TABLES = sorted(
    path.stem for path in (RESULTS.root / "tables").glob("*.md") if path.stem != "latest"
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A machine without data; what is rendered there is rendered once."""
    return str(tmp_path_factory.mktemp("bare"))


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_what_the_records_say(name, bare, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", bare)
    monkeypatch.setenv("VADBENCH_CACHE", bare)
    table = make_table(plan_suite(read_suite(name, suites_root())), RESULTS)
    for suffix, render in ((".md", markdown.render), (".csv", csv.render)):
        assert (RESULTS.root / "tables" / name).with_suffix(suffix).read_text() == render(table), (
            "run `make tables`"
        )


def test_there_are_records_and_all_can_be_read():
    assert TABLES
    assert all(run.status == "done" for run in RESULTS.all_runs())
    assert {run for recipe in RESULTS.all_records() for run in recipe.runs} <= {
        run.identity for run in RESULTS.all_runs()
    }
