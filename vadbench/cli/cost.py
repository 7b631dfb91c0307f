"""vadbench cost: what methods take on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, Options, Quiet, ResultsDir, takes_options
from vadbench.cli.runs import silent
from vadbench.cli.terminal import echo, echo_lines, print_grid, say
from vadbench.errors import BadInput

app = typer.Typer()
SUFFIXES = {".md": "markdown", ".csv": "csv", ".json": "json"}


@app.command()
@takes_options()
def cost(
    options: Options,
    frames: Annotated[
        int,
        typer.Option(
            min=1, max=10**6, help="Test frames to score one at a time, evenly spaced over all."
        ),
    ] = 1000,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads; default: what each method gains from."),
    ] = None,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept", help="Take models that are kept under --results, with no time of training."
        ),
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="terminal, markdown, csv or json; default: as --out's name ends, else terminal.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file (.md, .csv, .json) and not to stdout.", dir_okay=False
        ),
    ] = None,
    results: ResultsDir = RESULTS,
    quiet: Quiet = False,
) -> None:
    """Measure what methods cost here: time of training, of scoring a frame alone and in batches,
    parameters, size, memory.

    Trains each in a process of its own, one after the other; keeps and records nothing.
    """
    from vadbench.locations import cache_root
    from vadbench.plans.needs import (
        extract_features,
        find_lacking,
        find_unable,
        group_reasons,
    )
    from vadbench.registry import unknown
    from vadbench.report.timings import FORMATS, Timing, describe, make_grid, render
    from vadbench.results.records import Results
    from vadbench.runner.cost import measure_costs

    if format_ is not None and format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    chosen = format_ or ("terminal" if out is None else _format_of(out))
    if out is not None:
        if chosen == "terminal":
            raise BadInput("--format terminal is printed; leave out --out, or choose another")
        Results(out.parent).require_writable()
    jobs, progress = options.read_plan().jobs, silent if quiet else say
    lacking = find_lacking(jobs) | find_unable(jobs) or extract_features(jobs, quiet)
    if lacking:
        raise BadInput(f"cannot be measured here: {'; '.join(group_reasons(lacking))}")
    root = results if kept else None
    measured, failed = [], 0
    ended = measure_costs(jobs, cache_root(), frames=frames, threads=threads, kept=root)
    for number, (job, one) in enumerate(ended, 1):
        name = f"{job.method} on {job.dataset} {job.stream.name}, seed {job.seed}"
        if isinstance(one, Timing):
            measured.append(one)
            progress(f"[{number}/{len(jobs)}] {name}: {one.frame_ms:.3g} ms a frame")
        else:
            failed += 1
            say(f"failed: {name}: {one}")
    if out is not None:
        Results(out.parent).write_text(out.name, render(measured, chosen))
        echo(f"{chosen} table written to {out}")
    elif chosen != "terminal":
        echo_lines(render(measured, chosen))
    elif measured:
        print_grid(*make_grid(measured), left=(0, 1))
        echo()
        echo(describe(measured))
    raise typer.Exit(1 if failed else 0)


def _format_of(out: Path) -> str:
    """The format that a file's name asks for."""
    if out.suffix not in SUFFIXES:
        raise BadInput(f"--out {out}: expected a name that ends in {', '.join(SUFFIXES)}")
    return SUFFIXES[out.suffix]
