"""ROC curves of all frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vadbench.report.figures.curves import (
    LEGEND_LINE,
    brackets,
    legend_above,
    paint,
    percent,
    roc_curve,
    width_for,
)
from vadbench.report.figures.scored import Scored, all_labels_of, names, origin, smoothing
from vadbench.report.figures.style import picture


def draw_roc(scored: Sequence[Scored], out: Path, *, below: bool = False) -> str:
    """Write the micro ROC curves of records of one data set; returns the caption.

    Raises:
        BadInput: if the data set's labels are not on this machine.
    """
    labels = all_labels_of(scored[0].record)
    anomalous = labels.kept.flat().astype(bool)
    curves = [roc_curve(labels.cut(one.scores), anomalous) for one in scored]
    legend = [
        f"{name}: {percent(one.value('micro AUC'))}"
        for name, one in zip(names(scored), scored, strict=True)
    ]
    caption = f"{origin(scored)} {smoothing(scored)}{brackets(legend)}"
    width, height = width_for(legend, 4.6), 4.2 + LEGEND_LINE * len(scored)
    with picture(out, width, height, caption, below=below) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.7, linestyle=(0, (4, 3)))
        paint(axis, curves, legend)
        axis.set(
            xlabel="false positive rate (normal frames)",
            ylabel="true positive rate (anomalous frames)",
        )
        legend_above(figure, axis, "micro AUC, percent")
    return caption
