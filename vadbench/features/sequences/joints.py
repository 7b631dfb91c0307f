"""The 18 joints of OpenPose made of COCO's 17."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = (
    *("nose", "neck"),
    *("right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
)
LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6  # COCO
ORDER = (0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)


def to_openpose(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., 18, 2] joints as `NAMES` lists them; the neck is the mean of the shoulders.

    Args:
        joints: [..., 17, 2] in COCO's order.
    """
    neck = (joints[..., LEFT_SHOULDER, :] + joints[..., RIGHT_SHOULDER, :]) / 2
    found: NDArray[np.float64] = np.concatenate([joints, neck[..., None, :]], -2)[..., ORDER, :]
    return found
