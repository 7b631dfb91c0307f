"""Join results folders: of people without a disk in common, or of several clusters."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from math import isclose
from pathlib import Path

from vadbench.errors import BadInput
from vadbench.files.atomic import aside_name, replace_file, replace_folder
from vadbench.files.npz import is_readable
from vadbench.results.given import Given
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.results.seals import digest_of_file
from vadbench.spec import GIVEN

SAME = 1e-9
FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk, and of what one user may write


@dataclass
class Merged:
    """What became of another folder's runs and records.

    Attributes:
        copied: those that were not here, or whose scores were not here or damaged.
        same: those that were.
        different: a line for each that was not taken: it is here otherwise, and ours stays, or it
            is damaged.
    """

    copied: int = 0
    same: int = 0
    different: list[str] = field(default_factory=list)


def merge(results: Results, other: Results) -> Merged:
    """Copy what is not here: runs with their scores, then the records computed from them. Failed
    runs are copied where there is none, and replaced by finished ones; scores of ours that are
    damaged or not here are taken where the other's are those that our run describes.

    Args:
        results: where to.
        other: where from; nothing there is changed.

    Raises:
        BadInput: if ours cannot be written, or the other has no run and no record, or is ours.
        OSError: if a disk is full, naming our folder.
    """
    results.require_writable()
    if other.root.resolve() == results.root.resolve():
        raise BadInput(f"{other.root}: is the folder to merge into; name another one")
    runs, records = list(other.all_runs()), list(other.all_records())
    unread = sorted(other.damaged | other.unused)
    if not runs and not records and not unread:
        raise BadInput(f"{other.root}: no runs and no records; name a folder that --results named")
    merging = _Merging(results, other, records)
    with _name_full_disk(results.root):
        for run in runs:
            merging.merge_run(run)
        for record in records:
            merging.merge_record(record)
    merging.merged.different += [
        f"{path}: damaged, edited or of a later vadbench; not taken" for path in unread
    ]
    return merging.merged


class _Merging:
    """One folder into another. What becomes of a run decides what becomes of its records."""

    def __init__(self, results: Results, other: Results, records: Iterable[ResultRecord]) -> None:
        self.results = results
        self.other = other
        self.merged = Merged()
        self.refused: set[str] = set()  # runs of which ours are of other scores
        self.frames = _list_frames(records)

    def merge_run(self, run: RunRecord) -> None:
        """Take a run, or what ours lacks of it."""
        ours = self.results.run(run.job, run.identity)
        if ours is None or (ours.status, run.status) == ("failed", "done"):
            self._take_run(run)
        elif run.status == "failed":
            self.merged.same += 1
        elif ours.rows_sha256 == run.rows_sha256:
            self._complete_run(run)
        else:
            self._refuse_run(
                run,
                "other scores than ours of the same job, as on another machine or number of"
                " threads; ours stay",
            )

    def _refuse_run(self, run: RunRecord, why: str) -> None:
        place = self.other.run_folder(run.job, run.identity)
        self.merged.different.append(f"{place}: {why}")
        self.refused.add(run.identity)

    def _take_run(self, run: RunRecord) -> None:
        why = self._why_given_stay(run)
        if why is not None:
            self._refuse_run(run, why)
            return
        source = self.other.run_folder(run.job, run.identity)
        target = self.results.run_folder(run.job, run.identity)
        rows, frames = self.other.rows_path(run), self.other.frames_path(run)
        there = [path for path in (rows, frames) if path.is_file()]
        whole = [path for path in there if self._is_whole(path, run)]
        if there and not whole:  # a finished run without scores would never be made again
            self.merged.different.append(f"{source}: its scores are damaged; not taken")
            return
        _copy_folder(source, target, self.results.root, leave_out={rows} - {*whole})
        if frames in whole:  # last: a full disk leaves no frame maxima without their run
            _copy_file(frames, self.results.frames_path(run))
        self.merged.copied += 1

    def _complete_run(self, run: RunRecord) -> None:
        """Take the scores that are not here, or damaged, of a run that is in both folders."""
        rows, frames = self.results.rows_path(run), self.results.frames_path(run)
        missing = {
            self.other.rows_path(run): (rows, digest_of_file(rows) != run.rows_sha256),
            self.other.frames_path(run): (frames, not is_readable(frames)),
        }
        wanted = {
            theirs: ours
            for theirs, (ours, is_missing) in missing.items()
            if is_missing and theirs.is_file() and self._is_whole(theirs, run)
        }
        for theirs, ours in wanted.items():
            _copy_file(theirs, ours)
        self.merged.copied += bool(wanted)
        self.merged.same += not wanted

    def _is_whole(self, path: Path, run: RunRecord) -> bool:
        """Whether a file of the other's is what its records say; one that is not is named."""
        if path == self.other.rows_path(run):
            known: Collection[str | None] = {run.rows_sha256}
        else:
            known = self.frames.get(run.identity, ())
        whole = digest_of_file(path) in known if known else is_readable(path)
        if not whole:
            self.merged.different.append(
                f"{path}: damaged, it is not the file that its record describes; not taken"
            )
        return whole

    def merge_record(self, record: ResultRecord) -> None:
        """Take a record, if it is of the scores that are here."""
        ours = self._find_ours(record)
        if ours is not None and _same_values(ours, record):
            self.merged.same += 1
            return
        place = self.other.folder_of(record)
        why = self._why_not_taken(record, ours)
        if why is not None:
            self.merged.different.append(f"{place}: {why}")
            return
        _copy_folder(place, self.results.folder_of(record), self.results.root)
        self.merged.copied += 1

    def _find_ours(self, record: ResultRecord) -> ResultRecord | None:
        """The record of the same identity that is here; none where one of the two was edited."""
        if record.edited is not None:
            return None
        ours = self.results.record(record.dataset, record.recipe, record.identity)
        return None if ours is None or ours.edited is not None else ours

    def _why_not_taken(self, record: ResultRecord, ours: ResultRecord | None) -> str | None:
        if record.edited is not None:
            return f"edited, {record.edited}; not taken"
        if ours is not None:
            return (
                "other values than ours of the same recipe; ours stay (vadbench evaluate computes"
                " them again)"
            )
        return self._why_given_stay(record) or self._why_not_of_ours(record)

    def _why_given_stay(self, record: RunRecord | ResultRecord) -> str | None:
        """Why scores that were submitted are not taken beside those of the same name here; None
        where they are, and of all other scores.
        """
        if not _is_given(record):
            return None
        own = Given.of(record)
        for there in map(Given.of, self.results.given(own.dataset, own.name)):
            if own.displaces(there):
                return (
                    f"scores of {own.name}, seed {own.seed}, are here already, other ones or"
                    " declared otherwise; not taken (vadbench submit --replace, or another --seed)"
                )
            differs = own.list_differences(there)
            if differs:
                return (
                    f"declares another {', '.join(differs)} of {own.name} than seed {there.seed}"
                    " here; not taken (vadbench submit says the same of all seeds of a method)"
                )
        return None

    def _why_not_of_ours(self, record: ResultRecord) -> str | None:
        """Why a record would be tied to runs here that it was not computed from."""
        places = range(len(record.runs))
        try:
            self.results.require_own_frames(record, places)
            own = not self.refused & {*record.runs}
        except BadInput:
            own = False
        if own and not any(self._is_unknown(record, place) for place in places):
            return None
        return "of other scores than ours; not taken (vadbench evaluate computes it)"

    def _is_unknown(self, record: ResultRecord, place: int) -> bool:
        """Whether a part has a run here alone, and no frame maxima that tell it to be the one."""
        if self.other.run_of(record, place) is not None:
            return False
        if self.results.run_of(record, place) is None:
            return False
        described = record.digests is not None and record.digests.frames[place] is not None
        return not described or self.results.frames_digests(record)[place] is None


def _list_frames(records: Iterable[ResultRecord]) -> dict[str, set[str]]:
    """The digests of frame maxima that records describe, by the identity of the run."""
    found: dict[str, set[str]] = {}
    for record in records:
        if record.edited is None and record.digests is not None:
            for run, digest in zip(record.runs, record.digests.frames, strict=True):
                if digest is not None:
                    found.setdefault(run, set()).add(digest)
    return found


def _is_given(record: RunRecord | ResultRecord) -> bool:
    if isinstance(record, ResultRecord):
        return record.result.given is not None
    return bool(record.job["stream"] == GIVEN)


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


def _copy_folder(
    source: Path, target: Path, root: Path, leave_out: Collection[Path] = frozenset()
) -> None:
    """Copy a folder's own files, at once; links are none of them."""
    with replace_folder(target, root / ".tmp" / aside_name(target.name)) as aside:
        for path in source.iterdir():
            if path.is_file() and not path.is_symlink() and path not in leave_out:
                shutil.copyfile(path, aside / path.name)


def _copy_file(source: Path, target: Path) -> None:
    with replace_file(target) as aside:
        shutil.copyfile(source, aside)


@contextmanager
def _name_full_disk(folder: Path) -> Iterator[None]:
    """Name the folder that is written to where its disk is full; `shutil` names what it reads."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error
