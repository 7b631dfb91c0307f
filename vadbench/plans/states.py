"""Which jobs of a plan are finished, and on the files that are on this machine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from vadbench.evaluation.outdated import is_outdated
from vadbench.plans.plan import Plan, Planned
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.spec import Result

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


def list_unevaluated(plan: Plan, ended: Collection[str], results: Results) -> list[Result]:
    """The results without a record that a run will evaluate: their jobs are done, or can be run.

    Args:
        plan: whose results.
        ended: identities of the jobs that are done, or that can be run here.
        results: where the records are.
    """
    return [
        one.result
        for one in plan.planned
        if all(run in ended for run in one.runs) and not _has_record(one, results)
    ]


def _has_record(one: Planned, results: Results) -> bool:
    result = one.result
    folder = results.record_folder(result.dataset, result.recipe, identity_of(result, one.runs))
    return (folder / "metrics.json").is_file()
