"""Whether detections and ground-truth regions are of the same videos and frames; else every
detection is a false positive, unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput

Columns = dict[str, NDArray[Any]]
REACH = 0.6  # of the regions' extent: a set of detections that ends before it, on both sides alike
ALIKE = 0.2  # difference of the two sides' parts that a frame of another size explains
SMALLER = 0.8  # a detection's side as a part of a region's, in the middle


def match_videos(
    detections: Columns,
    tracks: Columns,
    frames: int | Mapping[str, int],
    paths: Mapping[str, str],
    frames_path: str,
) -> tuple[Columns, Columns]:
    """Both tables with their videos spelt as in the file of frames; without one, as in the tracks.

    Args:
        detections: columns of scored boxes, `video` among them, text.
        tracks: columns of regions.
        frames: video -> frames of all test videos, or their number in all.
        paths: where the tables were read, by `detections` and `ground_truth`, for messages.
        frames_path: likewise of the frames.

    Raises:
        BadInput: naming what has no partner on either side, or if the videos have more frames than
            `frames` says.
    """
    if isinstance(frames, Mapping):
        known = list(frames)
        detections = _rename(detections, known, paths["detections"], frames_path)
        return detections, _rename(tracks, known, paths["ground_truth"], frames_path)
    names, expected = _names(detections), _names(tracks)
    matched = match_names(names, expected)
    if matched.extra and matched.missing:  # one of a lone pair may be the other's, spelt otherwise
        told = (
            f"{paths['detections']}: its videos against those of {paths['ground_truth']}:"
            f" {matched.lone}"
        )
        raise BadInput(
            f"{told}; expected the same names in both, or give --frames a file that names all test"
            " videos"
        )
    detections = detections | {"video": _rename_videos(detections["video"], matched.partner)}
    _require_frames(detections, tracks, frames)
    return detections, tracks


def check_same_frames(
    detections: Columns, tracks: Columns, beta: float, paths: Mapping[str, str]
) -> None:
    """Refuse boxes that cannot be in pixels of the same frames.

    Args:
        detections: columns x0, y0, x1, y1 of scored boxes.
        tracks: the same of regions.
        beta: least IoU of a hit.
        paths: where they were read, by `detections` and `ground_truth`, for messages.

    Raises:
        BadInput: on boxes that all lie within one pixel, with their extent; on detections too small
            to hit any region, or that reach a part of the regions' extent alike on both sides, with
            both.
    """
    if not len(detections["x0"]) or not len(tracks["x0"]):
        return
    found, expected = _Extent.of(detections), _Extent.of(tracks)
    for name, extent in (("detections", found), ("ground_truth", expected)):
        if extent.largest <= 1:
            told = f"{paths[name]}: all boxes lie within one pixel ({extent.words})"
            raise BadInput(f"{told}; expected pixels, multiply fractions by the frame's size")
    part = found.reach / np.maximum(expected.reach, 1)
    alike = abs(part[0] / part[1] - 1) <= ALIKE if part.min() > 0 else False
    shrunk = alike and part.max() < REACH and found.side < SMALLER * expected.side
    tiny = found.areas[1] < beta * expected.areas[0]
    huge = beta * found.areas[0] > expected.areas[1] and part.min() > 2
    if shrunk or tiny or huge:
        told = (
            f"{paths['detections']}: detections {found.words}, regions of {paths['ground_truth']}"
            f" {expected.words}"
        )
        raise BadInput(f"{told}; expected boxes in pixels of the same frames")


@dataclass(frozen=True)
class _Extent:
    """How far and how large a table's boxes are, in inclusive pixels.

    Attributes:
        reach: largest x1 and y1.
        largest: absolute coordinate.
        areas: of the smallest and the largest box.
        side: root of the area of the box in the middle.
    """

    reach: NDArray[np.float64]
    largest: float
    areas: tuple[float, float]
    side: float

    @classmethod
    def of(cls, columns: Columns) -> _Extent:
        x0, y0, x1, y1 = (
            np.asarray(columns[name], np.float64) for name in ("x0", "y0", "x1", "y1")
        )
        area = np.maximum(x1 - x0 + 1, 0) * np.maximum(y1 - y0 + 1, 0)
        largest = max(float(np.abs(values).max()) for values in (x0, y0, x1, y1))
        reach = np.array([x1.max(), y1.max()])
        return cls(
            reach, largest, (float(area.min()), float(area.max())), float(np.sqrt(np.median(area)))
        )

    @property
    def words(self) -> str:
        """For a message."""
        sides = f"sides about {self.side:.3g}"
        return f"reach to {self.reach[0]:.4g} x {self.reach[1]:.4g} ({sides}) pixels"


def _names(columns: Columns) -> list[str]:
    import pandas as pd

    return [str(name) for name in pd.unique(columns["video"])]


def _rename(columns: Columns, known: list[str], path: str, frames_path: str) -> Columns:
    matched = match_names(_names(columns), known)
    if matched.extra:
        told = f"{path}: its videos against those of {frames_path}: {matched.lone}"
        raise BadInput(f"{told}; expected names of the test videos")
    return columns | {"video": _rename_videos(columns["video"], matched.partner)}


def _rename_videos(video: NDArray[Any], partner: Mapping[str, str]) -> NDArray[Any]:
    import pandas as pd

    codes, names = pd.factorize(video)
    spelt = np.array([partner.get(str(name), str(name)) for name in names], str)
    return spelt[codes] if len(spelt) else video


def _require_frames(detections: Columns, tracks: Columns, frames: int) -> None:
    """Refuse a number of frames that the videos' highest frames together exceed."""
    import pandas as pd

    video = np.concatenate([detections["video"].astype(object), tracks["video"].astype(object)])
    frame = np.concatenate([detections["frame"], tracks["frame"]])
    if not len(frame):
        return
    highest = pd.Series(frame).groupby(video).max() + 1
    if highest.sum() > frames:
        told = (
            f"frames: {frames}, but the boxes of the {len(highest)} videos together are in"
            f" {highest.sum():.0f} frames or more"
        )
        raise BadInput(f"{told}; expected the frames of all test videos together")
