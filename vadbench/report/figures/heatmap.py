"""Heat maps of an ablation over two settings, a panel a read-out: P_mean x P_std x t of the
diffusion (Tur et al., Fig. 2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vadbench.errors import BadInput
from vadbench.report.figures.style import WIDTH, picture
from vadbench.report.figures.sweep import READ_OUT, Sweep, axis_label, sweeps, write_caption
from vadbench.results.records import Results
from vadbench.spec import Wanted
from vadbench.suite import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

COLUMNS = 4


def draw_heatmap(
    suite: Suite,
    wanted: Sequence[Wanted],
    results: Results,
    out: Path,
    metric: str = "micro AUC",
    *,
    below: bool = False,
) -> str:
    """Write an ablation over two settings as heat maps, one for each read-out, data set and choice
    of features; returns the caption.

    Raises:
        BadInput: if the rows do not differ in exactly two settings, or nothing has run.
    """
    drawn = sweeps(suite, wanted, results, metric)
    down, along = _settings(suite, drawn[0])
    maps = [
        (sweep, read_out)
        for sweep in drawn
        for read_out in dict.fromkeys(point.differs.get(READ_OUT) for point in sweep.points)
    ]
    values = [
        100 * point.cell.value
        for sweep in drawn
        for point in sweep.points
        if point.cell.value is not None
    ]
    caption = (
        f"{write_caption(suite, drawn)} {axis_label(down)}; {axis_label(along)}. One colour scale"
        " for all panels; hatched: not run or failed."
    )
    columns = min(COLUMNS, len(maps))
    lines = -(-len(maps) // columns)
    with picture(out, WIDTH, 0.4 + 2.1 * lines, caption, below=below) as figure:
        axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axis in axes.flat[len(maps) :]:
            axis.set_axis_off()
        for axis, (sweep, read_out) in zip(axes.flat, maps, strict=False):
            image = _paint(axis, sweep, read_out, (down, along), (min(values), max(values)))
            axis.set_title(_title(read_out, sweep, several=len(drawn) > 1))
        for axis in axes[-1]:
            axis.set_xlabel(along.partition(".")[2])
        for axis in axes[:, 0]:
            axis.set_ylabel(down.partition(".")[2])
        figure.colorbar(image, ax=axes, pad=0.01, aspect=25).set_label(f"{metric}, percent")
    return caption


def _settings(suite: Suite, sweep: Sweep) -> tuple[str, str]:
    fields = list(
        dict.fromkeys(
            field for point in sweep.points for field in point.differs if field != READ_OUT
        )
    )
    if len(fields) != 2:
        raise BadInput(
            f"suite {suite.name}: its rows differ in {', '.join(fields) or 'no setting'}; a"
            " heat map needs two (diffusion-noise)"
        )
    return fields[0], fields[1]


def _paint(
    axis: Axes, sweep: Sweep, read_out: Any, fields: tuple[str, str], limits: tuple[float, float]
) -> AxesImage:
    """One panel, each cell with its value; those that have not run are hatched."""
    down, along = (
        [*dict.fromkeys(point.differs[field] for point in sweep.points)] for field in fields
    )
    grid = np.full((len(down), len(along)), np.nan)
    for point in sweep.points:
        if point.differs.get(READ_OUT) == read_out and point.cell.value is not None:
            grid[down.index(point.differs[fields[0]]), along.index(point.differs[fields[1]])] = (
                100 * point.cell.value
            )
    image = axis.imshow(grid, cmap="cividis", vmin=limits[0], vmax=limits[1], aspect="auto")
    middle = sum(limits) / 2
    for (row, column), value in np.ndenumerate(grid):
        if np.isnan(value):
            axis.fill_between(
                [column - 0.5, column + 0.5],
                row - 0.5,
                row + 0.5,
                facecolor="white",
                edgecolor="0.6",
                hatch="////",
                linewidth=0,
            )
        else:
            axis.text(
                column,
                row,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if value > middle else "white",
            )
    axis.set_xticks(range(len(along)), [f"{value:g}" for value in along])
    axis.set_yticks(range(len(down)), [f"{value:g}" for value in down])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return image


def _title(read_out: Any, sweep: Sweep, several: bool) -> str:
    numbered = re.fullmatch(r"([a-z]+)(\d+)", str(read_out or ""))
    name = f"{numbered[1]} = {numbered[2]}" if numbered else str(read_out or "")
    return f"{sweep.dataset}, {sweep.features}: {name}" if several else name
