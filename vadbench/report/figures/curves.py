"""Curves: the rate of what is detected against false alarms.

They have no bands: the rate at a given rate of false alarms is a quantile, for which no interval
over videos was found that holds (docs/protocol.md); the areas in the legend have their intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.evaluation.metrics.frame import Roc
from vadbench.evaluation.metrics.regions import Matches, false_positives
from vadbench.report.figures.style import line_style
from vadbench.spec import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
LEGEND_LINE = 0.17  # inches
BRACKETS = "Brackets: 95 % interval of the area over n test videos."


@dataclass(frozen=True)
class Curve:
    """A curve: x, y [K] operating points at falling thresholds, from (0, 0)."""

    x: Floats
    y: Floats


def roc_curve(scores: Floats, anomalous: NDArray[np.bool_]) -> Curve:
    """The ROC curve of all frames [T] of all videos; NaN where one class is missing."""
    roc = Roc.of(scores, anomalous)
    return Curve(_share(roc.fp, roc.fp[-1]), _share(roc.tp, roc.tp[-1]))


def region_curves(matches: Matches, lengths: NDArray[np.int64]) -> dict[str, Curve]:
    """`rbdc` and `tbdc`: the rates of detected regions and tracks against false positives a frame.

    Args:
        matches: from `vadbench.evaluation.metrics.regions.match`.
        lengths: [V] frames per video.
    """
    before, tied = false_positives(matches)
    alarms = (before + tied)[: matches.ranks] / float(lengths.sum())

    def curve(rank: NDArray[np.int64]) -> Curve:
        reached = np.cumsum(np.bincount(rank, minlength=matches.ranks + 1)[: matches.ranks])
        return Curve(np.append(0.0, alarms), np.append(0.0, _share(reached, len(rank))))

    return {"rbdc": curve(matches.region_rank), "tbdc": curve(matches.track_rank)}


def rate_at(x: Floats, y: Floats, grid: Floats) -> Floats:
    """A curve's rate at each of `grid`: straight between operating points, at a step its upper end,
    after the last point that point's.
    """
    last = np.searchsorted(x, grid, side="right") - 1
    following = np.minimum(last + 1, len(x) - 1)
    step = x[following] - x[last]
    part = np.where(step > 0, (grid - x[last]) / np.where(step > 0, step, 1.0), 0.0)
    return np.asarray(y[last] + part * (y[following] - y[last]))


def paint(axis: Axes, curves: Sequence[Curve], labels: Sequence[str]) -> None:
    """Curves up to one false alarm (a share, or a frame)."""
    for index, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        end = np.searchsorted(curve.x, 1.0, side="right")
        x, y = (
            np.append(curve.x[:end], 1.0),
            np.append(curve.y[:end], rate_at(curve.x, curve.y, np.ones(1))),
        )
        axis.plot(x, y, label=label, **line_style(index))
    axis.set(
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
        xticks=np.arange(0, 1.1, 0.25),
        yticks=np.arange(0, 1.1, 0.25),
    )
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)


def width_for(legend: Sequence[str], least: float) -> float:
    """Inches that a figure needs for its longest legend, and no less than `least`."""
    return max(least, 0.55 + 0.066 * max(map(len, legend)))


def legend_above(figure: Figure, axis: Axes, title: str) -> None:
    """The legend of a panel's curves above all panels, where names of any length fit."""
    figure.legend(
        *axis.get_legend_handles_labels(),
        loc="outside upper left",
        frameon=False,
        title=title,
        alignment="left",
        borderaxespad=0,
    )


def percent(value: Value) -> str:
    """A value in percent, with its interval and the videos it rests on; a dash where there is
    none.
    """
    if value.value is None:
        return "–"
    if value.low is None or value.high is None:
        return f"{100 * value.value:.1f}"
    ends = f"[{100 * value.low:.1f}, {100 * value.high:.1f}]"
    return f"{100 * value.value:.1f} {ends} n={value.videos}"


def brackets(legend: Sequence[str]) -> str:
    """What brackets are, for the caption of a figure whose legend has some."""
    return f" {BRACKETS}" if any("[" in text for text in legend) else ""


def _share(part: NDArray[Any], whole: float) -> Floats:
    """`part / whole`, NaN where there is nothing."""
    return np.asarray(part / whole) if whole else np.full(len(part), np.nan)
