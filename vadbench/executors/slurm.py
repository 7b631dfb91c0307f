"""Slurm: arrays of tasks are submitted by sbatch, seen by squeue and ended by scancel. What is
finished is never asked of it: the records say that.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vadbench.errors import BadInput, cut
from vadbench.executors.submission import PLAN, STAGES, Stage, Submission, TaskList

MOST_TASKS = 1000  # of an array; Slurm's own default of MaxArraySize is 1001
MINUTE = 60  # seconds before the time limit at which a task is told of it
MOST_RESTARTS = 20  # of a task that its time limit ends
SET_BY_US = {
    *("array", "dependency", "output", "error", "signal", "job-name"),
    *("parsable", "wrap", "chdir", "wait"),
}
NO_JOB = {"help", "usage", "version", "test-only"}  # with them sbatch submits nothing
# those of sbatch's options that have no value, or need none
FLAGS = {
    *("contiguous", "exclusive", "get-user-env", "hold", "no-kill", "no-requeue", "overcommit"),
    *("oversubscribe", "propagate", "quiet", "reboot", "requeue", "spread-job", "use-min-nodes"),
    *("verbose", *SET_BY_US, *NO_JOB),
}
OPTION = re.compile(r"(?P<name>[a-z][a-z-]*)(=(?P<value>[^\s;$`'\"\\]+))?")
KEPT = "VADBENCH_"  # variables that a task sees as they are here


class NoAnswer(BadInput):
    """Slurm does not say what waits and runs; its controller may be away for a while."""


@dataclass(frozen=True)
class Alive:
    """A task that Slurm knows of: waiting or running.

    Attributes:
        name: of its array.
        array: its number.
        index: in the array.
        state: as Slurm has it.
    """

    name: str
    array: int
    index: int
    state: str

    @property
    def is_running(self) -> bool:
        """Whether it has begun."""
        return self.state not in ("PENDING", "CONFIGURING", "REQUEUED", "SUSPENDED")


def read_options(text: str) -> tuple[str, ...]:
    """Options for sbatch: `partition=long,time=2:00:00,gpus=1` as `--partition=long`, ...; what has
    no `=` and is no option without a value goes on with the value before it.

    Raises:
        BadInput: on what is no option, or one that is set here.

    >>> read_options("partition=long,debug,exclusive")
    ('--partition=long,debug', '--exclusive')
    """
    parts: list[str] = []
    for part in filter(None, text.split(",")):
        if parts and "=" in parts[-1] and "=" not in part and part not in FLAGS:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    for part in parts:
        found = OPTION.fullmatch(part)
        if found is None:
            raise BadInput(f"--slurm: {cut(part)}; expected name=value of sbatch's long options")
        if found["name"] in SET_BY_US:
            raise BadInput(f"--slurm: {found['name']} is set by vadbench; leave it out")
        if found["name"] in NO_JOB:
            raise BadInput(f"--slurm: with {found['name']} sbatch submits nothing; leave it out")
    return tuple(f"--{part}" for part in parts)


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
    submission: Submission,
    tasks: TaskList,
    options: Sequence[str],
    at_a_time: int | None,
    others: Sequence[int] = (),
) -> dict[Stage, list[int]]:
    """Submit all tasks: features, then fits, then the table, each stage when the one before has
    ended in whatever way.

    Args:
        submission: whose tasks these are; scripts and logs go to its folder.
        tasks: what is to be done.
        options: for sbatch.
        at_a_time: fits that run at once; None: as many as Slurm starts.
        others: arrays that the table waits for too.

    Returns:
        Stage -> the numbers of its arrays.

    Raises:
        BadInput: with what sbatch says. Then, and where the user interrupts, what was submitted
            before is cancelled.
    """
    numbers: dict[Stage, list[int]] = {}
    before: list[int] = []
    try:
        for stage in STAGES:
            count = tasks.count(stage)
            if stage == "table":
                before += others
            for first in range(0, count, MOST_TASKS):
                size = min(MOST_TASKS, count - first)
                limit = f"%{at_a_time}" if at_a_time and stage == "fits" else ""
                own = [*options, f"--array=0-{size - 1}{limit}"]
                if before:
                    own.append(f"--dependency=afterany:{':'.join(map(str, before))}")
                number = _sbatch(submission, stage, first, own)
                numbers.setdefault(stage, []).append(number)
            before = list(numbers.get(stage, before))
    except BaseException:
        _withdraw(submission)
        raise
    return numbers


def _withdraw(submission: Submission) -> None:
    """Cancel what was handed over, and remove the folder. By name: an interrupted sbatch may have
    handed over more than it could say. Where Slurm does not answer, the folder stays, by which
    `vadbench cancel` finds its tasks.
    """
    with suppress(BadInput):
        cancel([task.array for task in find_alive(submission, list_alive()).values()])
        shutil.rmtree(submission.folder)


def _sbatch(submission: Submission, stage: Stage, first: int, options: Sequence[str]) -> int:
    """Submit the array of the tasks of a stage from `first` on; its number.

    Options are said on the command line, where they count for more than variables of the
    environment (`SBATCH_TIMELIMIT`).
    """
    told = _call(
        *("sbatch", "--parsable", "--output=/dev/null", "--requeue"),
        *(f"--job-name={submission.name(stage, first)}", f"--signal=B:USR1@{MINUTE}"),
        *(*options, str(_write_script(submission, stage, first))),
    )
    number = told.strip().partition(";")[0]
    if not number.isdecimal():
        raise BadInput(f"sbatch: {cut(told.strip())}; expected the number of a job")
    return int(number)


def _write_script(submission: Submission, stage: Stage, first: int) -> Path:
    """The script of an array whose tasks begin with `first`."""
    folder, here = submission.folder, shlex.quote(str(Path.cwd()))
    path = folder / f"{stage}-{first}.sh"
    command = [sys.executable, "-m", "vadbench.cli", "run-job", str(folder / PLAN), stage]
    index = f"$(({first} + SLURM_ARRAY_TASK_ID))"
    lines = [
        "#!/bin/bash",
        "trap '' USR1  # until the program heeds it",
        f"exec >> {shlex.quote(str(folder))}/{stage}-{index}.log 2>&1",
        f'cd {here} || {{ echo "vadbench: $(hostname) does not see the folder"; exit 2; }}',
        *_export(),
        f'exec {shlex.join(command)} "{index}"',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _export() -> list[str]:
    """Lines that give a task what says here where data and caches lie, with whole paths."""
    known = {name: value for name, value in os.environ.items() if name.startswith(KEPT) and value}
    return [
        f"export {name}={shlex.quote(str(Path(value).expanduser().absolute()))}"
        for name, value in sorted(known.items())
    ]


def list_alive() -> list[Alive]:
    """All tasks of this user that wait or run.

    Raises:
        NoAnswer: with what squeue says.
    """
    try:
        told = _call("squeue", "-h", "-r", "-u", str(os.getuid()), "-o", "%F %K %T %j")
    except BadInput as error:
        raise NoAnswer(str(error)) from error
    rows = [line.split(maxsplit=3) for line in told.splitlines()]
    return [
        Alive(name, int(array), int(index), state)
        for array, index, state, name in (row for row in rows if len(row) == 4)
        if array.isdecimal() and index.isdecimal()
    ]


def cancel(numbers: Sequence[int]) -> None:
    """End arrays.

    Raises:
        BadInput: with what scancel says.
    """
    if numbers:
        _call("scancel", *map(str, sorted(set(numbers))))


def requeue_this() -> bool:
    """Have Slurm start the task that this process is once more; whether it will. Not for ever: a
    task that never comes further would fill the queue.
    """
    if int(os.environ.get("SLURM_RESTART_COUNT") or 0) >= MOST_RESTARTS:
        return False
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    if array is None or index is None:
        return False
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which Slurm sends now: this task ends anyway
    done = subprocess.run(
        ["scontrol", "requeue", f"{array}_{index}"], capture_output=True, check=False
    )
    return done.returncode == 0


def find_alive(submission: Submission, alive: Sequence[Alive]) -> dict[tuple[Stage, int], Alive]:
    """The tasks of a submission that wait or run, by stage and index."""
    found = {}
    for task in alive:
        place = submission.place(task.name, task.index)
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
