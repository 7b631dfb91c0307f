"""Commands on records: the same options stand for the same table, and where there are no records
they say so.
"""

import shutil
from pathlib import Path

import pytest

from vadbench import cli

COMMITTED = Path(__file__).resolve().parents[2] / "results"
SELECTION = ("--methods", "knn,magnitude", "--datasets", "synthetic")


@pytest.fixture
def vadbench(tmp_path, monkeypatch, capsys):
    """Runs the command line in this process, in an empty folder; gives its exit code, stdout and
    stderr.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    return run


def test_the_table_of_a_run_without_a_suite_is_printed_by_its_options(vadbench):
    code, told, _ = vadbench("table", *SELECTION, "--format", "csv", "--results", str(COMMITTED))
    assert code == 0
    assert "knn" in told
    assert "not run" not in told


def test_the_footnote_of_such_a_table_is_a_command_that_works(vadbench, street_cache, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    _, told, _ = vadbench("table", *SELECTION, "--set", "knn.k=7", "--results", str(COMMITTED))
    command = told.partition("not run; `vadbench ")[2].partition("`")[0].split()
    assert command == ["plan", *SELECTION, "--set", "knn.k=7"]
    code, planned, _ = vadbench(*command)
    assert code == 0
    assert "2 jobs (0 done, 0 failed, 2 missing)" in planned


@pytest.mark.parametrize(
    "command",
    [
        ("table", "demo"),
        ("table", *SELECTION),
        ("evaluate", *SELECTION),
        ("evaluate",),
        ("ranks", "velocity"),
    ],
)
def test_without_records_there_is_no_table(vadbench, tmp_path, command):
    code, told, error = vadbench(*command)
    assert (code, told) == (2, "")
    assert "no records; expected a folder that vadbench run --results wrote" in error
    assert not (tmp_path / "results").exists()


def test_runs_without_records_are_no_records_to_evaluate(vadbench, tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    code, told, error = vadbench("evaluate")
    assert (code, told) == (2, "")
    assert "results: no records; expected a folder" in error
    code, told, _ = vadbench("evaluate", *SELECTION)
    assert code == 0
    assert "not run" in told


def test_a_record_that_cannot_be_evaluated_is_told_by_the_exit_code(vadbench, tmp_path):
    record = next((COMMITTED / "recipes" / "ped2" / "knn@velocity").iterdir())
    shutil.copytree(
        record, tmp_path / "results" / "recipes" / "ped2" / "knn@velocity" / record.name
    )
    code, told, error = vadbench("evaluate")
    assert code == 1
    assert "0 recipes evaluated" in told
    assert "ped2 knn@velocity seed 0: not evaluated" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--methods", ",", "--datasets", "synthetic"), "--methods is empty"),
        (("run", "--methods", "knn", "--datasets", ","), "--datasets is empty"),
        (("evaluate", "--suite", "demo", "--scope", "scene"), "give a suite or these"),
        (
            ("evaluate", "--scope", "scene", "--results", str(COMMITTED)),
            "name methods and data sets to choose more",
        ),
        (("table",), "give --methods and --datasets, or --suite"),
    ],
)
def test_options_that_do_not_go_together_are_refused(vadbench, arguments, message):
    (Path("results") / "recipes").mkdir(parents=True)
    code, _, error = vadbench(*arguments)
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_table_fits_a_terminal_and_is_markdown_where_there_is_none(vadbench, monkeypatch):
    command = ("table", "velocity", "--results", str(COMMITTED))
    _, piped, _ = vadbench(*command)
    assert piped.startswith("# Velocity")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "dumb")
    _, shown, _ = vadbench(*command)
    assert shown.startswith("Velocity")
    assert max(map(len, shown.splitlines())) <= 90
    assert "--metrics chooses" in shown
    assert vadbench(*command, "--format", "terminal") == (0, shown, "")


def test_rows_columns_and_order_of_a_suites_table_are_chosen(vadbench):
    command = ("table", "velocity", "--results", str(COMMITTED), "--format", "csv")
    chosen = ("--methods", "knn,gmm", "--metrics", "RBDC,micro AUC, unsmoothed", "--sort", "RBDC")
    code, told, _ = vadbench(*command, *chosen, "--cost")
    lines = [line.split(",") for line in told.splitlines()[1:]]
    assert code == 0
    assert [line[2] for line in lines[:8]] == ["gmm"] * 4 + ["knn"] * 4
    assert [line[5] for line in lines[:2]] == ["rbdc", "micro_auc"]
    assert {line[5] for line in lines if line[0] == "cost"} >= {"fit_seconds", "parameters"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "AUC"), "unknown metric of the table 'AUC': choose from AP"),
        (
            ("--methods", "accivad"),
            "unknown method of the table 'accivad': choose from",
        ),
        (("--caption", "long"), "unknown caption 'long': choose from full, short"),
        (("--format", "terminal", "--out", "t.md"), "--format terminal is printed"),
    ],
)
def test_choices_that_a_table_has_not_are_refused_in_a_line(vadbench, arguments, message):
    code, told, error = vadbench("table", "velocity", "--results", str(COMMITTED), *arguments)
    assert (code, told) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1
