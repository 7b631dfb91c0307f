"""What was handed to a batch system: the suite, its tasks and their numbers there, as JSON under
the results folder. A task reads nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from vadbench.errors import BadInput
from vadbench.executors.limits import Limits
from vadbench.files.atomic import replace_file, replace_folder
from vadbench.files.documents import read_json
from vadbench.spec import Record
from vadbench.suite import Suite

FOLDER = "slurm"
PLAN, NUMBERS = "plan.json", "numbers.json"
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


class Numbers(Record):
    """The batch system's numbers of what was submitted.

    Attributes:
        stages: stage -> (number of the array, the first of its tasks).
    """

    stages: dict[Stage, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Submission:
    """A folder with a list of tasks, their numbers and logs."""

    folder: Path
    tasks: TaskList
    numbers: Numbers

    def log(self, stage: Stage, index: int) -> Path:
        """Where a task's output goes."""
        return self.folder / f"{stage}-{index}.log"

    def place(self, array: int, index: int) -> tuple[Stage, int] | None:
        """Stage and index of a task by its numbers; None: it is of another submission."""
        for stage, arrays in self.numbers.stages.items():
            for number, first in arrays:
                if number == array:
                    return stage, first + index
        return None


def write_tasks(root: Path, tasks: TaskList) -> Path:
    """The folder of a new submission, with its tasks."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = root / FOLDER / f"{stamp}-{secrets.token_hex(3)}"
    with replace_folder(folder) as aside:
        (aside / PLAN).write_text(tasks.model_dump_json(indent=1), encoding="utf-8")
    return folder


def write_numbers(folder: Path, stages: Mapping[Stage, Sequence[tuple[int, int]]]) -> None:
    """Note what the batch system calls the tasks."""
    numbers = Numbers(stages={stage: tuple(arrays) for stage, arrays in stages.items()})
    with replace_file(folder / NUMBERS) as aside:
        aside.write_text(numbers.model_dump_json(), encoding="utf-8")


def read_tasks(path: Path) -> TaskList:
    """The tasks that a file lists.

    Raises:
        BadInput: if it is not there or holds something else.
    """
    return _read(path, TaskList)


def list_submissions(root: Path) -> Iterator[Submission]:
    """What was submitted for a results folder, the oldest first; what was not submitted to its end
    is left out.
    """
    for path in sorted((root / FOLDER).glob(f"*/{NUMBERS}")):
        tasks = read_tasks(path.with_name(PLAN))
        yield Submission(path.parent, tasks, _read(path, Numbers))


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
