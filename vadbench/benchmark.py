"""A suite from features to table: extract what is missing, run the jobs that have no record, evaluate, write the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vadbench import registry
from vadbench.datasets.base import SPLITS, Dataset, Split
from vadbench.errors import BadInput
from vadbench.evaluate import evaluate, make_protocol, protocol_of, recipe_identity
from vadbench.features.store import MANIFEST
from vadbench.features.stream import StreamPlan
from vadbench.locations import cache_root, data_root
from vadbench.plan import Job, Plan, PlannedRecipe, make_plan
from vadbench.records import RecipeRecord, Results, RunRecord
from vadbench.report import csv, markdown
from vadbench.report.from_records import make_table
from vadbench.report.table import Table
from vadbench.suite import Suite

if TYPE_CHECKING:
    from vadbench.report.wandb import Sink

Existing = Literal["skip", "rerun", "fail"]
State = Literal["done", "failed", "missing"]


@dataclass(frozen=True)
class Outcome:
    """What a suite left: its table, where that lies, the jobs that failed with their errors, and what was lacking for those that did not run."""

    table: Table
    path: Path
    failed: tuple[tuple[Job, str], ...]
    lacking: tuple[str, ...]


def open_dataset(name: str) -> Dataset:
    """The data set `name`; those we make ourselves live in the cache, the others under `$VADBENCH_DATA`. Opened once a process."""
    dataset: type[Dataset] = registry.load("datasets", name)
    return _opened(dataset, cache_root() if dataset.generated else data_root())


@cache
def _opened(dataset: type[Dataset], root: Path) -> Dataset:
    return dataset(root)


def plan_suite(suite: Suite) -> Plan:
    """The suite's jobs and recipes.

    Raises:
        BadInput: on an unknown name or a setting that is none.
    """
    names = (*suite.datasets, *suite.sources)
    return make_plan(suite, {name: open_dataset(name) for name in names})


def job_states(plan: Plan, results: Results) -> dict[str, State]:
    """For every job of the plan, by identity, whether its record is there."""
    states: dict[str, State] = {}
    for job in plan.jobs:
        record = results.run(job.document, job.identity)
        states[job.identity] = "missing" if record is None else record.status
    return states


def run_suite(
    plan: Plan,
    results: Results,
    *,
    existing: Existing = "skip",
    processes: int = 1,
    quiet: bool = False,
    partial: bool = False,
    sink: Sink | None = None,
    say: Callable[[str], None],
) -> Outcome:
    """Run what is missing of a plan and write its table.

    Args:
        plan: what to run.
        results: where the records are.
        existing: what to do with jobs that have a finished record; failed ones run again under `skip`.
        processes: jobs, and before them clips of an extraction, at a time.
        quiet: no progress bars.
        partial: leave out the jobs whose data or features are not on this machine, and tell in the outcome what they lack.
        sink: where training curves and, at the end, the records are told too; its failure fails nothing.
        say: receives one line an event.

    Raises:
        BadInput: if the results cannot be written, if data are missing (under `partial`: for all there is to run, with nothing done before), or
            under `existing="fail"` if a record exists.
    """
    results.require_writable()
    for recipe in _distinct(plan):
        protocol_of(recipe, open_dataset(recipe.dataset))  # refused before anything is trained
    results.sweep_temporary()
    states = job_states(plan, results)
    done = [job for job in plan.jobs if states[job.identity] == "done"]
    if existing == "fail" and done:
        others = f", and so do {len(done) - 1} others" if len(done) > 1 else ""
        raise BadInput(f"{results.run_folder(done[0].document, done[0].identity)}: exists{others}; use --existing skip or rerun")
    todo = list(plan.jobs) if existing == "rerun" else [job for job in plan.jobs if states[job.identity] != "done"]
    lacking = extract_features(todo, quiet, processes, partial)
    able = [job for job in todo if not set(_wanted(job)) & set(lacking)]
    if lacking and not (able or done):
        raise BadInput(f"nothing of this suite can be run here: {'; '.join(_by_reason(lacking))}")
    failed = _run(able, results, processes, quiet, sink, say)
    broken = {job.identity for job, _ in failed} | {job.identity for job in todo if job not in able}
    fresh = {job.identity for job in able}
    for recipe in _distinct(plan):
        identities = {planned.job.identity for planned in recipe.parts}
        if not identities & broken:
            _evaluate_once(recipe, results, again=bool(identities & fresh))
    table, path = write_table(plan, results)
    if sink is not None:
        sink.publish(plan, say)
    return Outcome(table, path, tuple(failed), _by_reason(lacking))


def evaluate_suite(plan: Plan, results: Results) -> tuple[Table, Path]:
    """Recompute every metric of the plan's finished recipes from stored scores, and the table; trains nothing."""
    states = job_states(plan, results)
    for recipe in _distinct(plan):
        if all(states[planned.job.identity] == "done" for planned in recipe.parts):
            _evaluate_once(recipe, results, again=True)
    return write_table(plan, results)


def evaluate_all(results: Results, protocol: dict[str, Any], say: Callable[[str], None]) -> int:
    """Recompute the metrics of every recipe record from stored scores; trains nothing and writes no table.

    Args:
        results: the records.
        protocol: fields that differ from the recorded default protocol; such metrics are stored beside the old.
        say: receives a line for each record that cannot be evaluated, with the reason.

    Returns:
        How many were evaluated.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    make_protocol(protocol)
    evaluated = 0
    records = {(record.runs, record.parts[0].get("read_out")): record for record in results.all_recipes()}
    for record in records.values():
        try:
            recipe = _planned_again(record, protocol)
            dataset = open_dataset(recipe.dataset)
            evaluate(recipe, dataset, results, protocol_of(recipe, dataset))
            evaluated += 1
        except BadInput as error:
            say(f"{record.dataset} {record.recipe} seed {record.seed}: not evaluated: {error}")
    return evaluated


def _planned_again(record: RecipeRecord, protocol: dict[str, Any]) -> PlannedRecipe:
    """The recipe of a record.

    Raises:
        BadInput: if it can no longer be planned with the same identity: another version, other extraction options, or its boxes file is not here.
    """
    settings = {part["method"]: part["config"] for part in record.parts} | ({"protocol": protocol} if protocol else {})
    settings |= {component: options for part in record.parts for component, options in part.get("extraction", {}).items()}
    setting: Literal["one-class", "unsupervised"] = "unsupervised" if record.parts[0].get("resplit") else "one-class"
    row = {"label": "again", "method": record.recipe, "read_out": record.parts[0].get("read_out")}
    trained = record.parts[0].get("train_dataset")
    scope = record.parts[0].get("scope", "pooled")
    suite = Suite(rows=(row,), datasets=(record.dataset,), seeds=record.seed + 1, setting=setting, settings=settings, scope=scope, train_on=trained)
    for recipe in plan_suite(suite).recipes:
        if tuple(planned.job.identity for planned in recipe.parts) == record.runs:
            return recipe
    raise BadInput("its runs are not what this version, these extraction options and these files plan; vadbench run makes it anew")


def write_table(plan: Plan, results: Results) -> tuple[Table, Path]:
    """The plan's table from the records there are, written as Markdown and CSV under tables/."""
    table = make_table(plan, results)
    results.write_text(f"tables/{plan.suite.name}.csv", csv.render(table))
    return table, results.write_text(f"tables/{plan.suite.name}.md", markdown.render(table))


def extract_features(jobs: Iterable[Job], quiet: bool = False, processes: int = 1, partial: bool = False) -> dict[Wanted, str]:
    """Extract every stream of the jobs that is not in the cache, several clips at a time where `processes` says so.

    Returns:
        Under `partial`, what could not be extracted, each with the reason.

    Raises:
        BadInput: if something cannot be extracted; under `partial` only what concerns all.
    """
    from vadbench.features.extract import ensure

    lacking = {}
    for wanted in dict.fromkeys(wanted for job in jobs for wanted in _wanted(job)):
        try:
            ensure(open_dataset(wanted.dataset), wanted.stream, cache_root(), quiet=quiet, processes=processes, splits=wanted.splits)
        except BadInput as error:
            if not partial:
                raise
            lacking[wanted] = str(error)
    return lacking


def lacking_sources(jobs: Iterable[Job]) -> tuple[str, ...]:
    """What the jobs need that is neither in the cache nor can be extracted here, each with how to get it; extracts nothing."""
    from vadbench.features.extract import require_sources

    lacking = {}
    for wanted in dict.fromkeys(wanted for job in jobs for wanted in _wanted(job)):
        try:
            if not all((wanted.stream.folder(cache_root(), split) / MANIFEST).is_file() for split in wanted.splits):
                require_sources(open_dataset(wanted.dataset), wanted.stream, cache_root(), wanted.splits)
        except BadInput as error:
            lacking[wanted] = str(error)
    return _by_reason(lacking)


def _by_reason(lacking: dict[Wanted, str]) -> tuple[str, ...]:
    """One line for all streams that lack the same."""
    streams: dict[tuple[str, str], list[str]] = {}
    for wanted, reason in lacking.items():
        streams.setdefault((wanted.dataset, reason), []).append(wanted.stream.name)
    told = {reason: f"{dataset} {', '.join(names)}: " for (dataset, reason), names in streams.items()}
    return tuple(reason if reason.startswith(prefix) else prefix + reason for reason, prefix in told.items())


@dataclass(frozen=True)
class Wanted:
    """A stream that a job reads."""

    dataset: str
    fingerprint: str
    splits: tuple[Split, ...]
    stream: StreamPlan = field(compare=False)


def _wanted(job: Job) -> list[Wanted]:
    splits = SPLITS if job.resplit is None else open_dataset(job.dataset).splits
    own = Wanted(job.dataset, job.stream.fingerprint, splits, job.stream)
    return [own] if job.source is None else [own, Wanted(job.source.dataset, job.source.stream.fingerprint, SPLITS, job.source.stream)]


def _run(jobs: list[Job], results: Results, processes: int, quiet: bool, sink: Sink | None, say: Callable[[str], None]) -> list[tuple[Job, str]]:
    if not jobs:
        return []
    from vadbench.executors.local import run_jobs

    failed = []
    curves = None if sink is None else sink.curves
    for number, (job, record) in enumerate(run_jobs(jobs, results, cache_root(), processes=processes, quiet=quiet, curves=curves), 1):
        say(f"[{number}/{len(jobs)}] {_told(job, record)}")
        if record.status == "failed":
            failed.append((job, record.error or "unknown error"))
    return failed


def _told(job: Job, record: RunRecord) -> str:
    what = f"{job.method} on {job.dataset} {job.stream.name}, seed {job.seed}"
    if record.status == "failed":
        return f"{what}: failed: {record.error}"
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in record.seconds.items())
    times += f" (fit shared with {record.fit_shared_with[:12]})" if record.fit_shared_with else ""
    return f"{what}: {record.train_rows} training rows, {record.test_rows} test rows; {times}"


def _distinct(plan: Plan) -> list[PlannedRecipe]:
    """The recipes, each once though several rows may show it."""
    return list({(recipe.name, recipe.read_out, *(part.job.identity for part in recipe.parts)): recipe for recipe in plan.recipes}.values())


def _evaluate_once(recipe: PlannedRecipe, results: Results, again: bool) -> None:
    dataset = open_dataset(recipe.dataset)
    protocol = protocol_of(recipe, dataset)
    if again or results.recipe(recipe.dataset, recipe.name, recipe_identity(recipe, protocol)) is None:
        evaluate(recipe, dataset, results, protocol)
