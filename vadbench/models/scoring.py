"""Rows of a frame to its score, as the evaluation of a run computes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import Detector, Features, Nature
from vadbench.evaluation.calibration import Statistics, calibrate
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.features.follow import FrameRows
from vadbench.features.stream import StreamPlan
from vadbench.models.manifest import KeptFit
from vadbench.spec import ScoredPart

# linear algebra takes other ways for the last few rows than for whole blocks of them, and their
# last digits differ: the rows of a frame are filled up to blocks with copies of one
BLOCK = 32


@dataclass(frozen=True)
class Part:
    """A part of a model, loaded.

    Attributes:
        part: calibration, weight, group.
        fit: what was kept of its training.
        detector: fitted.
        column: of the read-out.
        network: folder of a learnt stream's network.
    """

    part: ScoredPart
    fit: KeptFit
    detector: Detector
    column: int
    network: Path | None

    @cached_property
    def plan(self) -> StreamPlan:
        """The stream's plan."""
        return self.fit.plan

    @cached_property
    def row(self) -> Statistics:
        """Of training rows."""
        return self.fit.row.read(self.column)

    @cached_property
    def frame(self) -> Statistics:
        """Of training frames' maxima."""
        return self.fit.frame.read(self.column)

    def score(self, rows: FrameRows) -> NDArray[np.float64]:
        """[n] the scores of a frame's rows, equal to those of a whole video at once."""
        nature, shape = self.plan.nature, self.fit.shape
        return score_frame(self.detector, rows.x, rows.box, nature, shape)[:, self.column]


def score_frame(
    detector: Detector,
    x: NDArray[np.float32],
    box: NDArray[np.float32] | None,
    nature: Nature,
    shape: tuple[int, ...] | None,
) -> NDArray[np.float64]:
    """[n, C] the scores of a frame's rows, equal to those of a whole video at once.

    Args:
        detector: fitted.
        x: [n, D] the rows.
        box: [n, 4] their boxes; None: they have none.
        nature: what the columns are.
        shape: of the maps that a row holds; None: it holds none.
    """
    number = len(x)
    if not number:
        return np.zeros((0, len(detector.read_outs)))
    filled = np.arange(-(-number // BLOCK) * BLOCK)
    filled[number:] = number - 1
    zeros = np.zeros(len(filled), np.int64)
    boxes = None if box is None else box[filled]
    features = Features(x[filled], zeros, zeros, boxes, "frame", nature, shape)
    return np.asarray(detector.score(features)[:number], np.float64)


@dataclass(frozen=True)
class PartScores:
    """What a part says of a frame: its highest row's score (NaN: no row), and each row's."""

    raw: float
    rows: FrameRows
    scores: NDArray[np.float64]


def score_rows(part: Part, rows: Iterator[FrameRows]) -> Iterator[PartScores]:
    """Each frame's score by one part, of windows that of the nearest centre."""
    scored = (_score_frame(part, one) for one in rows)
    return fill_windows(scored) if part.fit.windows else scored


def _score_frame(part: Part, rows: FrameRows) -> PartScores:
    scores = part.score(rows)
    return PartScores(float(scores.max()) if len(scores) else float("nan"), rows, scores)


def fill_windows(frames: Iterator[PartScores]) -> Iterator[PartScores]:
    """Frames that are no window's centre take the nearest one's score, the earlier one's of two;
    they wait for the next centre.
    """
    waiting: list[PartScores] = []
    last: float | None = None
    for one in frames:
        if np.isnan(one.raw):
            waiting.append(one)
            continue
        # of n frames between two centres the first n // 2 + n % 2 are as near to the earlier one
        earlier = 0 if last is None else (len(waiting) + 1) // 2
        for place, other in enumerate(waiting):
            near = last if last is not None and place < earlier else one.raw
            yield PartScores(near, other.rows, other.scores)
        waiting, last = [], one.raw
        yield one
    for other in waiting:
        yield PartScores(float("nan") if last is None else last, other.rows, other.scores)


def fuse_parts(
    parts: Sequence[Part], scored: Sequence[PartScores], level: Literal["row", "frame"]
) -> float:
    """The frame's score: empty frames filled, parts calibrated, weighted and added."""
    frames = [
        PartFrames(np.array([[one.raw]]), part.row, part.frame)
        for part, one in zip(parts, scored, strict=True)
    ]
    return float(sum_frames(frames, [part.part for part in parts], level)[0, 0])


def highest_object(
    parts: Sequence[Part], scored: Sequence[PartScores]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """[n, 4] boxes of the frame's objects and [n] the sums of their calibrated scores, those of the
    first part's boxes; none where parts have no boxes.
    """
    boxed = [place for place, part in enumerate(parts) if part.plan.boxes]
    if not boxed:
        return np.zeros((0, 4), np.float32), np.zeros(0)
    own = parts[boxed[0]].plan.boxes_fingerprint
    sums: dict[int, float] = {}
    boxes: dict[int, NDArray[np.float32]] = {}
    for place in boxed:
        part, one = parts[place], scored[place]
        if part.plan.boxes_fingerprint != own or one.rows.box is None:
            continue
        values = part.part.weight * calibrate(part.part.calibration, one.scores, part.row)
        for number, box, value in zip(one.rows.of.tolist(), one.rows.box, values, strict=True):
            sums[number] = sums.get(number, 0.0) + float(value)
            boxes[number] = box
    if not sums:
        return np.zeros((0, 4), np.float32), np.zeros(0)
    return np.stack(list(boxes.values())), np.array(list(sums.values()))
