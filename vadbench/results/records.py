"""What lies under results/: run records and recipe records, read and written here alone.

    runs/<dataset>/<stream>/<method>/<identity[:12]>/{rows.npz, run.json}   immutable once written
    recipes/<dataset>/<recipe>/<hash[:12]>/{frames.npz, metrics.json}   recomputable from the runs

A folder is written aside, then renamed: a reader never sees half a record. run.json and
metrics.json are written last.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file, replace_folder
from vadbench.files.npz import Arrays, load_arrays

SCHEMA_VERSION = 1
DIGITS = 1e-9  # relative: two numbers closer than this are one number that two machines computed
Record = TypeVar("Record", bound=BaseModel)


class RunRecord(BaseModel):
    """run.json: what one job was, what it cost and what its rows.npz holds.

    `job` is the document whose hash is `identity`; times are seconds, memory is MiB of the whole
    process at its peak. `data` is, by split, the digest of the files that the features were
    extracted from, where they were read. `notes` is what the method said of its training, such as
    rows that it left out. `fit_shared_with` is the identity of the run whose fit this one took
    over: `fit` is then that fit's time, and `read_outs` what this run added.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    status: Literal["done", "failed"]
    error: str | None = None
    identity: str
    fit_identity: str
    job: dict[str, Any]
    runtime: dict[str, Any]
    data: dict[str, str] = {}
    read_outs: tuple[str, ...] = ()
    test_videos: tuple[tuple[str, int], ...] = ()
    train_rows: int = 0
    test_rows: int = 0
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    fit_shared_with: str | None = None
    peak_memory_mib: float | None = None
    parameters: int | None = None
    rows_sha256: str | None = None
    environment: dict[str, Any]


class RecipeRecord(BaseModel):
    """metrics.json: the metrics of a recipe (one stream or several fused) under a named protocol.

    `evaluation` is the version of the code that computed them (`evaluate.EVALUATION`).
    `rows` hold metric, convention, smoothing, read_out, video (null = the whole set), value (a
    fraction, null = undefined), n and reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    identity: str
    dataset: str
    recipe: str
    seed: int
    parts: tuple[dict[str, Any], ...]
    runs: tuple[str, ...]
    protocol: dict[str, Any]
    labels: dict[str, Any]
    evaluation: int = 1
    read_outs: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]


def same_record(record: RecipeRecord, arrays: Arrays, other: RecipeRecord, others: Arrays) -> bool:
    """Whether two records of a recipe say the same, but for the last digits that another machine
    computes.
    """
    one, two = (each.model_dump(mode="json") for each in (record, other))
    alike = arrays.keys() == others.keys() and all(
        _same_values(arrays[name], others[name]) for name in arrays
    )
    return alike and _same(one, two)


def _same(one: Any, two: Any) -> bool:
    """Whether two JSON documents are the same, numbers with a fraction to nine digits."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=DIGITS, abs_tol=1e-12)
    return bool(one == two)


def _same_values(one: NDArray[Any], two: NDArray[Any]) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return (
        np.allclose(one, two, rtol=DIGITS, atol=1e-12, equal_nan=True)
        if one.dtype.kind == "f"
        else bool(np.array_equal(one, two))
    )


class Results:
    """The records under one results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_folder(self, job: dict[str, Any], identity: str) -> Path:
        """Where the run of `job` lies."""
        return self.root.joinpath(
            "runs", job["dataset"], job["stream"], job["method"], identity[:12]
        )

    def recipe_folder(self, dataset: str, recipe: str, identity: str) -> Path:
        """Where the metrics of a recipe lie."""
        return self.root / "recipes" / dataset / recipe / identity[:12]

    def run(self, job: dict[str, Any], identity: str) -> RunRecord | None:
        """The record of a job, or None if it has not been run."""
        record = _read(self.run_folder(job, identity) / "run.json", RunRecord)
        if record is not None and record.identity != identity:
            raise BadInput(
                f"{self.run_folder(job, identity)}: holds run {record.identity[:16]}, expected"
                f" {identity[:16]}; remove the folder"
            )
        return record

    def recipe(self, dataset: str, recipe: str, identity: str) -> RecipeRecord | None:
        """The metrics of a recipe, or None if it has not been evaluated."""
        return _read(self.recipe_folder(dataset, recipe, identity) / "metrics.json", RecipeRecord)

    def all_runs(self) -> Iterator[RunRecord]:
        """Every run record, in the order of their paths."""
        for path in sorted(self.root.glob("runs/*/*/*/*/run.json")):
            record = _read(path, RunRecord)
            if record is not None:
                yield record

    def all_recipes(self, dataset: str = "*", recipe: str = "*") -> Iterator[RecipeRecord]:
        """Every recipe record, or those of one data set or recipe, in the order of their paths."""
        for path in sorted(self.root.glob(f"recipes/{dataset}/{recipe}/*/metrics.json")):
            record = _read(path, RecipeRecord)
            if record is not None:
                yield record

    def rows(self, record: RunRecord) -> Arrays | None:
        """The row scores of a run, or None where rows.npz is not there (it stays out of git).

        Raises:
            BadInput: if the file is not the one that run.json describes.
        """
        path = self.run_folder(record.job, record.identity) / "rows.npz"
        if not path.is_file():
            return None
        if hashlib.sha256(path.read_bytes()).hexdigest() != record.rows_sha256:
            raise BadInput(
                f"{path}: not the file that run.json describes (sha256 differs); run again with"
                " --existing rerun"
            )
        return load_arrays(path)

    def frames(self, record: RecipeRecord) -> Arrays | None:
        """The frame scores of a recipe, or None where they are not there."""
        path = self.recipe_folder(record.dataset, record.recipe, record.identity) / "frames.npz"
        return load_arrays(path) if path.is_file() else None

    def write_run(self, record: RunRecord, rows: Arrays | None) -> RunRecord:
        """Write a run; a finished record that is already there stays, a failed one is replaced."""
        folder = self.run_folder(record.job, record.identity)
        with self._aside(folder) as aside:
            if rows is not None:
                np.savez(aside / "rows.npz", **rows)  # type: ignore[arg-type]
                record = record.model_copy(
                    update={
                        "rows_sha256": hashlib.sha256((aside / "rows.npz").read_bytes()).hexdigest()
                    }
                )
            _write_json(aside / "run.json", record)
        return record

    def write_recipe(self, record: RecipeRecord, frames: Arrays) -> None:
        """Write the metrics of a recipe, replacing what was there."""
        with self._aside(
            self.recipe_folder(record.dataset, record.recipe, record.identity)
        ) as aside:
            np.savez_compressed(aside / "frames.npz", **frames)  # type: ignore[arg-type]
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
        there = next(
            folder
            for folder in (self.root, *self.root.absolute().parents)
            if os.path.lexists(folder)
        )
        try:
            with tempfile.TemporaryDirectory(prefix=".vadbench-", dir=there):
                pass
        except OSError as error:
            raise BadInput(
                f"--results {self.root}: records cannot be written here ({there}:"
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
        for folder in (self.root / ".tmp").glob("*-*"):
            pid = folder.name.rpartition("-")[2]
            if not (pid.isdigit() and psutil.pid_exists(int(pid))):
                shutil.rmtree(folder, ignore_errors=True)

    def _aside(self, folder: Path) -> AbstractContextManager[Path]:
        return replace_folder(folder, self.root / ".tmp" / f"{folder.name}-{os.getpid()}")


def _read(path: Path, model: type[Record]) -> Record | None:
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("schema_version") != SCHEMA_VERSION:
            raise BadInput(
                f"{path}: schema version {document.get('schema_version')}, expected"
                f" {SCHEMA_VERSION}; remove the folder and run again"
            )
        return model.model_validate(document)
    except (json.JSONDecodeError, AttributeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise BadInput(
            f"{path}: not a record ({first}); remove the folder and run again"
        ) from error


def _write_json(path: Path, record: BaseModel) -> None:
    document = record.model_dump(mode="json")
    rows = document.pop("rows", None)
    text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
    if rows is not None:  # one line a row: readable in a diff, and a third of the size
        lines = ",\n".join("  " + json.dumps(row, allow_nan=False) for row in rows)
        text = text.removesuffix("\n}") + f',\n "rows": [\n{lines}\n ]\n}}'
    path.write_text(text + "\n", encoding="utf-8")
