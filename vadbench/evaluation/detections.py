"""Object scores become regions: the scored boxes of a recipe, its streams joined on object_id
(specs/evaluation.md section 1.9).

A box has its object's own score, never its frame's. Nothing is smoothed: temporal smoothing of
boxes is undefined without tracks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vadbench.detector import Part
from vadbench.evaluation import protocol as rules
from vadbench.files.npz import Arrays


def detections(
    streams: Sequence[Arrays],
    parts: Sequence[Part],
    statistics: Sequence[rules.Statistics],
    videos: Sequence[str],
) -> Arrays:
    """The test split's boxes with the sum of their calibrated scores; an object that one stream
    lacks keeps what it has.

    Args:
        streams: per stream the test rows of rows.npz: scores, video, frame, object_id, box. All on
            the same boxes.
        parts: their calibrations.
        statistics: of their training rows, first read-out.
        videos: names of the test videos, in order.

    Returns:
        Columns video, frame, x0, y0, x1, y1 (inclusive pixels) and score, one row an object.
    """
    calibrated = [
        rules.calibrate(part.calibration, stream["test_scores"][:, :1], known)[:, 0]
        for stream, part, known in zip(streams, parts, statistics, strict=True)
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


def why_no_regions(streams: Sequence[Arrays | None], boxes: Sequence[str]) -> str | None:
    """Why a recipe has no regions, or None if it has.

    Args:
        streams: per stream the arrays of rows.npz, None where the file is absent.
        boxes: per stream the fingerprint of its boxes.
    """
    if any(stream is None for stream in streams):
        return "row scores (rows.npz) are not here"
    boxed = with_boxes([stream for stream in streams if stream is not None])
    if not boxed:
        return "no boxes"
    return "streams on different boxes" if len({boxes[place] for place in boxed}) > 1 else None


def with_boxes(streams: Sequence[Arrays]) -> list[int]:
    """Which of the streams have boxes; the others, such as released pose vectors, are left out of
    the regions.
    """
    return [place for place, stream in enumerate(streams) if "test_box" in stream]
