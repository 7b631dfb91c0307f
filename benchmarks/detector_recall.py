"""What `detector.efficientdet-lite0`, and the default boxes, find of published boxes, and what they
cost: on frames of Ped2's *training* clips, where no label is.

    python benchmarks/detector_recall.py [--every 50] [--out benchmarks/detector_recall.csv]

Needs Ped2 and boxes/ped2/bboxes_{vec,maskrcnn}_train.npz under $VADBENCH_DATA, and the weights
(`vadbench data fetch weights:efficientdet-lite0`). A published box is found where a detection
overlaps it by an intersection over union of at least .5, each detection finding at most one, the
best pairs first. Milliseconds are CPU time of this process.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.features.boxes.detector import DetectorBoxes
from vadbench.features.boxes.detector_options import DetectorOptions
from vadbench.features.boxes.efficientdet import LABEL
from vadbench.features.boxes.file import BoxesFile, FileOptions
from vadbench.features.boxes.foreground import Foreground, ForegroundOptions, background_of
from vadbench.features.footage import Footage

PUBLISHED = ("maskrcnn", "vec")
IOU = 0.5
Boxes = NDArray[np.float32]
ROWS: dict[str, dict[str, Any]] = {
    "score .2": {"score": 0.2},
    "as by default: score .25, 2 x 3 tiles, overlap .25": {},
    "score .3": {"score": 0.3},
    "whole frame alone": {"tile_rows": 1, "tile_columns": 1},
    "tiles and the whole frame": {"whole": True},
    "2 x 2 tiles": {"tile_columns": 2},
    "3 x 4 tiles": {"tile_rows": 3, "tile_columns": 4},
    "overlap .15": {"overlap": 0.15},
    "overlap .4": {"overlap": 0.4},
    "all classes": {"kinds": "all"},
    "with the gradient's contours": {"gradient": True},
    "still 10": {"still": 10},
    "still 50": {"still": 50},
    "still 100": {"still": 100},
    "still 200": {"still": 200},
}


def main() -> None:
    """Measure every row and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--every", type=int, default=50, help="frames from one to the next")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    rows = [{"row": name, **row} for name, row in measure(arguments.every)]
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def measure(every: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each setting finds."""
    dataset = open_dataset("ped2")
    published = {name: BoxesFile(FileOptions(), dataset, name) for name in PUBLISHED}
    clips = [Footage(dataset, video) for video in dataset.videos("train")]
    wanted = {name: [] for name in PUBLISHED}
    for clip in clips:
        for name, file in published.items():
            wanted[name] += file.objects(clip).boxes[::every]
    yield measure_foreground(clips, wanted, every)
    for name, settings in ROWS.items():
        options = DetectorOptions(**{"gradient": False, **settings})
        provider = DetectorBoxes(options, dataset, LABEL)
        found, seconds = detect(provider, clips, every)
        row = describe(found, wanted)
        looked_at = len(found) * (2 if options.gradient else 1)  # which takes a pair of frames
        yield name, row | {"ms_a_frame": round(1000 * seconds / looked_at, 1)}


def measure_foreground(
    clips: list[Footage], wanted: dict[str, list[Boxes]], every: int
) -> tuple[str, dict[str, Any]]:
    """What the default boxes find; their background is not counted."""
    provider = Foreground(ForegroundOptions())
    found: list[Boxes] = []
    spent, frames = 0.0, 0
    for clip in clips:
        background_of(clip, provider.options.samples)
        began = time.process_time()
        boxes = provider.objects(clip).boxes
        spent, frames = spent + time.process_time() - began, frames + len(boxes)
        found += boxes[::every]
    row = describe(found, wanted) | {"ms_a_frame": round(1000 * spent / frames, 1)}
    return "foreground, the default boxes", row


def detect(provider: DetectorBoxes, clips: list[Footage], every: int) -> tuple[list[Boxes], float]:
    """The boxes of every so many frames, and the CPU seconds that they took."""
    found: list[Boxes] = []
    for clip in clips:  # what is made once a clip, and read from disk, is not counted
        frames = list(clip)
        if provider.needs_opening:
            next(provider.follow(iter(frames[:2]), clip))
    began = time.process_time()
    for clip in clips:
        frames = list(clip)
        for t in range(0, len(frames), every):
            pair = frames[t : t + 2] if t + 1 < len(frames) else frames[t - 1 : t + 1]
            if provider.options.gradient:
                boxes = list(provider.follow(iter(pair), clip))
                found.append(boxes[0 if t + 1 < len(frames) else 1])
            else:
                found += provider.follow(iter(frames[t : t + 1]), clip)
    return found, time.process_time() - began


def describe(found: list[Boxes], wanted: dict[str, list[Boxes]]) -> dict[str, Any]:
    """Recall and precision against each file of boxes, in percent, and boxes a frame."""
    row: dict[str, Any] = {"frames": len(found), "boxes_a_frame": _mean(map(len, found))}
    for name, boxes in wanted.items():
        pairs = sum(match(mine, theirs) for mine, theirs in zip(found, boxes, strict=True))
        row[f"recall_{name}"] = round(100 * pairs / sum(map(len, boxes)), 1)
        row[f"precision_{name}"] = round(100 * pairs / max(sum(map(len, found)), 1), 1)
    return row


def match(mine: Boxes, theirs: Boxes) -> int:
    """How many of two frames' boxes belong together: the best pairs first, each box once."""
    overlap = iou(mine, theirs)
    pairs = 0
    while overlap.size and overlap.max() >= IOU:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[row], overlap[:, column] = 0, 0
        pairs += 1
    return pairs


def iou(mine: Boxes, theirs: Boxes) -> NDArray[np.float64]:
    """[n, m] intersection over union."""
    low = np.maximum(mine[:, None, :2], theirs[None, :, :2])
    high = np.minimum(mine[:, None, 2:], theirs[None, :, 2:])
    common = np.maximum(high - low, 0).prod(2, dtype=np.float64)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1, dtype=np.float64) for boxes in (mine, theirs)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def _mean(counts: Iterator[int]) -> float:
    values = list(counts)
    return round(sum(values) / len(values), 1)


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        raise SystemExit(str(error)) from None
