"""vadbench publish: what is on disk, told elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo, say
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.results.records import Results
    from vadbench.results.schema import ResultRecord

app = typer.Typer(help="Publish records elsewhere; nothing is run again.", no_args_is_help=True)


@app.callback()
def _several() -> None:
    """Keeps `wandb` a command of its own while it is the only one."""


@app.command()
def wandb(
    suite: Annotated[
        str,
        typer.Option(
            "--suite", help="A suite (vadbench list suites), or a TOML file; default: all records."
        ),
    ] = "",
    mode: Annotated[
        str,
        typer.Option(
            help=(
                "offline: files for `wandb sync`; online: sent to the account that `wandb login`"
                " knows."
            )
        ),
    ] = "offline",
    project: Annotated[str, typer.Option(help="The project on Weights & Biases.")] = "vadbench",
    results: ResultsDir = RESULTS,
) -> None:
    """Publish records to Weights & Biases: a run for each job and fusion, and the leaderboard.

    A second time changes nothing.
    """
    from vadbench import registry
    from vadbench.report.wandb import MODES
    from vadbench.report.wandb.publish import publish
    from vadbench.report.wandb.session import Target, library
    from vadbench.results.records import Results

    if mode not in MODES:
        raise registry.unknown("choice for --mode", mode, MODES)
    if not project.strip():
        raise BadInput(
            "--project: empty; expected the name of a project on Weights & Biases, for example"
            " vadbench"
        )
    library()
    records = _records(Results(results), suite)
    try:
        told = publish(Target(mode, results, project), records, suite or "all")  # type: ignore[arg-type]
    except BadInput:
        raise
    except Exception as error:  # whatever the library raises
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        say(
            f"vadbench: Weights & Biases failed: {told}; the same command goes on where this one"
            " stopped"
        )
        raise typer.Exit(1) from error
    echo(told)


def _records(results: Results, suite: str) -> list[ResultRecord]:
    """The records of a suite, or all.

    Raises:
        BadInput: if there are none, or no such suite.
    """
    from vadbench.locations import suites_root
    from vadbench.plans.plan import plan_suite
    from vadbench.report.tables.make import find_records
    from vadbench.suite import read_suite

    if suite:
        wanted = plan_suite(read_suite(suite, suites_root())).wanted
        records = find_records(wanted, results)
    else:
        records = list(results.all_records())
    if not records:
        raise BadInput(
            f"{results.root}: no records{f' of suite {suite}' if suite else ''}; vadbench run makes"
            " them"
        )
    return records
