"""BlazePose's landmarks as COCO's joints, on arrays, on small files, on the real weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.blazepose import COCO, SIDE, BlazePose, read_landmarks
from vadbench.features.extractors.pose import JOINTS, Pose, PoseOptions
from vadbench.locations import weights_root

REAL = weights_root() / "blazepose-full.tflite"  # before a test moves the folder
# the landmarks' names as MediaPipe numbers them
LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip


def landmarks(visible: float = 4.0) -> np.ndarray:
    """[1, 195]: landmark k lies at x = 2 k, y = 250 - 3 k."""
    points = np.zeros((39, 5), np.float32)
    points[:, 0], points[:, 1] = 2 * np.arange(39), 250 - 3 * np.arange(39)
    points[:, 2], points[:, 3], points[:, 4] = 777, visible, -9
    return points.reshape(1, -1)


def test_the_chosen_landmarks_have_cocos_names() -> None:
    assert tuple(LANDMARKS[k] for k in COCO) == JOINTS


def test_joints_are_the_landmarks_in_pixels_of_the_crop() -> None:
    poses = read_landmarks(landmarks(), np.array([[0.5]], np.float32))

    assert poses.joints.shape == (1, 17, 2)
    assert poses.joints[0].tolist() == [[2 * k, 250 - 3 * k] for k in COCO]
    np.testing.assert_allclose(poses.confidence, 0.5 / (1 + np.exp(-4.0)), rtol=1e-6)


def test_a_hidden_joint_and_no_person_have_no_confidence() -> None:
    hidden = read_landmarks(landmarks(-1e4), np.ones((1, 1), np.float32))
    nobody = read_landmarks(landmarks(1e4), np.zeros((1, 1), np.float32))

    assert (hidden.confidence == 0).all()
    assert (nobody.confidence == 0).all()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile` is not installed")
    return tmp_path


def small_file(path: Path, person: float = 1.0, of_mean: float = 0.0) -> Path:
    from tflite_files import known_model

    outputs = [np.array([[person]]), np.zeros((1, 64)), landmarks()]
    shares = [np.array([[of_mean]]), np.zeros((1, 64)), 0 * landmarks()]
    return known_model(path, SIDE, np.float32, outputs, shares)


@pytest.mark.parametrize("kind", ["lite", "full", "heavy"])
def test_a_pose_is_placed_by_its_crop(weights: Path, kind: str) -> None:
    small_file(weights / f"blazepose-{kind}.tflite")
    box = np.array([[40, 20, 60, 60]], np.float32)  # centre 50, 40; the crop's side 1.25 x 40
    clip = footage([np.zeros((90, 120), np.uint8)] * 2)
    pose = Pose(f"blazepose-{kind}", PoseOptions())

    rows = pose.extract(clip, Objects([box, box[:0]]), lambda frames: None)

    joints = np.array([[2 * k, 250 - 3 * k] for k in COCO]) * 50 / 256 + [25, 15]
    np.testing.assert_allclose(
        rows.x, ((joints - [50, 40]) / 40).reshape(1, 34), rtol=1e-5, atol=1e-6
    )
    assert rows.of.tolist() == [0]


def test_the_network_sees_colours_between_0_and_1(weights: Path) -> None:
    path = small_file(weights / "x.tflite", person=0.0, of_mean=1.0)
    crops = np.stack([np.full((SIDE, SIDE, 3), grey, np.uint8) for grey in (0, 51, 255)])

    poses = BlazePose(path)(crops)

    visible = 1 / (1 + np.exp(-4.0))
    np.testing.assert_allclose(
        poses.confidence[:, 0], [0, 0.2 * visible, visible], rtol=1e-4, atol=1e-6
    )


def test_objects_that_are_no_persons_have_no_row(weights: Path) -> None:
    small_file(weights / "blazepose-full.tflite", person=0.2)
    box = np.array([[40, 20, 60, 60]], np.float32)

    rows = Pose("blazepose-full", PoseOptions()).extract(
        footage([np.zeros((90, 120), np.uint8)] * 2), Objects([box, box]), lambda frames: None
    )

    assert rows.x.shape == (0, 34)


def test_other_files_are_refused_in_one_line(weights: Path) -> None:
    from tflite_files import known_model

    one, two = np.zeros((1, 1)), np.zeros((1, 195))
    bad = [
        known_model(weights / "a", 128, np.float32, [one, two]),
        known_model(weights / "b", SIDE, np.uint8, [one, two]),
        known_model(weights / "c", SIDE, np.float32, [two]),
        known_model(weights / "d", SIDE, np.float32, [one, two, two]),
    ]
    for path in bad:
        with pytest.raises(BadInput, match="expected BlazePose's landmarks") as raised:
            BlazePose(path)
        assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is not here: vadbench data fetch")
def test_the_real_weights_see_no_person_in_a_wall() -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile` is not installed")
    wall = np.full((1, SIDE, SIDE, 3), 128, np.uint8)

    poses = BlazePose(REAL)(wall)

    assert np.isfinite(poses.joints).all()
    assert poses.confidence.mean() < 0.3
