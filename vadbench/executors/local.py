"""Jobs on this machine: one after the other, or several processes at a time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from vadbench.plan import Job
from vadbench.records import Results, RunRecord
from vadbench.run import failed_record, run_job


def run_jobs(jobs: Sequence[Job], results: Results, cache: Path, *, processes: int = 1, quiet: bool = False) -> Iterator[tuple[Job, RunRecord]]:
    """Run the jobs and yield each with its record as it ends.

    Args:
        jobs: what to run.
        results: where the records go.
        cache: where the features are.
        processes: how many jobs at a time; each process gets its share of the cores.
        quiet: no progress of single jobs.
    """
    if processes == 1:
        for job in jobs:
            yield job, run_job(job, results, cache, quiet=quiet)
        return
    # spawn: a forked copy of a process that has used OpenMP threads hangs
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_share_cores, initargs=(processes,)) as pool:
        waiting = {pool.submit(run_job, job, results, cache, quiet=True): job for job in jobs}
        while waiting:
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                job = waiting.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool as error:  # killed from outside, mostly for lack of memory
                    yield job, results.write_run(failed_record(job, error), None)


def _share_cores(processes: int) -> None:
    import torch

    torch.set_num_threads(max(torch.get_num_threads() // processes, 1))
