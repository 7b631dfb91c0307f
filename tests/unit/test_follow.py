"""Streams made frame by frame: what they give of the whole clip, to the bit, and no sooner than can
be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from shown import footage

from vadbench.evaluation.maxima import window_to_frames
from vadbench.features.boxes.detector import DetectorBoxes, DetectorOptions
from vadbench.features.boxes.foreground import Foreground, ForegroundOptions
from vadbench.features.boxes.grid import Grid, GridOptions
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.clip import Clip, ClipOptions
from vadbench.features.extractors.deep import Deep, DeepOptions
from vadbench.features.extractors.extractor import Vectors
from vadbench.features.extractors.pose import Pose, PoseOptions
from vadbench.features.extractors.velocity import Velocity, VelocityOptions
from vadbench.features.follow import FrameRows, pace_of, pair_rows, whole_clip
from vadbench.models.scoring import PartScores, fill_windows

FRAMES = 23


def scene(colour: bool = False) -> np.ndarray:
    """Two blocks that walk over noise; the second is not there all the time."""
    random = np.random.default_rng(0)
    clip = random.integers(60, 70, (FRAMES, 96, 128)).astype(np.uint8)
    for t in range(FRAMES):
        clip[t, 20:60, 3 * t : 3 * t + 20] = 200
        if 5 < t < 15:
            clip[t, 50:90, 90 - 2 * t : 110 - 2 * t] = 140
    return np.repeat(clip[..., None], 3, -1) if colour else clip


def objects_of(clip: np.ndarray) -> Objects:
    return Foreground(ForegroundOptions()).objects(footage(clip))


def rows_of(clip: np.ndarray, extractor: Any, objects: Objects) -> list[np.ndarray]:
    """Each frame's rows, of the whole clip."""
    find = (lambda: objects) if extractor.needs_boxes else None
    return [one.x for one in whole_clip(extractor, footage(clip), find)]


def followed(clip: np.ndarray, extractor: Any, objects: Objects) -> list[np.ndarray]:
    rows = extractor.follow(iter(clip), iter(objects.boxes), footage(clip))
    return [one.x for one in rows]


def alike(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("boxes", [Foreground(ForegroundOptions()), Grid(GridOptions())])
def test_boxes_are_those_of_the_clip(boxes: Any, colour: bool) -> None:
    clip = scene(colour)
    found = list(boxes.follow(iter(clip), footage(clip)))
    assert alike(found, boxes.objects(footage(clip)).boxes)
    assert sum(map(len, found)) > 10


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    "extractor",
    [
        Velocity("stats", VelocityOptions(pixels="foreground")),
        Velocity("stats", VelocityOptions(pixels="all", flow="farneback")),
        Velocity("hof8", VelocityOptions()),
        Deep("efficientnet-lite0", DeepOptions(normalise=True)),
        *(Clip("efficientnet-lite0", ClipOptions(stride=stride)) for stride in (1, 2, 3, 8, 30)),
    ],
    ids=lambda one: f"{one.name}.{one.variant}",
)
def test_rows_are_those_of_the_clip(extractor: Any, colour: bool) -> None:
    clip = scene(colour)
    objects = objects_of(clip)
    whole = rows_of(clip, extractor, objects)
    assert len(whole) == FRAMES
    assert alike(followed(clip, extractor, objects), whole)


def test_a_windows_row_waits_for_the_windows_end() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in scene():
            read += 1
            yield frame

    rows = Clip("efficientnet-lite0", ClipOptions()).follow(frames(), iter(()), None)
    next(rows)
    assert read == 3  # frames 0, 1 and 2: the window reaches two frames ahead


def test_flow_waits_for_one_frame_alone() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in scene():
            read += 1
            yield frame

    clip = scene()
    rows = Velocity("hof8", VelocityOptions()).follow(
        frames(), iter(objects_of(clip).boxes), footage(clip)
    )
    for number in range(FRAMES):
        next(rows)
        assert read == max(number + 1, 2)


def test_poses_are_those_of_the_clip(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from onnx_files import brightest_pose

    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    extractor = Pose("rtmpose-m", PoseOptions(min_confidence=0.0))
    brightest_pose(extractor.files()[0].path)
    clip = scene()
    objects = objects_of(clip)
    assert alike(followed(clip, extractor, objects), rows_of(clip, extractor, objects))


@pytest.mark.parametrize("gradient", [False, True])
def test_detections_are_those_of_the_clip(
    gradient: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from onnx_files import brightest_detector

    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    brightest_detector(tmp_path / "spot.onnx", (64, 64), 8, 84)
    boxes = DetectorBoxes(DetectorOptions(gradient=gradient, min_area=0), None, "spot")
    clip = scene(colour=True)
    found = list(boxes.follow(iter(clip), None))
    assert alike(found, boxes.objects(footage(clip)).boxes)


def test_the_pace_is_that_of_the_slowest() -> None:
    foreground = Foreground(ForegroundOptions())
    flow = Velocity("hof8", VelocityOptions())
    assert pace_of(foreground, flow) == "opening"
    assert pace_of(None, Clip("efficientnet-lite0", ClipOptions())) == "live"

    class Whole:
        needs_boxes = False

    assert pace_of(None, Whole()) == "clip"  # type: ignore[arg-type]


def test_rows_keep_the_boxes_of_their_objects() -> None:
    boxes = [np.arange(12, dtype=np.float32).reshape(3, 4)]
    vectors = Vectors(np.ones((2, 5), np.float32), np.array([0, 2]))
    (rows,) = pair_rows(iter([vectors]), iter(boxes))
    assert rows.box is not None
    assert np.array_equal(rows.box, boxes[0][[0, 2]])


@pytest.mark.parametrize("length", [1, 2, 7, 12])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7, 20])
def test_frames_between_windows_take_the_nearest_as_evaluation_does(
    length: int, stride: int
) -> None:
    centres = np.arange(0, length, stride)
    scores = np.random.default_rng(0).normal(size=len(centres))
    nothing = FrameRows(np.zeros((0, 1), np.float32), None, np.zeros(0, np.int64))
    raw = np.full(length, np.nan)
    raw[centres] = scores
    frames = (PartScores(float(one), nothing, np.zeros(0)) for one in raw)
    found = [one.raw for one in fill_windows(frames)]
    expected, _ = window_to_frames(scores, np.zeros(len(centres), int), centres, [length], window=1)
    assert found == expected.tolist()
