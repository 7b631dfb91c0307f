"""Jobs as tasks of Ray: what is handed over, and what a task does with it."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from vadbench import registry
from vadbench.detector import Detector
from vadbench.executors.local import one_fit_each
from vadbench.executors.ray import Needs, run_tasks
from vadbench.executors.submission import TaskList
from vadbench.executors.supervised import Fail
from vadbench.plans.jobs import Job
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.threads import count_threads, set_threads


class NoRecord(Exception):
    """A task has ended, and its record is not here."""


def run_jobs_on_ray(
    jobs: Sequence[Job], tasks: TaskList, results: Results, fail: Fail, *, processes: int = 1
) -> Generator[tuple[Job, RunRecord], None, None]:
    """Run jobs as tasks and yield each with its record as it ends; those that differ only in
    scoring in one task.

    Args:
        jobs: what to run.
        tasks: the suite, and how jobs are run; which of them is said by `jobs`.
        results: where the records go, on a disk that all machines see.
        fail: the record of a job whose task has died.
        processes: jobs that share the cores of a machine as large as this one.
    """
    groups = one_fit_each(jobs)
    if not groups:
        return
    share = max(count_threads() // processes, 1)
    listed = tuple(tuple(job.identity for job in group) for group in groups)
    text = tasks.model_copy(update={"fits": listed}).model_dump_json()
    arguments = (text, str(results.root.absolute()), str(Path.cwd()), share)
    needs = [_needs(group[0], tasks, share) for group in groups]
    for number, ended in run_tasks(do_task, arguments, needs):
        for job in groups[number]:
            yield job, _read(job, results, fail, ended)


def _read(job: Job, results: Results, fail: Fail, ended: list[str] | Exception) -> RunRecord:
    """What a job has come to, whose task gave its failures or was kept from its end."""
    if isinstance(ended, Exception):
        return fail(job, ended)
    failures = [RunRecord.model_validate_json(text) for text in ended]
    for record in failures:
        if record.identity == job.identity:
            return record
    there = results.run(job.document, job.identity)
    if there is not None:
        return there
    lost = NoRecord(f"its task has ended; {results.root} has to be on a disk that all machines see")
    return fail(job, lost)


def _needs(job: Job, tasks: TaskList, share: int) -> Needs:
    """Of the tasks of a job."""
    method: type[Detector] = registry.load("detectors", job.method)
    return Needs(
        threads=tasks.threads or method.info.threads or share,
        gpu=getattr(job.config, "device", "cpu") in ("auto", "cuda"),
        memory=tasks.memory_limit,
    )


def do_task(text: str, root: str, here: str, share: int, number: int) -> list[str]:
    """Do one task, in a process of Ray.

    Gives the failed records, as JSON: where one was to replace a finished record, that one stays,
    and nothing else would say so.

    Args:
        text: the list of tasks as JSON.
        root: the results folder.
        here: the folder that names of files are relative to.
        share: threads of jobs whose method says nothing of them.
        number: of the fit.

    Raises:
        BadInput: if the plan is of another version.
    """
    from vadbench.runner.tasks import choose_jobs, fit_jobs

    os.chdir(here)
    set_threads(share)
    tasks, jobs = _read_plan(text)
    own = choose_jobs(jobs, tasks.fits[number], "the plan")
    with closing(fit_jobs(own, tasks, Results(Path(root)))) as running:
        return [record.model_dump_json() for _, record in running if record.status == "failed"]


@lru_cache(1)
def _read_plan(text: str) -> tuple[TaskList, dict[str, Job]]:
    """The tasks and their jobs; a process of Ray does many tasks of one plan."""
    from vadbench.runner.tasks import plan_tasks

    tasks = TaskList.model_validate_json(text)
    return tasks, plan_tasks(tasks, "the plan")[1]
