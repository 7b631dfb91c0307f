"""vadbench export: all records as one tidy table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo

app = typer.Typer()


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Write every metric of every record as one table, a row a metric; the columns are those of
    vadbench.results.frame.COLUMNS.
    """
    from vadbench.results.export import export_results

    rows = export_results(results, out)
    echo(f"{rows} rows written to {out}")
