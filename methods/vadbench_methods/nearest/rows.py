"""The rows that are searched, and exact distances to some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Rows:
    """x [N, D] float32, the divisor of each column [D] float64, and each row's group [N]."""

    x: Float32
    scale: Float64
    group: Integers

    def pair_squares(self, queries: Float32, which: Integers, index: Integers) -> Float64:
        """[P] squared distances between queries[which [P]] and x[index [P]], by float64 differences
        of the raw values.
        """
        out = np.empty(len(which))
        step = max(1, 2**21 // self.x.shape[1])  # 16 MiB a block
        for start in range(0, len(which), step):
            part = slice(start, start + step)
            difference = (
                queries[which[part]].astype(np.float64) - self.x[index[part]]
            ) / self.scale
            out[part] = np.einsum("pd,pd->p", difference, difference)
        return out

    def sorted_squares(
        self, queries: Float32, index: Integers, proposed: NDArray[np.bool_]
    ) -> Float64:
        """[Q, C] squared distances to x[index [Q, C]], ascending; infinite where nothing was
        proposed [Q, C].
        """
        which, column = proposed.nonzero()
        out = np.full(index.shape, np.inf)
        out[which, column] = self.pair_squares(queries, which, index[which, column])
        return np.sort(out, axis=1)
