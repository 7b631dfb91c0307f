"""What the functions of evaluation take and give: scores [N] or [N, C], one column a read-out,
float64, higher = more anomalous.

A whole data set's frames are one array: all frames of all videos, concatenated in order, `lengths`
frames a video.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput

Scores = NDArray[np.float64]


def check_scores(scores: ArrayLike) -> Scores:
    """[N] or [N, C] float64 without NaN.

    Raises:
        BadInput: on another shape, or NaN.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim not in (1, 2):
        raise BadInput(f"scores: shape {values.shape}; expected [N] or [N, C]")
    if np.isnan(values).any():
        raise BadInput(
            f"scores: row {int(np.argwhere(np.isnan(values))[0][0])} is NaN; expected numbers"
            " (vadbench check METHOD)"
        )
    return values
