"""What a node of a batch system does of a suite that was handed over: extract, fit, or write the
table when all have ended.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from vadbench.errors import BadInput
from vadbench.executors import slurm
from vadbench.executors.local import run_jobs
from vadbench.executors.submission import (
    FOLDER,
    PLAN,
    Stage,
    Submission,
    TaskList,
    read_tasks,
)
from vadbench.locations import cache_root
from vadbench.plans.jobs import Job
from vadbench.plans.needs import extract_features, group_reasons, streams_read
from vadbench.plans.plan import Plan, plan_suite
from vadbench.plans.states import job_states
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.runner.anew import is_before, read_failure, write_failure
from vadbench.runner.job import failed_record, run_claimed
from vadbench.runner.keep import Keeper
from vadbench.runner.progress import describe_run, plural
from vadbench.runner.run import (
    Evaluation,
    drop_lacking,
    fail_in,
    withhold,
    write_table,
)
from vadbench.runner.sweep import sweep_left

Say = Callable[[str], None]


class TimeLimitNear(BaseException):
    """The batch system is about to end this task; no failure of a job, after which the next one
    would begin.
    """


class EndedWithoutRecord(Exception):
    """A task that was cancelled, killed, or whose node has died."""


def run_task(path: Path, stage: Stage, index: int, say: Say) -> bool:
    """Do one task of a submission; whether all of it went well.

    Raises:
        BadInput: if the plan is no plan of a submission, has no such task, or that is of another
            version.
    """
    if path.name != PLAN or len(path.parts) < 4 or path.parents[1].name != FOLDER:
        raise BadInput(f"{path}: expected RESULTS/{FOLDER}/NAME/{PLAN}, as a submission writes it")
    tasks = read_tasks(path)
    if not 0 <= index < tasks.count(stage):
        raise BadInput(f"{path}: has {tasks.count(stage)} {stage} tasks, none number {index}")
    results, submission = Results(path.parents[2]), Submission(path.parent)
    plan, jobs = plan_tasks(tasks, str(path))
    if stage == "features":
        return _extract(plan, tasks, index, say)
    if stage == "fits":
        own = choose_jobs(jobs, tasks.fits[index], str(path))
        return _fit(own, tasks, results, submission, say)
    try:
        with _time_limit():
            return _write_table(plan, tasks, results, submission, say)
    except TimeLimitNear:
        say("the time limit is near; the same vadbench run evaluates the rest")
        return False


def plan_tasks(tasks: TaskList, name: str) -> tuple[Plan, dict[str, Job]]:
    """The plan of tasks, and its jobs by identity.

    Raises:
        BadInput: if there is no such suite, with the name of the list.
    """
    try:
        plan = plan_suite(tasks.read_suite())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("suite", *first["loc"])))
        raise BadInput(
            f"{name}: {where}: {first['msg']}; submit again with vadbench run"
        ) from error
    return plan, {job.identity: job for job in plan.jobs}


def choose_jobs(jobs: Mapping[str, Job], identities: Iterable[str], name: str) -> list[Job]:
    """The jobs of these identities.

    Raises:
        BadInput: if one is of another version, with the name of the list.
    """
    unknown = [identity for identity in identities if identity not in jobs]
    if unknown:
        raise BadInput(
            f"{name}: job {unknown[0][:12]} is none of this version or these data, which have"
            " changed since; submit again with vadbench run"
        )
    return [jobs[identity] for identity in identities]


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


def _fit(
    jobs: list[Job], tasks: TaskList, results: Results, submission: Submission, say: Say
) -> bool:
    """Run the jobs of one fit; what keeps one from it is its record, the time limit too."""
    ended: dict[str, bool] = {}
    try:
        with _time_limit(), closing(fit_jobs(jobs, tasks, results, quiet=False)) as running:
            for job, record in running:
                say(describe_run(job, record))
                ended[job.identity] = record.status == "done"
                if record.status == "failed" and job.identity in tasks.replace:
                    write_failure(record, submission)
    except TimeLimitNear as error:
        for job in jobs:
            if job.identity not in ended:
                record = results.write_run(failed_record(job, error), None)
                if job.identity in tasks.replace:
                    write_failure(record, submission)
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


def _write_table(
    plan: Plan, tasks: TaskList, results: Results, submission: Submission, say: Say
) -> bool:
    """Evaluate what is there, and say of the tasks that have left nothing why."""
    states = job_states(plan, results)
    jobs = {job.identity: job for job in plan.jobs}
    changed = tasks.identities - jobs.keys()
    if changed:
        say(
            f"{plural(len(changed), 'job')} of this submission have not run: their method or data"
            " have changed since; submit again with vadbench run"
        )
    failed = set()
    for index, group in enumerate(tasks.fits):
        lost = EndedWithoutRecord(
            f"cancelled, killed, out of time, or its node has died; see"
            f" {submission.log('fits', index)}"
        )
        for job in (jobs[identity] for identity in group if identity in jobs):
            if _has_left_nothing(job, states[job.identity], results, submission):
                results.write_run(failed_record(job, lost), None)
                states[job.identity] = "failed"
            elif job.identity in tasks.replace and is_before(job, results, submission):
                record = read_failure(job, submission)
                if record is None:
                    record = failed_record(job, lost)
                    write_failure(record, submission)
                say(describe_run(job, record))
                failed.add(job.identity)
    done = {identity for identity, state in states.items() if state == "done"} - failed
    others = [job for identity, job in jobs.items() if identity not in done]
    sweep_left(results, [jobs[identity] for identity in done], others)
    evaluation = Evaluation(plan, results, say, done & tasks.identities)
    evaluation.take(done)
    evaluation.summarise()
    _, path = write_table(plan, results, withhold(states) | evaluation.withheld)
    say(f"written to {path}")
    return tasks.identities <= done


def _has_left_nothing(job: Job, state: str, results: Results, submission: Submission) -> bool:
    """Whether a job's task has ended without a record: what an earlier submission has left says
    nothing of this one.
    """
    if state != "failed":
        return state == "missing"
    return is_before(job, results, submission)
