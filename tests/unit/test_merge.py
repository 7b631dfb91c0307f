"""Results folders are joined: what is new is taken, what is equal stays, what differs is told."""

import shutil

import numpy as np
import pytest
from leaderboard_records import write_scored_row

from vadbench.errors import BadInput
from vadbench.results.merge import merge
from vadbench.results.records import Results


@pytest.fixture
def ours(tmp_path):
    results = Results(tmp_path / "ours")
    write_scored_row(results, "alpha", 0.9)
    return results


@pytest.fixture
def theirs(tmp_path):
    results = Results(tmp_path / "theirs")
    write_scored_row(results, "alpha", 0.9)
    write_scored_row(results, "beta", 0.8)
    return results


def files(results):
    return {
        str(path.relative_to(results.root)): path.read_bytes()
        for path in results.root.rglob("*")
        if path.is_file()
    }


def test_what_is_not_here_is_taken_and_once(ours, theirs):
    before = files(theirs)
    merged = merge(ours, theirs)
    assert (merged.copied, merged.same, merged.different) == (2, 2, [])  # runs and records
    assert files(theirs) == before
    assert files(ours) == before
    again = merge(ours, theirs)
    assert (again.copied, again.same, again.different) == (0, 4, [])


def test_into_an_empty_folder_all_of_it_goes(tmp_path, theirs):
    empty = Results(tmp_path / "empty")
    assert merge(empty, theirs).copied == 4
    assert {record.name for record in empty.all_records()} == {
        record.name for record in theirs.all_records()
    }


def test_other_values_of_the_same_recipe_are_told_and_ours_stay(ours, theirs):
    write_scored_row(theirs, "alpha", 0.7)
    before = files(ours)
    merged = merge(ours, theirs)
    assert [line.partition(": ")[2] for line in merged.different] == [
        "other values than ours of the same recipe; ours stay (vadbench evaluate computes them"
        " again)"
    ]
    assert {name: files(ours)[name] for name in before} == before


def test_an_edited_record_is_not_taken(ours, theirs):
    (path,) = theirs.root.glob("recipes/*/beta@velocity/*/metrics.json")
    path.write_text(path.read_text().replace("0.8", "0.9"))
    merged = merge(ours, theirs)
    assert len(merged.different) == 1
    assert "edited" in merged.different[0]
    assert not list(ours.root.glob("recipes/*/beta@velocity"))


def test_a_record_of_other_frame_scores_than_ours_is_not_taken(ours, theirs):
    merge(ours, theirs)
    shutil.rmtree(ours.root / "recipes")
    for path in ours.root.glob("frames/*/*/beta/*.npz"):
        with np.load(path) as arrays:
            changed = {name: arrays[name] + 1 for name in arrays}
        np.savez(path, **changed)
    merged = merge(ours, theirs)
    assert ["of other scores than ours" in line for line in merged.different] == [True]
    assert [record.recipe for record in ours.all_records()] == ["alpha@velocity"]


def test_the_folder_itself_and_a_folder_without_records_are_refused(ours, tmp_path):
    with pytest.raises(BadInput, match="is the folder to merge into"):
        merge(ours, Results(ours.root / ".." / "ours"))
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="no runs and no records"):
        merge(ours, Results(tmp_path / "none"))
