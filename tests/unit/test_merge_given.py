"""Scores that were submitted are merged by name: of a seed one record, of all seeds one
declaration, whichever folder is merged into which.
"""

import shutil

import pytest
from given_records import write_given

from vadbench.errors import BadInput
from vadbench.external.rows import find_rows
from vadbench.results.frame import Frame
from vadbench.results.merge import merge
from vadbench.results.records import Results


@pytest.fixture
def folders(tmp_path):
    return Results(tmp_path / "ours"), Results(tmp_path / "theirs")


def files(results):
    return {path.relative_to(results.root) for path in results.root.rglob("*") if path.is_file()}


def reasons(merged):
    return [line.partition(": ")[2] for line in merged.different]


@pytest.mark.parametrize("turned", [False, True])
def test_other_scores_of_a_seed_are_not_taken(folders, turned):
    write_given(folders[0], "a", value=0.5)
    write_given(folders[1], "b", value=0.7)
    ours, theirs = reversed(folders) if turned else folders
    before = files(ours)
    merged = merge(ours, theirs)
    assert (merged.copied, len(merged.different)) == (0, 2)  # run and record
    assert all("scores of foo, seed 0, are here already" in line for line in reasons(merged))
    assert files(ours) == before


def test_other_scores_are_found_out_by_their_run_or_record_alone(folders):
    ours, theirs = folders
    write_given(ours, "a")
    write_given(theirs, "b")
    shutil.rmtree(ours.root / "submitted" / "recipes")  # ended before evaluation
    shutil.rmtree(theirs.root / "submitted" / "runs")
    merged = merge(ours, theirs)
    assert (merged.copied, len(merged.different)) == (0, 1)


def test_two_submissions_of_one_seed_in_one_folder_are_not_both_taken(folders):
    ours, theirs = folders
    write_given(theirs, "a")
    write_given(theirs, "b")
    merged = merge(ours, theirs)
    assert (merged.copied, len(merged.different)) == (2, 2)
    assert len(list(ours.all_runs())) == len(list(ours.all_records())) == 1


def test_another_declaration_of_the_same_scores_or_of_another_seed_is_not_taken(folders):
    ours, theirs = folders
    write_given(ours, "a", seed=0)
    write_given(theirs, "a", seed=0, paper="Roe, 2026")
    write_given(theirs, "b", seed=1, paper="Roe, 2026")
    merged = merge(ours, theirs)
    assert merged.copied == 0
    told = "\n".join(reasons(merged))
    assert "scores of foo, seed 0, are here already" in told
    assert "declares another paper of foo than seed 0 here; not taken" in told


@pytest.mark.parametrize(
    "fields", [{"seed": 1}, {"name": "bar", "paper": "Roe, 2026"}, {"dataset": "ped2"}]
)
def test_scores_of_another_seed_name_or_data_set_are_taken(folders, fields):
    ours, theirs = folders
    write_given(ours, "a")
    write_given(theirs, "b", **fields)
    merged = merge(ours, theirs)
    assert (merged.copied, merged.different) == (2, [])


def test_the_same_scores_are_here_already(folders):
    ours, theirs = folders
    for results in folders:
        write_given(results, "a")
    merged = merge(ours, theirs)
    assert (merged.copied, merged.same, merged.different) == (0, 2, [])


def test_a_table_refuses_two_records_of_a_seed_that_were_copied_by_hand(folders):
    ours, theirs = folders
    first, second = write_given(ours, "a"), write_given(theirs, "b")
    shutil.copytree(theirs.root, ours.root, dirs_exist_ok=True)
    with pytest.raises(BadInput, match="foo: two records of seed 0 on street") as caught:
        find_rows(["foo"], ["street"], {"street": first.result.protocol}, Frame(ours))
    for record in (first, second):
        assert str(ours.folder_of(record)) in str(caught.value)
