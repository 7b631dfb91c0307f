"""A picture of a record's frame scores over the test videos, as it appears beside the metrics in
W&B.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vadbench.evaluation.frames import FrameScores


def draw_timeline(frames: FrameScores, path: Path) -> bool:
    """Draw the frame scores before smoothing, one video after the other, as PNG; returns False, and
    draws nothing, without matplotlib.

    On the axis of ranks, which is all that AUC sees: raw scores differ by orders of magnitude.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    scores = frames.scores
    lower = np.searchsorted(np.sort(scores), scores) / len(scores)
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(lower, linewidth=0.8)
    for end in np.cumsum(frames.lengths)[:-1]:
        axes.axvline(end, color="0.8", linewidth=0.6, zorder=0)
    axes.set(
        xlabel="frame, test videos in order",
        ylabel="test frames\nthat score lower",
        xlim=(0, len(scores)),
        ylim=(0, 1),
    )
    figure.savefig(path, dpi=100)
    return True
