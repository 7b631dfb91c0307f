"""What a learnt extractor that reconstructs frames gives beside its vectors, for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vadbench.features.footage import Footage


class Reconstruction(NamedTuple):
    """What a network makes of a frame.

    Attributes:
        frame: [h, w] or [h, w, 3] uint8, as the network sees it.
        reconstruction: of the same shape.
        error: [h, w] float32, of each pixel.
        patch: the square of largest mean error: first row, first column, side in pixels.
        score: the error of the frame, as the extractor's stream of errors has it.
    """

    frame: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]
    error: NDArray[np.float32]
    patch: tuple[int, int, int]
    score: float


class Reconstructs(Protocol):
    """A learnt extractor that `vadbench show --what reconstruction` can show."""

    def reconstruct(self, footage: Footage) -> Iterator[Reconstruction]:
        """Every frame of a clip, in order, with the network that was trained or restored.

        Raises:
            BadInput: on a clip that cannot be used.
        """
