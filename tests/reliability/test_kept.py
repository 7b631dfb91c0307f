import shutil

import pytest
from clips import RUN, digests
from typer.testing import CliRunner
from vadbench_methods.gaussian import Gaussian

from vadbench.cli import app
from vadbench.files.atomic import aside_name
from vadbench.results.records import Results


@pytest.fixture
def folder(states, tmp_path, monkeypatch):
    """A folder with a run in it, to which commands go."""
    shutil.copytree(states / "full", tmp_path / "full")
    monkeypatch.setenv("VADBENCH_DATA", str(states / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(states / "cache"))
    monkeypatch.chdir(tmp_path / "full")
    return tmp_path / "full"


@pytest.mark.parametrize("error", [MemoryError("of the fit"), OSError(5, "Input/output error")])
def test_a_rerun_that_fails_leaves_the_record_that_was_there(folder, monkeypatch, error):
    before = digests(folder / "results")

    def fail(*_):
        raise error

    monkeypatch.setattr(Gaussian, "fit", fail)
    done = CliRunner().invoke(app, [*RUN, "--existing", "rerun"])
    assert done.exit_code == 1
    assert "failed: gaussian on folder velocity, seed 0" in done.output
    assert digests(folder / "results") == before
    store = Results(folder / "results")
    assert [run.status for run in store.all_runs()] == ["done", "done"]
    assert all(store.rows(run) for run in store.all_runs())


def test_what_another_machine_is_writing_stays(folder):
    """Its process has no number here."""
    theirs = aside_name("0123456789ab").rpartition("~")[0] + "~node17-4194999-0123ab"
    earlier = "0123456789ab-4194999"  # as earlier versions called it
    for name in (theirs, earlier):
        (folder / "results" / ".tmp" / name).mkdir()
        (folder / "results" / ".tmp" / name / "rows.npz").write_bytes(b"being written")
    assert CliRunner().invoke(app, [*RUN]).exit_code == 0
    for name in (theirs, earlier):
        assert (folder / "results" / ".tmp" / name / "rows.npz").read_bytes() == b"being written"
