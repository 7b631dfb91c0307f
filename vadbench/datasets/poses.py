"""Poses: where the joints of the persons of a clip are, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JOINTS = 17  # of COCO
LEAST_SIDE = 1.0  # pixels of a box around joints that lie on one line


@dataclass(frozen=True)
class Poses:
    """The poses of a clip's persons, one a person and frame.

    Attributes:
        frame: [n] int64, from 0.
        person: [n] int64, equal for one person in all frames.
        joints: [n, 17, 2] float64 x, y in pixels of the frame (x right, y down), in COCO's order; a
            joint that is missing is NaN.

    >>> still = np.tile(np.arange(34.0).reshape(1, 17, 2), (2, 1, 1))
    >>> poses = Poses(np.array([1, 0]), np.array([0, 0]), still)
    >>> poses.by_frame().frame.tolist(), poses.boxes()[0].tolist()
    ([0, 1], [0.0, 1.0, 32.0, 33.0])
    """

    frame: NDArray[np.int64]
    person: NDArray[np.int64]
    joints: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def by_frame(self) -> Poses:
        """The same, frame by frame, the persons of a frame in the order of their numbers."""
        return self.rows(np.lexsort((self.person, self.frame)))

    def by_person(self) -> Poses:
        """The same, person by person, each one's poses in the order of their frames."""
        return self.rows(np.lexsort((self.frame, self.person)))

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Poses:
        """The poses that `index` selects."""
        return Poses(self.frame[index], self.person[index], self.joints[index])

    @property
    def whole(self) -> NDArray[np.bool_]:
        """[n] whether no joint is missing."""
        return np.asarray(np.isfinite(self.joints).all((1, 2)))

    def boxes(self) -> NDArray[np.float32]:
        """[n, 4] x0, y0, x1, y1: the extent of the joints that are there, a pixel wide and high at
        least; of a pose without joints NaN.
        """
        there = np.isfinite(self.joints)
        low = np.where(there, self.joints, np.inf).min(1)
        high = np.where(there, self.joints, -np.inf).max(1)
        box = np.concatenate([low, np.maximum(high, low + LEAST_SIDE)], 1)
        seen = np.asarray(there.any(1)).all(1)
        return np.where(np.asarray(seen)[:, None], box, np.nan).astype(np.float32)
