"""Slurm: arrays of tasks are submitted by sbatch, seen by squeue and ended by scancel. What is
finished is never asked of it: the records say that.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vadbench.errors import BadInput, cut
from vadbench.executors.submission import PLAN, STAGES, Stage, Submission, TaskList

MOST_TASKS = 1000  # of an array; Slurm's own default of MaxArraySize is 1001
MINUTE = 60  # seconds before the time limit at which a task is told of it
MOST_RESTARTS = 20  # of a task that its time limit ends
SET_BY_US = {
    "array",
    "dependency",
    "output",
    "error",
    "signal",
    "parsable",
    "wrap",
    "chdir",
    "wait",
}
OPTION = re.compile(r"(?P<name>[a-z][a-z-]*)(=(?P<value>[^\s,;$`'\"\\]+))?")
KEPT = "VADBENCH_"  # variables that a task sees as they are here


@dataclass(frozen=True)
class Alive:
    """A task that Slurm knows of: waiting or running."""

    array: int
    index: int
    state: str

    @property
    def is_running(self) -> bool:
        """Whether it has begun."""
        return self.state not in ("PENDING", "CONFIGURING", "REQUEUED", "SUSPENDED")


def read_options(text: str) -> tuple[str, ...]:
    """Options for sbatch: `partition=long,time=2:00:00,gpus=1` as `--partition=long`, ...

    Raises:
        BadInput: on what is no option, or one that is set here.

    >>> read_options("partition=long,exclusive")
    ('--partition=long', '--exclusive')
    """
    options = []
    for part in filter(None, text.split(",")):
        found = OPTION.fullmatch(part)
        if found is None:
            raise BadInput(f"--slurm: {cut(part)}; expected name=value of sbatch's long options")
        if found["name"] in SET_BY_US:
            raise BadInput(f"--slurm: {found['name']} is set by vadbench; leave it out")
        options.append(f"--{part}")
    return tuple(options)


def require_slurm() -> None:
    """Refuse where there is no Slurm.

    Raises:
        BadInput: with what to do.
    """
    missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        raise BadInput(
            f"--executor slurm: {', '.join(missing)} not found on the PATH; run this on a cluster's"
            " login node, or with --executor local"
        )


def submit(
    folder: Path, tasks: TaskList, options: Sequence[str], at_a_time: int | None
) -> dict[Stage, list[tuple[int, int]]]:
    """Submit all tasks: features, then fits, then the table, each stage when the one before has
    ended in whatever way.

    Args:
        folder: of the submission; scripts and logs go there.
        tasks: what is to be done.
        options: for sbatch.
        at_a_time: fits that run at once; None: as many as Slurm starts.

    Returns:
        Stage -> (number, first task) of its arrays.

    Raises:
        BadInput: with what sbatch says; what was submitted before is cancelled.
    """
    numbers: dict[Stage, list[tuple[int, int]]] = {}
    before: list[int] = []
    try:
        for stage in STAGES:
            count = tasks.count(stage)
            for first in range(0, count, MOST_TASKS):
                size = min(MOST_TASKS, count - first)
                limit = f"%{at_a_time}" if at_a_time and stage == "fits" else ""
                own = [*options, f"--array=0-{size - 1}{limit}"]
                if before:
                    own.append(f"--dependency=afterany:{':'.join(map(str, before))}")
                number = _sbatch(_write_script(folder, stage, first, own))
                numbers.setdefault(stage, []).append((number, first))
            before = [number for number, _ in numbers.get(stage, [])] or before
    except BadInput:
        cancel([number for arrays in numbers.values() for number, _ in arrays])
        raise
    return numbers


def _write_script(folder: Path, stage: Stage, first: int, options: Sequence[str]) -> Path:
    """The script of an array whose tasks begin with `first`."""
    path = folder / f"{stage}-{first}.sh"
    command = [sys.executable, "-m", "vadbench.cli", "run-job", str(folder / PLAN), stage]
    index = f"$(({first} + SLURM_ARRAY_TASK_ID))"
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {option}" for option in options),
        f"#SBATCH --job-name=vadbench-{stage}",
        f"#SBATCH --signal=B:USR1@{MINUTE}",
        "#SBATCH --requeue",
        f"cd {shlex.quote(str(Path.cwd()))} || exit 2",
        *_export(),
        f"exec >> {shlex.quote(str(folder))}/{stage}-{index}.log 2>&1",
        f'exec {shlex.join(command)} "{index}"',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _export() -> list[str]:
    """Lines that give a task what says here where data and caches lie, with whole paths."""
    known = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    return [
        f"export {name}={shlex.quote(str(Path(value).expanduser().absolute()))}"
        for name, value in sorted(known.items())
    ]


def _sbatch(script: Path) -> int:
    told = _call("sbatch", "--parsable", "--output=/dev/null", str(script))
    number = told.strip().partition(";")[0]
    if not number.isdecimal():
        raise BadInput(f"sbatch: {cut(told.strip())}; expected the number of a job")
    return int(number)


def list_alive() -> list[Alive]:
    """All tasks of this user that wait or run.

    Raises:
        BadInput: with what squeue says.
    """
    told = _call("squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%F %K %T")
    rows = [line.split() for line in told.splitlines()]
    return [
        Alive(int(array), int(index), state)
        for array, index, state in (row for row in rows if len(row) == 3)
        if array.isdecimal() and index.isdecimal()
    ]


def cancel(numbers: Sequence[int]) -> None:
    """End arrays.

    Raises:
        BadInput: with what scancel says.
    """
    if numbers:
        _call("scancel", *map(str, numbers))


def requeue_this() -> bool:
    """Have Slurm start the task that this process is once more; whether it will. Not for ever: a
    task that never comes further would fill the queue.
    """
    if int(os.environ.get("SLURM_RESTART_COUNT") or 0) >= MOST_RESTARTS:
        return False
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    if array is None or index is None:
        return False
    done = subprocess.run(
        ["scontrol", "requeue", f"{array}_{index}"], capture_output=True, check=False
    )
    return done.returncode == 0


def find_alive(submission: Submission, alive: Sequence[Alive]) -> dict[tuple[Stage, int], Alive]:
    """The tasks of a submission that wait or run, by stage and index."""
    found = {}
    for task in alive:
        place = submission.place(task.array, task.index)
        if place is not None:
            found[place] = task
    return found


def _call(*command: str) -> str:
    """What a command prints.

    Raises:
        BadInput: if it fails, with what it says.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{command[0]}: {error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise BadInput(f"{command[0]}: {cut(said)}")
    return done.stdout
