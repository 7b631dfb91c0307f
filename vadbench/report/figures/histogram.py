"""Histograms: the scores of normal and of anomalous frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.evaluation.metrics.uncertainty import Floats
from vadbench.report.figures.curves import brackets, percent
from vadbench.report.figures.scored import Scored, all_labels_of, origin, smoothing
from vadbench.report.figures.style import COLOURS, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 60
FAR = 1.5  # interquartile ranges above the upper quartile, where the axis ends


def draw_histogram(scored: Scored, out: Path, *, below: bool = False) -> str:
    """Write the histogram of a record's frame scores by class; returns the caption.

    Raises:
        BadInput: if the data set's labels are not on this machine.
    """
    labels = all_labels_of(scored.record)
    anomalous, scores = labels.kept.flat().astype(bool), labels.cut(scored.scores)
    edges = bin_edges(scores).tolist()
    above = int((scores > edges[-1]).sum())
    far = (
        f" The last bin holds the {above} frames above it, up to {scores.max():.3g}."
        if above
        else ""
    )
    area = percent(scored.value("micro AUC"))
    caption = (
        f"{origin([scored])} {smoothing([scored])} Each class's bars add up to 100"
        f" %.{far}{brackets([area])}"
    )
    with picture(out, 5.2, 2.8, caption, below=below) as figure:
        axis = figure.subplots()
        draw_classes(axis, scores, anomalous)
        axis.set(
            xlabel=f"frame score of {scored.method} on {scored.features}",
            ylabel="share of the class's frames, percent",
        )
        axis.set_title(f"micro AUC {area} percent", loc="left")
        axis.legend(frameon=False)
    return caption


def draw_classes(axis: Axes, scores: Floats, anomalous: NDArray[np.bool_]) -> None:
    """The histograms of the normal and of the anomalous frames' scores [T] on an axis; the last bin
    holds what lies above it.
    """
    from matplotlib.colors import to_rgba

    edges = bin_edges(scores).tolist()
    for title, chosen, colour, hatch in (
        ("normal", ~anomalous, COLOURS[0], ""),
        ("anomalous", anomalous, COLOURS[1], "////"),
    ):
        values = np.minimum(scores[chosen], edges[-1])
        weights = np.full(len(values), 100 / max(len(values), 1))
        label = f"{title} ({len(values)} frames)"
        look: dict[str, Any] = {
            "facecolor": to_rgba(colour, 0.35),
            "edgecolor": colour,
            "hatch": hatch,
            "linewidth": 1.2,
        }
        axis.hist(values, edges, weights=weights, histtype="stepfilled", label=label, **look)
    if (scores > edges[-1]).any():
        tallest = 100 * max(
            float((scores[chosen] >= edges[-2]).mean())
            for chosen in (~anomalous, anomalous)
            if chosen.any()
        )
        axis.text(edges[-1], tallest, f"≥ {edges[-2]:.4g}", ha="right", va="bottom", fontsize=7)
    axis.set_xlim(edges[0], edges[-1])


def bin_edges(scores: Floats) -> Floats:
    """[BINS + 1] from the lowest score to the highest, or to where few reach: a handful of extremes
    would leave one bin for all others.
    """
    lower, upper = np.quantile(scores, (0.25, 0.75))
    lowest, highest = float(scores.min()), float(scores.max())
    near = min(highest, float(upper + FAR * (upper - lower)))
    for top in (near, highest):  # numbers can be too close for edges between them
        edges = np.linspace(lowest, top, BINS + 1)
        if (np.diff(edges) > 0).all():
            return edges
    return np.linspace(lowest, lowest + 1.0, BINS + 1)
