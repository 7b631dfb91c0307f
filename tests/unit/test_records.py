import errno
import json
import os

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file
from vadbench.files.canonical import canonical_hash
from vadbench.files.npz import load_arrays
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord

JOB = {"dataset": "toy", "stream": "velocity", "method": "gmm", "seed": 0}
IDENTITY = canonical_hash(JOB)


def record(**fields):
    return RunRecord(
        **{
            "status": "done",
            "identity": IDENTITY,
            "fit_identity": IDENTITY,
            "job": JOB,
            "runtime": {},
            "environment": {},
            **fields,
        }
    )


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def test_a_run_comes_back_as_it_was_written(results):
    rows = {"test_scores": np.array([[1 / 3], [np.pi]])}
    written = results.write_run(record(), rows)
    read = results.run(JOB, IDENTITY)
    assert read == written
    np.testing.assert_array_equal(results.rows(read)["test_scores"], rows["test_scores"])


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert canonical_hash({"a": 1, "b": [1.5, None]}) == canonical_hash({"b": [1.5, None], "a": 1})


def test_an_absent_run_is_none(results):
    assert results.run(JOB, IDENTITY) is None


def test_rows_that_run_json_does_not_describe_are_refused(results):
    written = results.write_run(record(), {"test_scores": np.zeros((2, 1))})
    path = results.run_folder(JOB, IDENTITY) / "rows.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"rows\.npz.*rerun"):
        results.rows(written)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 0}'])
def test_a_damaged_run_json_is_named_and_counts_as_not_run(results, text, capsys):
    results.write_run(record(), None)
    path = results.run_folder(JOB, IDENTITY) / "run.json"
    path.write_text(text)
    assert results.run(JOB, IDENTITY) is None
    assert list(results.all_runs()) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert "vadbench run" in line


def test_a_record_of_a_later_version_is_not_run_over(results):
    results.write_run(record(), None)
    path = results.run_folder(JOB, IDENTITY) / "run.json"
    path.write_text('{"schema_version": 99}')
    with pytest.raises(BadInput, match=r"run\.json: schema version 99.*use the version"):
        results.run(JOB, IDENTITY)
    assert list(results.all_runs()) == []


def test_a_full_disk_leaves_nothing_that_is_read_later(results, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        results.write_run(record(), {"test_scores": np.zeros((2, 1))})
    assert results.run(JOB, IDENTITY) is None
    assert not [path for path in results.root.rglob("*") if path.is_file()]


def test_records_are_strict_json(results):
    with pytest.raises(ValueError, match="Out of range"):
        results.write_run(record(seconds={"fit": float("nan")}), None)
    assert results.run(JOB, IDENTITY) is None


def test_a_failed_run_is_replaced_by_a_finished_one(results):
    results.write_run(record(status="failed", error="boom"), None)
    results.write_run(record(), {"test_scores": np.zeros((1, 1))})
    assert results.run(JOB, IDENTITY).status == "done"
    assert json.loads((results.run_folder(JOB, IDENTITY) / "run.json").read_text())["error"] is None


def test_a_text_goes_through_a_link_and_the_link_stays(results, tmp_path):
    target = tmp_path / "elsewhere" / "t.md"
    target.parent.mkdir()
    (tmp_path / "t.md").symlink_to(target)
    for text in ("first", "second"):
        results.write_text("t.md", text)
        assert (tmp_path / "t.md").is_symlink()
        assert target.read_text() == text
    assert [path.name for path in target.parent.iterdir()] == ["t.md"]


def test_a_pipe_is_written_and_not_replaced(results, tmp_path):
    os.mkfifo(tmp_path / "t.md")
    reader = os.open(tmp_path / "t.md", os.O_RDONLY | os.O_NONBLOCK)
    results.write_text("t.md", "through the pipe")
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)
    assert (tmp_path / "t.md").is_fifo()


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "t.md").write_text("whole")

    def fail():
        with replace_file(tmp_path / "t.md") as aside:
            aside.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"t.md": "whole"}


def test_a_place_that_cannot_be_written_is_told_and_one_that_can_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with pytest.raises(
            BadInput,
            match=(
                r"--results .*file.*: records cannot be written here .*Not a directory.*; choose"
                r" another folder"
            ),
        ):
            Results(tmp_path / name).require_writable()
    Results(tmp_path / "new" / "results").require_writable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", [b"garbage", b"", b"PK\x03\x04 cut off"])
def test_what_is_no_npz_file_is_told_in_our_words(tmp_path, content):
    (tmp_path / "rows.npz").write_bytes(content)
    with pytest.raises(
        BadInput,
        match=r"rows\.npz: damaged \(not an npz file, or cut off\); remove it and run again",
    ):
        load_arrays(tmp_path / "rows.npz")
