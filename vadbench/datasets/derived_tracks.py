"""Region tracks derived from masks: connected components, linked over consecutive frames by
overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.geometry import check_boxes
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset

COLUMNS = ("video", "track", "frame", "x0", "y0", "x1", "y1")
# pixels: smaller components are specks of hand-painted masks, not regions (Ped2 has one, of 1
# pixel)
LEAST_AREA = 10
MOST_REGIONS = 2000  # of a mask; linking takes their square in memory
LEAST_IOU = 0.1  # two boxes of consecutive frames below it are two regions


def components(mask: NDArray[np.uint8], least_area: int = LEAST_AREA) -> NDArray[np.int64]:
    """[K, 4] boxes (x0, y0, x1, y1; inclusive pixels) of the 8-connected components of `mask` [H,
    W], in the order of the scan.

    Args:
        mask: non-zero = inside a region.
        least_area: components of fewer pixels are dropped.

    >>> mask = np.zeros((6, 8), np.uint8)
    >>> mask[2:4, 3:8] = 1
    >>> components(mask).tolist()
    [[3, 2, 7, 3]]
    """
    import cv2

    _, _, statistics, _ = cv2.connectedComponentsWithStats(
        (mask > 0).astype(np.uint8), connectivity=8
    )
    x, y, width, height, area = statistics[1:].astype(np.int64).T  # row 0 is the background
    boxes = np.stack([x, y, x + width - 1, y + height - 1], axis=1)
    return np.asarray(boxes[area >= least_area])


def box_iou(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """[A, B] intersection over union of boxes a [A, 4] and b [B, 4] with inclusive corners."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.clip(high - low + 1, 0, None).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1) for boxes in (a, b))
    return np.asarray(intersection / (area_a[:, None] + area_b[None, :] - intersection))


def link(frames: Iterable[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Track numbers of the boxes of every frame, [K] a frame, counted from 0 in the order of
    appearance.

    Boxes of consecutive frames are matched one to one so that their summed IoU is largest; a pair
    below `LEAST_IOU` is no match. A region that vanishes for a frame comes back as a new track, and
    of two that merge one goes on.

    Args:
        frames: [K, 4] boxes of every frame in order, inclusive corners.
    """
    from scipy.optimize import linear_sum_assignment

    tracks: list[NDArray[np.int64]] = []
    previous, count = np.empty((0, 4), np.int64), 0
    for boxes in frames:
        numbers = np.full(len(boxes), -1, np.int64)
        overlap = box_iou(previous, boxes)
        overlap[overlap < LEAST_IOU] = 0
        for old, new in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[old, new] > 0:
                numbers[new] = tracks[-1][old]
        fresh = numbers < 0
        numbers[fresh] = count + np.arange(fresh.sum())
        count += int(fresh.sum())
        tracks.append(numbers)
        previous = boxes
    return tracks


def check_regions(regions: pd.DataFrame, dataset: Dataset, where: str) -> None:
    """Refuse regions that are not in pixels of their test video's frames.

    Args:
        regions: with the columns `COLUMNS`; videos by the data set's names.
        dataset: whose frames they are in.
        where: the file, for the message.

    Raises:
        BadInput: as `vadbench.datasets.geometry.check_boxes`, naming the video and the frame.
    """
    for video in dataset.videos("test"):
        own = regions[regions["video"] == video.name]
        if len(own):
            frame = own["frame"].to_numpy()
            boxes = own[list(COLUMNS[3:])].to_numpy(np.float64)
            place = lambda row, frame=frame: f"frame {frame[row]:g}"  # noqa: E731
            check_boxes(boxes, dataset.frame_size(video), f"{where}: video {video.name}", place)


def derive_tracks(
    masks: Mapping[str, Iterable[NDArray[np.uint8]]], least_area: int = LEAST_AREA
) -> pd.DataFrame:
    """The anomalous regions of all videos: columns video (name), track, frame (from 0), x0, y0, x1,
    y1 (inclusive pixels).

    Args:
        masks: video name -> its masks [H, W], frame by frame.
        least_area: components of fewer pixels are dropped.
    """
    parts = [
        pd.DataFrame({name: [] for name in COLUMNS}).astype(
            dict.fromkeys(COLUMNS[1:], "int64") | {"video": "str"}
        )
    ]
    for video, clip in masks.items():
        boxes = [components(mask, least_area) for mask in clip]
        most = max(map(len, boxes), default=0)
        if most > MOST_REGIONS:
            crowded = next(place for place, found in enumerate(boxes) if len(found) == most)
            raise BadInput(
                f"{video}: the mask of frame {crowded} has {most} regions apart; expected"
                f" {MOST_REGIONS} at most, it is damaged or shows something else"
            )
        tracks = link(boxes)
        lengths = [len(numbers) for numbers in tracks]
        if not sum(lengths):
            continue
        frame = np.repeat(np.arange(len(boxes)), lengths)
        rows = np.column_stack([np.concatenate(tracks), frame, np.concatenate(boxes)])
        part = pd.DataFrame(rows, columns=list(COLUMNS[1:]))
        part.insert(0, "video", video)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
