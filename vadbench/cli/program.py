"""The program: all commands, and what becomes of their errors.

Heavy imports live inside the commands, so that `--help` and `list` are quick.
"""

from __future__ import annotations

import errno
import platform
import sys
from contextlib import suppress
from typing import Annotated

import typer

from vadbench.cli import (
    binarised,
    cost,
    data,
    demo,
    doctor,
    events,
    export,
    features,
    figures,
    models,
    publish,
    reports,
    runs,
    score,
    site,
    submit,
    tasks,
)
from vadbench.cli.signals import describe_interruption, end, is_interrupted
from vadbench.cli.terminal import echo, prepare_output, say
from vadbench.errors import BadInput

app = typer.Typer(
    help="The comparative benchmark of density-based video anomaly detection.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(runs.app)
app.add_typer(cost.app)
app.add_typer(reports.app)
app.add_typer(binarised.app)
app.add_typer(events.app)
app.add_typer(export.app)
app.add_typer(figures.app)
app.add_typer(site.app)
app.add_typer(models.app)
app.add_typer(models.models, name="models")
app.add_typer(score.app, name="score")
app.add_typer(submit.app)
app.add_typer(tasks.app)
app.add_typer(publish.app, name="publish")
app.add_typer(doctor.app)
app.add_typer(demo.app, name="demo")
app.add_typer(features.app, name="features")
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    from vadbench.environment import read_commit, read_versions

    commit = read_commit()
    echo(f"vadbench {version('vadbench')}" + (f" ({commit})" if commit else ""))
    for name, installed in {"python": platform.python_version(), **read_versions()}.items():
        echo(f"{name} {installed}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version, the commit and the libraries' versions.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Options of the program itself; `app` has its help."""


def run() -> None:
    """Run the command line; exits as `vadbench.cli.main` says."""
    prepare_output()
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # typer's answer to Ctrl-C
            with suppress(OSError):  # the terminal may be gone
                say(describe_interruption())
            end()
        raise
    except BadInput as error:
        say(f"vadbench: {' '.join(str(error).split())}")
        sys.exit(2)
    except OSError as error:
        if is_interrupted():  # the terminal is gone, and nothing can be said
            end()
        if error.errno == errno.ENOSPC:
            where = error.filename or "the results or the cache"
            say(
                f"vadbench: no space left on the disk of {where}; free some, then run the same"
                " command"
            )
            sys.exit(1)
        say(f"vadbench: {_told(error)}")
        sys.exit(2)


def _told(error: OSError) -> str:
    """What the system refused, in one line."""
    if error.filename is None:  # no file: a connection, a device
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return (
        f"{error.filename}: {error.strerror}; choose another place with --out, --results or"
        " $VADBENCH_CACHE"
    )
