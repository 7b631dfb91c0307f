"""A suite from features to table: extract what is missing, run the jobs that have no record,
evaluate each result as soon as its jobs are there, write the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import changes_since, evaluate, find_unlabelled
from vadbench.executors.devices import Devices
from vadbench.executors.limits import Limits
from vadbench.executors.local import one_fit_each, run_jobs
from vadbench.executors.supervised import Fail
from vadbench.locations import cache_root
from vadbench.plans.cost import expected_seconds, read_runs
from vadbench.plans.jobs import Job
from vadbench.plans.needs import (
    Lack,
    extract_features,
    find_lacking,
    find_unable,
    group_reasons,
    streams_read,
    what_lacks,
)
from vadbench.plans.plan import Plan, Planned
from vadbench.plans.states import State, job_states, list_unevaluated
from vadbench.report.tables import csv, markdown
from vadbench.report.tables.make import make_table
from vadbench.report.tables.table import Table
from vadbench.results.frame import Frame
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.runner.job import Curves, failed_record, fit_alone, run_claimed
from vadbench.runner.keep import Keeper, has_fit, is_kept, keep_results
from vadbench.runner.progress import (
    TimeLeft,
    describe_reuse,
    describe_run,
    describe_value,
    order_by_cost,
    plural,
)
from vadbench.runner.sweep import sweep_left

Existing = Literal["skip", "rerun", "fail"]
Where = Literal["local", "ray"]
Say = Callable[[str], None]
# runs jobs, so many fits at a time, and yields each with its record as it ends
Do = Callable[..., Generator[tuple[Job, RunRecord], None, None]]
CHANGED = "its files have changed since"


class Sink(Protocol):
    """Where training curves and, at the end, the records of a run are sent, such as W&B."""

    @property
    def curves(self) -> Curves:
        """Gives the logger of a job's training, while it lasts."""

    def publish(self, identities: set[str], name: str, say: Say) -> None:
        """Send the records of these identities, with a leaderboard of this name."""


@dataclass(frozen=True)
class Outcome:
    """What a suite left: its table, where that lies, the jobs that failed with their errors, what
    was lacking for those that did not run, the jobs of earlier runs that could not be fitted again
    for their models, with their errors, and what could not be evaluated, with the reason.
    """

    table: Table
    path: Path
    failed: tuple[tuple[Job, str], ...] = ()
    lacking: tuple[str, ...] = ()
    unkept: tuple[tuple[Job, str], ...] = ()
    unevaluated: tuple[str, ...] = ()


def run_suite(
    plan: Plan,
    results: Results,
    *,
    existing: Existing = "skip",
    processes: int = 1,
    quiet: bool = False,
    thorough: bool = False,
    sink: Sink | None = None,
    threads: int | None = None,
    keep_models: bool = False,
    limits: Limits | None = None,
    where: Where = "local",
    devices: Devices | None = None,
    say: Say,
) -> Outcome:
    """Run what is missing of a plan and write its table; what cannot be run here is left out, and
    named before anything is extracted.

    Args:
        plan: what to run.
        results: where the records are.
        existing: what to do with jobs that have a finished record; failed ones, and those of files
            that have changed, run again under `skip`.
        processes: jobs, and before them clips of an extraction, at a time.
        quiet: no progress bars.
        thorough: whether contents are compared although names, sizes and times of the data's files
            are known ones.
        sink: where training curves and, at the end, the records are sent too; its failure fails
            nothing.
        threads: of each job; None: as its method says.
        keep_models: whether what was learnt is kept too; what is not kept of a job that was run
            before is fitted again.
        limits: of the time and memory of a job; one that is over them has failed.
        where: jobs run in processes of this machine, or as tasks of Ray, which log no curves.
        devices: GPUs, one for each process; None: all compute on the first, if there is one.
        say: receives one line an event.

    Raises:
        BadInput: if the results cannot be written, if data are missing for all there is to run,
            with nothing done before, or under `existing="fail"` if a record exists.
    """
    results.require_writable()
    results.sweep_temporary()
    states = job_states(plan, results, thorough)
    done = [job for job in plan.jobs if states[job.identity] == "done"]
    if existing == "fail":
        _refuse_existing(done, results)
    again = existing == "rerun"
    todo = [job for job in plan.jobs if again or states[job.identity] != "done"]
    sweep_left(results, done, todo)
    reused = [] if again else done
    if reused:
        records = [results.run(job.document, job.identity) for job in reused]
        fits = keep_models and _list_unkept(plan, {job.identity for job in done}, results)
        say(describe_reuse(records, trains=bool(todo or fits)))
    outdated = [job for job in todo if states[job.identity] == "outdated"]
    if outdated:
        say(f"{plural(len(outdated), 'record')} of files that have changed since: run again")
    lacking = find_lacking(todo, thorough)
    if where == "local":  # Ray's machines may have what this one lacks
        lacking |= find_unable(todo)
    able = drop_lacking(todo, lacking)
    require_some(able or done, lacking)
    for reason in group_reasons(lacking):
        say(f"cannot be run here: {reason}")
    ended = {job.identity for job in (*able, *done)}
    for reason in find_unlabelled(list_unevaluated(plan, ended, results)):
        say(f"cannot be evaluated here: {reason}")
    evaluation = Evaluation(plan, results, say, fresh={job.identity for job in able})
    evaluation.take(job.identity for job in reused)
    replace = frozenset(job.identity for job in (able if again else outdated))
    fail = fail_in(results, replace)
    if where == "ray":
        do = _on_ray(plan, results, replace, threads, keep_models, limits, fail)
    else:
        run = partial(
            run_claimed,
            results=results,
            cache_root=cache_root(),
            quiet=quiet or processes > 1,
            curves=None if sink is None else sink.curves,
            replace=replace,
            threads=threads,
            keep=Keeper(results.root) if keep_models else None,
            devices=devices,
        )
        do = partial(run_jobs, run=run, fail=fail, limits=limits)
    ready: list[Job] = []

    def prepare(batch: list[Job]) -> list[Job]:
        clips = processes if processes > 1 else None
        lacking.update(extract_features(batch, quiet, clips))
        ready.extend(drop_lacking(batch, lacking))
        return drop_lacking(batch, lacking)

    failed = []
    with (
        _open(where, able),
        closing(_run_quick_first(able, prepare, do, results, processes, say)) as running,
    ):
        for job, record in running:
            if record.status == "failed":
                failed.append((job, record.error or "unknown error"))
            else:
                evaluation.take([job.identity])
    fails = {job.identity for job, _ in failed}
    require_some(ready or done, lacking)
    if ready:  # a process that has died may have left something
        whole = [job for job in ready if job.identity not in fails]
        sweep_left(results, whole, [job for job, _ in failed])
    evaluation.summarise()
    unkept = []
    if keep_models:
        unkept = _keep_models(plan, evaluation.ready, results, quiet, threads, say)
    withheld = {
        job.identity: _why_withheld(job, lacking)
        for job in outdated
        if job not in ready or job.identity in fails
    }
    withheld |= evaluation.withheld
    table, path = write_table(plan, results, withheld)
    if sink is not None:
        sink.publish(set(evaluation.identities), plan.suite.name, say)
    return Outcome(
        table,
        path,
        failed=tuple(failed),
        lacking=group_reasons(lacking),
        unkept=tuple(unkept),
        unevaluated=evaluation.unevaluated,
    )


def _open(where: Where, jobs: list[Job]) -> AbstractContextManager[None]:
    """What has to be there as long as jobs run."""
    if where == "local" or not jobs:
        return nullcontext()
    from vadbench.executors.ray import open_cluster

    return open_cluster()


def _on_ray(
    plan: Plan,
    results: Results,
    replace: frozenset[str],
    threads: int | None,
    keep_models: bool,
    limits: Limits | None,
    fail: Fail,
) -> Do:
    """What runs jobs as tasks of Ray."""
    from vadbench.executors.submission import TaskList
    from vadbench.runner.on_ray import run_jobs_on_ray

    tasks = TaskList(
        suite=plan.suite.model_dump(mode="json"),
        features=(),
        fits=(tuple(job.identity for job in plan.jobs),),
        replace=replace,
        threads=threads,
        time_limit=None if limits is None else limits.seconds,
        memory_limit=None if limits is None else limits.memory,
        keep_models=keep_models,
    )
    return partial(run_jobs_on_ray, tasks=tasks, results=results, fail=fail)


def _keep_models(
    plan: Plan, ready: set[str], results: Results, quiet: bool, threads: int | None, say: Say
) -> list[tuple[Job, str]]:
    """Keep the models of the results whose jobs are done; what is not kept of a job is fitted
    again. Gives the jobs of which that failed, with their errors.
    """
    root = results.root
    again = _list_unkept(plan, ready, results)
    if again:
        say(f"{plural(len(again), 'job')} of earlier runs: fitted again, its model was not kept")
    failed: list[tuple[Job, str]] = []
    for job in again:
        try:
            fit_alone(job, cache_root(), Keeper(root), quiet=quiet, threads=threads)
        # one method's failure must not end the others' runs, nor withhold the table
        except Exception as error:
            failed.append((job, str(failed_record(job, error).error)))
    whole = ready - {job.identity for job, _ in failed}
    keep_results(_list_ready(plan, whole), root, say)
    return failed


def _list_unkept(plan: Plan, ready: set[str], results: Results) -> list[Job]:
    """The jobs of results whose jobs are done that are fitted again for their models."""
    lacking = [one for one in _list_ready(plan, ready) if not is_kept(one, results.root)]
    jobs = {job.identity: job for one in lacking for job in one.jobs}
    return [job for job in jobs.values() if not has_fit(job, results.root)]


def _list_ready(plan: Plan, ready: set[str]) -> list[Planned]:
    """The results whose jobs are done."""
    return [one for one in _list_distinct(plan) if ready.issuperset(one.runs)]


def evaluate_suite(plan: Plan, results: Results, say: Say) -> Outcome:
    """Recompute every value of the plan's finished results from stored scores, and the table;
    trains nothing.
    """
    results.sweep_temporary()
    states = job_states(plan, results)
    done = {identity for identity, state in states.items() if state == "done"}
    evaluation = Evaluation(plan, results, say, fresh=done)
    evaluation.take(done)
    table, path = write_table(plan, results, withhold(states) | evaluation.withheld)
    return Outcome(table, path, unevaluated=evaluation.unevaluated)


def withhold(states: Mapping[str, State]) -> dict[str, str]:
    """Why a table does not show the jobs whose files have changed since, by identity."""
    outdated = [identity for identity, state in states.items() if state == "outdated"]
    return dict.fromkeys(outdated, f"{CHANGED}; vadbench run makes it anew")


def write_table(
    plan: Plan, results: Results, withheld: Mapping[str, str] | None = None
) -> tuple[Table, Path]:
    """The plan's table from the records there are, written as Markdown and CSV under tables/;
    `withheld` as `make_table`.
    """
    frame = Frame(results, [one.result for one in plan.wanted])
    table = make_table(plan.suite, plan.wanted, frame, withheld)
    results.write_text(f"tables/{plan.suite.name}.csv", csv.render(table))
    return table, results.write_text(f"tables/{plan.suite.name}.md", markdown.render(table))


def _run_quick_first(
    jobs: list[Job],
    prepare: Callable[[list[Job]], list[Job]],
    do: Do,
    results: Results,
    processes: int,
    say: Say,
) -> Generator[tuple[Job, RunRecord], None, None]:
    """Run the jobs, those first that take the least time, and say how each ended.

    One data set's features are extracted after the other's jobs, so that there is something to see
    before all is extracted; `prepare` does so and gives the jobs that can be run then.
    """
    number, runs, batches = 0, read_runs(results, jobs), _batches(jobs)
    for place, batch in enumerate(batches, 1):
        left = [job for later in batches[place:] for job in later]
        able = prepare(batch)
        seconds = expected_seconds([*able, *left], runs, cache_root())
        able = order_by_cost(able, seconds)
        time_left = TimeLeft([*able, *left], seconds, processes)
        if able:
            say(f"{plural(len(able) + len(left), 'job')} to run; {time_left.words}")
        with closing(do(able, processes=processes)) as ended:
            for job, record in ended:
                number += 1
                time_left.end(job, record)
                line = f"[{number}/{len(jobs)}] {describe_run(job, record)}"
                say("; ".join(filter(None, (line, time_left.words))))
                yield job, record


def _batches(jobs: list[Job]) -> list[list[Job]]:
    """The jobs whose features are there, then those of one data set after the other; jobs of one
    fit stay together.
    """
    batches: dict[str, list[Job]] = {}
    for group in one_fit_each(jobs):
        needs = [need for job in group for need in streams_read(job)]
        there = all(need.is_cached(cache_root()) for need in needs)
        batches.setdefault("" if there else group[0].dataset, []).extend(group)
    return sorted(batches.values(), key=lambda batch: batch is not batches.get(""))


class Evaluation:
    """Evaluates the results of a plan as their jobs end, each once.

    Args:
        plan: whose results.
        results: where runs lie and records go.
        say: receives a line a new record.
        fresh: identities of jobs that are run now: their results are evaluated in any case, others
            where they have no record, or one that does not hold any more.
    """

    def __init__(self, plan: Plan, results: Results, say: Say, fresh: set[str]) -> None:
        self.waiting = _list_distinct(plan)
        self.results = results
        self.say = say
        self.fresh = fresh
        self.ready: set[str] = set()
        self.identities: list[str] = []
        self.again: Counter[tuple[str, str]] = Counter()
        self.unread: dict[str, str] = {}
        self.refused: dict[str, list[Planned]] = {}

    def take(self, ready: Iterable[str]) -> None:
        """Take note of jobs that are there, by identity, and evaluate what has waited for them."""
        self.ready |= set(ready)
        able = [one for one in self.waiting if self.ready.issuperset(one.runs)]
        self.waiting = [one for one in self.waiting if one not in able]
        for one in able:
            try:
                record = self._evaluate(one, not self.fresh.isdisjoint(one.runs))
            # one result's scores or labels must not end the others' runs: it is named, and shown
            except BadInput as error:
                self.refused.setdefault(str(error), []).append(one)
            else:
                self.identities.append(record.identity)

    def _evaluate(self, one: Planned, fresh: bool) -> ResultRecord:
        dataset = open_dataset(one.result.dataset)
        identity = identity_of(one.result, one.runs)
        record = self.results.record(dataset.name, one.result.recipe, identity)
        if record is not None and not fresh:
            try:
                changed = changes_since(record, dataset, self.results)
            except BadInput as error:
                self.unread.setdefault(dataset.name, str(error))
                return record
            if not changed:
                return record
            self.again[dataset.name, changed] += 1
            return evaluate(one.result, one.runs, dataset, self.results)
        record = evaluate(one.result, one.runs, dataset, self.results)
        self.say(f"evaluated {describe_value(record)}")
        return record

    @property
    def unevaluated(self) -> tuple[str, ...]:
        """What could not be evaluated, a line a reason."""
        return tuple(
            f"{refused[0].result.name}{_count_others(len(refused) - 1)}: {reason}"
            for reason, refused in self.refused.items()
        )

    @property
    def withheld(self) -> dict[str, str]:
        """Why a table does not show what could not be evaluated, by the identity of its record."""
        return {
            identity_of(one.result, one.runs): f"not evaluated: {reason}"
            for reason, refused in self.refused.items()
            for one in refused
        }

    def summarise(self) -> None:
        """Say why records were evaluated again, or results could not be, a line a reason."""
        for line in self.unevaluated:
            self.say(f"not evaluated: {line}")
        for (dataset, changed), count in self.again.items():
            self.say(f"{dataset}: {changed}; {plural(count, 'record')} evaluated again")
        for dataset, reason in self.unread.items():
            self.say(
                f"{dataset}: its records stand as they were evaluated, the labels cannot be read"
                f" here: {reason}"
            )


def _count_others(count: int) -> str:
    return f" and {plural(count, 'other')}" if count else ""


def _list_distinct(plan: Plan) -> list[Planned]:
    """The results, each once though several rows may show it."""
    return list({(one.result.key, one.runs): one for one in plan.planned}.values())


def _refuse_existing(done: list[Job], results: Results) -> None:
    if done:
        others = f", and so do {len(done) - 1} others" if len(done) > 1 else ""
        folder = results.run_folder(done[0].document, done[0].identity)
        raise BadInput(f"{folder}: exists{others}; use --existing skip or rerun")


def drop_lacking(jobs: list[Job], lacking: dict[Lack, str]) -> list[Job]:
    """The jobs that need nothing of what is lacking."""
    return [job for job in jobs if not what_lacks(job, lacking)]


def require_some(jobs: list[Job], lacking: dict[Lack, str]) -> None:
    """Refuse where nothing is left of what was asked for.

    Raises:
        BadInput: with what is lacking.
    """
    if lacking and not jobs:
        raise BadInput(f"nothing of this can be run here: {'; '.join(group_reasons(lacking))}")


def _why_withheld(job: Job, lacking: dict[Lack, str]) -> str:
    """The note of a record that does not hold any more, and cannot be made anew here."""
    reasons = [lacking[need] for need in what_lacks(job, lacking)]
    return f"{CHANGED}; {reasons[0] if reasons else 'the new run has failed'}"


def fail_in(results: Results, replace: frozenset[str]) -> Fail:
    """What becomes of a job whose process was killed: its record, if it was written before and was
    not to be replaced.
    """

    def fail(job: Job, error: Exception) -> RunRecord:
        finished = results.finished(job.document, job.identity)
        if finished is not None and job.identity not in replace:
            return finished
        return results.write_run(failed_record(job, error), None)

    return fail
