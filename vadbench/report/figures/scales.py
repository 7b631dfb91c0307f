"""One noise scale against mixtures over all (MULDE, Fig. 4), or any ablation with one number a row,
as a curve over that number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vadbench.errors import BadInput
from vadbench.report.figures.style import COLOURS, DASHES, WIDTH, picture
from vadbench.report.figures.sweep import READ_OUT, Point, Sweep, axis_label, sweeps, write_caption
from vadbench.report.tables import layout
from vadbench.report.tables.table import Cell
from vadbench.results.records import Results
from vadbench.spec import Wanted
from vadbench.suite import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AT = re.compile(r".*@(\d+(?:\.\d+)?(?:e-?\d+)?)")  # a read-out at one noise scale: f@0.0676


def draw_scales(
    suite: Suite,
    wanted: Sequence[Wanted],
    results: Results,
    out: Path,
    metric: str = "micro AUC",
    *,
    below: bool = False,
) -> str:
    """Write an ablation as a curve, a panel a data set and choice of features; returns the caption.

    Rows with a number (a read-out at one noise scale, or one setting) are points of the curve, the
    others lines across.

    Raises:
        BadInput: if no row has a number, or nothing has run.
    """
    drawn = sweeps(suite, wanted, results, metric)
    field, places = _places(suite, drawn[0])
    caption = (
        f"{write_caption(suite, drawn)} Band, pointwise, and brackets: 95 % interval over n test"
        " videos, the spread over seeds included."
    )
    with picture(out, WIDTH, 3.0 * len(drawn), caption, below=below) as figure:
        for axis, sweep in zip(
            figure.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True
        ):
            _paint(axis, sweep, places, "a single noise scale" if field == READ_OUT else field)
            axis.set(
                xlabel=(
                    "noise scale σ of a single read-out" if field == READ_OUT else axis_label(field)
                ),
                ylabel=f"{metric}, percent",
            )
            axis.set_title(f"{sweep.dataset}, {sweep.features}", loc="left")
    return caption


def _places(suite: Suite, sweep: Sweep) -> tuple[str, dict[str, float]]:
    """What varies, and the number of each row (by label) that has one."""
    fields = dict.fromkeys(field for point in sweep.points for field in point.differs)
    for field in fields:
        numbers = {point.label: _number(point, field) for point in sweep.points}
        known = {label: number for label, number in numbers.items() if number is not None}
        if len(known) > 1 and len(set(known.values())) == len(known):
            return field, known
    differ = ", ".join(fields) or "nothing"
    raise BadInput(
        f"suite {suite.name}: its rows differ in {differ}; expected one number a row, as in"
        " mulde-scales (vadbench plot noise takes two)"
    )


def _number(point: Point, field: str) -> float | None:
    value = point.differs.get(field)
    if field == READ_OUT:
        at = AT.fullmatch(str(value))
        return float(at[1]) if at else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _paint(axis: Axes, sweep: Sweep, places: dict[str, float], name: str) -> None:
    """One panel; `name` is the curve's in the legend, `places` the number of each row (by label)
    that has one.
    """
    ran = [point for point in sweep.points if point.cell.value is not None]
    along = sorted(
        ((places[point.label], point.cell) for point in ran if point.label in places),
        key=lambda pair: pair[0],
    )
    across = [point for point in ran if point.label not in places]
    x = np.array([place for place, _ in along])
    y, low, high = (
        100 * np.array([getattr(cell, part) for _, cell in along], np.float64)
        for part in ("value", "low", "high")
    )
    axis.fill_between(x, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    axis.plot(x, y, color=COLOURS[0], marker="o", markersize=3.5, label=name)
    for index, point in enumerate(across, 1):
        value = 100 * (point.cell.value or 0.0)
        style: dict[str, Any] = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[index % len(DASHES)],
        }
        axis.axhline(value, label=f"{point.label}: {value:.1f}{_interval(point.cell)}", **style)
    for place in (
        places[point.label]
        for point in sweep.points
        if point.label in places and point.cell.value is None
    ):
        axis.axvline(place, color="0.6", linewidth=0.7, linestyle=":")  # has not run
    if _geometric(sorted(places.values())):
        axis.set_xscale("log", base=2)
        axis.set_xticks(x, [f"{place:g}" for place in x])
    if across:
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0)


def _interval(cell: Cell) -> str:
    text = layout.interval(cell)
    return f" {text}" if text else ""


def _geometric(places: list[float]) -> bool:
    """Whether each number is the one before times the same."""
    if len(places) < 3 or places[0] <= 0:
        return False
    ratios = np.diff(np.log(places))
    return bool(np.allclose(ratios, ratios[0], rtol=0.05))
