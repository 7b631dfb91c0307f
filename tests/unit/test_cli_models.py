"""The commands on kept models: what they print, and mistakes in one line that leave nothing."""

import json

import pytest
from kept_models import keep
from one_line import answer, damages
from typer.testing import CliRunner

from vadbench import cli
from vadbench.models.manifest import MANIFEST
from vadbench.models.store import read_model


@pytest.fixture
def vadbench(tmp_path, monkeypatch, capsys):
    """Runs the command line in this process, in an empty folder; gives its exit code, its lines and
    its lines on stderr.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return stop.value.code, told.out.splitlines(), told.err.splitlines()

    return run


def test_models_are_listed_shown_exported_and_removed(vadbench, tmp_path):
    kept = keep(tmp_path / "results")
    code, lines, _ = vadbench("models", "list")
    assert code == 0
    assert lines[1].split()[:2] == ["synthetic/magnitude@velocity:0", kept.folder.name]
    code, lines, _ = vadbench("models", "show", "magnitude@velocity")
    assert any(line.startswith("  400 training rows of ") for line in lines)
    assert lines[-1] == "threshold: none; none was asked for"
    code, lines, _ = vadbench("models", "show", "magnitude@velocity", "--json")
    assert json.loads("".join(lines))["identity"] == kept.manifest.identity
    code, lines, _ = vadbench("models", "export", "magnitude@velocity", "one.zip")
    assert (tmp_path / "one.zip").is_file()
    code, lines, _ = vadbench("models", "remove", kept.folder.name)
    assert not kept.folder.exists()
    code, lines, _ = vadbench("models", "list")
    assert lines == ["no models under results; vadbench train METHOD --dataset DATASET makes one"]


def test_a_damaged_model_is_named_and_the_others_are_listed(vadbench, tmp_path):
    keep(tmp_path / "results")
    damaged = keep(tmp_path / "results", "gaussian")
    (damaged.folder / MANIFEST).write_text("{}")
    code, lines, errors = vadbench("models", "list")
    assert (code, len(lines), len(errors)) == (0, 2, 1)
    assert "damaged or edited" in errors[0]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("train", "gnn", "--dataset", "synthetic"), "unknown method 'gnn'"),
        (("train", "gmm,knn", "--dataset", "synthetic"), "expected one"),
        (("train", "gmm", "--dataset", "nowhere"), "unknown dataset"),
        (
            ("train", "magnitude", "--dataset", "synthetic", "--seed", "3"),
            "vadbench: nothing is random in magnitude@velocity, which has seed 0 alone;",
        ),
        (("train", "gmm", "--dataset", "ped2"), "ped2"),
        (("train", "gmm", "--dataset", "synthetic", "--set", "gmm.component=2"), "components"),
        (("models", "show", "gmm@velocity"), "there are: synthetic/magnitude@velocity:0"),
        (("models", "export", "magnitude@velocity", "results"), "is there already"),
        (("watch", "nowhere.mp4", "--model", "magnitude@velocity"), "no such file"),
        (("watch", "a.mp4", "--model", "magnitude@velocity", "--format", "xml"), "csv"),
        (("watch", "a.mp4", "--model", "magnitude@velocity", "--video", "a.avi"), ".mp4"),
        (("watch", "a.mp4", "--model", "magnitude@velocity", "--smoothing", "3"), "causal-3"),
        (("watch", "a.mp4", "--model", "magnitude@velocity", "--scene", "gate"), "all scenes"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(vadbench, tmp_path, command, told):
    keep(tmp_path / "results")
    before = sorted(path for path in (tmp_path / "results").rglob("*"))
    code, lines, errors = vadbench(*command)
    assert (code, lines, len(errors)) == (2, [], 1)
    assert told in errors[0]
    after = sorted(path for path in (tmp_path / "results").rglob("*"))
    assert [path for path in after if path.name != ".tmp"] == before


def test_whatever_a_manifest_holds_is_right_or_one_line(tmp_path):
    kept = keep(tmp_path)
    path = kept.folder / MANIFEST
    whole = path.read_bytes()
    for damaged in damages(whole, seed=0, count=60):
        path.write_bytes(damaged)
        kind, found = answer(lambda: read_model(kept.folder).manifest)
        assert kind == "line" or found == kept.manifest


def test_help_names_the_commands():
    told = CliRunner().invoke(cli.app, ["models", "--help"]).stdout
    assert all(name in told for name in ("list", "show", "export", "remove"))
