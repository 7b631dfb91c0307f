"""Range-based AUC over buffers of every length: VUS-ROC and VUS-PR (Paparrizos, Boniol, Palpanas,
Tsay, Elmore, Franklin: Volume Under the Surface, PVLDB 15(11), 2022).

Labels are uncertain at the ends of an anomaly. For a buffer length l, a frame at distance d <= l/2
from a range of anomalous frames is anomalous by sqrt(1 - d/l); where buffers meet they are added,
up to 1. With these labels y_l and a threshold that decides p (0 or 1 a frame):

    TP = y_l . p        P = (y_0 + y_l) . 1 / 2        TPR = Recall = TP / P * E
    FP = (1 - y_l) . p  N = T - P                      FPR = FP / N     Precision = TP / (TP + FP)

E is the part of ranges, with their buffers, in which p has a frame; ranges whose buffers touch are
one. The areas under TPR over FPR and under Precision over Recall (trapezoids, as in their Eq. for
VUS-ROC and VUS-PR) are averaged over l = 0, 1, ..., L.

As in the authors' code: TP / P is at most 1, both buffers reach d = floor(l/2), the ROC ends at
(1, 1) and the precision begins at 1. Otherwise than there, every distinct score is a threshold, not
250 of them, and no buffer reaches into another video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.events import find_stretches
from vadbench.errors import BadInput
from vadbench.evaluation.metrics.events import ByVideo, LabelsByVideo, Measure, concatenate


@dataclass(frozen=True)
class Volumes:
    """VUS-ROC and VUS-PR; `n` counts the frames."""

    roc: Measure
    pr: Measure


def range_volumes(scores: ByVideo, labels: LabelsByVideo, buffer: int) -> Volumes:
    """VUS-ROC and VUS-PR of frame scores.

    Args:
        scores: of every test video.
        labels: likewise.
        buffer: L, the longest buffer in frames: half of it on either side of a range. 0 leaves the
            labels as they are.

    Raises:
        BadInput: if scores and labels are of other videos or lengths, a score is NaN, or the buffer
            is negative.

    >>> scores = {"a": np.array([0.1, 0.6, 0.9, 0.2])}
    >>> labels = {"a": np.array([0, 0, 1, 0])}
    >>> volumes = range_volumes(scores, labels, buffer=0)
    >>> volumes.roc.value, volumes.pr.value
    (1.0, 1.0)
    """
    if buffer < 0:
        raise BadInput(f"buffer: {buffer}; expected 0 or more frames")
    values = concatenate(scores, labels)
    anomalous = sum(int(np.count_nonzero(labels[video])) for video in scores)
    if anomalous in (0, len(values)):
        reason = "no normal frame" if anomalous else "no anomalous frame"
        nothing = Measure(None, len(values), reason)
        return Volumes(nothing, nothing)
    order = np.argsort(values)[::-1]
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    starts = np.cumsum([0, *(len(own) for own in scores.values())])[:-1]
    areas = []
    for length in range(buffer + 1):
        soft = np.concatenate([extend(labels[video], length) for video in scores])
        exists = _part_reached(values, soft > 0, starts, values[order][ends])
        positives = (anomalous + soft.sum()) / 2
        hits = np.cumsum(soft[order])[ends]
        recall = np.minimum(hits / positives, 1) * exists
        false = np.maximum(ends + 1 - hits, 0) / (len(values) - positives)
        precision = hits / (ends + 1)
        areas.append(
            (
                _area(np.concatenate([[0], recall, [1]]), np.concatenate([[0], false, [1]])),
                _area(np.concatenate([[1], precision]), np.concatenate([[0], recall])),
            )
        )
    roc, pr = np.mean(areas, axis=0)
    return Volumes(Measure(float(roc), len(values)), Measure(float(pr), len(values)))


def extend(marked: NDArray[np.uint8], length: int) -> NDArray[np.float64]:
    """[T] how anomalous each frame of a video is, with buffers of a length at its ranges.

    >>> extend(np.array([0, 0, 0, 1, 0], np.uint8), 4).round(2).tolist()
    [0.0, 0.71, 0.87, 1.0, 0.87]
    """
    soft = np.where(np.asarray(marked) != 0, 1.0, 0.0)
    distance = np.arange(1, length // 2 + 1)
    faded = np.sqrt(1 - distance / max(length, 1))
    for start, end in find_stretches(np.asarray(marked)):
        for frames in (start - distance, end + distance):
            own = (frames >= 0) & (frames < len(soft))
            soft[frames[own]] += faded[own]
    soft[soft > 1] = 1
    return soft


def _area(heights: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    return float(np.dot(np.diff(places), heights[1:] + heights[:-1])) / 2


def _part_reached(
    values: NDArray[np.float64],
    inside: NDArray[np.bool_],
    starts: NDArray[np.int64],
    thresholds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[K] the part of the stretches of `inside`, none of which goes on in the next video, that have
    a frame of at least each threshold.
    """
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    begins[starts] = inside[starts]
    firsts = np.flatnonzero(begins)
    highest = np.sort(np.maximum.reduceat(np.where(inside, values, -np.inf), firsts))
    part: NDArray[np.float64] = 1 - np.searchsorted(highest, thresholds, "left") / len(firsts)
    return part
