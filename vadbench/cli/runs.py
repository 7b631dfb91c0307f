"""Commands that run: run, plan, evaluate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vadbench.cli.options import RESULTS, Options, Quiet, ResultsDir, Thorough, takes_options
from vadbench.cli.terminal import echo, print_grid, say
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.plans.jobs import Job
    from vadbench.plans.states import State
    from vadbench.plans.summary import Summary

app = typer.Typer()


@app.command()
@takes_options()
def run(
    options: Options,
    existing: Annotated[
        str, typer.Option(help="What to do with finished jobs: skip, rerun or fail.")
    ] = "skip",
    executor: Annotated[str, typer.Option(help="Where jobs run: local.")] = "local",
    jobs: Annotated[
        int, typer.Option(min=1, max=1024, help="Jobs at a time; each gets its share of the cores.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Threads of a job; default: what its method gains from."
        ),
    ] = None,
    wandb: Annotated[
        str, typer.Option("--wandb", help="Also log to Weights & Biases: offline or online.")
    ] = "",
    keep_models: Annotated[
        bool,
        typer.Option(
            "--keep-models", help="Also keep what was learnt, for vadbench watch (vadbench models)."
        ),
    ] = False,
    results: ResultsDir = RESULTS,
    thorough: Thorough = False,
    quiet: Quiet = False,
) -> None:
    """Run methods on data sets: features, training, scores, metrics, table.

    What is finished is not run again.
    """
    from vadbench import registry
    from vadbench.results.records import Results
    from vadbench.runner.run import run_suite

    if existing not in ("skip", "rerun", "fail"):
        raise registry.unknown("choice for --existing", existing, ("skip", "rerun", "fail"))
    if executor != "local":
        raise registry.unknown("executor", executor, ("local",))
    plan = options.read_plan()
    sink = _sink(wandb, results)
    progress = silent if quiet else say
    outcome = run_suite(
        plan,
        Results(results),
        existing=existing,  # type: ignore[arg-type]
        processes=jobs,
        quiet=quiet,
        thorough=thorough,
        sink=sink,
        threads=threads,
        keep_models=keep_models,
        say=progress,
    )
    _print_table(outcome.table, outcome.path)
    for job, error in outcome.failed:
        say(f"failed: {job.method} on {job.dataset} {job.stream.name}, seed {job.seed}: {error}")
    for reason in outcome.lacking:
        say(f"not run: {reason}")
    raise typer.Exit(1 if outcome.failed or outcome.lacking else 0)


@app.command()
@takes_options()
def plan(
    options: Options,
    every: Annotated[
        bool, typer.Option("--all", help="Also list every job, with its state and time.")
    ] = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Show what a run comes to: jobs by method and data set, which of them are finished, how long
    the others will take and what is missing for them; runs nothing.

    Ends with the exit code that the run would end with: 1 where something cannot run here, 2 where
    nothing can.
    """
    from vadbench.locations import cache_root
    from vadbench.plans.cost import expected_seconds, read_runs
    from vadbench.plans.needs import find_lacking, group_reasons
    from vadbench.plans.states import job_states
    from vadbench.plans.summary import list_features, list_networks, split_jobs, summarise
    from vadbench.results.records import Results

    planned = options.read_plan()
    states = job_states(planned, Results(results))
    todo = [job for job in planned.jobs if states[job.identity] != "done"]
    seconds = expected_seconds(todo, read_runs(Results(results)) if todo else (), cache_root())
    lacking = find_lacking(todo)
    if every:
        for job in planned.jobs:
            echo(_describe_job(job, states, seconds))
        echo()
    summaries = {
        place: summarise(jobs, states, seconds, lacking)
        for place, jobs in split_jobs(planned.jobs).items()
    }
    total = summarise(planned.jobs, states, seconds, lacking)
    print_grid(
        ("method", "data set", "jobs", "done", "to run", "cannot run", "time left"),
        [_summary_row(*place, one) for place, one in {**summaries, ("all", ""): total}.items()],
        left=(0, 1, 6),
    )
    counted = {"done": 0, "failed": 0, "missing": 0, **Counter(states.values())}
    counts = ", ".join(f"{count} {state}" for state, count in counted.items())
    echo()
    echo(
        f"{_plural(len(planned.jobs), 'job')} ({counts}),"
        f" {_plural(len({job.fit_identity for job in planned.jobs}), 'fit')},"
        f" {len(planned.planned)} in the table"
    )
    for network in list_networks(todo, lacking, cache_root()):
        echo(f"network to train first, beside that time: {network}")
    for stream in list_features(todo, lacking, cache_root()):
        echo(f"features to extract first, beside that time: {stream}")
    for reason in group_reasons(lacking):
        echo(f"cannot run here: {reason}")
    raise typer.Exit((1 if total.done or total.left else 2) if lacking else 0)


@app.command()
@takes_options()
def evaluate(
    options: Options,
    results: ResultsDir = RESULTS,
) -> None:
    """Recompute metrics from stored scores and write the table again; with no methods and no suite,
    of every record. Trains nothing.

    Another protocol is a setting: --set protocol.smoothing=7, protocol.calibration_level=frame,
    protocol.calibration=sqrt, ...
    """
    from vadbench.evaluation.evaluate import evaluate_all
    from vadbench.results.records import Results
    from vadbench.runner.run import evaluate_suite
    from vadbench.suite import choose_labels, parse_settings

    records = Results(results)
    if not (results / "runs").is_dir():  # recipes can be made again from runs
        records.require_records()
    if options.methods or options.datasets or options.suite:
        _print_table(*evaluate_suite(options.read_plan(), records, say))
        return
    chosen = choose_labels(parse_settings(options.settings or ()), options.labels)
    alone = Options(settings=options.settings, labels=options.labels)
    if set(chosen) - {"protocol"} or options != alone:
        raise BadInput(
            "of all records only --labels and --set protocol.field=value can be chosen; name"
            " methods and data sets to choose more"
        )
    refused: list[str] = []
    evaluated = evaluate_all(records, chosen.get("protocol", {}), refused.append, say)
    for line in refused:
        say(line)
    echo(f"{evaluated} recipes evaluated under {results}")
    raise typer.Exit(1 if refused or records.damaged else 0)


def silent(line: str) -> None:
    """Progress of a quiet run."""


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _summary_row(method: str, dataset: str, summary: Summary) -> tuple[str, ...]:
    numbers = (summary.jobs, summary.done, summary.left, summary.barred)
    return (method, dataset, *(str(number or "-") for number in numbers), summary.time)


def _describe_job(job: Job, states: dict[str, State], seconds: dict[str, float | None]) -> str:
    from vadbench.spec import write_duration

    state, known = states[job.identity], seconds.get(job.identity)
    time = "" if state == "done" else "unknown" if known is None else write_duration(known)
    named = f"{job.method:12} {job.dataset:12} {job.stream.name:24} seed {job.seed}"
    return f"{state:8} {job.identity[:12]}  {named}  {time}".rstrip()


def _sink(mode: str, results: Path) -> Any:
    """Where `--wandb` sends curves and records; None without it."""
    if not mode:
        return None
    from vadbench import registry
    from vadbench.report.wandb import MODES, Sink

    if mode not in MODES:
        raise registry.unknown("choice for --wandb", mode, MODES)
    return Sink(mode, results)  # type: ignore[arg-type]


def _print_table(table: Any, path: Path) -> None:
    from vadbench.cli.terminal import print_table

    echo()
    print_table(table)
    echo()
    echo(f"written to {path} and {path.with_suffix('.csv')}")
