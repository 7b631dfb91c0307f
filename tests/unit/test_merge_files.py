"""Results folders are joined file by file: what is damaged is named and not taken, what ours lacks
is taken, and a record is taken with the scores that it was computed from alone.
"""

import errno
import shutil

import numpy as np
import pytest
from record_builder import make_result, make_run, write_record

from vadbench import cli
from vadbench.evaluation.frames import PartFrames
from vadbench.results import merge as merging
from vadbench.results.merge import merge
from vadbench.results.records import Results

LENGTHS = np.full(3, 40)
CUT = 100  # bytes that a truncated file keeps


def write_run(results, seed=0, value=None):
    """A run with its rows, and with frame maxima and a record of a value where one is given."""
    random = np.random.default_rng(seed)
    frame, video = np.tile(np.arange(40), 3), np.repeat(np.arange(3), 40)
    rows = {
        f"{split}_{name}": values
        for split in ("train", "test")
        for name, values in (
            ("scores", random.normal(size=(120, 1))),
            ("video", video),
            ("frame", frame),
        )
    }
    result = make_result("alpha@velocity", dataset="street")
    run = results.write_run(make_run(result), rows)
    if value is not None:
        results.write_frames(run, PartFrames.of_rows(rows, LENGTHS).arrays(LENGTHS))
        write_record(results, value=value, result=result, runs=[run])
        results.write_run(run, rows, replace=True)
    return run


@pytest.fixture
def ours(tmp_path):
    return Results(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path):
    results = Results(tmp_path / "theirs")
    write_run(results, value=0.7)
    return results


def find(results, name):
    (path,) = results.root.rglob(name)
    return path


def truncate(path):
    path.write_bytes(path.read_bytes()[:CUT])


def change_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = [truncate, change_byte, lambda path: path.write_bytes(b"")]


def names(results):
    return {path.name for path in results.root.rglob("*") if path.is_file()}


def frames_of(results):
    return results.root.glob("frames/*/*/*/*.npz")


def test_a_record_of_other_scores_than_our_run_is_not_taken(ours, theirs):
    write_run(ours, seed=1)  # ended before evaluation
    merged = merge(ours, theirs)
    assert [line.partition(": ")[2][:28] for line in merged.different] == [
        "other scores than ours of th",
        "of other scores than ours; n",
    ]
    assert merged.copied == 0
    assert not list(ours.all_records())


def test_a_record_without_digests_is_of_its_own_run_too(ours, theirs, monkeypatch):
    write_run(ours, seed=1)
    (record,) = theirs.all_records()
    record = record.model_copy(update={"digests": None})
    monkeypatch.setattr(theirs, "all_records", lambda: [record])
    merged = merge(ours, theirs)
    assert (merged.copied, len(merged.different)) == (0, 2)


def test_a_record_without_its_run_is_not_tied_to_ours(ours, theirs):
    write_run(ours, seed=1)
    shutil.rmtree(theirs.root / "runs")
    merged = merge(ours, theirs)
    assert ["of other scores than ours" in line for line in merged.different] == [True]
    assert not list(ours.all_records())


def test_a_record_without_its_run_is_taken_where_there_is_none(ours, theirs):
    shutil.rmtree(theirs.root / "runs")
    assert merge(ours, theirs).copied == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_rows_are_named_and_not_taken(ours, theirs, damage):
    damage(find(theirs, "rows.npz"))
    merged = merge(ours, theirs)
    assert len(merged.different) == 1
    assert "rows.npz: damaged" in merged.different[0]
    assert names(ours) == names(theirs) - {"rows.npz"}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_frame_maxima_are_named_and_not_taken(ours, theirs, damage):
    (path,) = frames_of(theirs)
    damage(path)
    merged = merge(ours, theirs)
    assert [line.startswith(f"{path}: damaged") for line in merged.different] == [True]
    assert names(ours) == names(theirs) - {path.name}


def test_a_run_without_any_whole_scores_is_not_taken(ours, theirs):
    shutil.rmtree(theirs.root / "frames")
    truncate(find(theirs, "rows.npz"))
    merged = merge(ours, theirs)
    assert [": damaged, it" in merged.different[0], "scores are" in merged.different[1]] == [
        True
    ] * 2
    assert not list(ours.all_runs())


@pytest.mark.parametrize("damage", [*DAMAGE, lambda path: path.unlink()])
@pytest.mark.parametrize("part", ["rows", "frames"])
def test_scores_that_ours_lacks_or_has_damaged_are_taken(ours, theirs, damage, part):
    shutil.copytree(theirs.root, ours.root)
    path = find(ours, "rows.npz") if part == "rows" else next(frames_of(ours))
    before = path.read_bytes()
    damage(path)
    merged = merge(ours, theirs)
    assert (merged.copied, merged.same, merged.different) == (1, 1, [])
    assert path.read_bytes() == before


def test_damaged_rows_heal_none(ours, theirs):
    shutil.copytree(theirs.root, ours.root)
    find(ours, "rows.npz").unlink()
    truncate(find(theirs, "rows.npz"))
    merged = merge(ours, theirs)
    assert (merged.copied, len(merged.different)) == (0, 1)
    assert "rows.npz" not in names(ours)


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
@pytest.mark.parametrize("damage", [truncate, lambda path: path.write_text("{}")])
def test_a_damaged_document_is_named(ours, theirs, name, damage):
    path = find(theirs, name)
    damage(path)
    merged = merge(ours, theirs)
    assert any(line.startswith(f"{path}: damaged") for line in merged.different)
    assert name not in names(ours)


def test_an_edited_run_is_named(ours, theirs):
    path = find(theirs, "run.json")
    path.write_text(path.read_text().replace('"threads": 1', '"threads": 2'))
    assert any(line.startswith(f"{path}: ") for line in merge(ours, theirs).different)


def test_a_folder_of_damaged_documents_alone_is_told_of(ours, theirs):
    for name in ("run.json", "metrics.json"):
        truncate(find(theirs, name))
    assert len(merge(ours, theirs).different) == 2


@pytest.fixture
def full(monkeypatch):
    """A disk that is full at a copy of a file; its number is given."""

    def fill(number):
        copy, copied = shutil.copyfile, []

        def copy_or_fail(source, target):
            copied.append(source)
            if len(copied) == number:
                raise OSError(errno.ENOSPC, "No space left on device", str(source), None, target)
            return copy(source, target)

        monkeypatch.setattr(merging.shutil, "copyfile", copy_or_fail)

    return fill


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_full_disk_names_our_folder_and_leaves_what_a_merge_completes(ours, theirs, full, number):
    full(number)
    with pytest.raises(OSError, match="No space left") as caught:
        merge(ours, theirs)
    assert caught.value.filename == str(ours.root)
    left = names(ours)
    assert "run.json" in left or not left
    merge(ours, theirs)  # there is space again
    assert names(ours) == names(theirs)
    assert not list(ours.root.glob(".tmp/*"))


def test_the_command_ends_with_1_where_something_is_damaged(ours, theirs, monkeypatch, capsys):
    truncate(find(theirs, "rows.npz"))
    arguments = ["merge", str(theirs.root), "--results", str(ours.root)]
    monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr()
    assert (stop.value.code, "rows.npz: damaged" in told.err) == (1, True)
    assert "2 taken, 0 here already" in told.out
