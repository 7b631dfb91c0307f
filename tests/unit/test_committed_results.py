"""What is committed under results/ is what the code makes of the records, with no data set on
disk.
"""

import math
import sys
from csv import reader
from pathlib import Path

import pytest

from vadbench.plans.plan import plan_suite
from vadbench.report.tables import csv, markdown
from vadbench.report.tables.make import make_table
from vadbench.results.frame import Frame
from vadbench.results.identity import identity_of
from vadbench.results.records import Results

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Results(ROOT / "results")
sys.path.insert(0, str(ROOT / "benchmarks"))
from make_tables import list_suites  # noqa: E402

SUITES = list(list_suites())


@pytest.fixture(scope="module")
def frame():
    return Frame(RESULTS)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_tables_are_what_the_records_say(suite, frame, street_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path))  # no data are needed
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    table = make_table(suite, plan_suite(suite).wanted, frame)
    written = [RESULTS.root / "tables" / f"{suite.name}.{kind}" for kind in ("md", "csv")]
    assert written[0].read_text() == markdown.render(table), "run `make tables`"
    committed, now = read_cells(written[1].read_text()), read_cells(csv.render(table))
    assert len(committed) == len(now), "run `make tables`"
    assert all(map(same_cells, committed, now)), "run `make tables`"


def read_cells(text):
    """The cells of a csv, row by row."""
    return list(reader(text.splitlines()))


def same_cells(one, two):
    """Whether two rows say the same, but for the last digits, which another processor gives."""
    return len(one) == len(two) and all(map(same_cell, one, two))


def same_cell(one, two):
    try:
        return math.isclose(float(one), float(two), rel_tol=1e-9)
    except ValueError:
        return one == two


def test_another_number_in_a_table_is_noticed():
    assert same_cells(["a", "0.80888284111837"], ["a", "0.80888284111838"])
    assert not same_cells(["a", "0.8088828"], ["a", "0.8088829"])
    assert not same_cells(["a", ""], ["a", "0.8"])
    assert not same_cells(["a"], ["b"])


def test_every_committed_table_is_of_a_suite():
    committed = {path.stem for path in (RESULTS.root / "tables").glob("*.md")} - {"latest"}
    assert {suite.name for suite in SUITES} == committed


def test_there_are_records_and_all_can_be_read(frame):
    assert frame.records
    assert all(run.status == "done" for run in frame.runs.values())
    runs = {run for record in frame.records.values() for run in record.runs}
    assert runs <= frame.runs.keys()


def test_of_every_run_the_frame_maxima_are_kept(frame):
    assert all(RESULTS.frames_path(run).is_file() for run in frame.runs.values())


def test_every_record_says_by_which_preset_it_was_asked_for(frame):
    computed = [one.result for one in frame.records.values() if one.result.given is None]
    assert all(result.preset for result in computed)


def test_every_record_has_the_identity_of_what_it_says(frame):
    for record in frame.records.values():
        assert identity_of(record.result, record.runs) == record.identity


@pytest.mark.parametrize("name", ["ped2", "itae-nf-table4"])
def test_a_table_is_made_of_its_own_records_alone(name, frame, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path))
    suite = next(suite for suite in SUITES if suite.name == name)
    wanted = plan_suite(suite).wanted
    opened = []
    real = Results._open_record

    def open_record(self, folder, *arguments, **more):
        opened.append(folder.parent.name)
        return real(self, folder, *arguments, **more)

    monkeypatch.setattr(Results, "_open_record", open_record)
    own = Frame(RESULTS, [one.result for one in wanted])

    assert set(opened) <= {one.result.recipe for one in wanted}
    assert len(own.runs) < len(frame.runs)
    assert make_table(suite, wanted, own) == make_table(suite, wanted, frame)
