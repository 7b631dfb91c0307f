"""Join results folders: of people without a disk in common, or of several clusters."""

from __future__ import annotations

import shutil
from dataclasses import astuple, dataclass, field
from math import isclose
from pathlib import Path

from vadbench.errors import BadInput
from vadbench.files.atomic import aside_name, replace_file, replace_folder
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord

SAME = 1e-9


@dataclass
class Merged:
    """What became of another folder's runs and records.

    Attributes:
        copied: those that were not here.
        same: those that were.
        different: a line for each that is here otherwise; ours stays.
    """

    copied: int = 0
    same: int = 0
    different: list[str] = field(default_factory=list)


def merge(results: Results, other: Results) -> Merged:
    """Copy what is not here: runs with their scores, then the records computed from them. Failed
    runs are copied where there is none, and replaced by finished ones.

    Args:
        results: where to.
        other: where from; nothing there is changed.

    Raises:
        BadInput: if ours cannot be written, or the other has no run and no record, or is ours.
    """
    results.require_writable()
    if other.root.resolve() == results.root.resolve():
        raise BadInput(f"{other.root}: is the folder to merge into; name another one")
    merged = Merged()
    runs, records = list(other.all_runs()), list(other.all_records())
    if not runs and not records:
        raise BadInput(f"{other.root}: no runs and no records; name a folder that --results named")
    for run in runs:
        _merge_run(run, results, other, merged)
    for record in records:
        _merge_record(record, results, other, merged)
    return merged


def _merge_run(run: RunRecord, results: Results, other: Results, merged: Merged) -> None:
    ours = results.run(run.job, run.identity)
    if ours is not None and (ours.status == "done" or run.status == "failed"):
        same = ours.status == run.status and ours.rows_sha256 == run.rows_sha256
        if same or run.status == "failed":
            merged.same += 1
        else:
            place = other.run_folder(run.job, run.identity)
            merged.different.append(
                f"{place}: other scores than ours of the same job, as on another machine or number"
                " of threads; ours stay"
            )
        return
    frames = other.frames_path(run)
    if frames.is_file():
        with replace_file(results.frames_path(run)) as aside:
            shutil.copyfile(frames, aside)
    _copy(
        other.run_folder(run.job, run.identity),
        results.run_folder(run.job, run.identity),
        results.root,
    )
    merged.copied += 1


def _merge_record(record: ResultRecord, results: Results, other: Results, merged: Merged) -> None:
    place = other.folder_of(record)
    if record.edited is not None:
        merged.different.append(f"{place}: edited, {record.edited}; not taken")
        return
    ours = results.record(record.dataset, record.recipe, record.identity)
    if ours is not None and ours.edited is None:
        if _same_values(ours, record):
            merged.same += 1
        else:
            merged.different.append(
                f"{place}: other values than ours of the same recipe; ours stay (vadbench evaluate"
                " computes them again)"
            )
        return
    try:
        results.require_own_frames(record, range(len(record.runs)))
    except BadInput:
        merged.different.append(
            f"{place}: of other scores than ours; not taken (vadbench evaluate computes it)"
        )
        return
    _copy(place, results.folder_of(record), results.root)
    merged.copied += 1


def _same_values(one: ResultRecord, other: ResultRecord) -> bool:
    """Whether two records say the same, but for last bits, in which libraries differ."""
    return len(one.values) == len(other.values) and all(
        _same_field(mine, theirs)
        for value, second in zip(one.values, other.values, strict=True)
        for mine, theirs in zip(astuple(value), astuple(second), strict=True)
    )


def _same_field(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=SAME, abs_tol=SAME)
    return one == other


def _copy(source: Path, target: Path, root: Path) -> None:
    """Copy a folder's own files, at once; links are none of them."""
    with replace_folder(target, root / ".tmp" / aside_name(target.name)) as aside:
        for path in source.iterdir():
            if path.is_file() and not path.is_symlink():
                shutil.copyfile(path, aside / path.name)
