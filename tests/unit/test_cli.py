"""The command line: what a user did wrong, or the system refused, is one line and exit code 2,
before anything is computed.
"""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from figure_records import write_dataset
from typer.testing import CliRunner

from vadbench import cli
from vadbench.cli.options import Options


@pytest.fixture
def vadbench(tmp_path, monkeypatch, capsys):
    """Runs the command line in this process, in an empty folder; gives its exit code and the lines
    on stderr.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, capsys.readouterr().err.splitlines()

    return run


def test_the_version_is_told_with_the_commit_and_the_libraries():
    first, *libraries = CliRunner().invoke(cli.app, ["--version"]).stdout.splitlines()
    assert re.fullmatch(rf"vadbench {version('vadbench')}( \([0-9a-f]{{40}}\+?\))?", first)
    assert f"torch {version('torch')}" in libraries


def test_the_version_is_told_without_loading_the_libraries():
    code = "import sys; from vadbench import cli; sys.argv[1:] = ['--version']; cli.app()"
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "sklearn", "pytorch_lightning"}


def test_completion_of_a_shell_can_be_shown():
    shown = CliRunner().invoke(
        cli.app, [], prog_name="vadbench", env={"_VADBENCH_COMPLETE": "source_bash"}
    )
    assert "complete" in shown.stdout
    assert "_VADBENCH_COMPLETE" in shown.stdout


def test_a_place_that_cannot_be_written_is_one_line(vadbench, tmp_path):
    (tmp_path / "results" / "recipes").mkdir(parents=True)
    (tmp_path / "a.md").write_text("")
    code, (line,) = vadbench("export", "--out", "a.md/x.csv")
    assert code == 2
    assert line.startswith("vadbench: ")
    assert "a.md: " in line
    assert line.endswith("; choose another place with --out, --results or $VADBENCH_CACHE")
    assert (tmp_path / "a.md").read_text() == ""


def test_a_full_disk_is_exit_code_1(vadbench, monkeypatch):
    def full():
        raise OSError(28, "No space left on device", "rows.npz")

    monkeypatch.setattr("vadbench.cli.program.app", full)
    assert vadbench() == (
        1,
        ["vadbench: no space left on the disk of rows.npz; free some, then run the same command"],
    )


@pytest.mark.parametrize(
    ("existing", "hint"),
    [
        ("skip", "the same command goes on where this one stopped"),
        ("rerun", "what has run again stays, but the same command runs all of it once more"),
    ],
)
def test_what_is_interrupted_says_what_the_same_command_does(vadbench, monkeypatch, existing, hint):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    def end():
        raise SystemExit(130)

    monkeypatch.setattr("vadbench.runner.run.run_suite", interrupt)
    monkeypatch.setattr("vadbench.cli.program.end", end)
    chosen = ("--methods", "gaussian", "--datasets", "synthetic")
    code, lines = vadbench("run", *chosen, "--existing", existing)
    assert code == 130
    assert lines[-1] == f"vadbench: interrupted; {hint}"


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_results_that_cannot_be_written_are_refused_before_features_are_extracted(
    vadbench, tmp_path, mode
):
    (tmp_path / "a.md").touch(mode)
    code, (line,) = vadbench(
        "run", "--methods", "gmm", "--datasets", "synthetic", "--quiet", "--results", "a.md"
    )
    assert code == 2
    assert "--results a.md: records cannot be written here" in line
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "knn", "--set", "knn.k=nan"), "knn: k: "),
        (
            ("demo", "density", "--methods", "gmm", "--out", "d.foo"),
            "--out d.foo: no picture format",
        ),
        (("features", "extract"), "give --datasets"),
        (("features", "verify"), "no cached features"),
        (("publish", "wandb", "--project", ""), "--project: empty"),
    ],
)
def test_mistakes_are_one_line(vadbench, tmp_path, arguments, told):
    code, lines = vadbench(*arguments)
    assert code == 2
    assert len(lines) == 1
    assert told in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("suite", "setting"), [("diffusion-t", "one-class"), ("mulde-l", "unsupervised")]
)
def test_a_suite_is_varied_by_its_setting(suite, setting):
    plan = Options(suite=suite, setting=setting).read_plan()
    assert (plan.suite.setting, plan.suite.name) == (setting, f"{suite}--synthetic--{setting}")


def test_without_a_choice_a_suite_has_its_own_setting():
    assert Options(suite="diffusion-t").read_suite().setting == "unsupervised"


def test_without_a_suite_the_setting_is_one_class():
    assert Options("gmm", "synthetic").read_suite().setting == "one-class"


def test_the_settings_there_are_stand_in_the_refusal(vadbench):
    code, (line,) = vadbench("plan", "--suite", "mulde-l", "--setting", "weakly")
    assert code == 2
    assert line == "vadbench: setting: Input should be 'one-class' or 'unsupervised', got 'weakly'"


# a suite with further methods


@pytest.fixture
def own_suite(vadbench, tmp_path):
    """A suite file in the current folder, on a small data set."""
    write_dataset(tmp_path / "data")
    path = Path("mine.toml")
    path.write_text(
        'title = "Mine"\nmethods = ["magnitude"]\ndatasets = ["folder"]\n'
        'features = ["velocity@grid"]\nmetrics = ["micro AUC"]\n'
    )
    return path


def test_methods_are_added_to_a_suite_and_its_table_is_a_file_of_its_own(vadbench, own_suite):
    code, lines = vadbench("run", "--suite", str(own_suite), "--add", "gaussian", "--quiet")
    assert code == 0, lines
    tables = Path("results") / "tables"
    assert {path.name for path in tables.iterdir()} == {
        "mine--with-gaussian.md",
        "mine--with-gaussian.csv",
    }
    text = (tables / "mine--with-gaussian.md").read_text()
    assert text.index("| magnitude") < text.index("| gaussian")
    plan = Options(suite=str(own_suite), add="gaussian").read_plan()
    assert plan.suite.options == "--suite mine.toml --add gaussian"


def test_methods_named_beside_a_suite_are_added(own_suite):
    by_name = Options(suite=str(own_suite), methods="gaussian,magnitude", add="gmm").read_suite()
    assert by_name.methods == ("magnitude", "gaussian", "gmm")


def test_methods_are_added_to_a_suite_alone(vadbench):
    code, (line,) = vadbench("run", "--methods", "knn", "--datasets", "folder", "--add", "gmm")
    assert code == 2
    assert line == "vadbench: --add adds methods to a suite; name it with --suite"


def test_an_added_method_that_is_none_is_refused(vadbench, own_suite):
    code, (line,) = vadbench("plan", "--suite", str(own_suite), "--add", "gausian")
    assert code == 2
    assert "did you mean gaussian?" in line
