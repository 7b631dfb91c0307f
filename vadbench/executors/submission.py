"""What was handed to a batch system: the suite and its tasks, as JSON under the results folder. A
task reads nothing else.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from vadbench.errors import BadInput
from vadbench.executors.limits import Limits
from vadbench.files.atomic import replace_folder
from vadbench.files.documents import read_json
from vadbench.spec import Record
from vadbench.suite import Suite

FOLDER = "slurm"
PLAN = "plan.json"
Stage = Literal["features", "fits", "table"]
Kind = TypeVar("Kind", bound=Record)
STAGES: tuple[Stage, ...] = ("features", "fits", "table")


class TaskList(Record):
    """What is to be done, by task.

    Attributes:
        format: of this file.
        suite: the fields of the suite.
        features: the data sets whose features are extracted first, a task each.
        fits: identities of the jobs that share a fit, a task each.
        replace: identities of jobs whose finished records are replaced.
        threads: of a job; None: as its method says.
        time_limit: of a job, seconds; None: any time.
        memory_limit: of a job, bytes; None: any.
        keep_models: whether what was learnt is kept too.
    """

    format: Literal[1] = 1
    suite: dict[str, Any]
    features: tuple[str, ...]
    fits: tuple[tuple[str, ...], ...] = Field(min_length=1)
    replace: frozenset[str] = frozenset()
    threads: int | None = Field(None, ge=1, le=1024)
    time_limit: PositiveFloat | None = None
    memory_limit: PositiveInt | None = None
    keep_models: bool = False

    def read_suite(self) -> Suite:
        """The suite."""
        return Suite.model_validate(self.suite)

    @property
    def limits(self) -> Limits:
        """Of a job."""
        return Limits(self.time_limit, self.memory_limit)

    @property
    def identities(self) -> set[str]:
        """Of all jobs."""
        return {identity for group in self.fits for identity in group}

    def count(self, stage: Stage) -> int:
        """Tasks of a stage."""
        return {"features": len(self.features), "fits": len(self.fits), "table": 1}[stage]


@dataclass(frozen=True)
class Submission:
    """A folder with a list of tasks, and their logs; the batch system knows it by its name."""

    folder: Path

    def read_tasks(self) -> TaskList:
        """Its tasks.

        Raises:
            BadInput: if what was written cannot be read any more.
        """
        try:
            return read_tasks(self.folder / PLAN)
        except BadInput as error:
            raise BadInput(
                f"{error}; vadbench cancel ends what is left of it, then remove {self.folder}"
            ) from error

    def log(self, stage: Stage, index: int) -> Path:
        """Where a task's output goes."""
        return self.folder / f"{stage}-{index}.log"

    def failure(self, identity: str) -> Path:
        """Where a task leaves why a job has failed whose finished record stays."""
        return self.folder / f"failed-{identity[:12]}.json"

    def name(self, stage: Stage, first: int) -> str:
        """What the batch system calls the array of the tasks of a stage from `first` on."""
        return f"vadbench-{stage}-{self.folder.name}-{first}"

    def place(self, name: str, index: int) -> tuple[Stage, int] | None:
        """Stage and number of a task by the name of its array and its index in that; None: it is
        none of this submission.
        """
        for stage in STAGES:
            beginning = self.name(stage, 0)[:-1]
            first = name.removeprefix(beginning)
            if name.startswith(beginning) and first.isdecimal():
                return stage, int(first) + index
        return None


def write_tasks(root: Path, tasks: TaskList) -> Submission:
    """A new submission, its tasks written to its folder."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = root / FOLDER / f"{stamp}-{secrets.token_hex(3)}"
    with replace_folder(folder) as aside:
        (aside / PLAN).write_text(tasks.model_dump_json(indent=1), encoding="utf-8")
    return Submission(folder)


def read_tasks(path: Path) -> TaskList:
    """The tasks that a file lists.

    Raises:
        BadInput: if it is not there or holds something else.
    """
    return _read(path, TaskList)


def list_submissions(root: Path) -> list[Submission]:
    """What was submitted for a results folder, the oldest first, whatever has become of it."""
    return [Submission(path) for path in sorted((root / FOLDER).glob("*")) if path.is_dir()]


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate(read_json(path))
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}; submit with vadbench run --executor slurm"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(
            f"{path}: {where}: {first['msg']}; submit again with vadbench run --executor slurm"
        ) from error
