"""Jobs in processes of this machine, which this one watches: one that dies, or has to be ended at a
limit, costs the others nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import wait

from vadbench.executors.limits import Limits, read_held
from vadbench.executors.worker import GRACE, Run, Worker
from vadbench.plans.jobs import Job
from vadbench.results.schema import RunRecord

Fail = Callable[[Job, Exception], RunRecord]
LOOK = 0.25  # seconds between two looks at time and memory
QUICK_GRACE = 1.5  # to end in after Ctrl-C, whose whole program ends in 2.5


def run_supervised(
    groups: Sequence[Sequence[Job]],
    run: Run,
    fail: Fail,
    *,
    processes: int = 1,
    limits: Limits | None = None,
) -> Generator[tuple[Job, RunRecord], None, None]:
    """Run the jobs and yield each with its record as it ends.

    Of a fit whose process has died before it was there, all jobs have failed; of one that has died
    later, one has, and the others are fitted again.

    Args:
        groups: jobs that one fit serves.
        run: runs the jobs of one fit; takes `begins`, which it calls as each job begins; picklable.
        fail: the record of a job whose process has died.
        processes: how many at a time; each gets its share of the cores.
        limits: of a job.

    Raises:
        OSError: if the disk is full.
        BadInput: if a record there is of a later vadbench.
    """
    limits = limits or Limits()
    waiting = deque(groups)
    workers: list[Worker] = []
    grace = QUICK_GRACE
    try:
        while True:
            while waiting and (worker := _find_idle(workers, run, processes)) is not None:
                worker.take(waiting.popleft())
            busy = [worker for worker in workers if worker.busy]
            if not busy:
                return
            ready = wait([worker.connection for worker in busy], LOOK if limits else None)
            for worker in busy:
                if worker.connection in ready:
                    yield from _listen(worker, workers, waiting, fail)
                if worker in workers:
                    worker.look(limits)
            _end_idle(workers, limits)
    except Exception:
        grace = GRACE  # the disk is full, or a batch system's time limit is near
        raise
    finally:
        _end_all(workers, grace)


def _find_idle(workers: list[Worker], run: Run, processes: int) -> Worker | None:
    """A worker without jobs, a new one if there may be; None: there is none."""
    idle = next((worker for worker in workers if not worker.busy), None)
    if idle is None and len(workers) < processes:
        idle = Worker(run, processes)
        workers.append(idle)
    return idle


def _end_idle(workers: list[Worker], limits: Limits) -> None:
    """End idle workers in which what earlier jobs have left behind would count for the next one,
    and leave out those that have died.
    """
    for worker in [worker for worker in workers if not worker.busy]:
        held = read_held(worker.process.pid or 0) if limits.memory else 0
        much = limits.memory is not None and (held or 0) > limits.memory / 4
        if much or not worker.process.is_alive():
            worker.end()
            workers.remove(worker)


def _listen(
    worker: Worker, workers: list[Worker], waiting: deque[Sequence[Job]], fail: Fail
) -> Iterator[tuple[Job, RunRecord]]:
    """Take one message of a worker, or note that it has died."""
    try:
        what, value = worker.connection.recv()
    except (EOFError, OSError):
        yield from _bury(worker, workers, waiting, fail)
        return
    if what == "error":
        raise value
    if what == "begins":
        worker.began = time.monotonic()
    elif what == "free":
        worker.busy = False
    else:
        identity, record = value
        (job,) = [job for job in worker.left if job.identity == identity]
        worker.left.remove(job)
        worker.ended += 1
        worker.began = None
        if worker.reason is not None:  # it has ended all the same; the next one is not to blame
            worker.kill()
        yield job, record


def _bury(
    worker: Worker, workers: list[Worker], waiting: deque[Sequence[Job]], fail: Fail
) -> Iterator[tuple[Job, RunRecord]]:
    """What becomes of the jobs of a dead worker."""
    worker.end(QUICK_GRACE)
    workers.remove(worker)
    over = worker.reason is not None and worker.began is None
    count = 0 if over else 1 if worker.ended else len(worker.left)
    lost, others = worker.left[:count], worker.left[count:]
    if others:
        waiting.appendleft(others)
    for job in lost:
        yield job, fail(job, worker.why_dead())


def _end_all(workers: list[Worker], seconds: float) -> None:
    """End all processes, those that are busy after so many seconds at the latest."""
    for worker in workers:
        if worker.busy:
            worker.stop()
    last = time.monotonic() + seconds
    for worker in workers:
        worker.end(max(last - time.monotonic(), 0.0) if worker.busy else 0.0)
