"""What a model detects in one frame, before anything is chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vadbench.features.boxes.provider import Floats


class Detections(NamedTuple):
    """The boxes of one frame.

    Attributes:
        boxes: [n, 4] float32, pixels of the frame.
        scores: [n] float32 confidences, 0 to 1.
        person: [n] bool, whether the most likely class is a person.
    """

    boxes: Floats
    scores: Floats
    person: NDArray[np.bool_]
