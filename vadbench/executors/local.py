"""Jobs on this machine: one after the other, or several processes at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from vadbench.plans.plan import Job
from vadbench.results.records import Results, RunRecord
from vadbench.runner.job import Curves, failed_record, run_one_fit


def run_jobs(
    jobs: Sequence[Job],
    results: Results,
    cache: Path,
    *,
    processes: int = 1,
    quiet: bool = False,
    curves: Curves | None = None,
) -> Iterator[tuple[Job, RunRecord]]:
    """Run the jobs and yield each with its record as it ends; those that differ only in scoring are
    fitted once.

    Args:
        jobs: what to run.
        results: where the records go.
        cache: where the features are.
        processes: how many fits at a time; each process gets its share of the cores.
        quiet: no progress of single jobs.
        curves: where networks' training curves are logged; it must be picklable where there are
            several processes.
    """
    if processes == 1:
        for group in one_fit_each(jobs):
            yield from run_one_fit(group, results, cache, quiet=quiet, curves=curves)
        return
    # spawn: a forked copy of a process that has used OpenMP threads hangs
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_share_cores, initargs=(processes,)
    ) as pool:
        waiting = {
            pool.submit(_run_all, group, results, cache, curves): group
            for group in one_fit_each(jobs)
        }
        while waiting:
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                group = waiting.pop(future)
                try:
                    yield from future.result()
                except BrokenProcessPool as error:  # killed from outside, mostly for lack of memory
                    yield from (
                        (
                            job,
                            _done(job, results)
                            or results.write_run(failed_record(job, error), None),
                        )
                        for job in group
                    )


def one_fit_each(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs in groups that one fit serves, in the order of their first jobs."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.fit_identity, []).append(job)
    return list(groups.values())


def _done(job: Job, results: Results) -> RunRecord | None:
    record = results.run(job.document, job.identity)
    return record if record is not None and record.status == "done" else None


def _run_all(
    group: list[Job], results: Results, cache: Path, curves: Curves | None
) -> list[tuple[Job, RunRecord]]:
    return list(run_one_fit(group, results, cache, quiet=True, curves=curves))


def _share_cores(processes: int) -> None:
    """Give this process its share of the cores: of torch, and of the linear algebra that numpy and
    scikit-learn have loaded or will load.
    """
    import threadpoolctl
    import torch

    share = max(torch.get_num_threads() // processes, 1)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(share)
    torch.set_num_threads(share)
    threadpoolctl.threadpool_limits(share)
