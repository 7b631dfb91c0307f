"""Pictures of what `detector.efficientdet-lite0` and `pose.blazepose-*` find: boxes and skeletons.

    python benchmarks/draw_objects.py CLIP --frames 20,100 [--dataset ped2] [--pose blazepose-full]
        [--zoom 3] [--out build/objects] [--set tile_rows=1 ...]

CLIP is a clip of the data set (a test or training one), or a video file where no data set is
named. Needs the weights (`vadbench data fetch weights:NAME`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.cli.terminal import echo
from vadbench.datasets.open import open_dataset
from vadbench.datasets.video import iterate_video
from vadbench.errors import BadInput
from vadbench.features.boxes.detector import DetectorBoxes
from vadbench.features.boxes.detector_options import DetectorOptions
from vadbench.features.boxes.efficientdet import LABEL
from vadbench.features.extractors.pose import Pose, PoseOptions
from vadbench.features.follow import to_rgb
from vadbench.features.footage import Footage

Picture = NDArray[np.uint8]
LEFT, RIGHT, MIDDLE, BOX = (80, 220, 80), (80, 200, 255), (255, 120, 255), (255, 160, 0)  # BGR
LIMBS = (  # chains of COCO's joints
    (LEFT, (5, 7, 9)),
    (RIGHT, (6, 8, 10)),
    (LEFT, (5, 11, 13, 15)),
    (RIGHT, (6, 12, 14, 16)),
    (MIDDLE, (5, 6)),
    (MIDDLE, (11, 12)),
    (MIDDLE, (5, 0, 6)),
)


def main() -> None:
    """Draw the frames asked for."""
    import cv2

    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--dataset")
    parser.add_argument("--frames", default="0", help="from 0, separated by commas")
    parser.add_argument("--pose", default="blazepose-full")
    parser.add_argument("--zoom", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/objects"))
    parser.add_argument("--set", nargs="*", default=[], help="options of the detector")
    given = parser.parse_args()
    options = DetectorOptions(gradient=False, **dict(one.split("=") for one in given.set))
    boxes = DetectorBoxes(options, None, LABEL)
    pose = Pose(given.pose, PoseOptions())
    wanted = {int(frame) for frame in given.frames.split(",")}
    given.out.mkdir(parents=True, exist_ok=True)
    for t, frame in enumerate(read_frames(given.clip, given.dataset)):
        if t in wanted:
            (found,) = boxes.follow(iter([frame]), None)
            (rows,) = pose.follow(iter([frame]), iter([found]), None)
            path = given.out / f"{Path(given.clip).stem}_{t:04d}.png"
            cv2.imwrite(str(path), draw(frame, found, rows, given.zoom))
            echo(f"{path}: {len(found)} boxes, {len(rows.x)} poses")


def read_frames(clip: str, dataset: str | None) -> Iterator[Picture]:
    """RGB frames of a data set's clip, or of a file."""
    if dataset is None:
        yield from map(to_rgb, iterate_video(Path(clip)))
        return
    found = open_dataset(dataset)
    videos = [video for split in ("train", "test") for video in found.videos(split)]
    chosen = [video for video in videos if video.name == clip]
    if not chosen:
        raise BadInput(f"{dataset}: no clip {clip}; it has {videos[0].name}, ...")
    yield from Footage(found, chosen[0], held=0).rgb()


def draw(frame: Picture, boxes: NDArray[np.float32], rows: Any, zoom: int) -> Picture:
    """The frame in BGR, enlarged, with its boxes and the skeletons of those that have one."""
    import cv2

    large = cv2.resize(frame, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    picture = np.ascontiguousarray(large[..., ::-1])
    for x0, y0, x1, y1 in (boxes * zoom).astype(int).tolist():
        cv2.rectangle(picture, (x0, y0), (x1, y1), BOX, 1)
    for row, vector in zip(rows.of, rows.x, strict=True):
        box = boxes[row]
        joints = vector.reshape(17, 2) * (box[3] - box[1]) + (box[:2] + box[2:]) / 2
        points = (joints * zoom).astype(int).tolist()
        for colour, chain in LIMBS:
            for start, end in pairwise(chain):
                cv2.line(picture, points[start], points[end], colour, 1 + (zoom == 1), cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        raise SystemExit(str(error)) from None
