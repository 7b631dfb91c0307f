"""A suite on a batch system: hand its missing jobs over, do one task of them there, and write the
table when all have ended.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from vadbench.errors import BadInput
from vadbench.executors import slurm
from vadbench.executors.limits import Limits
from vadbench.executors.local import one_fit_each, run_jobs
from vadbench.executors.submission import (
    Stage,
    Submission,
    TaskList,
    list_submissions,
    read_tasks,
    write_numbers,
    write_tasks,
)
from vadbench.locations import cache_root
from vadbench.plans.jobs import Job
from vadbench.plans.needs import extract_features, find_lacking, group_reasons, streams_read
from vadbench.plans.plan import Plan, plan_suite
from vadbench.plans.states import job_states
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.runner.job import failed_record, run_claimed
from vadbench.runner.keep import Keeper
from vadbench.runner.progress import describe_run, plural
from vadbench.runner.run import Evaluation, Outcome, drop_lacking, fail_in, write_table
from vadbench.runner.sweep import sweep_left

Say = Callable[[str], None]
POLL = 2.0  # seconds between two looks at the queue


class TimeLimitNear(Exception):
    """The batch system is about to end this task."""


class EndedWithoutRecord(Exception):
    """A task that was cancelled, killed, or whose node has died."""


@dataclass(frozen=True)
class Queue:
    """Where the jobs of a plan stand.

    Attributes:
        alive: identity of a job -> its task, waiting or running.
        table: whether a task that writes a table is still to come.
        submissions: those that have such tasks.
    """

    alive: dict[str, slurm.Alive]
    table: bool
    submissions: tuple[Submission, ...]


def read_queue(results: Results, plan: Plan | None = None) -> Queue:
    """What the batch system still has of the submissions for these results; of a plan, of those
    alone that have jobs of it.

    Raises:
        BadInput: if it does not answer.
    """
    alive = slurm.list_alive()
    jobs: dict[str, slurm.Alive] = {}
    table = False
    submissions = []
    wanted = None if plan is None else {job.identity for job in plan.jobs}
    for submission in list_submissions(results.root):
        if wanted is not None and wanted.isdisjoint(submission.tasks.identities):
            continue
        found = slurm.find_alive(submission, alive)
        if found:
            submissions.append(submission)
        for (stage, index), task in found.items():
            if stage == "fits":
                jobs |= dict.fromkeys(submission.tasks.fits[index], task)
            table = table or stage == "table"
    return Queue(jobs, table, tuple(submissions))


def submit_suite(
    plan: Plan,
    results: Results,
    options: Sequence[str],
    *,
    again: bool = False,
    at_a_time: int | None = None,
    threads: int | None = None,
    limits: Limits | None = None,
    say: Say,
) -> None:
    """Submit what is missing of a plan and what nobody works at, and say where all of it stands.

    Args:
        plan: what to run.
        results: where the records are.
        options: for sbatch.
        again: whether finished jobs run too.
        at_a_time: trainings at once; None: no limit.
        threads: of a job; None: as its method says.
        limits: of the time and memory of a job.
        say: receives one line an event.

    Raises:
        BadInput: if the results cannot be written, data are missing for all there is to run, or the
            batch system refuses; nothing is left submitted.
    """
    slurm.require_slurm()
    results.require_writable()
    states = job_states(plan, results)
    queue = read_queue(results)
    todo = [
        job
        for job in plan.jobs
        if job.identity not in queue.alive and (again or states[job.identity] != "done")
    ]
    lacking = find_lacking(todo)
    able = drop_lacking(todo, lacking)
    for reason in group_reasons(lacking):
        say(f"cannot be run here: {reason}")
    if todo and not able and not queue.alive:
        raise BadInput("nothing of this can be run here")
    if able:
        replace = {job.identity for job in able if again or states[job.identity] == "outdated"}
        tasks = TaskList(
            suite=plan.suite.model_dump(mode="json"),
            features=_list_unextracted(able),
            fits=tuple(tuple(job.identity for job in group) for group in one_fit_each(able)),
            replace=frozenset(replace),
            threads=threads,
            time_limit=None if limits is None else limits.seconds,
            memory_limit=None if limits is None else limits.memory,
        )
        folder = write_tasks(results.root.absolute(), tasks)
        try:
            numbers = slurm.submit(folder, tasks, options, at_a_time)
        except BadInput:
            shutil.rmtree(folder)
            raise
        write_numbers(folder, numbers)
        named = ", ".join(
            f"{stage} {number}" for stage, arrays in numbers.items() for number, _ in arrays
        )
        say(
            f"submitted: {plural(len(able), 'job')} in {plural(len(tasks.fits), 'task')} ({named});"
            f" logs in {folder}"
        )
        queue = read_queue(results)
    say(describe_states(plan, results, queue))


def _list_unextracted(jobs: Sequence[Job]) -> tuple[str, ...]:
    """The data sets of which the jobs need features that are not there."""
    needs = (need for job in jobs for need in streams_read(job))
    return tuple(dict.fromkeys(need.dataset for need in needs if not need.is_cached(cache_root())))


def describe_states(plan: Plan, results: Results, queue: Queue) -> str:
    """`3 jobs done, 1 running, 2 waiting, 0 failed, 0 missing`."""
    counts = Counter(
        ("running" if task.is_running else "waiting") if task is not None else state
        for state, task in (
            (state, queue.alive.get(identity))
            for identity, state in job_states(plan, results).items()
        )
    )
    shown = ("done", "running", "waiting", "failed", "missing")
    parts = [f"{counts[name]} {name}" for name in shown]
    if counts["outdated"]:
        parts.append(f"{counts['outdated']} of files that have changed")
    return f"{plural(len(plan.jobs), 'job')}: {', '.join(parts)}"


def wait_for(plan: Plan, results: Results, say: Say) -> Outcome:
    """Follow the tasks until none is left, and read the table that they have written."""
    told: set[str] = set()
    while True:
        queue = read_queue(results, plan)
        for job in plan.jobs:
            if job.identity not in told and job.identity not in queue.alive:
                record = results.run(job.document, job.identity)
                if record is not None:
                    told.add(job.identity)
                    say(f"[{len(told)}/{len(plan.jobs)}] {describe_run(job, record)}")
        if not queue.alive and not queue.table:
            break
        time.sleep(POLL)
    return _read_outcome(plan, results)


def _read_outcome(plan: Plan, results: Results) -> Outcome:
    records = [(job, results.run(job.document, job.identity)) for job in plan.jobs]
    failed = tuple(
        (job, record.error or "unknown error")
        for job, record in records
        if record is not None and record.status == "failed"
    )
    missing = sum(record is None for _, record in records)
    table, path = write_table(plan, results)
    lacking = (f"{plural(missing, 'job')} without a record",) if missing else ()
    return Outcome(table, path, failed, lacking)


def cancel_all(results: Results) -> int:
    """End all tasks of the submissions for these results; how many there were."""
    slurm.require_slurm()
    queue = read_queue(results)
    alive = slurm.list_alive()
    ended = sum(len(slurm.find_alive(one, alive)) for one in queue.submissions)
    slurm.cancel(
        [
            number
            for one in queue.submissions
            for arrays in one.numbers.stages.values()
            for number, _ in arrays
        ]
    )
    return ended


def run_task(path: Path, stage: Stage, index: int, say: Say) -> bool:
    """Do one task of a submission; whether all of it went well.

    Raises:
        BadInput: if the plan is no plan, has no such task, or is of another version.
    """
    tasks = read_tasks(path)
    if not 0 <= index < tasks.count(stage):
        raise BadInput(f"{path}: has {tasks.count(stage)} {stage} tasks, none number {index}")
    results = Results(path.parents[2])
    plan, jobs = plan_tasks(tasks, str(path))
    if stage == "features":
        return _extract(plan, tasks, index, say)
    if stage == "fits":
        return _fit([jobs[identity] for identity in tasks.fits[index]], tasks, results, say)
    return _write_table(plan, tasks, results, path.parent, say)


def plan_tasks(tasks: TaskList, name: str) -> tuple[Plan, dict[str, Job]]:
    """The plan of tasks, and its jobs by identity.

    Raises:
        BadInput: if a task is of another version, with the name of the list.
    """
    plan = plan_suite(tasks.read_suite())
    jobs = {job.identity: job for job in plan.jobs}
    unknown = tasks.identities - jobs.keys()
    if unknown:
        raise BadInput(
            f"{name}: job {min(unknown)[:12]} is none of this version or these data; submit again"
            " with vadbench run"
        )
    return plan, jobs


def _extract(plan: Plan, tasks: TaskList, index: int, say: Say) -> bool:
    own = [
        job
        for job in plan.jobs
        if job.identity in tasks.identities
        and any(need.dataset == tasks.features[index] for need in streams_read(job))
    ]
    try:
        with _time_limit():
            lacking = extract_features(own)
    except TimeLimitNear:
        again = slurm.requeue_this()
        say("the time limit is near" + ("; begins again" if again else ""))
        return False
    for reason in group_reasons(lacking):
        say(reason)
    return not lacking


def _fit(jobs: list[Job], tasks: TaskList, results: Results, say: Say) -> bool:
    """Run the jobs of one fit; what keeps one from it is its record, the time limit too."""
    ended: dict[str, bool] = {}
    try:
        with _time_limit(), closing(fit_jobs(jobs, tasks, results, quiet=False)) as running:
            for job, record in running:
                say(describe_run(job, record))
                ended[job.identity] = record.status == "done"
    except TimeLimitNear as error:
        for job in jobs:
            if job.identity not in ended:
                results.write_run(failed_record(job, error), None)
        return False
    return all(ended.values())


def fit_jobs(
    jobs: list[Job], tasks: TaskList, results: Results, *, quiet: bool = True
) -> Generator[tuple[Job, RunRecord], None, None]:
    """Run the jobs of one fit of a task, and yield each with its record as it ends.

    Args:
        jobs: what to run.
        tasks: how they are run.
        results: where the records go.
        quiet: no progress.
    """
    lacking = extract_features(jobs, quiet)  # what the stage before could not; nothing, mostly
    for job in jobs:
        reasons = [lacking[need] for need in streams_read(job) if need in lacking]
        if reasons:
            yield job, results.write_run(failed_record(job, BadInput(reasons[0])), None)
    run = partial(
        run_claimed,
        results=results,
        cache_root=cache_root(),
        quiet=quiet,
        replace=tasks.replace,
        threads=tasks.threads,
        keep=Keeper(results.root) if tasks.keep_models else None,
    )
    able, fail = drop_lacking(jobs, lacking), fail_in(results, tasks.replace)
    with closing(run_jobs(able, run, fail, limits=tasks.limits)) as running:
        yield from running


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise `TimeLimitNear` where the batch system says that its limit is near (SIGUSR1)."""

    def tell(number: int, frame: FrameType | None) -> NoReturn:
        raise TimeLimitNear("the batch system's time limit; --slurm time=... asks for more")

    before = signal.signal(signal.SIGUSR1, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _write_table(plan: Plan, tasks: TaskList, results: Results, folder: Path, say: Say) -> bool:
    """Evaluate what is there, and say of the tasks that have left nothing why."""
    states = job_states(plan, results)
    jobs = {job.identity: job for job in plan.jobs}
    for index, group in enumerate(tasks.fits):
        for identity in group:
            if states[identity] == "missing":
                log = folder / f"fits-{index}.log"
                error = EndedWithoutRecord(f"cancelled, killed, or its node has died; see {log}")
                record: RunRecord = failed_record(jobs[identity], error)
                results.write_run(record, None)
                states[identity] = "failed"
    done = {identity for identity, state in states.items() if state == "done"}
    others = [job for identity, job in jobs.items() if identity not in done]
    sweep_left(results, [jobs[identity] for identity in done], others)
    evaluation = Evaluation(plan, results, say, done & tasks.identities)
    evaluation.take(done)
    evaluation.summarise()
    _, path = write_table(plan, results)
    say(f"written to {path}")
    return tasks.identities <= done
