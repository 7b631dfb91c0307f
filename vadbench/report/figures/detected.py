"""The scored boxes of a record, and the scale they are scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluation.calibration import calibrate, calibration_statistics
from vadbench.evaluation.detections import detections, with_boxes
from vadbench.evaluation.evaluate import read_rows
from vadbench.files.npz import Arrays
from vadbench.report.figures.scored import Scored


@dataclass(frozen=True)
class Detected:
    """Scored boxes of the test videos.

    Attributes:
        boxes: columns as `vadbench.evaluation.detections.detections` gives them.
        top: the score that one training object in a thousand exceeds, summed over streams.
        left_out: the streams without boxes.
    """

    boxes: Arrays
    top: float
    left_out: tuple[str, ...]


def read_detected(scored: Scored, *, calibrated: bool = False) -> Detected | None:
    """The boxes of a record's objects with their scores; None where no stream has boxes.

    Args:
        scored: the record.
        calibrated: give a single stream, which its protocol leaves as it is, its method's
            calibration.

    Raises:
        BadInput: if row scores (rows.npz) are not here, or streams are on different boxes.
    """
    rows = read_rows(scored.record, scored.results)
    boxed = with_boxes(rows)
    if not boxed:
        return None
    streams = [rows[place] for place in boxed]
    _require_same_boxes(scored, streams)
    parts = [scored.record.result.parts[place] for place in boxed]
    calibrations = [part.calibration for part in parts]
    if calibrated and len(rows) == 1 and calibrations == ["none"]:
        calibrations = [registry.load("detectors", parts[0].method).calibration]
    statistics = [calibration_statistics(stream["train_scores"][:, :1]) for stream in streams]
    weights = [part.weight for part in parts]
    tops = [
        weight * calibrate(calibration, known.p999, known)
        for calibration, known, weight in zip(calibrations, statistics, weights, strict=True)
    ]
    left_out = tuple(
        part.stream for place, part in enumerate(scored.record.result.parts) if place not in boxed
    )
    boxes = detections(streams, calibrations, statistics, scored.videos, weights)
    return Detected(boxes, float(np.sum(tops)), left_out)


def _require_same_boxes(scored: Scored, streams: Sequence[Arrays]) -> None:
    """Streams are joined on object_id: an object that two of them know has one box."""
    first = streams[0]
    for other in streams[1:]:
        _, here, there = np.intersect1d(
            first["test_object_id"], other["test_object_id"], return_indices=True
        )
        if not np.array_equal(first["test_box"][here], other["test_box"][there]):
            raise BadInput(
                f"{scored.record.recipe}: its streams are on different boxes; choose a recipe whose"
                " streams share them"
            )
