"""A process of this machine that runs jobs, one fit after the other, until it is told to end.

A signal tells it, and raises `Ended` in it: a network's training is kept. What does not heed it, as
a library that computes for minutes, is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import NoReturn

import psutil

from vadbench.errors import BadInput
from vadbench.executors.limits import Limits, read_held
from vadbench.plans.jobs import Job
from vadbench.results.schema import RunRecord
from vadbench.threads import count_threads, set_threads
from vadbench.workers import blocked_signals, end_with_parent

Run = Callable[..., Iterator[tuple[Job, RunRecord]]]
GRACE = 10.0  # seconds to end in, after a limit; a network is written in them
OVER = 1.25  # times the limit of memory at which there is no grace


class Ended(BaseException):
    """This process is to end; no method's `except Exception` keeps it from that."""


class WorkerDied(Exception):
    """A process that ran a job has died, mostly for lack of memory."""


class Worker:
    """A process that runs the jobs of one fit after the other.

    Attributes:
        busy: whether it has a fit.
        left: the jobs of that which have not ended.
        ended: how many of them have.
        began: when the one that runs began; None: none does, it waits for another process, say.
        reason: the limit for which it was told to end.
    """

    def __init__(self, run: Run, processes: int) -> None:
        # spawn: a forked copy of a process that has used OpenMP threads hangs
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, run, processes))
        with blocked_signals():
            self.process.start()
        theirs.close()
        self.busy = False
        self.left: list[Job] = []
        self.ended = 0
        self.began: float | None = None
        self.reason: Exception | None = None
        self.last = 0.0  # moment until which it may heed that

    def take(self, group: Sequence[Job]) -> None:
        """Begin with the jobs of a fit."""
        self.busy, self.left, self.ended, self.began = True, list(group), 0, None
        with suppress(OSError):  # it has died, which is seen when it is listened to
            self.connection.send(list(group))

    def look(self, limits: Limits) -> None:
        """Tell it to end where its job is over a limit, and kill it where it has not heeded that,
        or takes still more memory.
        """
        pid, now = self.process.pid, time.monotonic()
        if pid is None or self.began is None:
            return
        if self.reason is None:
            self.reason = limits.exceeded(now - self.began, pid)
            if self.reason is not None:
                self.last = now + GRACE
                self.stop()
        elif now > self.last or (limits.memory and (read_held(pid) or 0) > OVER * limits.memory):
            self.kill()

    def stop(self) -> None:
        """Tell it to end."""
        if self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """Kill it and what it has started."""
        started = []
        with suppress(psutil.Error):
            started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        _kill_all(started)

    def end(self, seconds: float = 0.0) -> None:
        """See it end, in so many seconds, or kill it."""
        self.connection.close()
        self.process.join(seconds)
        self.kill()
        self.process.join()

    def why_dead(self) -> Exception:
        """What a job of it, dead, has failed for."""
        code = self.process.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self.reason or WorkerDied(f"its process was ended by {name}, from outside mostly")


def _work(connection: Connection, run: Run, processes: int) -> None:
    """What a worker does until it is told to end, or its parent has ended."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    if processes > 1:
        set_threads(max(count_threads() // processes, 1))

    def begins(job: Job) -> None:
        connection.send(("begins", job.identity))

    try:
        signal.signal(signal.SIGUSR1, _end)
        while True:
            group = connection.recv()
            try:
                for job, record in run(group, begins=begins):
                    connection.send(("ended", (job.identity, record)))
            except (OSError, BadInput) as error:  # of the results folder, not of a job
                connection.send(("error", error))
            connection.send(("free", None))
    except (Ended, EOFError, BrokenPipeError):
        _kill_all(psutil.Process().children(recursive=True))
        os._exit(0)  # whatever was left off is whole or absent


def _kill_all(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise Ended
