"""Object scores become regions: the scored boxes of a recipe, its streams joined on object_id.

A box has its object's own score, never its frame's. Nothing is smoothed: temporal smoothing of
boxes is undefined without tracks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vadbench.evaluation.calibration import Statistics, calibrate
from vadbench.evaluation.protocol import PER_VIDEO
from vadbench.files.npz import Arrays


def detections(
    streams: Sequence[Arrays],
    calibrations: Sequence[str],
    statistics: Sequence[Statistics],
    videos: Sequence[str],
    weights: Sequence[float] | None = None,
) -> Arrays:
    """The test split's boxes with the sum of their calibrated scores; an object that one stream
    lacks keeps what it has.

    Args:
        streams: per stream the test rows of rows.npz: scores, video, frame, object_id, box. All on
            the same boxes.
        calibrations: of each stream.
        statistics: of their training rows, first read-out.
        videos: names of the test videos, in order.
        weights: of each stream; None: all 1.

    Returns:
        Columns video, frame, x0, y0, x1, y1 (inclusive pixels) and score, one row an object.
    """
    calibrated = [
        weight * calibrate(calibration, stream["test_scores"][:, :1], known)[:, 0]
        for stream, calibration, known, weight in zip(
            streams, calibrations, statistics, weights or [1.0] * len(streams), strict=True
        )
    ]
    every = np.concatenate([stream["test_object_id"] for stream in streams])
    _, first, place = np.unique(every, return_index=True, return_inverse=True)
    columns = {
        name: np.concatenate([stream[f"test_{name}"] for stream in streams])[first]
        for name in ("video", "frame", "box")
    }
    box = columns["box"].astype(np.float64)
    return {
        "video": np.asarray(videos)[columns["video"]],
        "frame": columns["frame"],
        "x0": box[:, 0],
        "y0": box[:, 1],
        "x1": box[:, 2] - 1,  # our boxes end before x1, the metric's on it
        "y1": box[:, 3] - 1,
        "score": np.bincount(place, weights=np.concatenate(calibrated)),
    }


def why_no_regions(streams: Sequence[Arrays], calibrations: Sequence[str] = ()) -> str | None:
    """Why a recipe has no regions, or None if it has.

    Args:
        streams: per stream the arrays of rows.npz.
        calibrations: of each stream.
    """
    places = with_boxes(streams)
    boxed = [streams[place] for place in places]
    if not boxed:
        return "no boxes"
    if calibrations and PER_VIDEO in [calibrations[place] for place in places]:
        return f"calibration {PER_VIDEO} is of frames"
    alike = all(_same_boxes(boxed[0], other) for other in boxed[1:])
    return None if alike else "streams on different boxes"


def _same_boxes(one: Arrays, other: Arrays) -> bool:
    """Whether objects of one number are one object: in the same frame, at the same place."""
    numbers = one["test_object_id"], other["test_object_id"]
    _, first, second = np.intersect1d(*numbers, return_indices=True)
    return all(
        np.array_equal(one[name][first], other[name][second])
        for name in ("test_video", "test_frame", "test_box")
    )


def with_boxes(streams: Sequence[Arrays]) -> list[int]:
    """Which of the streams have boxes; the others, such as released pose vectors, are left out of
    the regions.
    """
    return [place for place, stream in enumerate(streams) if "test_box" in stream]
