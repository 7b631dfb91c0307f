"""Where everything of a chart lies: numbers in, coordinates out; templates/charts.html draws them
as SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 720.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 36.0, 14.0, 44.0  # margins of a scatter plot
RADIUS = 6.0  # of a dot
LETTER, LINE = 6.9, 13.0  # width of a letter and height of a label, in units of the drawing
LANE, GAP = 34.0, 8.0  # height of a timeline's lane, and the space below it
LONGEST = 26  # letters of a lane's name
POINTS = 600  # of a timeline's line, at most


class Box(NamedTuple):
    """A rectangle; y runs downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share an area."""
        beside = self.right <= other.left or other.right <= self.left
        above = self.bottom <= other.top or other.bottom <= self.top
        return not (beside or above)


class Place(NamedTuple):
    """Where a label stands by its point: from (dx, dy) on, before it (`end`) or around it."""

    anchor: str
    dx: float
    dy: float


AROUND = (  # places of a label, the best first
    Place("start", 9, 4),
    Place("end", -9, 4),
    Place("middle", 0, -10),
    Place("middle", 0, 18),
    Place("start", 8, -8),
    Place("end", -8, -8),
    Place("start", 8, 16),
    Place("end", -8, 16),
)


@dataclass(frozen=True)
class Tick:
    """A position on an axis and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point with its label; `anchor` says to which side of (label_x, label_y) the text runs, and
    `says` what a pointer on it shows.
    """

    x: float
    y: float
    name: str
    says: str
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Scatter:
    """AUC against time."""

    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def scatter(points: Sequence[tuple[str, float, float]]) -> Scatter | None:
    """AUC against time on a logarithmic axis; None without points.

    Args:
        points: name, seconds, AUC (a fraction); times below a millisecond count as one.
    """
    if not points:
        return None
    seconds = [max(time, 1e-3) for _, time, _ in points]
    first, last = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    last = max(last, first + 1)
    lowest, highest, step = _axis(min(auc for *_, auc in points), max(auc for *_, auc in points))
    x = [
        LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(time) - first) / (last - first)
        for time in seconds
    ]
    y = [
        TOP + (HEIGHT - TOP - BOTTOM) * (highest - 100 * auc) / (highest - lowest)
        for *_, auc in points
    ]
    x_ticks = [
        Tick(LEFT + (WIDTH - LEFT - RIGHT) * (power - first) / (last - first), _seconds(power))
        for power in range(first, last + 1)
    ]
    y_ticks = [
        Tick(TOP + (HEIGHT - TOP - BOTTOM) * (highest - value) / (highest - lowest), f"{value:g}")
        for value in np.arange(lowest, highest + step / 2, step)
    ]
    return Scatter(tuple(_place_labels(points, x, y)), tuple(x_ticks), tuple(y_ticks))


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Ends and step, in percent, of an axis that spans two fractions in about five steps."""
    span = max(100 * (high - low), 1.0)
    step = next(step for step in (0.5, 1, 2, 5, 10, 20) if span / step <= 6 or step == 20)
    return step * math.floor(100 * low / step), step * math.ceil(100 * high / step + 1e-9), step


def _seconds(power: int) -> str:
    return f"{10.0**power:g} s" if power < 4 else f"1e{power} s"


def _place_labels(
    points: Sequence[tuple[str, float, float]], x: Sequence[float], y: Sequence[float]
) -> list[Dot]:
    """The dots, each label in the first of `AROUND` where it covers no dot and no earlier label;
    where there is none, in the very first.
    """
    taken = [
        Box(at_x - RADIUS, at_y - RADIUS, at_x + RADIUS, at_y + RADIUS)
        for at_x, at_y in zip(x, y, strict=True)
    ]
    dots = []
    for (name, seconds, auc), at_x, at_y in zip(points, x, y, strict=True):
        width = LETTER * len(name)
        boxes = [_cover(place, at_x, at_y, width) for place in AROUND]
        free = [number for number, box in enumerate(boxes) if _is_free(box, taken)]
        chosen = free[0] if free else 0
        taken.append(boxes[chosen])
        place = AROUND[chosen]
        says = f"{name}: {100 * auc:.1f} in {seconds:,.1f} s"
        dots.append(Dot(at_x, at_y, name, says, at_x + place.dx, at_y + place.dy, place.anchor))
    return dots


def _cover(place: Place, x: float, y: float, width: float) -> Box:
    """What a label of a width covers at a place around the point (x, y)."""
    before = {"start": 0.0, "middle": width / 2, "end": width}[place.anchor]
    left, line = x + place.dx - before, y + place.dy
    return Box(left, line - LINE + 3, left + width, line + 3)


def _is_free(box: Box, taken: Sequence[Box]) -> bool:
    """Whether a label lies within the plot and off all others."""
    inside = (
        box.left >= LEFT
        and box.right <= WIDTH - 2
        and box.top >= 0
        and box.bottom <= HEIGHT - BOTTOM + 2
    )
    return inside and not any(box.overlaps(other) for other in taken)


@dataclass(frozen=True)
class Lane:
    """One method's scores: its name, its AUC on the clip as text, and the line's points."""

    name: str
    auc: str
    top: float
    points: str


@dataclass(frozen=True)
class Timeline:
    """The scores of one clip, a lane a method, and where it is anomalous: (start, width); `shaded`
    says whether that is known.
    """

    video: str
    lanes: tuple[Lane, ...]
    anomalies: tuple[tuple[float, float], ...]
    shaded: bool
    ticks: tuple[Tick, ...]
    height: float
    left: float
    width: float = 960.0
    lane: float = LANE


def timeline(
    video: str,
    scores: Sequence[tuple[str, str, NDArray[np.float64]]],
    truth: NDArray[np.uint8] | None,
) -> Timeline:
    """The timeline of one clip.

    Args:
        video: its name.
        scores: name, AUC as text, frame scores [T]; a lane spans the lowest to the highest score of
            the clip.
        truth: [T], 1 = anomalous; None: not known.
    """
    width = Timeline.width
    left = 62 + LETTER * min(max(len(name) for name, *_ in scores), LONGEST)
    frames = len(scores[0][2])
    unit = (width - left - 8) / max(frames, 1)
    lanes = tuple(
        Lane(
            name if len(name) <= LONGEST else name[: LONGEST - 1] + "…",
            auc,
            number * (LANE + GAP),
            _line(values, left, unit, number * (LANE + GAP)),
        )
        for number, (name, auc, values) in enumerate(scores)
    )
    step = next(
        (
            step
            for step in (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
            if frames / step <= 10
        ),
        100000,
    )
    ticks = tuple(Tick(left + unit * frame, f"{frame:,}") for frame in range(0, frames, step))
    anomalies = (
        tuple((left + unit * start, unit * length) for start, length in runs_of_ones(truth))
        if truth is not None
        else ()
    )
    return Timeline(
        video, lanes, anomalies, truth is not None, ticks, len(lanes) * (LANE + GAP) + 22, left
    )


def runs_of_ones(truth: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(first frame, frames) of every run of ones in [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], truth != 0, [0]])))
    return [
        (int(start), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _line(values: NDArray[np.float64], left: float, unit: float, top: float) -> str:
    """The points of a polyline; of a long clip, the lowest and the highest score of each
    stretch.
    """
    frame = np.arange(len(values))
    if len(values) > POINTS:
        stretches = np.array_split(frame, POINTS // 2)
        frame = np.unique(
            [
                stretch[extreme(values[stretch])]
                for stretch in stretches
                for extreme in (np.argmin, np.argmax)
            ]
        )
    low, high = float(values.min()), float(values.max())
    height = (values[frame] - low) / (high - low) if high > low else np.full(len(frame), 0.5)
    return " ".join(
        f"{left + unit * (at + 0.5):.1f},{top + LANE - 2 - (LANE - 4) * tall:.1f}"
        for at, tall in zip(frame, height, strict=True)
    )
