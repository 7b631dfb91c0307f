"""A suite from features to table: extract what is missing, run the jobs that have no record,
evaluate, write the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vadbench import registry
from vadbench.datasets.base import SPLITS, Check, Dataset, Split
from vadbench.datasets.contents import contents_of
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import changes_since, evaluate, protocol_of, recipe_identity
from vadbench.features.store import MANIFEST
from vadbench.features.stream import StreamPlan
from vadbench.locations import cache_root, data_root
from vadbench.plans.plan import Job, Plan, PlannedRecipe, make_plan
from vadbench.plans.suite import Suite
from vadbench.report.tables import csv, markdown
from vadbench.report.tables.make import make_table
from vadbench.report.tables.table import Table
from vadbench.results.records import Results, RunRecord

if TYPE_CHECKING:
    from vadbench.report.wandb import Sink

Existing = Literal["skip", "rerun", "fail"]
# outdated: done on files that have changed since
State = Literal["done", "failed", "missing", "outdated"]


@dataclass(frozen=True)
class Outcome:
    """What a suite left: its table, where that lies, the jobs that failed with their errors, and
    what was lacking for those that did not run.
    """

    table: Table
    path: Path
    failed: tuple[tuple[Job, str], ...]
    lacking: tuple[str, ...]


def open_dataset(name: str) -> Dataset:
    """The data set `name`; those we make ourselves live in the cache, the others under
    `$VADBENCH_DATA`. Opened once a process.
    """
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
    there = cache(
        lambda dataset, split: contents_of(open_dataset(dataset), split, cache_root(), thorough)
    )
    for job in plan.jobs:
        record = results.run(job.document, job.identity)
        states[job.identity] = "missing" if record is None else record.status
        if record is not None and record.status == "done" and _is_outdated(job, record, there):
            states[job.identity] = "outdated"
    return states


def _is_outdated(job: Job, record: RunRecord, there: Callable[[str, Split], str | None]) -> bool:
    """Whether the record is of other files than those on this machine; not where either are not
    known.
    """
    for split, stream in job.streams.items():
        was = record.data.get(split)
        if (
            was is not None
            and stream.reads_frames
            and there(stream.dataset.partition("@")[0], split) not in (None, was)
        ):
            return True
    return False


def run_suite(
    plan: Plan,
    results: Results,
    *,
    existing: Existing = "skip",
    processes: int = 1,
    quiet: bool = False,
    thorough: bool = False,
    sink: Sink | None = None,
    say: Callable[[str], None],
) -> Outcome:
    """Run what is missing of a plan and write its table; what cannot be run here is left out, and
    told before anything is extracted.

    Args:
        plan: what to run.
        results: where the records are.
        existing: what to do with jobs that have a finished record; failed ones, and those of files
            that have changed, run again under `skip`.
        processes: jobs, and before them clips of an extraction, at a time.
        quiet: no progress bars.
        thorough: whether contents are compared although names, sizes and times of the data's files
            are known ones.
        sink: where training curves and, at the end, the records are told too; its failure fails
            nothing.
        say: receives one line an event.

    Raises:
        BadInput: if the results cannot be written, if data are missing for all there is to run,
            with nothing done before, or under `existing="fail"` if a record exists.
    """
    results.require_writable()
    for recipe in _distinct(plan):
        protocol_of(recipe, open_dataset(recipe.dataset))  # refused before anything is trained
    results.sweep_temporary()
    states = job_states(plan, results, thorough)
    done = [job for job in plan.jobs if states[job.identity] == "done"]
    if existing == "fail" and done:
        others = f", and so do {len(done) - 1} others" if len(done) > 1 else ""
        raise BadInput(
            f"{results.run_folder(done[0].document, done[0].identity)}: exists{others}; use"
            " --existing skip or rerun"
        )
    todo = (
        list(plan.jobs)
        if existing == "rerun"
        else [job for job in plan.jobs if states[job.identity] != "done"]
    )
    _tell_reuse([job for job in done if job not in todo], states, results, say)
    lacking = _lacking(todo, thorough)
    able = _without(todo, lacking)
    _require_some(able or done, lacking)
    for reason in _by_reason(lacking):
        say(f"cannot be run here: {reason}")
    lacking |= extract_features(able, quiet, processes)
    able = _without(able, lacking)
    _require_some(able or done, lacking)
    failed = _run(able, results, processes, quiet, sink, say)
    broken = {job.identity for job, _ in failed} | {job.identity for job in todo if job not in able}
    whole = [
        recipe
        for recipe in _distinct(plan)
        if not {planned.job.identity for planned in recipe.parts} & broken
    ]
    evaluate_outdated(whole, results, {job.identity for job in able}, say)
    outdated = [job for job in todo if states[job.identity] == "outdated" and job not in able]
    table, path = write_table(
        plan, results, {job.identity: _why_withheld(job, lacking) for job in outdated}
    )
    if sink is not None:
        sink.publish(plan, say)
    return Outcome(table, path, tuple(failed), _by_reason(lacking))


def _without(jobs: list[Job], lacking: dict[Wanted, str]) -> list[Job]:
    """The jobs that read nothing of what is lacking."""
    return [job for job in jobs if not set(_wanted(job)) & set(lacking)]


def _require_some(jobs: list[Job], lacking: dict[Wanted, str]) -> None:
    if lacking and not jobs:
        raise BadInput(f"nothing of this can be run here: {'; '.join(_by_reason(lacking))}")


def _why_withheld(job: Job, lacking: dict[Wanted, str]) -> str:
    """The note of a record that does not hold any more, and cannot be made anew here."""
    reasons = [lacking[wanted] for wanted in _wanted(job) if wanted in lacking]
    return f"its files have changed since; {reasons[0]}"


def _tell_reuse(
    reused: list[Job], states: dict[str, State], results: Results, say: Callable[[str], None]
) -> None:
    """One line for the records that are taken as they are, and by what they were made; one for
    those of other files.
    """
    if reused:
        makers = Counter(_maker(results.run(job.document, job.identity)) for job in reused)
        counted = [
            maker if len(makers) == 1 else f"{maker} ({count})"
            for maker, count in makers.most_common(3)
        ]
        more = f" and {len(makers) - 3} other versions" if len(makers) > 3 else ""
        say(f"{_count(len(reused), 'record')} reused, made by {', '.join(counted)}{more}")
    outdated = list(states.values()).count("outdated")
    if outdated:
        say(f"{_count(outdated, 'record')} of files that have changed since: run again")


def _maker(record: RunRecord | None) -> str:
    """`vadbench 0.1.0 at c268aa5`."""
    environment = {} if record is None else record.environment
    git = environment.get("git") or {}
    at = f" at {git['commit'][:7]}{' with changes' if git.get('dirty') else ''}" if git else ""
    return f"vadbench {environment.get('packages', {}).get('vadbench', 'of unknown version')}{at}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def evaluate_outdated(
    recipes: list[PlannedRecipe], results: Results, fresh: set[str], say: Callable[[str], None]
) -> None:
    """Evaluate the recipes that have no record, or one that does not hold any more, and say why in
    one line a data set.

    Args:
        recipes: whose jobs are all done.
        results: where the records are.
        fresh: identities of the jobs that have just been run.
        say: receives the lines.

    Raises:
        BadInput: if a recipe without a record cannot be evaluated.
    """
    again: Counter[tuple[str, str]] = Counter()
    unread: dict[str, str] = {}
    for recipe in recipes:
        dataset = open_dataset(recipe.dataset)
        protocol = protocol_of(recipe, dataset)
        record = results.recipe(recipe.dataset, recipe.name, recipe_identity(recipe, protocol))
        if record is None or fresh & {planned.job.identity for planned in recipe.parts}:
            evaluate(recipe, dataset, results, protocol)
            continue
        try:
            changed = changes_since(record, recipe, dataset)
        except BadInput as error:
            unread.setdefault(recipe.dataset, str(error))
            continue
        if changed:
            evaluate(recipe, dataset, results, protocol)
            again[recipe.dataset, changed] += 1
    for (name, changed), count in again.items():
        say(f"{name}: {changed}; {_count(count, 'record')} evaluated again")
    for name, reason in unread.items():
        say(
            f"{name}: its records stand as they were evaluated, the labels cannot be read here:"
            f" {reason}"
        )


def evaluate_suite(plan: Plan, results: Results) -> tuple[Table, Path]:
    """Recompute every metric of the plan's finished recipes from stored scores, and the table;
    trains nothing.
    """
    states = job_states(plan, results)
    for recipe in _distinct(plan):
        if all(states[planned.job.identity] == "done" for planned in recipe.parts):
            dataset = open_dataset(recipe.dataset)
            evaluate(recipe, dataset, results, protocol_of(recipe, dataset))
    outdated = [identity for identity, state in states.items() if state == "outdated"]
    return write_table(
        plan,
        results,
        dict.fromkeys(outdated, "its files have changed since; vadbench run makes it anew"),
    )


def write_table(
    plan: Plan, results: Results, withheld: Mapping[str, str] | None = None
) -> tuple[Table, Path]:
    """The plan's table from the records there are, written as Markdown and CSV under tables/;
    `withheld` as `make_table`.
    """
    table = make_table(plan, results, withheld)
    results.write_text(f"tables/{plan.suite.name}.csv", csv.render(table))
    return table, results.write_text(f"tables/{plan.suite.name}.md", markdown.render(table))


def extract_features(
    jobs: Iterable[Job], quiet: bool = False, processes: int = 1, again: bool = False
) -> dict[Wanted, str]:
    """Extract every stream of the jobs that is not in the cache, several clips at a time where
    `processes` says so.

    Args:
        jobs: whose streams.
        quiet: no progress.
        processes: clips at a time.
        again: whether features of files that have changed since are removed and made anew.

    Returns:
        What could not be extracted, each with the reason.
    """
    from vadbench.features.extract import ensure

    def extract(wanted: Wanted) -> None:
        ensure(
            open_dataset(wanted.dataset),
            wanted.stream,
            cache_root(),
            quiet,
            processes,
            wanted.splits,
            again,
        )

    return _refusals(jobs, extract)


def verify_features() -> tuple[int, list[str]]:
    """Verify every cached file against its manifest, and the videos it was extracted from where
    they are on this machine; reads all of both.

    Returns:
        The number of cached folders, and a line for each that is damaged or of files that have
        changed.
    """
    from vadbench.features.current import outdated_folders
    from vadbench.features.store import stored, verify

    folders = stored(cache_root())
    told = {}
    for folder in folders:
        try:
            verify(folder)
        except BadInput as error:
            told[folder] = str(error)
    whole = [folder for folder in folders if folder not in told]
    names = dict.fromkeys(
        folder.relative_to(cache_root()).parts[0].partition("@")[0] for folder in whole
    )
    for dataset in (open_dataset(name) for name in names if name in registry.names("datasets")):
        for folder in outdated_folders(dataset, whole, cache_root()):
            told[folder] = (
                f"{folder}: of other files than {dataset.name} has now; `vadbench features extract"
                " ... --again` makes it anew"
            )
    return len(folders), list(told.values())


def check_cached(dataset: Dataset) -> Check:
    """Whether what is cached of a data set was extracted from the files that it has now; reads
    them.
    """
    from vadbench.features.current import outdated_folders
    from vadbench.features.store import stored

    expected = "of these files"
    try:
        outdated = outdated_folders(dataset, stored(cache_root()), cache_root())
    except BadInput as error:
        return Check("cached features", expected, str(error))
    names = ", ".join("/".join(folder.parts[-2:]) for folder in outdated)
    return Check(
        "cached features",
        expected,
        f"of other files: {names}; vadbench features extract --again" if outdated else expected,
    )


def lacking_sources(jobs: Iterable[Job]) -> tuple[str, ...]:
    """What the jobs need that is neither in the cache nor can be extracted here, each with how to
    get it; extracts nothing.
    """
    return _by_reason(_lacking(jobs))


def _lacking(jobs: Iterable[Job], thorough: bool = False) -> dict[Wanted, str]:
    """What cannot be extracted here, or is cached of files that have changed, each with the
    reason.
    """
    from vadbench.features.current import check_current
    from vadbench.features.extract import require_sources

    def check(wanted: Wanted) -> None:
        dataset = open_dataset(wanted.dataset)
        if not all(
            (wanted.stream.folder(cache_root(), split) / MANIFEST).is_file()
            for split in wanted.splits
        ):
            require_sources(dataset, wanted.stream, cache_root(), wanted.splits)
        check_current(dataset, wanted.stream, cache_root(), wanted.splits, thorough)

    return _refusals(jobs, check)


def _refusals(jobs: Iterable[Job], each: Callable[[Wanted], None]) -> dict[Wanted, str]:
    """Do something for each stream that the jobs read; what was refused, with the reason."""
    refused = {}
    for wanted in dict.fromkeys(wanted for job in jobs for wanted in _wanted(job)):
        try:
            each(wanted)
        except BadInput as error:
            refused[wanted] = str(error)
    return refused


def _by_reason(lacking: dict[Wanted, str]) -> tuple[str, ...]:
    """One line for all streams that lack the same."""
    streams: dict[tuple[str, str], list[str]] = {}
    for wanted, reason in lacking.items():
        streams.setdefault((wanted.dataset, reason), []).append(wanted.stream.name)
    told = {
        reason: f"{dataset} {', '.join(names)}: " for (dataset, reason), names in streams.items()
    }
    return tuple(
        reason if reason.startswith(prefix) else prefix + reason for reason, prefix in told.items()
    )


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
    return (
        [own]
        if job.source is None
        else [
            own,
            Wanted(job.source.dataset, job.source.stream.fingerprint, SPLITS, job.source.stream),
        ]
    )


def _run(
    jobs: list[Job],
    results: Results,
    processes: int,
    quiet: bool,
    sink: Sink | None,
    say: Callable[[str], None],
) -> list[tuple[Job, str]]:
    if not jobs:
        return []
    from vadbench.executors.local import run_jobs

    failed = []
    curves = None if sink is None else sink.curves
    for number, (job, record) in enumerate(
        run_jobs(jobs, results, cache_root(), processes=processes, quiet=quiet, curves=curves), 1
    ):
        say(f"[{number}/{len(jobs)}] {_told(job, record)}")
        if record.status == "failed":
            failed.append((job, record.error or "unknown error"))
    return failed


def _told(job: Job, record: RunRecord) -> str:
    what = f"{job.method} on {job.dataset} {job.stream.name}, seed {job.seed}"
    if record.status == "failed":
        return f"{what}: failed: {record.error}"
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in record.seconds.items())
    times += f"; {'; '.join(record.notes)}" if record.notes else ""
    times += f" (fit shared with {record.fit_shared_with[:12]})" if record.fit_shared_with else ""
    return f"{what}: {record.train_rows} training rows, {record.test_rows} test rows; {times}"


def _distinct(plan: Plan) -> list[PlannedRecipe]:
    """The recipes, each once though several rows may show it."""
    return list(
        {
            (recipe.name, recipe.read_out, *(part.job.identity for part in recipe.parts)): recipe
            for recipe in plan.recipes
        }.values()
    )
