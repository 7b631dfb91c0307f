"""Which jobs of a plan are finished, and on the files that are on this machine."""

from __future__ import annotations

from typing import Literal

from vadbench.evaluation.outdated import is_outdated
from vadbench.plans.plan import Plan
from vadbench.results.records import Results

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
    for job in plan.jobs:
        run = results.run(job.document, job.identity)
        states[job.identity] = "missing" if run is None else run.status
        if run is not None and run.status == "done" and is_outdated(run, thorough):
            states[job.identity] = "outdated"
    return states
