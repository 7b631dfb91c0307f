"""Curves with a band: the rate of what is detected against false alarms, and what another choice of test videos would have given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.metrics.frame import Roc
from vadbench.metrics.regions import Matches, false_positives
from vadbench.metrics.uncertainty import LEAST_VIDEOS, Counts, Floats
from vadbench.report.figures.style import line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND_LINE = 0.17  # inches
GRID = np.linspace(0, 1, 401)  # false alarms at which bands are computed
Points = tuple[Floats, Floats]  # false alarms and rate at falling thresholds


@dataclass(frozen=True)
class Curve:
    """A curve with its pointwise 95 % band.

    Attributes:
        x, y: [K] operating points at falling thresholds.
        low, high: [len(GRID)] the middle 95 % of the rates of all resamples, at each of `GRID`; NaN if no resample has a curve.
    """

    x: Floats
    y: Floats
    low: Floats
    high: Floats


def how_sure(counts: Counts) -> str:
    """What bands and brackets are, for a caption; counts [R, V] as `roc_curve`."""
    if counts.shape[1] < LEAST_VIDEOS:
        return "One test video: no bands and no intervals."
    return f"Bands, pointwise, and brackets: 95 % interval of a bootstrap over the test videos ({len(counts)} resamples, the same for all)."


def roc_curve(scores: Floats, anomalous: NDArray[np.bool_], lengths: NDArray[np.int64], counts: Counts) -> Curve:
    """The ROC curve of all frames [T] of all videos, with a band.

    Args:
        scores: [T].
        anomalous: [T].
        lengths: [V] frames per video.
        counts: [R, V] from `vadbench.metrics.uncertainty.resample_counts`.
    """
    order = np.argsort(scores)[::-1]
    descending, positive = scores[order], anomalous[order]
    video = np.repeat(np.arange(len(lengths)), lengths)[order]
    ends = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(descending) - 1)

    def points(count: NDArray[np.int64]) -> Points:
        weight = count[video]
        tp = np.append(0, np.cumsum(weight * positive)[ends])
        roc = Roc(tp, np.append(0, np.cumsum(weight)[ends]) - tp)
        return _share(roc.fp, roc.fp[-1]), _share(roc.tp, roc.tp[-1])

    return _with_band(points, counts)


def region_curves(found: Matches, lengths: NDArray[np.int64], counts: Counts) -> dict[str, Curve]:
    """`rbdc` and `tbdc`: the rates of detected regions and tracks against false positives a frame, with bands.

    Args:
        found: from `vadbench.metrics.regions.match`, called with the videos.
        lengths: [V] frames per video.
        counts: [R, V] as `roc_curve`.
    """

    def curve(rank: NDArray[np.int64], video: NDArray[np.int64]) -> Curve:
        def points(count: NDArray[np.int64]) -> Points:
            before, tied = false_positives(found, count)
            reached = np.cumsum(np.bincount(rank, count[video], minlength=found.ranks + 1)[: found.ranks])
            alarms = (before + tied)[: found.ranks] / float(count @ lengths)
            return np.append(0.0, alarms), np.append(0.0, _share(reached, count[video].sum()))

        return _with_band(points, counts)

    return {"rbdc": curve(found.region_rank, found.region_video), "tbdc": curve(found.track_rank, found.track_video)}


def rate_at(x: Floats, y: Floats, grid: Floats) -> Floats:
    """A curve's rate at each of `grid`: straight between operating points, at a step its upper end, after the last point that point's."""
    last = np.searchsorted(x, grid, side="right") - 1
    following = np.minimum(last + 1, len(x) - 1)
    step = x[following] - x[last]
    part = np.where(step > 0, (grid - x[last]) / np.where(step > 0, step, 1.0), 0.0)
    return np.asarray(y[last] + part * (y[following] - y[last]))


def paint(axis: Axes, curves: Sequence[Curve], labels: Sequence[str]) -> None:
    """Curves up to one false alarm (a share, or a frame) with their bands."""
    for index, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        style = line_style(index)
        axis.fill_between(GRID, curve.low, curve.high, color=style["color"], alpha=0.07, linewidth=0)
        for edge in (curve.low, curve.high):
            axis.plot(GRID, edge, alpha=0.45, **{**style, "linewidth": 0.6})
        end = np.searchsorted(curve.x, 1.0, side="right")
        x, y = np.append(curve.x[:end], 1.0), np.append(curve.y[:end], rate_at(curve.x, curve.y, np.ones(1)))
        axis.plot(x, y, label=label, **style)
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xticks=np.arange(0, 1.1, 0.25), yticks=np.arange(0, 1.1, 0.25))
    axis.grid(color="0.9", linewidth=0.5)
    axis.set_axisbelow(True)


def width_for(legend: Sequence[str], least: float) -> float:
    """Inches that a figure needs for its longest legend, and no less than `least`."""
    return max(least, 0.55 + 0.066 * max(map(len, legend)))


def legend_above(figure: Figure, axis: Axes, title: str) -> None:
    """The legend of a panel's curves above all panels, where names of any length fit."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper left", frameon=False, title=title, alignment="left", borderaxespad=0)


def percent(row: dict[str, Any]) -> str:
    """A record's value in percent, with its interval; a dash where there is none."""
    if row["value"] is None:
        return "–"
    low, high = row.get("low"), row.get("high")
    return f"{100 * row['value']:.1f}" + ("" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]")


def _with_band(points: Callable[[NDArray[np.int64]], Points], counts: Counts) -> Curve:
    """The curve of every video once, and the band of the resamples."""
    drawn = np.stack([rate_at(*points(count), GRID) for count in counts])
    if counts.shape[1] < LEAST_VIDEOS:
        drawn[:] = np.nan
    defined = drawn[~np.isnan(drawn).any(1)]
    low, high = np.quantile(defined, (0.025, 0.975), axis=0) if len(defined) else np.full((2, len(GRID)), np.nan)
    return Curve(*points(np.ones(counts.shape[1], np.int64)), low, high)


def _share(part: NDArray[Any], whole: float) -> Floats:
    """`part / whole`, NaN where there is nothing."""
    return np.asarray(part / whole) if whole else np.full(len(part), np.nan)
