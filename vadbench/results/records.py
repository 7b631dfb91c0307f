"""What lies under results/: read and written here alone.

    runs/<dataset>/<stream>/<method>/<identity[:12]>/{rows.npz, run.json}    immutable once written
    frames/<dataset>/<stream>/<method>/<identity[:12]>.npz                   a run's frame maxima
    recipes/<dataset>/<recipe>/<identity[:12]>/{jackknife.npz, metrics.json}
    submitted/{runs,frames,recipes}/…                 the same of scores that were not computed here

The last two are made by evaluation. Row scores stay out of git; frame maxima, from which every
protocol can be evaluated again, do not. A folder is written aside, then renamed: a reader never
sees half a record. run.json and metrics.json are written last, each with the sha256 of itself; what
was edited since is named, and ranked nowhere (`vadbench.results.seals`). A record that is damaged
is named on stderr and left out, the others are read.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.errors import BadInput, cut
from vadbench.files.atomic import aside_name, replace_file, replace_folder, restore, sweep
from vadbench.files.npz import Arrays, is_readable, load_arrays
from vadbench.files.writable import find_obstacle
from vadbench.results import schema1
from vadbench.results.schema import (
    Digests,
    NewerRecord,
    ResultRecord,
    RunRecord,
    read_record,
    same_scores,
    write_json,
)
from vadbench.results.seals import (
    CHANGED,
    OTHER_SCORES,
    SHORT,
    UNSEALED,
    digest_of_file,
    digest_of_regions,
    digest_of_result,
    find_edit,
    find_run_edit,
)
from vadbench.spec import GIVEN, Result

SUBMITTED = "submitted"  # the folder of scores that were not computed here


class Results:
    """The records under one results folder.

    Attributes:
        root: the folder.
        damaged: files of records that could not be read and were left out.
        unused: files of runs that could not be read, or were edited, and were left out.

    >>> from pathlib import Path
    >>> list(Results(Path("nowhere")).all_records())
    []
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: set[Path] = set()
        self.unused: set[Path] = set()
        self._told: set[str] = set()

    def run_folder(self, job: dict[str, Any], identity: str) -> Path:
        """Where the run of `job` lies."""
        return self._home(job["stream"]) / "runs" / _place(job) / identity[:SHORT]

    def record_folder(self, dataset: str, recipe: str, identity: str) -> Path:
        """Where the values of a recipe lie."""
        home = self._home(recipe.partition("@")[2])
        return home / "recipes" / dataset / recipe / identity[:SHORT]

    def _home(self, features: str) -> Path:
        return self.root / SUBMITTED if features == GIVEN else self.root

    def _find(self, pattern: str) -> list[Path]:
        """What fits a pattern, of ours and then of what was submitted, in the order of paths."""
        homes = self.root, self.root / SUBMITTED
        return [path for home in homes for path in sorted(home.glob(pattern))]

    def run(self, job: dict[str, Any], identity: str) -> RunRecord | None:
        """The record of a job, or None if it has not been run; one that is damaged or was edited
        counts as not run, and is named on stderr.

        Raises:
            BadInput: if a later vadbench wrote it.
        """
        return self._open_run(self.run_folder(job, identity), replaced=True)

    def run_of(self, record: ResultRecord, position: int) -> RunRecord | None:
        """The run of one of a record's parts, or None if it is not here."""
        return self._open_run(self._run_folder_of(record, position))

    def record(self, dataset: str, recipe: str, identity: str) -> ResultRecord | None:
        """The values of a recipe, or None if it has not been evaluated, or its record is damaged,
        which is named on stderr.

        Raises:
            BadInput: if a later vadbench wrote it.
        """
        return self._open_record(self.record_folder(dataset, recipe, identity), {}, replaced=True)

    def all_runs(self) -> Iterator[RunRecord]:
        """Every run record that is whole, in the order of their paths."""
        yield from self._read_runs(self._find("runs/*/*/*/*/run.json"))

    def runs_of(self, results: Iterable[Result]) -> Iterator[RunRecord]:
        """Every run record that is whole of the methods and streams of some results."""
        folders = {
            self.run_folder(job_of_part(result, part), "")
            for result in results
            for part in range(len(result.parts))
        }
        found = (path for folder in sorted(folders) for path in sorted(folder.glob("*/run.json")))
        yield from self._read_runs(found)

    def runs_like(self, methods: Collection[str], datasets: Collection[str]) -> Iterator[RunRecord]:
        """Every run record that is whole of some methods, and of the others' on some data sets one
        a method and stream: what tells how many rows there are.
        """
        for folder in self._find("runs/*/*/*"):
            paths = sorted(folder.glob("*/run.json"))
            if folder.name in methods:
                yield from self._read_runs(paths)
            elif folder.parts[-3] in datasets:
                yield from islice(self._read_runs(paths), 1)

    def _read_runs(self, paths: Iterable[Path]) -> Iterator[RunRecord]:
        for path in paths:
            record = self._open_run(path.parent)
            if record is not None:
                yield record

    def all_records(self) -> Iterator[ResultRecord]:
        """Every result that can be read, in the order of their paths; `edited` says of which no
        number is to be believed.
        """
        yield from self._read_records(self._find("recipes/*/*/*/metrics.json"))

    def records_of(self, results: Iterable[Result]) -> Iterator[ResultRecord]:
        """Every result of the recipes of some results that can be read, in the order of their
        paths; as `all_records`, without a look at the others.
        """
        folders = {self.record_folder(one.dataset, one.recipe, "") for one in results}
        yield from self._read_records(
            path for folder in sorted(folders) for path in sorted(folder.glob("*/metrics.json"))
        )

    def given(self, dataset: str, name: str) -> Iterator[RunRecord | ResultRecord]:
        """Every run and every record that can be read of the scores that were submitted under a
        name, in the order of their paths.
        """
        job = {"dataset": dataset, "stream": GIVEN, "method": name}
        yield from self._read_runs(sorted(self.run_folder(job, "").glob("*/run.json")))
        folder = self.record_folder(dataset, f"{name}@{GIVEN}", "")
        yield from self._read_records(sorted(folder.glob("*/metrics.json")))

    def _read_records(self, paths: Iterable[Path]) -> Iterator[ResultRecord]:
        runs: dict[Path, RunRecord | None] = {}
        unsealed = 0
        for path in paths:
            record = self._open_record(path.parent, runs)
            if record is not None:
                unsealed += not record.sealed
                yield record
        if unsealed:
            self.tell(f"{self.root}: {unsealed} record{'s' * (unsealed > 1)} {UNSEALED}")

    def folder_of(self, record: ResultRecord) -> Path:
        """Where a record lies."""
        return self.record_folder(record.dataset, record.recipe, record.identity)

    def remove_given(self, record: ResultRecord) -> None:
        """Remove a record of scores that were not computed here, with its run and frame scores;
        one that shares them with another record keeps these.
        """
        shutil.rmtree(self.folder_of(record))
        others = self.records_of([record.result])
        if any(record.runs == other.runs for other in others):
            return
        shutil.rmtree(self._run_folder_of(record, 0), ignore_errors=True)
        for path in self._frames_paths(record):
            path.unlink(missing_ok=True)

    def tell(self, line: str) -> None:
        """Say on stderr what is not shown as it lies here, each once."""
        if line not in self._told:
            self._told.add(line)
            sys.stderr.write(f"vadbench: {line}\n")

    def _open_run(self, folder: Path, replaced: bool = False) -> RunRecord | None:
        """A run; `replaced`: what is not believed is about to be written again."""
        path = folder / "run.json"
        try:
            read = read_record(path, RunRecord)
        except (BadInput, OSError) as error:
            if replaced and isinstance(error, NewerRecord):
                raise
            self.unused.add(path)
            self.tell(f"{_line(path, error)}; not used, vadbench run makes it again")
            return None
        if read is None:
            return None
        record, whole = read
        edited = find_run_edit(record, folder) or (None if whole else CHANGED)
        if edited is not None:
            self.unused.add(path)
            self.tell(f"{path}: edited, {edited}; not used, vadbench run makes it again")
            return None
        return record

    def _open_record(
        self, folder: Path, runs: dict[Path, RunRecord | None], replaced: bool = False
    ) -> ResultRecord | None:
        """A record with what of it was edited; `runs` are those that were opened before."""
        path = folder / "metrics.json"
        try:
            read = read_record(path, ResultRecord)
        except (BadInput, OSError) as error:
            if replaced and isinstance(error, NewerRecord):
                raise
            self.damaged.add(path)
            self.tell(f"{_line(path, error)}; not shown, vadbench run makes it again")
            return None
        if read is None:
            return None
        record, whole = read
        edited = self._find_edit(record, folder, runs) or (None if whole else CHANGED)
        if edited is not None and not (replaced and edited == OTHER_SCORES):
            self.tell(f"{path}: edited, {edited}; not ranked, vadbench evaluate computes it again")
        return record.model_copy(update={"edited": edited})

    def _find_edit(
        self, record: ResultRecord, folder: Path, runs: dict[Path, RunRecord | None]
    ) -> str | None:
        places = [self._run_folder_of(record, place) for place in range(len(record.runs))]
        try:
            for place in places:
                if place not in runs:
                    runs[place] = self._open_run(place)
                if runs[place] is None and (place / "run.json").is_file():
                    return f"its run {place.name} is damaged or was edited"
            jackknife = digest_of_file(folder / "jackknife.npz")
            found = [runs[place] for place in places]
            if self.has_other_scores(record, found):
                return OTHER_SCORES
        except (OSError, ValueError) as error:  # a name that no file can have
            return f"it cannot be checked ({cut(str(error))})"
        return find_edit(record, folder, found, jackknife)

    def _run_folder_of(self, record: ResultRecord, position: int) -> Path:
        return self.run_folder(job_of_part(record.result, position), record.runs[position])

    def rows(self, record: RunRecord) -> Arrays | None:
        """The row scores of a run, or None where rows.npz is not there (it stays out of git).

        Those of a record that has replaced this one just now are as good.

        Raises:
            BadInput: if the file is not the one that run.json describes.
        """
        path = self.rows_path(record)
        if not path.is_file():
            return None
        digest = digest_of_file(path)
        if digest != record.rows_sha256 and digest != self._rows_digest(record):
            raise BadInput(
                f"{path}: not the file that run.json describes (sha256 differs); run again with"
                " --existing rerun"
            )
        return load_arrays(path)

    def _rows_digest(self, record: RunRecord) -> str | None:
        """The sha256 that run.json gives now."""
        there = self.finished(record.job, record.identity)
        return None if there is None else there.rows_sha256

    def rows_path(self, record: RunRecord) -> Path:
        """Where the row scores of a run lie."""
        return self.run_folder(record.job, record.identity) / "rows.npz"

    def frames_path(self, record: RunRecord) -> Path:
        """Where the frame maxima of a run lie."""
        return self._frames_path(record.job, record.identity)

    def _frames_path(self, job: dict[str, Any], identity: str) -> Path:
        return self._home(job["stream"]) / "frames" / _place(job) / f"{identity[:SHORT]}.npz"

    def _frames_paths(self, record: ResultRecord) -> list[Path]:
        """Where the frame maxima of a record's runs lie."""
        return [
            self._frames_path(job_of_part(record.result, place), run)
            for place, run in enumerate(record.runs)
        ]

    def frames(self, record: RunRecord) -> Arrays | None:
        """The frame maxima of a run, or None where they are not there."""
        path = self.frames_path(record)
        return load_arrays(path) if path.is_file() else None

    def frames_digests(self, record: ResultRecord) -> tuple[str | None, ...]:
        """sha256 of the frame maxima of a record's runs; None where they are not there."""
        return tuple(map(digest_of_file, self._frames_paths(record)))

    def has_other_scores(self, record: ResultRecord, runs: Sequence[RunRecord | None]) -> bool:
        """Whether one of a record's runs was made again since, and has other scores than those that
        the record was computed from; of older records, which say nothing of row scores, by the
        frame maxima, unless these are damaged.

        Args:
            record: whose.
            runs: its runs; None: not here.
        """
        if record.digests is None:
            return False
        if record.digests.rows is None:
            return any(
                was not in (None, digest_of_file(path)) and is_readable(path)
                for was, path in zip(record.digests.frames, self._frames_paths(record), strict=True)
            )
        return any(
            run is not None and None not in (was, run.rows_sha256) and was != run.rows_sha256
            for was, run in zip(record.digests.rows, runs, strict=True)
        )

    def require_own_frames(self, record: ResultRecord, places: Iterable[int]) -> None:
        """Refuse frame maxima of these parts that a record was not computed from.

        Raises:
            BadInput: naming the file.
        """
        if record.digests is None:
            return
        paths = self._frames_paths(record)
        for place in places:
            if digest_of_file(paths[place]) not in (None, record.digests.frames[place]):
                raise BadInput(
                    f"{paths[place]}: not the frame maxima that {record.name} was computed"
                    " from (sha256 differs); restore it, or, where rows.npz is not here, vadbench"
                    " run --existing rerun makes it; vadbench evaluate then computes the record"
                )

    def jackknife(self, record: ResultRecord) -> Arrays:
        """What each video does to a record's values; empty where that is not there, or is another
        record's.
        """
        folder = self.record_folder(record.dataset, record.recipe, record.identity)
        path = folder / "jackknife.npz"
        if record.digests is not None and digest_of_file(path) != record.digests.jackknife:
            return {}
        return load_arrays(path) if path.is_file() else schema1.read_jackknife(folder)

    def write_run(self, record: RunRecord, rows: Arrays | None, replace: bool = False) -> RunRecord:
        """Write a run; gives the one that counts, which is another process' where that has finished
        it before.

        A finished record that is there stays, unless `replace` says that this one, finished too, is
        to take its place; a failed one is replaced.
        """
        if record.status == "failed" and self.finished(record.job, record.identity) is not None:
            return record
        folder = self.run_folder(record.job, record.identity)

        def stays() -> bool:
            return not replace and self.finished(record.job, record.identity) is not None

        with self._aside(folder, stays) as aside:
            if rows is not None:
                np.savez(aside / "rows.npz", **rows)  # type: ignore[arg-type]
                digest = digest_of_file(aside / "rows.npz")
                record = record.model_copy(update={"rows_sha256": digest})
                self._forget_frames_of_others(record)
            write_json(aside / "run.json", record)
        return record if replace else self.finished(record.job, record.identity) or record

    def _forget_frames_of_others(self, record: RunRecord) -> None:
        """Remove frame maxima that are not of a run's row scores: where these are not here any
        more, they would be taken for theirs.
        """
        there = self.finished(record.job, record.identity)
        if there is None or there.rows_sha256 != record.rows_sha256:
            self.frames_path(record).unlink(missing_ok=True)

    def finished(self, job: dict[str, Any], identity: str) -> RunRecord | None:
        """The finished record of a job, if it is there now; one that cannot be read is none."""
        try:
            there = self.run(job, identity)
        except BadInput:
            return None
        return there if there is not None and there.status == "done" else None

    def write_frames(self, record: RunRecord, frames: Arrays) -> None:
        """Write the frame maxima of a run; ones that say the same stay."""
        try:
            there = self.frames(record) or {}
        except BadInput:  # damaged: these take its place
            there = {}
        names_alike = there.keys() == frames.keys()
        if names_alike and all(same_scores(frames[name], there[name]) for name in frames):
            return
        with replace_file(self.frames_path(record)) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **frames)  # type: ignore[arg-type]

    def write_record(
        self,
        record: ResultRecord,
        jackknife: Arrays,
        rows: tuple[str | None, ...] | None = None,
    ) -> ResultRecord:
        """Write the values of a recipe, replacing what was there; returns them with their
        digests.

        Args:
            record: without digests.
            jackknife: what each video does to the values.
            rows: sha256 of the row scores of each run that the values were computed from.
        """
        folder = self.record_folder(record.dataset, record.recipe, record.identity)
        with self._aside(folder) as aside:
            if jackknife:
                np.savez_compressed(aside / "jackknife.npz", **jackknife)  # type: ignore[arg-type]
            record = self.with_digests(record, digest_of_file(aside / "jackknife.npz"), rows)
            write_json(aside / "metrics.json", record)
        return record

    def with_digests(
        self,
        record: ResultRecord,
        jackknife: str | None,
        rows: tuple[str | None, ...] | None = None,
    ) -> ResultRecord:
        """A record with the digests of what it is written with."""
        digests = Digests(
            result=digest_of_result(record),
            regions=digest_of_regions(record),
            jackknife=jackknife,
            frames=self.frames_digests(record),
            rows=rows,
        )
        return record.model_copy(update={"digests": digests})

    def write_text(self, relative: str, text: str) -> Path:
        """Write a generated text file (a table) as `replace_file` does; returns its path."""
        path = self.root / relative
        with replace_file(path) as aside:
            aside.write_text(text, encoding="utf-8")
        return path

    def require_writable(self) -> None:
        """Refuse a folder that cannot be written, before anything is computed; makes nothing.

        Raises:
            BadInput: naming the folder and why.
        """
        obstacle = find_obstacle(self.root)
        if obstacle is not None:
            path, reason = obstacle
            raise BadInput(
                f"--results {self.root}: records cannot be written here ({path}: {reason}); choose"
                " another folder"
            )

    def require_records(self) -> None:
        """Refuse a folder without recipe records.

        Raises:
            BadInput: naming the folder and the command that makes records.
        """
        if not self._find("recipes"):
            raise BadInput(
                f"{self.root}: no records; expected a folder that vadbench run --results wrote"
            )

    def sweep_temporary(self) -> None:
        """Remove what killed processes left aside."""
        sweep(self.root.glob(".tmp/.*"))
        for pattern in ("runs/*/*/*/.old-*", "recipes/*/*/.old-*"):
            restore(self._find(pattern))

    def _aside(
        self, folder: Path, stays: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[Path]:
        return replace_folder(folder, self.root / ".tmp" / aside_name(folder.name), stays)


def _place(job: dict[str, Any]) -> Path:
    return Path(job["dataset"], job["stream"], job["method"])


def job_of_part(result: Result, position: int) -> dict[str, Any]:
    """What of the job of one of a result's parts says where it lies."""
    part = result.parts[position]
    return {"dataset": result.dataset, "stream": part.stream, "method": part.method}


def _line(path: Path, error: Exception) -> str:
    """What is wrong with a file, in one line that names it once."""
    if isinstance(error, OSError):
        return f"{path}: cannot be read ({error.strerror or type(error).__name__})"
    return str(error)
