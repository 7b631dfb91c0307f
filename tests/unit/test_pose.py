"""Poses: crops, heads of known answer, joints relative to the box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx_files import brightest_pose, constant_movenet
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors import pose
from vadbench.features.extractors.pose import JOINTS, Pose, PoseOptions, crop_geometry, in_box


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def spot(x: int, y: int, height: int = 120, width: int = 160) -> np.ndarray:
    """A frame with its brightest pixel at x, y."""
    frame = np.full((height, width), 20, np.uint8)
    frame[y - 1 : y + 2, x - 1 : x + 2] = 120
    frame[y, x] = 255
    return frame


def extract(
    frames: list[np.ndarray],
    boxes: list[list[list[float]]],
    min_confidence: float = 0.0,
    variant: str = "rtmpose-m",
) -> tuple:
    """Rows, of, and how many frames were told."""
    told: list[int] = []
    objects = Objects([np.array(of_frame, np.float32).reshape(-1, 4) for of_frame in boxes])
    rows = Pose(variant, PoseOptions(min_confidence=min_confidence)).extract(
        footage(np.stack(frames)), objects, told.append
    )
    assert rows.of is not None
    return rows.x, rows.of, sum(told)


def test_columns_are_x_and_y_of_17_joints() -> None:
    columns = Pose("rtmpose-m", PoseOptions()).columns()

    assert len(columns) == 34
    assert columns[:4] == ("nose_x", "nose_y", "left_eye_x", "left_eye_y")
    assert columns[-2:] == ("right_ankle_x", "right_ankle_y")


def test_a_joint_is_where_the_heads_peak_relative_to_the_box_in_its_heights(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")

    x, of, told = extract([spot(70, 40)], [[[50, 20, 80, 100]]])

    assert x.shape == (1, 34)
    assert x.dtype == np.float32
    np.testing.assert_allclose(
        x.reshape(17, 2), np.tile([(70 - 65) / 80, (40 - 60) / 80], (17, 1)), atol=1 / 80
    )
    assert of.tolist() == [0]
    assert told == 1


@pytest.mark.parametrize(("right", "down"), [(0, 0), (25, 3), (-31, -7), (60, 5)])
def test_a_person_who_moves_keeps_the_pose(tmp_path: Path, right: int, down: int) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")
    x, _, _ = extract(
        [spot(70, 40), spot(70 + right, 40 + down)],
        [[[50, 20, 80, 100]], [[50 + right, 20 + down, 80 + right, 100 + down]]],
    )

    np.testing.assert_allclose(x[0], x[1], atol=1e-6)


def test_a_person_twice_as_near_keeps_the_pose(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")

    near, _, _ = extract([spot(140, 80, 240, 320)], [[[100, 40, 160, 200]]])
    far, _, _ = extract([spot(70, 40)], [[[50, 20, 80, 100]]])

    np.testing.assert_allclose(near, far, atol=0.02)


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0.1, 10), st.integers(0, 10**6))
def test_joints_in_the_box_do_not_depend_on_place_and_size(
    right: float, down: float, scale: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    joints, boxes = random.uniform(0, 100, (3, 17, 2)), np.array([[10, 20, 40, 90]] * 3, np.float32)
    moved = (boxes * scale + np.array([right, down, right, down])).astype(np.float32)

    np.testing.assert_allclose(
        in_box(joints * scale + (right, down), moved), in_box(joints, boxes), atol=2e-3
    )


@given(st.floats(-50, 300), st.floats(-50, 300), st.floats(1, 200), st.floats(1, 200))
def test_a_crop_has_the_boxs_centre_and_holds_it_enlarged_by_a_quarter(
    x: float, y: float, width: float, height: float
) -> None:
    boxes = np.array([[x, y, x + width, y + height]], np.float32)

    scale, corner = crop_geometry(boxes, 256, 192)
    size = np.array([192, 256]) / scale[0]

    np.testing.assert_allclose(
        corner[0] + size / 2, (boxes[0, :2] + boxes[0, 2:].astype(np.float64)) / 2, atol=1e-6
    )
    slack = size / (1.25 * (boxes[0, 2:].astype(np.float64) - boxes[0, :2]))
    assert slack.min() == pytest.approx(1)


def test_the_network_sees_standardised_rgb(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx", batch=1)
    network = Pose("rtmpose-m", PoseOptions()).network
    colour = np.zeros((1, 256, 192, 3), np.uint8)
    colour[0, 100, 50] = (200, 150, 100)

    found = network(colour)

    expected = ((200 - 123.675) / 58.395 + (150 - 116.28) / 57.12 + (100 - 103.53) / 57.375) / 10
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-5)
    assert found.joints[0].tolist() == [[50.0, 100.0]] * 17


def test_objects_of_low_confidence_have_no_row(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")
    # the spot gives about 0.66, the dark ground is negative
    person, empty = [50, 20, 80, 100], [120, 60, 140, 110]

    x, of, told = extract(
        [spot(70, 40)] * 3, [[empty, person], [], [person, empty]], min_confidence=0.3
    )

    assert of.tolist() == [1, 2]
    assert x.shape == (2, 34)
    np.testing.assert_array_equal(x[0], x[1])
    assert told == 3


def test_frames_and_clips_without_objects_give_no_row(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")

    x, of, told = extract([spot(70, 40)] * 3, [[], [], []])

    assert x.shape == (0, 34)
    assert of.shape == (0,)
    assert told == 3


OUTSIDE = [[-80.0, -90.0, -40.0, -10.0], [150.0, 100.0, 190.0, 180.0], [400.0, 400.0, 420.0, 440.0]]


def test_an_object_outside_the_frame_is_seen_black_and_is_no_person(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")

    x, of, _ = extract([spot(70, 40)], [[*OUTSIDE, [50, 20, 80, 100]]])

    assert of.tolist() == [3]
    assert x.shape == (1, 34)


def test_the_geometry_of_an_object_outside_the_frame_is_finite(tmp_path: Path) -> None:
    constant_movenet(tmp_path / "movenet.onnx", np.full((1, 1, 17, 3), 0.5))

    x, of, _ = extract([spot(70, 40)], [OUTSIDE], variant="movenet")

    assert of.tolist() == [0, 1, 2]
    np.testing.assert_allclose(x, 0, atol=1e-6)


def test_batches_cross_frames_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx")
    frames = [spot(60 + 5 * t, 40 + t) for t in range(5)]
    boxes = [[[40.0 + k, 20, 90 + k, 100] for k in range(t)] for t in range(5)]

    at_once, of, told = extract(frames, boxes)
    monkeypatch.setattr(pose, "BATCH", 3)
    in_parts, of_parts, _ = extract(frames, boxes)
    brightest_pose(tmp_path / "rtmpose-m.onnx", batch=1)
    one_by_one, _, _ = extract(frames, boxes)

    assert len(at_once) == 10
    assert told == 5
    np.testing.assert_allclose(in_parts, at_once, atol=1e-6)
    np.testing.assert_allclose(one_by_one, at_once, atol=1e-6)
    assert of.tolist() == of_parts.tolist() == list(range(10))


def test_movenet_gives_shares_of_the_crop_y_first(tmp_path: Path) -> None:
    found = np.zeros((1, 1, 17, 3))
    found[0, 0] = [0.25, 0.5, 0.9]  # a quarter down, in the middle
    constant_movenet(tmp_path / "movenet.onnx", found)

    x, of, _ = extract(
        [spot(70, 40)], [[[50, 20, 80, 100], [0, 0, 40, 20]]], variant="movenet", min_confidence=0.5
    )

    # the crop of the first is 1.25 x 80 = 100 pixels a side around its centre, of the second 1.25 x
    # 40 = 50
    np.testing.assert_allclose(x[0].reshape(17, 2), np.tile([0, -25 / 80], (17, 1)), atol=1e-6)
    np.testing.assert_allclose(x[1].reshape(17, 2), np.tile([0, -12.5 / 20], (17, 1)), atol=1e-6)
    assert of.tolist() == [0, 1]


def test_other_networks_are_refused_in_one_line(tmp_path: Path) -> None:
    brightest_pose(tmp_path / "rtmpose-m.onnx", joints=26)
    with pytest.raises(
        BadInput,
        match=(
            r"rtmpose-m\.onnx: gives \[\[1, 26, 384\], \[1, 26, 512\]\]; expected the two SimCC"
            r" heads of 17 joints"
        ),
    ):
        extract([spot(70, 40)], [[[50, 20, 80, 100]]])

    brightest_pose(tmp_path / "movenet.onnx")
    with pytest.raises(
        BadInput,
        match=(
            r"movenet\.onnx: has 1 input\(s\), the first \['n', 3, 256, 192\] of tensor\(float\);"
            r" expected one, \[1, H, W, 3\]"
        ),
    ):
        extract([spot(70, 40)], [[[50, 20, 80, 100]]], variant="movenet")


def test_the_files_wanted_are_named(tmp_path: Path) -> None:
    for variant in Pose.variants:
        (file,) = Pose(variant, PoseOptions()).files()
        carried = variant.startswith("blazepose")
        assert file.path == tmp_path / f"{variant}.{'tflite' if carried else 'onnx'}"
        assert (f"fetch weights:{variant}" if carried else "get it from") in file.what


def test_joints_are_cocos() -> None:
    assert len(JOINTS) == 17
    assert JOINTS[5:9] == ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow")
