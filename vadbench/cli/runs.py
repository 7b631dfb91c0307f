"""Commands that run: run, plan, evaluate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vadbench.cli.options import RESULTS, Options, Quiet, ResultsDir, Thorough, split, takes_options
from vadbench.cli.signals import GOES_ON, set_hint
from vadbench.cli.terminal import echo, print_grid, say
from vadbench.errors import BadInput, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from vadbench.executors.devices import Devices
    from vadbench.executors.limits import Limits
    from vadbench.plans.jobs import Job
    from vadbench.plans.plan import Plan
    from vadbench.plans.states import State
    from vadbench.plans.summary import Summary
    from vadbench.results.records import Results
    from vadbench.runner.run import Outcome

EXECUTORS = ("local", "slurm", "ray")
BEGINS_AGAIN = "what has run again stays, but the same command runs all of it once more"
FOLLOWS = "the jobs go on; without --existing rerun the same command follows them"

app = typer.Typer()


@app.command()
@takes_options()
def run(
    options: Options,
    existing: Annotated[
        str, typer.Option(help="What to do with finished jobs: skip, rerun or fail.")
    ] = "skip",
    executor: Annotated[
        str,
        typer.Option(help="Where jobs run: local; slurm, which are submitted; ray, a task a fit."),
    ] = "local",
    slurm: Annotated[
        str, typer.Option(help="Options for sbatch: partition=long,time=2:00:00,gpus=1,mem=8G.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="With slurm: follow the jobs until the table is there.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, max=1024, help="Jobs at a time; each gets its share of the cores.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Threads of a job; default: what its method gains from."
        ),
    ] = None,
    time_limit: Annotated[
        str,
        typer.Option(
            help="Time that a job may take, as 90s, 30m or 2h; over it, it has failed and says so."
        ),
    ] = "",
    memory_limit: Annotated[
        str,
        typer.Option(help="Memory that a job may hold, as 512M or 8G (docs/cluster.md)."),
    ] = "",
    devices: Annotated[
        str,
        typer.Option(
            "--devices", help="GPUs, as 0,1,2,3: a job at a time on each; default: the first."
        ),
    ] = "",
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
    if executor not in EXECUTORS:
        raise registry.unknown("executor", executor, EXECUTORS)
    if devices and executor != "local":
        raise BadInput(
            f"--devices is of --executor local; with {executor} each task gets a GPU of its own"
            " (Slurm: --slurm gpus=1)"
        )
    if devices and not split(devices):
        raise BadInput(
            f"--devices: {quote(devices)} names no GPU; vadbench doctor lists them, and without"
            " --devices jobs run on the first, or on the processor"
        )
    set_hint(BEGINS_AGAIN if existing == "rerun" else GOES_ON)
    limits = _read_limits(time_limit, memory_limit)
    plan = options.read_plan()
    progress = silent if quiet else say
    if executor == "slurm":
        fails = existing == "fail"
        _refuse_local(
            executor, {"--wandb": wandb, "--keep-models": keep_models, "--existing fail": fails}
        )
        again = existing == "rerun"
        _run_on_slurm(
            plan,
            Results(results),
            slurm,
            wait,
            progress,
            again=again,
            at_a_time=jobs if jobs > 1 else None,
            threads=threads,
            limits=limits,
            thorough=thorough,
        )
    if slurm or wait:
        raise BadInput("--slurm and --wait are of --executor slurm")
    if executor == "ray":
        from vadbench.executors.ray import require_ray

        require_ray()
        _refuse_local(executor, {"--wandb": wandb})
    sink = _sink(wandb, results)
    chosen = split(devices)
    jobs = len(chosen) if chosen and jobs == 1 else jobs
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
        limits=limits,
        where=executor,  # type: ignore[arg-type]
        devices=_share_devices(chosen, jobs),
        say=progress,
    )
    _end(outcome)


def _read_limits(time: str, memory: str) -> Limits:
    """The limits of a job."""
    from vadbench.executors.limits import Limits, read_duration, read_size

    return Limits(read_duration(time) if time else None, read_size(memory) if memory else None)


def _share_devices(chosen: tuple[str, ...], jobs: int) -> Devices | None:
    """What `--devices` names, for so many jobs at a time."""
    if not chosen:
        return None
    from vadbench.executors.devices import share_devices

    return share_devices(chosen, jobs)


def _end(outcome: Outcome) -> NoReturn:
    """Print what a run has left, and end with its exit code."""
    _print_table(outcome.table, outcome.path)
    for what, jobs in (("failed", outcome.failed), ("not kept", outcome.unkept)):
        for job, error in jobs:
            name = f"{job.method} on {job.dataset} {job.stream.name}, seed {job.seed}"
            say(f"{what}: {name}: {error}")
    for reason in outcome.lacking:
        say(f"not run: {reason}")
    for reason in outcome.unevaluated:
        say(f"not evaluated: {reason}")
    lacks = outcome.failed or outcome.unkept or outcome.lacking or outcome.unevaluated
    raise typer.Exit(1 if lacks else 0)


def _refuse_local(executor: str, asked: dict[str, Any]) -> None:
    for option, value in asked.items():
        if value:
            raise BadInput(
                f"{option} is not there with --executor {executor}; when the jobs are done, the"
                " same command without it and with --executor local does that, and trains nothing"
                " again"
            )


def _run_on_slurm(
    plan: Plan,
    results: Results,
    options: str,
    wait: bool,
    progress: Callable[[str], None],
    **how: Any,
) -> NoReturn:
    """Submit what is missing, as `submit_suite`, follow it where asked to, and end."""
    from vadbench.executors.slurm import read_options
    from vadbench.runner.on_slurm import submit_suite, wait_for

    handed = submit_suite(plan, results, read_options(options), say=progress, **how)
    if wait:
        set_hint(FOLLOWS if how["again"] else GOES_ON)
        _end(wait_for(plan, results, progress, handed))
    for reason in handed.lacking:
        say(f"not run: {reason}")
    for reason in handed.unevaluated:
        say(f"not evaluated: {reason}")
    raise typer.Exit(1 if handed.lacking or handed.unevaluated else 0)


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
    from vadbench.evaluation.evaluate import find_unlabelled
    from vadbench.locations import cache_root
    from vadbench.plans.cost import expected_seconds, read_runs
    from vadbench.plans.jobs import count_fits
    from vadbench.plans.needs import find_lacking, find_unable, group_reasons, what_lacks
    from vadbench.plans.states import job_states, list_unevaluated
    from vadbench.plans.summary import list_features, list_networks, split_jobs, summarise
    from vadbench.results.records import Results

    planned = options.read_plan()
    states = job_states(planned, Results(results))
    todo = [job for job in planned.jobs if states[job.identity] != "done"]
    seconds = expected_seconds(todo, read_runs(Results(results), todo), cache_root())
    lacking = find_lacking(todo) | find_unable(todo)
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
        f" {_plural(count_fits(planned.jobs), 'fit')},"
        f" {len(planned.planned)} in the table"
    )
    for network in list_networks(todo, lacking, cache_root()):
        echo(f"network to train first, beside that time: {network}")
    for stream in list_features(todo, lacking, cache_root()):
        echo(f"features to extract first, beside that time: {stream}")
    for reason in group_reasons(lacking):
        echo(f"cannot run here: {reason}")
    left = [job for job in todo if what_lacks(job, lacking)]
    ended = states.keys() - {job.identity for job in left}
    unlabelled = find_unlabelled(list_unevaluated(planned, ended, Results(results)))
    for reason in unlabelled:
        echo(f"cannot be evaluated here: {reason}")
    if lacking and not (total.done or total.left):
        raise typer.Exit(2)
    raise typer.Exit(1 if lacking or unlabelled else 0)


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
    named = options.methods or options.datasets or options.suite
    if not named or not (results / "runs").is_dir():  # those of a plan are made of its runs
        records.require_records()
    if named:
        _end(evaluate_suite(options.read_plan(), records, say))
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
