"""vadbench leaderboard and serve: the records as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo, say

app = typer.Typer()


@app.command()
def leaderboard(
    out: Annotated[
        Path, typer.Option(help="Folder of the site; a leaderboard that is there is replaced.")
    ] = Path("site"),
    results: ResultsDir = RESULTS,
) -> None:
    """Write all records as a static site that opens from disk, without a network."""
    from vadbench.report.leaderboard import build

    echo(f"written to {build(results, out)}")


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on localhost; 0: any that is free.")
    ] = 8000,
    site: Annotated[
        Path | None,
        typer.Option(
            help=(
                "A site that is there; default: one built from the records into a temporary folder."
            )
        ),
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Show the leaderboard on localhost, until Ctrl-C."""
    import tempfile

    from vadbench.report.leaderboard import build
    from vadbench.report.leaderboard.serving import serve_site

    with tempfile.TemporaryDirectory(prefix="vadbench-site-") as folder:
        shown = site if site is not None else build(results, Path(folder) / "site").parent
        serve_site(shown, port, say)
