"""The command line: what a user did wrong, or the system refused, is one line and exit code 2,
before anything is computed.
"""

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from vadbench import cli
from vadbench.cli.options import plan_of


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


def test_the_version_is_told():
    assert CliRunner().invoke(cli.app, ["--version"]).stdout == f"vadbench {version('vadbench')}\n"


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

    monkeypatch.setattr(cli, "app", full)
    assert vadbench() == (
        1,
        ["vadbench: no space left on the disk of rows.npz; free some, then run the same command"],
    )


def test_results_that_cannot_be_written_are_refused_before_features_are_extracted(
    vadbench, tmp_path
):
    (tmp_path / "a.md").write_text("")
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
    plan = plan_of("", "", "", None, None, None, suite, setting=setting)
    assert (plan.suite.setting, plan.suite.name) == (setting, f"{suite}--synthetic--{setting}")


def test_without_a_choice_a_suite_has_its_own_setting():
    assert plan_of("", "", "", None, None, None, "diffusion-t").suite.setting == "unsupervised"


def test_without_a_suite_the_setting_is_one_class():
    assert plan_of("gmm", "synthetic", "", None, None, None, "").suite.setting == "one-class"


def test_the_settings_there_are_stand_in_the_refusal(vadbench):
    code, (line,) = vadbench("plan", "--suite", "mulde-l", "--setting", "weakly")
    assert code == 2
    assert line == "vadbench: setting: Input should be 'one-class' or 'unsupervised', got 'weakly'"
