"""BlazePose as the network of `pose`: 33 landmarks of one person's square crop, of which 17 are
COCO's.

Weights: files that a package carries (`vadbench.features.packaged`). Source: Bazarevsky et al.,
BlazePose (2020).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.extractors.pose import BATCH, Poses
from vadbench.features.litert import Model

SIDE = 256
POINTS, VALUES = 39, 5  # 33 landmarks and 6 helpers; x, y, z, visibility, presence
# COCO's 17 among the landmarks, in COCO's order
COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


class BlazePose:
    """RGB crops in [0, 1] to x, y in pixels of the crop, and whether each joint is visible.

    A joint's confidence is the probability that it is visible times that of a person.

    Args:
        path: the .tflite file.

    Raises:
        BadInput: on a file of another form.
    """

    height = width = SIDE
    batch = BATCH

    def __init__(self, path: Path) -> None:
        self.model = Model(path)
        taken = [(one.shape, one.dtype) for one in self.model.inputs]
        shapes = [one.shape for one in self.model.outputs]
        wanted = (1, POINTS * VALUES), (1, 1)
        single = all(shapes.count(shape) == 1 for shape in wanted)
        if taken != [((1, SIDE, SIDE, 3), np.dtype(np.float32))] or not single:
            given = ", ".join(str(list(shape)) for shape in shapes)
            raise BadInput(
                f"{path}: gives {given}; expected BlazePose's landmarks [1, {POINTS * VALUES}] and"
                f" person [1, 1] of a float32 picture [1, {SIDE}, {SIDE}, 3]"
            )
        self.landmarks, self.person = (shapes.index(shape) for shape in wanted)

    def __call__(self, crops: NDArray[np.uint8]) -> Poses:
        """The joints of crops [n, 256, 256, 3]; several at a time, each alone."""
        answers = list(self.model.map(self._look, list(crops)))
        landmarks = np.concatenate([one[self.landmarks] for one in answers])
        person = np.concatenate([one[self.person] for one in answers])
        return read_landmarks(landmarks, person)

    def _look(self, crop: NDArray[np.uint8]) -> list[NDArray[Any]]:
        return self.model((crop[None] / np.float32(255)).astype(np.float32))


def read_landmarks(landmarks: NDArray[np.float32], person: NDArray[np.float32]) -> Poses:
    """COCO's joints of BlazePose's output.

    Args:
        landmarks: [n, 195]: 39 x (x, y, z, visibility, presence), the last two as logits.
        person: [n, 1] probability.
    """
    points = landmarks.reshape(-1, POINTS, VALUES)[:, COCO]
    with np.errstate(over="ignore"):  # exp of a very sure no is infinite, and the share 0
        visible = 1 / (1 + np.exp(-points[..., 3]))
    return Poses(points[..., :2].astype(np.float32), (visible * person).astype(np.float32))
