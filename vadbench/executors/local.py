"""Jobs on this machine: one after the other, or several processes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool

from vadbench.plans.jobs import Job
from vadbench.results.schema import RunRecord
from vadbench.workers import open_workers

Run = Callable[[Sequence[Job]], Iterator[tuple[Job, RunRecord]]]
Fail = Callable[[Job, Exception], RunRecord]


def run_jobs(
    jobs: Sequence[Job],
    run: Run,
    fail: Fail,
    *,
    processes: int = 1,
) -> Iterator[tuple[Job, RunRecord]]:
    """Run the jobs and yield each with its record as it ends; those that differ only in scoring are
    fitted once.

    Args:
        jobs: what to run.
        run: runs the jobs of one fit; picklable where there are several processes.
        fail: the record of a job whose process was killed.
        processes: how many fits at a time; each process gets its share of the cores.
    """
    if processes == 1:
        for group in one_fit_each(jobs):
            yield from run(group)
        return
    with open_workers(processes) as workers:
        waiting = {workers.submit(_run_all, run, group): group for group in one_fit_each(jobs)}
        while waiting:
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                group = waiting.pop(future)
                try:
                    yield from future.result()
                except BrokenProcessPool as error:  # killed from outside, mostly for lack of memory
                    yield from ((job, fail(job, error)) for job in group)


def one_fit_each(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in groups that one fit serves, in the order of their first jobs."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.fit_identity, []).append(job)
    return list(groups.values())


def _run_all(run: Run, group: list[Job]) -> list[tuple[Job, RunRecord]]:
    return list(run(group))
