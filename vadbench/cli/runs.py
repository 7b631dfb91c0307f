"""Commands that run: run, plan, evaluate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from vadbench.cli.options import (
    RESULTS,
    Datasets,
    Methods,
    Preset,
    Quiet,
    ResultsDir,
    Scope,
    Seeds,
    Set,
    Setting,
    Streams,
    SuiteName,
    Thorough,
    TrainOn,
    plan_of,
    say,
)
from vadbench.errors import BadInput

app = typer.Typer()


@app.command()
def run(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = None,
    settings: Set = None,
    scope: Scope = "pooled",
    train_on: TrainOn = "",
    setting: Setting = "",
    suite: SuiteName = "",
    existing: Annotated[
        str, typer.Option(help="What to do with finished jobs: skip, rerun or fail.")
    ] = "skip",
    executor: Annotated[str, typer.Option(help="Where jobs run: local.")] = "local",
    jobs: Annotated[
        int, typer.Option(min=1, help="Jobs at a time; each gets its share of the cores.")
    ] = 1,
    wandb: Annotated[
        str, typer.Option("--wandb", help="Also log to Weights & Biases: offline or online.")
    ] = "",
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
    plan = plan_of(
        methods, datasets, features, seeds, preset, settings, suite, scope, train_on, setting
    )
    sink = _sink(wandb, results)
    progress = _silent if quiet else say
    outcome = run_suite(
        plan,
        Results(results),
        existing=existing,  # type: ignore[arg-type]
        processes=jobs,
        quiet=quiet,
        thorough=thorough,
        sink=sink,
        say=progress,
    )
    _print_table(outcome.table, outcome.path)
    for job, error in outcome.failed:
        say(f"failed: {job.method} on {job.dataset} {job.stream.name}, seed {job.seed}: {error}")
    for reason in outcome.lacking:
        say(f"not run: {reason}")
    raise typer.Exit(1 if outcome.failed or outcome.lacking else 0)


@app.command()
def plan(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = None,
    settings: Set = None,
    scope: Scope = "pooled",
    train_on: TrainOn = "",
    setting: Setting = "",
    suite: SuiteName = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Show the jobs of a run, which of them are finished and what the others will cost; runs
    nothing.
    """
    from vadbench.locations import cache_root
    from vadbench.plans.cost import are_cached, expected_seconds, told
    from vadbench.results.records import Results
    from vadbench.runner.run import job_states, lacking_sources

    planned = plan_of(
        methods, datasets, features, seeds, preset, settings, suite, scope, train_on, setting
    )
    states, seconds = (
        job_states(planned, Results(results)),
        expected_seconds(planned, Results(results), cache_root()),
    )
    for job in planned.jobs:
        cost = ""
        if states[job.identity] != "done":
            first = "" if are_cached(job, cache_root()) else "features to extract, then "
            cost = f"  {first}{told(seconds[job.identity])}"
        named = f"{job.method:12} {job.dataset:12} {job.stream.name:24} seed {job.seed}"
        typer.echo(f"{states[job.identity]:8} {job.identity[:12]}  {named}{cost}")
    counted = {"done": 0, "failed": 0, "missing": 0, **Counter(states.values())}
    counts = ", ".join(f"{count} {state}" for state, count in counted.items())
    typer.echo(
        f"{len(planned.jobs)} jobs ({counts}), {len({job.fit_identity for job in planned.jobs})}"
        f" fits, {len(planned.recipes)} table entries"
    )
    left = [job for job in planned.jobs if states[job.identity] != "done"]
    known: dict[str, list[float]] = {}  # by training, which several jobs may share
    for job in left:
        if (value := seconds[job.identity]) is not None:
            known.setdefault(job.fit_identity, []).append(value)
    if left:
        jobs = sum(map(len, known.values()))
        times = [f"{told(sum(map(max, known.values())))} for {_counted(jobs)}"] if jobs else []
        times += [f"unknown for {_counted(len(left) - jobs)}"] if len(left) > jobs else []
        typer.echo(f"estimated time left on this machine: {'; '.join(times)}")
    for reason in lacking_sources(job for job in planned.jobs if states[job.identity] != "done"):
        typer.echo(f"cannot run here: {reason}")


@app.command()
def evaluate(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = None,
    settings: Set = None,
    scope: Scope = "pooled",
    train_on: TrainOn = "",
    setting: Setting = "",
    suite: SuiteName = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Recompute metrics from stored scores and write the table again; with no methods and no suite,
    of every record. Trains nothing.

    Another protocol is a setting: --set protocol.smoothing=7, protocol.calibration_level=frame,
    protocol.calibration=sqrt, ...
    """
    from vadbench.evaluation.reevaluation import evaluate_all
    from vadbench.plans.suite import parse_settings
    from vadbench.results.records import Results
    from vadbench.runner.run import evaluate_suite

    records = Results(results)
    if not (results / "runs").is_dir():  # recipes can be made again from runs
        records.require_records()
    if methods or datasets or suite:
        plan = plan_of(
            methods, datasets, features, seeds, preset, settings, suite, scope, train_on, setting
        )
        _print_table(*evaluate_suite(plan, records))
        return
    chosen = parse_settings(settings or ())
    if (
        set(chosen) - {"protocol"}
        or features
        or seeds
        or preset
        or train_on
        or setting
        or scope != "pooled"
    ):
        raise BadInput(
            "of all records only --set protocol.field=value can be chosen; name methods and data"
            " sets to choose more"
        )
    left_out: list[str] = []
    evaluated = evaluate_all(records, chosen.get("protocol", {}), left_out.append)
    for line in left_out:
        say(line)
    typer.echo(f"{evaluated} recipes evaluated under {results}")
    raise typer.Exit(1 if left_out else 0)


def _silent(line: str) -> None:
    """Progress of a quiet run."""


def _counted(jobs: int) -> str:
    return f"{jobs} job{'s' * (jobs != 1)}"


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

    typer.echo()
    print_table(table)
    typer.echo()
    typer.echo(f"written to {path} and {path.with_suffix('.csv')}")
