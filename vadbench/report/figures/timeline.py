"""Score timelines: frame scores of one video over time, a panel a record, anomalous frames
shaded.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.report.figures.scored import Scored, labels_of, names, origin, smoothing
from vadbench.report.figures.style import ANOMALOUS, COLOURS, WIDTH, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BELOW = 0.4  # inches: ticks and label of the axis of frames
SCALES = {
    "range": "score, scaled to its own range over the whole test set",
    "rank": "share of all test frames that score lower",
}


def draw_timeline(
    scored: Sequence[Scored],
    video: str,
    out: Path,
    scale: str = "range",
    *,
    below: bool = False,
) -> str:
    """Write the timelines of one video; returns the caption.

    Args:
        scored: records of one data set, a panel each.
        video: a tested video.
        out: the picture.
        scale: `range` or `rank`, as `Scored.scaled`.
        below: draw the caption below the panels too.

    Raises:
        BadInput: on an unknown video or scale.
    """
    values = [one.scaled(scale)[one.frames_of(video)] for one in scored]
    anomalous, shade = truth_of(scored[0], video)
    caption = f"{video} of {origin(scored)} {smoothing(scored)} {shade}"
    height = 0.35 + 0.8 * len(scored) + 0.3 * (len(scored) == 1)
    with picture(out, WIDTH, height, caption, below=below) as figure:
        axes = figure.subplots(len(scored), 1, sharex=True, squeeze=False)[:, 0]
        for axis, one, name, line in zip(axes, scored, names(scored), values, strict=True):
            paint_timeline(axis, line, anomalous)
            axis.set_title(name, loc="left", pad=3)
            auc = one.video_auc(video)
            if auc is not None:
                axis.set_title(
                    f"AUC of this video {100 * auc:.1f}", loc="right", pad=3, fontsize=7.5
                )
        axes[-1].set_xlabel(f"frame of {video}")
        middle = 1 - (height - BELOW) / 2 / figure.get_figheight()
        figure.supylabel(
            textwrap.fill(SCALES[scale], int(15 * (height - BELOW))), y=middle, fontsize=8
        )
    return caption


def truth_of(scored: Scored, video: str) -> tuple[NDArray[np.bool_] | None, str]:
    """[T] which frames of a video are anomalous, None where the data set is not here; and a
    sentence for the caption.
    """
    try:
        labels = labels_of(scored.record)
    except BadInput:
        return None, "Ground truth is not shown: its labels are not here."
    if video in labels.unknown:
        return None, "Ground truth is not shown: nobody has labelled this video."
    anomalous = labels.videos[video].astype(bool)
    said = "Shaded: anomalous frames." if anomalous.any() else "No frame is anomalous."
    if video in labels.dropped:
        said += f" Labels {labels.name} leave out {labels.dropped[video].sum()} of its frames."
    return anomalous, said


def paint_timeline(
    axis: Axes,
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_] | None,
    start: int = 0,
) -> None:
    """One panel: scores [T] between 0 and 1 over frames from `start`, anomalous spans shaded."""
    for first, last in spans(anomalous) if anomalous is not None else ():
        span = (start + first - 0.5, start + last + 0.5)
        axis.axvspan(*span, color=ANOMALOUS, linewidth=0, zorder=0)
    axis.plot(start + np.arange(len(scores)), scores, color=COLOURS[0])
    sides = (start - 0.5, start + len(scores) - 0.5)
    axis.set(xlim=sides, ylim=(-0.04, 1.04), yticks=(0, 1))


def spans(anomalous: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of every run of anomalous frames [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], anomalous, [False]]).astype(np.int8)))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]
