"""A suite on Slurm, seen from the login node: hand its missing jobs over, say where they stand,
follow them, end them. `tasks` is what a node does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vadbench.errors import BadInput
from vadbench.executors import slurm
from vadbench.executors.limits import Limits
from vadbench.executors.local import one_fit_each
from vadbench.executors.submission import (
    FOLDER,
    Submission,
    TaskList,
    list_submissions,
    write_tasks,
)
from vadbench.locations import cache_root
from vadbench.plans.jobs import Job
from vadbench.plans.needs import find_lacking, group_reasons, streams_read
from vadbench.plans.plan import Plan
from vadbench.plans.states import job_states
from vadbench.results.records import Results
from vadbench.runner.anew import read_new
from vadbench.runner.progress import describe_run, plural
from vadbench.runner.run import (
    Evaluation,
    Outcome,
    drop_lacking,
    require_some,
    withhold,
    write_table,
)

Say = Callable[[str], None]
POLL = 2.0  # seconds between two looks at the queue
PATIENCE = 600.0  # seconds for which a batch system that does not answer is asked again


@dataclass(frozen=True)
class Queue:
    """Where the jobs of a plan stand.

    Attributes:
        alive: identity of a job -> its task, waiting or running.
        table: whether a task that writes a table is still to come.
        anew: identity of a job that one of their submissions runs although it has a finished
            record -> that submission.
    """

    alive: dict[str, slurm.Alive]
    table: bool
    anew: dict[str, Submission] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether there is something to wait for."""
        return bool(self.alive) or self.table


def read_queue(results: Results, plan: Plan | None = None) -> Queue:
    """What the batch system still has of the submissions for these results; of a plan, of those
    alone that have jobs of it.

    Raises:
        BadInput: if it does not answer, or the plan of one of its tasks cannot be read.
    """
    alive = slurm.list_alive()
    jobs: dict[str, slurm.Alive] = {}
    anew: dict[str, Submission] = {}
    table = False
    wanted = None if plan is None else {job.identity for job in plan.jobs}
    for submission in list_submissions(results.root):
        found = slurm.find_alive(submission, alive)
        if not found:
            continue
        tasks = submission.read_tasks()
        if wanted is not None and wanted.isdisjoint(tasks.identities):
            continue
        anew |= dict.fromkeys(tasks.replace, submission)
        for (stage, index), task in found.items():
            if stage == "fits" and index < len(tasks.fits):
                jobs |= dict.fromkeys(tasks.fits[index], task)
            table = table or stage == "table"
    return Queue(jobs, table, anew)


@dataclass(frozen=True)
class Handed:
    """What a command has handed over, or found there.

    Attributes:
        lacking: what is lacking for jobs that it has not, a line each.
        barred: the identities of these jobs.
        anew: identity of a job that a submission runs although it has a finished record -> that
            submission.
        unevaluated: what could not be evaluated, a line each, where nothing was left to wait for.
    """

    lacking: tuple[str, ...] = ()
    barred: frozenset[str] = frozenset()
    anew: dict[str, Submission] = field(default_factory=dict)
    unevaluated: tuple[str, ...] = ()


NOTHING = Handed()


def submit_suite(
    plan: Plan,
    results: Results,
    options: Sequence[str],
    *,
    again: bool = False,
    at_a_time: int | None = None,
    threads: int | None = None,
    limits: Limits | None = None,
    thorough: bool = False,
    say: Say,
) -> Handed:
    """Submit what is missing of a plan and what nobody works at, and say where all of it stands.
    Where nothing is left to wait for, what is there is evaluated and the table written: the task
    that was to do so may have been lost, or have had other jobs.

    Args:
        plan: what to run.
        results: where the records are.
        options: for sbatch.
        again: whether finished jobs run too.
        at_a_time: trainings at once; None: no limit.
        threads: of a job; None: as its method says.
        limits: of the time and memory of a job.
        thorough: whether contents are compared although names, sizes and times of the data's files
            are known ones.
        say: receives one line an event.

    Returns:
        What `wait_for` has to know.

    Raises:
        BadInput: if the results cannot be written, if data are missing for all there is to run,
            with nothing done or at work, or if the batch system refuses; nothing is left submitted.
    """
    slurm.require_slurm()
    results.require_writable()
    queue = read_queue(results)
    anew = dict(queue.anew)
    # after it: what ends meanwhile is not submitted once more
    states = job_states(plan, results, thorough)
    todo = [
        job
        for job in plan.jobs
        if job.identity not in queue.alive and (again or states[job.identity] != "done")
    ]
    lacking = find_lacking(todo, thorough)
    able = drop_lacking(todo, lacking)
    there = [
        job for job in plan.jobs if job.identity in queue.alive or states[job.identity] == "done"
    ]
    require_some(able or there, lacking)
    for reason in group_reasons(lacking):
        say(f"cannot be run here: {reason}")
    unevaluated: tuple[str, ...] = ()
    if able:
        finished = {job.identity for job in able if again or states[job.identity] == "outdated"}
        tasks = TaskList(
            suite=plan.suite.model_dump(mode="json"),
            features=_list_unextracted(able),
            fits=tuple(tuple(job.identity for job in group) for group in one_fit_each(able)),
            replace=frozenset(finished),
            threads=threads,
            time_limit=None if limits is None else limits.seconds,
            memory_limit=None if limits is None else limits.memory,
        )
        others = {
            queue.alive[job.identity].array for job in plan.jobs if job.identity in queue.alive
        }
        submission = write_tasks(results.root.absolute(), tasks)
        anew |= dict.fromkeys(finished, submission)
        numbers = slurm.submit(submission, tasks, options, at_a_time, sorted(others))
        named = ", ".join(
            f"{stage} {number}" for stage, arrays in numbers.items() for number in arrays
        )
        say(
            f"submitted: {plural(len(able), 'job')} in {plural(len(tasks.fits), 'task')} ({named});"
            f" logs in {submission.folder}"
        )
        queue = read_queue(results)
    elif not (queue.waits and read_queue(results, plan).waits):
        unevaluated = _finish(plan, results, say).unevaluated
    say(describe_states(plan, results, queue))
    barred = {job.identity for job in todo} - {job.identity for job in able}
    return Handed(group_reasons(lacking), frozenset(barred), anew, unevaluated)


def _finish(plan: Plan, results: Results, say: Say) -> Outcome:
    """Evaluate what is there and has no record that holds, and write the table."""
    states = job_states(plan, results)
    done = {identity for identity, state in states.items() if state == "done"}
    evaluation = Evaluation(plan, results, say, fresh=set())
    evaluation.take(done)
    evaluation.summarise()
    table, path = write_table(plan, results, withhold(states) | evaluation.withheld)
    return Outcome(table, path, unevaluated=evaluation.unevaluated)


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


def wait_for(plan: Plan, results: Results, say: Say, handed: Handed = NOTHING) -> Outcome:
    """Follow the tasks until none is left, and give what they have left.

    Args:
        plan: what was submitted.
        results: where the records are.
        say: receives one line an event.
        handed: as `submit_suite` gives it.

    Raises:
        BadInput: if the batch system does not answer for ten minutes.
    """
    told: set[str] = set()
    jobs = [job for job in plan.jobs if job.identity not in handed.barred]
    while True:
        queue = _ask_patiently(plan, results, say)
        handed = replace(handed, anew=queue.anew | handed.anew)
        for job in jobs:
            if job.identity not in told and job.identity not in queue.alive:
                record = read_new(job, results, handed.anew.get(job.identity))
                if record is not None:
                    told.add(job.identity)
                    say(f"[{len(told)}/{len(jobs)}] {describe_run(job, record)}")
        if not queue.waits:
            break
        time.sleep(POLL)
    return _read_outcome(plan, results, say, handed)


def _ask_patiently(plan: Plan, results: Results, say: Say) -> Queue:
    """The queue, of a batch system that may be away for a while."""
    began, told = time.monotonic(), False
    while True:
        try:
            return read_queue(results, plan)
        except slurm.NoAnswer as error:
            if time.monotonic() - began > PATIENCE:
                raise BadInput(
                    f"{error}; the jobs go on, and the same command follows them"
                ) from error
            if not told:
                say(f"{error}; asking again")
            told = True
            time.sleep(5 * POLL)


def _read_outcome(plan: Plan, results: Results, say: Say, handed: Handed) -> Outcome:
    records = [
        (job, read_new(job, results, handed.anew.get(job.identity)))
        for job in plan.jobs
        if job.identity not in handed.barred
    ]
    failed = tuple(
        (job, record.error or "unknown error")
        for job, record in records
        if record is not None and record.status == "failed"
    )
    missing = sum(record is None for _, record in records)
    outcome = _finish(plan, results, say)
    logs = results.root / FOLDER
    lost = (
        (f"{plural(missing, 'job')} without a record; the logs in {logs} say why",)
        if missing
        else ()
    )
    return replace(outcome, failed=failed, lacking=(*handed.lacking, *lost))


def cancel_all(results: Results) -> int:
    """End all tasks of the submissions for these results; how many there were."""
    slurm.require_slurm()
    alive = slurm.list_alive()
    ended = [
        task.array
        for submission in list_submissions(results.root)
        for task in slurm.find_alive(submission, alive).values()
    ]
    slurm.cancel(ended)
    return len(ended)
