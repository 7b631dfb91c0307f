"""vadbench run-job, cancel and merge: runs on other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo, say

app = typer.Typer()


@app.command("run-job")
def run_job(
    plan: Annotated[Path, typer.Argument(help="plan.json of a submission.")],
    stage: Annotated[str, typer.Argument(help="features, fits or table.")],
    index: Annotated[int, typer.Argument(min=0, help="Number of the task.")],
) -> None:
    """Do one task that `vadbench run --executor slurm` has submitted, as Slurm does."""
    from vadbench import registry
    from vadbench.executors.submission import STAGES
    from vadbench.runner.tasks import run_task

    if stage not in STAGES:
        raise registry.unknown("stage", stage, STAGES)
    well = run_task(plan.absolute(), stage, index, say)
    raise typer.Exit(0 if well else 1)


@app.command()
def cancel(results: ResultsDir = RESULTS) -> None:
    """End all that waits or runs on Slurm for a results folder; what is finished stays, and
    `vadbench run` goes on from there.
    """
    from vadbench.results.records import Results
    from vadbench.runner.on_slurm import cancel_all

    echo(f"{cancel_all(Results(results))} tasks cancelled")


@app.command()
def merge(
    others: Annotated[
        list[Path], typer.Argument(metavar="OTHER_RESULTS...", help="Results folders to take from.")
    ],
    results: ResultsDir = RESULTS,
) -> None:
    """Take runs and records of other results folders into this one; what is in both has to be
    equal, and is named where it is not.
    """
    from vadbench.errors import BadInput
    from vadbench.results.merge import merge as merge_results
    from vadbench.results.records import Results

    for other in others:
        if not other.is_dir():
            raise BadInput(f"{other}: no such folder; name one that --results named")
    different = 0
    for other in others:
        merged = merge_results(Results(results), Results(other))
        for line in merged.different:
            say(line)
        different += len(merged.different)
        echo(f"{other}: {merged.copied} taken, {merged.same} here already")
    raise typer.Exit(1 if different else 0)
