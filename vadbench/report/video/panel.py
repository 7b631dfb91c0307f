"""The panel below an annotated video: legend, colour scale and the timeline on which a cursor runs;
drawn once a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.report.figures.scored import Scored
from vadbench.report.figures.style import ANOMALOUS, COLOURS, RULES, show_texts
from vadbench.report.figures.timeline import paint_timeline, truth_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# share of the scale, colour
SCORE_COLOURS = [(0.0, "#0072B2"), (0.4, "#56B4E9"), (0.75, "#F0E442"), (1.0, "#D55E00")]
HEIGHT = 168  # pixels
DPI = 100
LEFT, RIGHT, ABOVE, BELOW = 46, 14, 56, 36  # pixels around the timeline


@dataclass(frozen=True)
class Panel:
    """The picture below the frames.

    Attributes:
        image: [HEIGHT, W, 3] RGB.
        x, y: [T] column and row of each frame's score.
        top, bottom: rows between which the cursor runs.
    """

    image: NDArray[np.uint8]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    top: int = ABOVE
    bottom: int = HEIGHT - BELOW


def make_panel(scored: Scored, video: str, width: int, top: float | None) -> Panel:
    """The panel of one video.

    Args:
        scored: the record.
        video: a tested video.
        width: pixels.
        top: the score at the warm end of the colour scale; None: there are no boxes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = scored.scaled()[scored.frames_of(video)]
    anomalous, _ = truth_of(scored, video)
    with rc_context(RULES):
        figure = Figure(figsize=(width / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)
        axis = figure.add_axes(
            (LEFT / width, BELOW / HEIGHT, 1 - (LEFT + RIGHT) / width, 1 - (ABOVE + BELOW) / HEIGHT)
        )
        paint_timeline(axis, values, anomalous)
        axis.set_xlabel(
            f"frame of {video}; score scaled to its range over the test set", labelpad=2
        )
        figure.text(
            8 / width,
            1 - 13 / HEIGHT,
            f"{scored.record.dataset} {video}   {scored.name}",
            va="center",
            weight="bold",
        )
        _legend(figure, anomalous is not None, width)
        if top is not None:
            _colour_scale(figure, width, top)
        show_texts(figure)
        canvas.draw()
        place = axis.transData.transform(np.stack([np.arange(len(values)), values], 1))
    image = np.asarray(canvas.buffer_rgba())[:, :, :3]
    return Panel(
        np.ascontiguousarray(image),
        place[:, 0].round().astype(np.int64),
        (HEIGHT - place[:, 1]).round().astype(np.int64),
    )


def _legend(figure: Figure, known: bool, width: int) -> None:
    """What line and shade are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Line2D([], [], color=COLOURS[0], label="frame score")]
    truth = (
        Patch(facecolor=ANOMALOUS, label="anomalous (ground truth)")
        if known
        else Line2D([], [], linestyle="", label="ground truth: not here")
    )
    figure.legend(
        handles=[*handles, truth],
        loc="center left",
        bbox_to_anchor=(2 / width, 1 - 35 / HEIGHT),
        ncols=2,
        frameon=False,
        handlelength=1.5,
    )


def _colour_scale(figure: Figure, width: int, top: float) -> None:
    """The boxes' colours, from score 0 to `top` and above."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("score", SCORE_COLOURS)
    axis = figure.add_axes(((width - 170) / width, 1 - 40 / HEIGHT, 100 / width, 10 / HEIGHT))
    axis.imshow(np.linspace(0, 1, 100)[None], aspect="auto", cmap=colours)
    axis.set_axis_off()
    figure.text(
        (width - 176) / width,
        1 - 35 / HEIGHT,
        "calibrated object score 0",
        ha="right",
        va="center",
        fontsize=7.5,
    )
    figure.text(
        (width - 64) / width, 1 - 35 / HEIGHT, f"≥ {top:.3g}", ha="left", va="center", fontsize=7.5
    )
