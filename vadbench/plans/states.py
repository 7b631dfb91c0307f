"""Which jobs of a plan are finished, and on the files that are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

from vadbench.datasets.base import Split
from vadbench.datasets.contents import contents_of
from vadbench.datasets.open import open_dataset
from vadbench.locations import cache_root
from vadbench.plans.jobs import Job
from vadbench.plans.plan import Plan
from vadbench.results.records import Results, RunRecord

# outdated: done on files that have changed since
State = Literal["done", "failed", "missing", "outdated"]


def job_states(plan: Plan, results: Results, thorough: bool = False) -> dict[str, State]:
    """For every job of the plan, by identity, whether its record is there, and of the files that
    are on this machine.

    Args:
        plan: whose jobs.
        results: where the records are.
        thorough: whether contents are compared although names, sizes and times of the data's files
            are known ones.
    """
    states: dict[str, State] = {}
    digest = cache(
        lambda dataset, split: contents_of(open_dataset(dataset), split, cache_root(), thorough)
    )
    for job in plan.jobs:
        record = results.run(job.document, job.identity)
        states[job.identity] = "missing" if record is None else record.status
        if record is not None and record.status == "done" and _is_outdated(job, record, digest):
            states[job.identity] = "outdated"
    return states


def _is_outdated(job: Job, record: RunRecord, digest: Callable[[str, Split], str | None]) -> bool:
    """Whether the record is of other files than those on this machine; not where either are not
    known.
    """
    for split, stream in job.streams.items():
        before = record.data.get(split)
        if before is None or not stream.reads_frames:
            continue
        now = digest(stream.dataset.partition("@")[0], split)
        if now not in (None, before):
            return True
    return False
