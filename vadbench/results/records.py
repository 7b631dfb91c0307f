"""What lies under results/: read and written here alone.

    runs/<dataset>/<stream>/<method>/<identity[:12]>/{rows.npz, run.json}    immutable once written
    frames/<dataset>/<stream>/<method>/<identity[:12]>.npz                   a run's frame maxima
    recipes/<dataset>/<recipe>/<identity[:12]>/{jackknife.npz, metrics.json}

The last two are made by evaluation. Row scores stay out of git; frame maxima, from which every
protocol can be evaluated again, do not. A folder is written aside, then renamed: a reader never
sees half a record. run.json and metrics.json are written last.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import SkipValidation, ValidationError

from vadbench.errors import BadInput
from vadbench.files.atomic import aside_name, replace_file, replace_folder, restore, sweep
from vadbench.files.digest import sha256
from vadbench.files.npz import Arrays, load_arrays
from vadbench.results import schema1
from vadbench.spec import Asked, Cost, Measured, Record, Result, Value

SCHEMA_VERSION = 2
# two fractions closer than this are one number that two machines computed
TOLERANCE = 1e-6
COLUMNS = tuple(field.name for field in fields(Value))
AnyRecord = TypeVar("AnyRecord", "RunRecord", "ResultRecord")


class RunRecord(Measured):
    """run.json: what one job was, what it cost and what its rows.npz holds.

    `job` is the document whose hash is `identity`; times are seconds, memory is MiB of the whole
    process at its peak. `asked` is how its settings were asked for. `data` is, by split, the digest
    of the files that the features were extracted from, where they were read. `notes` is what the
    method said of its training, such as rows that it left out. `fit_shared_with` is the identity of
    the run whose fit this one took over: `fit` is then that fit's time, and `read_outs` what this
    run added.
    """

    schema_version: int = SCHEMA_VERSION
    status: Literal["done", "failed"]
    error: str | None = None
    identity: str
    fit_identity: str
    job: dict[str, Any]
    asked: Asked | None = None
    runtime: dict[str, Any]
    data: dict[str, str] = {}
    read_outs: tuple[str, ...] = ()
    test_videos: tuple[tuple[str, int], ...] = ()
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    fit_shared_with: str | None = None
    rows_sha256: str | None = None
    environment: dict[str, Any]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[V] frames of the test videos."""
        return np.array([frames for _, frames in self.test_videos], np.int64)

    @property
    def cost(self) -> Cost:
        """What the job cost."""
        measured = {name: getattr(self, name) for name in Measured.model_fields}
        times = {f"{stage}_seconds": self.seconds.get(stage) for stage in ("fit", "score")}
        return Cost(**measured, **times)

    @property
    def commit(self) -> str | None:
        """Git commit of the code that ran, `+` where it was changed; None outside a checkout."""
        git = self.environment.get("git")
        return None if git is None else git["commit"] + ("+" if git["dirty"] else "")


class ResultRecord(Record):
    """metrics.json: the values of a result, one stream or several fused.

    `runs` are the identities of its jobs, `labels` what it was held against. `evaluation` is the
    version of the code that computed the values (`evaluate.EVALUATION`).
    """

    schema_version: int = SCHEMA_VERSION
    identity: str
    result: Result
    runs: tuple[str, ...]
    labels: dict[str, Any]
    evaluation: int = 1
    read_outs: tuple[str, ...]
    values: Annotated[tuple[Value, ...], SkipValidation]

    @property
    def dataset(self) -> str:
        """The tested data set."""
        return self.result.dataset

    @property
    def recipe(self) -> str:
        """`method@stream+stream`."""
        return self.result.recipe

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.result.training.seed

    @property
    def shown(self) -> str:
        """The read-out that tables show, the only one that is ranked."""
        return self.result.read_out or self.read_outs[0]

    @property
    def name(self) -> str:
        """`dataset/recipe:seed identity`."""
        return f"{self.result.name} {self.identity[:12]}"


def same_record(record: ResultRecord, arrays: Arrays, other: ResultRecord, others: Arrays) -> bool:
    """Whether two records say the same, but for the last digits that another machine computes, or
    that frame maxima of 32 bits give.
    """
    one, two = (each.model_dump(mode="json") for each in (record, other))
    names_alike = arrays.keys() == others.keys()
    return (
        names_alike
        and all(_same_values(arrays[name], others[name]) for name in arrays)
        and _same(one, two)
    )


def _same(one: Any, two: Any) -> bool:
    """Whether two JSON documents are the same, numbers with a fraction within `TOLERANCE`."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == two)


def _same_values(one: NDArray[Any], two: NDArray[Any]) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, two))
    return np.allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


class Results:
    """The records under one results folder.

    >>> from pathlib import Path
    >>> list(Results(Path("nowhere")).all_records())
    []
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_folder(self, job: dict[str, Any], identity: str) -> Path:
        """Where the run of `job` lies."""
        return self.root / "runs" / _place(job) / identity[:12]

    def record_folder(self, dataset: str, recipe: str, identity: str) -> Path:
        """Where the values of a recipe lie."""
        return self.root / "recipes" / dataset / recipe / identity[:12]

    def run(self, job: dict[str, Any], identity: str) -> RunRecord | None:
        """The record of a job, or None if it has not been run."""
        folder = self.run_folder(job, identity)
        record = _read(folder / "run.json", RunRecord)
        if record is not None and record.identity != identity:
            raise BadInput(
                f"{folder}: holds run {record.identity[:16]}, expected {identity[:16]}; remove the"
                " folder"
            )
        return record

    def run_of(self, record: ResultRecord, position: int) -> RunRecord | None:
        """The run of one of a record's parts, or None if it is not here."""
        part = record.result.parts[position]
        job = {"dataset": record.dataset, "stream": part.stream, "method": part.method}
        return self.run(job, record.runs[position])

    def record(self, dataset: str, recipe: str, identity: str) -> ResultRecord | None:
        """The values of a recipe, or None if it has not been evaluated."""
        folder = self.record_folder(dataset, recipe, identity)
        return _read(folder / "metrics.json", ResultRecord)

    def all_runs(self) -> Iterator[RunRecord]:
        """Every run record, in the order of their paths."""
        for path in sorted(self.root.glob("runs/*/*/*/*/run.json")):
            record = _read(path, RunRecord)
            if record is not None:
                yield record

    def all_records(self) -> Iterator[ResultRecord]:
        """Every result, in the order of their paths."""
        for path in sorted(self.root.glob("recipes/*/*/*/metrics.json")):
            record = _read(path, ResultRecord)
            if record is not None:
                yield record

    def rows(self, record: RunRecord) -> Arrays | None:
        """The row scores of a run, or None where rows.npz is not there (it stays out of git).

        Those of a record that has replaced this one just now are as good.

        Raises:
            BadInput: if the file is not the one that run.json describes.
        """
        path = self.run_folder(record.job, record.identity) / "rows.npz"
        if not path.is_file():
            return None
        digest = sha256(path)
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

    def frames_path(self, record: RunRecord) -> Path:
        """Where the frame maxima of a run lie."""
        return self.root / "frames" / _place(record.job) / f"{record.identity[:12]}.npz"

    def frames(self, record: RunRecord) -> Arrays | None:
        """The frame maxima of a run, or None where they are not there."""
        path = self.frames_path(record)
        return load_arrays(path) if path.is_file() else None

    def jackknife(self, record: ResultRecord) -> Arrays:
        """What each video does to a record's values; empty where that is not there."""
        folder = self.record_folder(record.dataset, record.recipe, record.identity)
        path = folder / "jackknife.npz"
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
                digest = sha256(aside / "rows.npz")
                record = record.model_copy(update={"rows_sha256": digest})
            _write_json(aside / "run.json", record)
        return record if replace else self.finished(record.job, record.identity) or record

    def finished(self, job: dict[str, Any], identity: str) -> RunRecord | None:
        """The finished record of a job, if it is there now; one that cannot be read is none."""
        try:
            there = self.run(job, identity)
        except BadInput:
            return None
        return there if there is not None and there.status == "done" else None

    def write_frames(self, record: RunRecord, frames: Arrays) -> None:
        """Write the frame maxima of a run; ones that say the same stay."""
        there = self.frames(record) or {}
        names_alike = there.keys() == frames.keys()
        if names_alike and all(_same_values(frames[name], there[name]) for name in frames):
            return
        with replace_file(self.frames_path(record)) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **frames)  # type: ignore[arg-type]

    def write_record(self, record: ResultRecord, jackknife: Arrays) -> None:
        """Write the values of a recipe, replacing what was there."""
        folder = self.record_folder(record.dataset, record.recipe, record.identity)
        with self._aside(folder) as aside:
            if jackknife:
                np.savez_compressed(aside / "jackknife.npz", **jackknife)  # type: ignore[arg-type]
            _write_json(aside / "metrics.json", record)

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
        above = (self.root, *self.root.absolute().parents)
        nearest = next(folder for folder in above if os.path.lexists(folder))
        if os.access(nearest, os.W_OK | os.X_OK):
            return
        try:  # the system says why
            with tempfile.TemporaryDirectory(prefix=".vadbench-", dir=nearest):
                pass
        except OSError as error:
            raise BadInput(
                f"--results {self.root}: records cannot be written here ({nearest}:"
                f" {error.strerror}); choose another folder"
            ) from error

    def require_records(self) -> None:
        """Refuse a folder without recipe records.

        Raises:
            BadInput: naming the folder and the command that makes records.
        """
        if not (self.root / "recipes").is_dir():
            raise BadInput(
                f"{self.root}: no records; expected a folder that vadbench run --results wrote"
            )

    def sweep_temporary(self) -> None:
        """Remove what killed processes left aside."""
        sweep(self.root.glob(".tmp/.*"))
        for pattern in ("runs/*/*/*/.old-*", "recipes/*/*/.old-*"):
            restore(self.root.glob(pattern))

    def _aside(
        self, folder: Path, stays: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[Path]:
        return replace_folder(folder, self.root / ".tmp" / aside_name(folder.name), stays)


def _place(job: dict[str, Any]) -> Path:
    return Path(job["dataset"], job["stream"], job["method"])


def _read(path: Path, model: type[AnyRecord]) -> AnyRecord | None:
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.get("schema_version")
        if version == 1:
            document = schema1.upgrade(document)
        elif version != SCHEMA_VERSION:
            raise BadInput(
                f"{path}: schema version {version}, expected {SCHEMA_VERSION}; remove the folder"
                " and run again"
            )
        if "values" in document:
            document["values"] = _read_values(document["values"])
        return model.model_validate(document)
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise BadInput(
            f"{path}: not a record ({first}); remove the folder and run again"
        ) from error


def _read_values(table: dict[str, Any]) -> tuple[Value, ...]:
    """A record's values from their columns and rows; ends of a row that are defaults are absent."""
    names, rows = tuple(table["columns"]), table["rows"]
    for row in rows:
        if len(row) == len(COLUMNS):
            row[-1] = tuple(row[-1])  # left_out
    if names == COLUMNS[: len(names)]:
        return tuple(Value(*row) for row in rows)
    return tuple(Value(**dict(zip(names, row, strict=False))) for row in rows)


def _write_json(path: Path, record: Record) -> None:
    document = record.model_dump(mode="json")
    values = document.pop("values", None)
    text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
    if values is not None:
        text = text.removesuffix("\n}") + f',\n "values": {_write_values(values)}\n}}'
    path.write_text(text + "\n", encoding="utf-8")


def _write_values(values: list[dict[str, Any]]) -> str:
    """Columns, and one line a value: readable in a diff, and a fifth of the size."""
    defaults = {field.name: field.default for field in fields(Value)}
    defaults["left_out"] = []
    lines = []
    for value in values:
        row = [value[name] for name in COLUMNS]
        while row and row[-1] == defaults[COLUMNS[len(row) - 1]]:
            row.pop()
        lines.append("  " + json.dumps(row, allow_nan=False, separators=(",", ":")))
    columns = json.dumps(COLUMNS)
    body = ",\n".join(lines)
    return f'{{"columns": {columns}, "rows": [\n{body}\n ]}}'
