"""Jobs on this machine: one after the other, or several processes at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from vadbench.executors.limits import Limits
from vadbench.executors.supervised import Fail, run_supervised
from vadbench.executors.worker import Run
from vadbench.plans.jobs import Job
from vadbench.results.schema import RunRecord


def run_jobs(
    jobs: Sequence[Job],
    run: Run,
    fail: Fail,
    *,
    processes: int = 1,
    limits: Limits | None = None,
) -> Generator[tuple[Job, RunRecord], None, None]:
    """Run the jobs and yield each with its record as it ends; those that differ only in scoring are
    fitted once.

    Args:
        jobs: what to run.
        run: runs the jobs of one fit; picklable where there are several processes, or limits.
        fail: the record of a job whose process was killed.
        processes: how many fits at a time; each process gets its share of the cores.
        limits: of a job; where there are any, another process runs it and is watched.
    """
    groups = one_fit_each(jobs)
    if processes == 1 and not limits:
        for group in groups:
            yield from run(group)
        return
    yield from run_supervised(groups, run, fail, processes=processes, limits=limits)


def one_fit_each(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in groups that one fit serves, in the order of their first jobs."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.fit_identity, []).append(job)
    return list(groups.values())
