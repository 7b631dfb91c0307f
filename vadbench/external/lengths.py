"""The videos that scores are of, in their order, with their frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.lengths import why_total_differs
from vadbench.errors import BadInput


@dataclass(frozen=True)
class Known:
    """The videos that scores have to be of, in their order.

    Attributes:
        lengths: video -> frames.
        source: what says so, for messages.
    """

    lengths: dict[str, int]
    source: str

    def split(self, values: NDArray[np.float64], path: object) -> dict[str, NDArray[np.float64]]:
        """An array [T] of all frames of all videos, a video each.

        Raises:
            BadInput: if it has another number of values.
        """
        counts = list(self.lengths.values())
        if len(values) != sum(counts):
            raise BadInput(
                f"{path}: {len(values)} values where {self.source} has {sum(counts)} frames in"
                f" {len(counts)} videos; {why_total_differs(len(values), self.lengths)}"
            )
        parts = np.split(values, np.cumsum(counts)[:-1])
        return dict(zip(self.lengths, parts, strict=True))
