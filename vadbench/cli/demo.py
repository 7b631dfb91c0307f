"""vadbench demo: pictures that explain methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.figures import Out
from vadbench.cli.options import MOST_SEED, split
from vadbench.cli.terminal import echo

app = typer.Typer(help="Pictures that explain methods.", no_args_is_help=True)


@app.command("density")
def demo_density(
    methods: Annotated[
        str, typer.Option("--methods", help="Comma-separated methods; default: all.")
    ] = "",
    out: Out = Path("density.png"),
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Seed of the toy and of the methods.")
    ] = 0,
) -> None:
    """Train methods on a toy of four Gaussians and draw their anomaly maps side by side, as in
    MULDE's Fig. 2.
    """
    from vadbench.report.figures.density import draw

    for title, auc in draw(split(methods), out, seed).items():
        echo(f"{title:40} AUC {100 * auc:.1f}")
    echo(f"written to {out}")
