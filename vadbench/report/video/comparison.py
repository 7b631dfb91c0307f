"""Frames beside their reconstructions and errors, drawn: the images of a film, or the columns of a
picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vadbench.features.extractors.reconstruction import Reconstruction
from vadbench.report.figures.style import ANOMALOUS, COLOURS, RULES, WIDTH, picture, show_texts
from vadbench.report.figures.timeline import paint_timeline
from vadbench.report.video.panel import DPI, LEFT, RIGHT, Panel
from vadbench.report.video.show import Image, draw_cursor, enlarge

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec, SubplotSpec
    from matplotlib.image import AxesImage
    from matplotlib.layout_engine import ConstrainedLayoutEngine

CAPTIONS = ("frame", "reconstruction", "error")
BROKEN = {"reconstruction": "recon-\nstruction"}  # beside low images
ERRORS = "inferno"  # perceptually uniform, dark where there is no error
SQUARE = "#00E5FF"  # not among its colours, and seen on grey
NARROW = 320  # pixels: narrower frames are enlarged by a whole number
GAP = 8  # pixels between the images
HEAD, FOOT = 48, 132  # pixels above and below the images
ABOVE, BELOW = 26, 36  # pixels around the timeline
LETTER = 0.06  # inches of a row's caption
MOST_HEIGHT = 2.0  # inches of an image in a picture


@dataclass(frozen=True)
class Shown:
    """What is known of a whole stretch.

    Attributes:
        title: what is shown.
        video: the clip.
        start: its first frame.
        scores: [n] the frames' errors.
        top: the end of the colour scale of the pixels' errors.
        anomalous: [n] the ground truth; None: not here.
    """

    title: str
    video: str
    start: int
    scores: NDArray[np.float64]
    top: float
    anomalous: NDArray[np.bool_] | None


def film(shown: Shown, reconstructions: Iterable[Reconstruction]) -> Iterator[Image]:
    """The images of the film, one by one: captions, the three images, the running timeline."""
    head: Image | None = None
    for number, one in enumerate(reconstructions):
        images = set_side_by_side(draw_triple(one, shown.top))
        if head is None:
            head = draw_head(shown, one.frame.shape, images.shape[1])
            panel = draw_panel(shown, images.shape[1])
        note = f"frame {shown.start + number}   R {one.score:.3g}"
        yield np.concatenate([head, images, draw_cursor(panel, number, note)])


def set_side_by_side(images: Sequence[Image]) -> Image:
    """Images of one size, with a gap between."""
    gap = np.full((len(images[0]), GAP, 3), 255, np.uint8)
    spaced = [part for image in images for part in (gap, image)]
    return np.concatenate(spaced[1:], axis=1)


def draw_triple(one: Reconstruction, top: float) -> list[Image]:
    """Frame, reconstruction and coloured error, enlarged, with the worst square in each."""
    images = [
        enlarge(one.frame, NARROW),
        enlarge(one.reconstruction, NARROW),
        enlarge(colour_errors(one.error, top), NARROW, smooth=False),
    ]
    for image in images:
        factor = -(-image.shape[1] // one.frame.shape[1])  # an odd side was cut by a pixel
        draw_square(image, one.patch, factor)
    return images


def colour_errors(error: NDArray[np.float32], top: float) -> Image:
    """[h, w, 3] errors from 0 to `top` in the colours of the scale."""
    from matplotlib import colormaps

    colours: Any = colormaps[ERRORS](error / (top or 1.0), bytes=True)
    return np.ascontiguousarray(colours[..., :3])


def draw_square(image: Image, patch: tuple[int, int, int], factor: int) -> None:
    """Draw the square of an original frame around its pixels in the enlarged one: a bright line
    between dark ones, seen on any ground.
    """
    import cv2
    from matplotlib.colors import to_rgb

    row, column, side = (factor * value for value in patch)
    bright = [int(255 * part) for part in to_rgb(SQUARE)]
    begin, end = (column - 3, row - 3), (column + side + 2, row + side + 2)
    for thickness, colour in ((4, [0, 0, 0]), (2, bright)):
        cv2.rectangle(image, begin, end, colour, thickness)


def draw_head(shown: Shown, shape: tuple[int, ...], width: int) -> Image:
    """The captions above the images [HEAD, width, 3], and the colour scale."""
    each = (width + GAP) / 3
    texts = (f"{CAPTIONS[0]}, {shape[1]} \N{MULTIPLICATION SIGN} {shape[0]} pixels", *CAPTIONS[1:])
    with _figure(width, HEAD) as figure:
        figure.text(4 / width, 1 - 14 / HEAD, shown.title, va="center", weight="bold")
        for number, text in enumerate(texts):
            figure.text((number * each + 4) / width, 11 / HEAD, text, va="center")
        _colour_scale(figure, width, shown.top)
        return _render(figure)


def draw_panel(shown: Shown, width: int) -> Panel:
    """The timeline below the images."""
    with _figure(width, FOOT) as figure:
        axis = figure.add_axes(
            (LEFT / width, BELOW / FOOT, 1 - (LEFT + RIGHT) / width, 1 - (ABOVE + BELOW) / FOOT)
        )
        paint_errors(axis, shown)
        figure.legend(
            handles=_handles(shown),
            loc="center left",
            bbox_to_anchor=(LEFT / width, 1 - 13 / FOOT),
            ncols=2,
            frameon=False,
            handlelength=1.5,
            borderpad=0,
        )
        image = _render(figure)
        t = shown.start + np.arange(len(shown.scores))
        place = axis.transData.transform(np.stack([t, _scaled(shown)], 1)).round()
    x, y = place[:, 0].astype(np.int64), FOOT - place[:, 1].astype(np.int64)
    return Panel(image, x, y, ABOVE, FOOT - BELOW)


def paint_errors(axis: Axes, shown: Shown) -> None:
    """The timeline of the frames' errors, from 0 to the stretch's largest."""
    from matplotlib.ticker import MaxNLocator

    paint_timeline(axis, _scaled(shown), shown.anomalous, shown.start)
    axis.set_yticks((0, 1), labels=("0", f"{shown.scores.max():.2g}"))
    axis.set_xlabel(f"frame of {shown.video}", labelpad=2)
    axis.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10], integer=True))


def draw_columns(
    shown: Shown, columns: Mapping[int, Reconstruction], out: Path, caption: str
) -> None:
    """Write a picture: a column a frame, the timeline below with the frames marked.

    Args:
        shown: the stretch.
        columns: frame number -> what is drawn, rising.
        out: .png, .svg or .pdf.
        caption: the file's description.
    """
    height, width = next(iter(columns.values())).frame.shape[:2]
    each = (WIDTH - 0.8) / len(columns)  # inches
    tall = min(each * height / width, MOST_HEIGHT)
    with picture(out, WIDTH, 3 * tall + 1.35, caption) as figure:
        layout = cast("ConstrainedLayoutEngine", figure.get_layout_engine())
        layout.set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
        grid = figure.add_gridspec(4, len(columns), height_ratios=[tall, tall, tall, 0.55])
        rows = [[figure.add_subplot(cell) for cell in line] for line in _cells(grid, 3)]
        for own, (number, one) in zip(zip(*rows, strict=True), columns.items(), strict=True):
            own[0].set_title(f"frame {number}\nR {one.score:.3g}", pad=3, fontsize=7.5)
            drawn = _paint_column(own, one, shown.top, height / tall / 72)
        for (axis, *_), text in zip(rows, CAPTIONS, strict=True):
            low = len(text) * LETTER > tall
            axis.set_ylabel(BROKEN.get(text, text) if low else text, fontsize=7.5)
        bar = figure.colorbar(drawn, ax=rows[2], aspect=12, pad=0.01, fraction=0.03)
        bar.set_ticks([0, shown.top], labels=["0", f"\N{GREATER-THAN OR EQUAL TO} {shown.top:.2g}"])
        bar.outline.set_visible(False)
        timeline = figure.add_subplot(grid[3, :])
        paint_errors(timeline, shown)
        timeline.set_ylabel("R")
        marked = np.array([*columns])
        values = _scaled(shown)[marked - shown.start]
        timeline.plot(marked, values, "o", color=COLOURS[1], markersize=3.5, clip_on=False)


def _cells(grid: GridSpec, rows: int) -> list[list[SubplotSpec]]:
    """The cells of a grid's first rows."""
    return [[grid[row, column] for column in range(grid.ncols)] for row in range(rows)]


def _paint_column(axes: Sequence[Axes], one: Reconstruction, top: float, point: float) -> AxesImage:
    """One frame's three images, the worst square in each; returns the image of the errors."""
    levels: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
    axes[0].imshow(one.frame, **levels)
    axes[1].imshow(one.reconstruction, **levels)
    drawn = axes[2].imshow(one.error, cmap=ERRORS, vmin=0, vmax=top or 1.0)
    for axis in axes:
        _paint_square(axis, one.patch, point)
        axis.set(xticks=(), yticks=())
        axis.spines[:].set_visible(False)
    return drawn


def _paint_square(axis: Axes, patch: tuple[int, int, int], point: float) -> None:
    """Draw a line around the square's pixels, bright between dark ones; `point` is in pixels."""
    from matplotlib.patches import Rectangle

    row, column, side = patch
    place, long = (column - 0.5 - point, row - 0.5 - point), side + 2 * point
    for width, colour in ((1.6, "black"), (0.9, SQUARE)):
        axis.add_patch(Rectangle(place, long, long, fill=False, linewidth=width, edgecolor=colour))


def _scaled(shown: Shown) -> NDArray[np.float64]:
    """[n] the errors as shares of the largest."""
    return shown.scores / (shown.scores.max() or 1.0)


def _handles(shown: Shown) -> list[Any]:
    """What line and shade of the timeline are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line = Line2D([], [], color=COLOURS[0], label="R, the frame's error")
    if shown.anomalous is None:
        return [line, Line2D([], [], linestyle="", label="ground truth: not here")]
    return [line, Patch(facecolor=ANOMALOUS, label="anomalous (ground truth)")]


def _colour_scale(figure: Figure, width: int, top: float) -> None:
    """The colours of the errors, from 0 to `top` and above."""
    axis = figure.add_axes(((width - 150) / width, 5 / HEAD, 100 / width, 11 / HEAD))
    axis.imshow(np.linspace(0, 1, 100)[None], aspect="auto", cmap=ERRORS)
    axis.set_axis_off()
    for place, align, text in (
        (156, "right", "0"),
        (44, "left", f"\N{GREATER-THAN OR EQUAL TO} {top:.2g}"),
    ):
        figure.text((width - place) / width, 11 / HEAD, text, ha=align, va="center")


@contextmanager
def _figure(width: int, height: int) -> Iterator[Figure]:
    """An empty figure of so many pixels."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(RULES):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        yield figure


def _render(figure: Figure) -> Image:
    """[H, W, 3] the figure's pixels."""
    show_texts(figure)
    canvas: Any = figure.canvas
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
