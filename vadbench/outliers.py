"""A few training rows whose values decide a column's deviation alone: glitches of a tracker or of optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARE = 2e-3  # of the rows, at least one: glitches are few
RATIO = 5.0  # of a column's deviation to the one without them, above which it is theirs
GAP = 20.0  # of their deviations to all others: heavy tails have values in between
SPARSE_GAP = 1000.0  # the same in a column that is one value in half of its rows
LEAST_ROWS = 50  # among fewer, no row is rare
LEAST_OTHERS = 20  # rows of another value than the middle one; a column with fewer is as good as constant
BLOCK = 65536  # rows looked at together


@dataclass(frozen=True)
class Outlier:
    """The row of a column's largest value, where it and rows as rare decide the column's deviation.

    Attributes:
        row, column: of the value.
        value: the number there.
        rows: how many rows decide.
        largest: magnitude of the other rows' values, from the median.
    """

    row: int
    column: int
    value: float
    rows: int
    largest: float


def find_outlier(x: NDArray[np.float32]) -> Outlier | None:
    """The first column of x [N, D] whose deviation up to 0.2 % of the rows decide, far from all others, or None.

    The few values of a sparse column (a histogram's bin, a unit of a network that is mostly 0) are what
    it says: they are none unless a thousand times as far as the other ones.
    """
    if len(x) < LEAST_ROWS:
        return None
    rare = max(1, int(len(x) * SHARE))
    for column in np.flatnonzero(_largest_share(x) * rare > 0.5):
        found = _of_column(np.asarray(x[:, column], np.float64), int(column), rare)
        if found is not None:
            return found
    return None


def _largest_share(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """[D] the part of a column's squared deviations that is the largest one's; 0 where it is constant."""
    centre = x[:BLOCK].mean(0, dtype=np.float64)
    total, squares = np.zeros((2, x.shape[1]))
    low, high = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    for start in range(0, len(x), BLOCK):
        deviation = x[start : start + BLOCK] - centre
        low, high = np.minimum(low, deviation.min(0)), np.maximum(high, deviation.max(0))
        total += deviation.sum(0)
        squares += np.square(deviation, out=deviation).sum(0)
    mean = total / len(x)
    spread = squares - len(x) * np.square(mean)
    largest = np.square(np.maximum(high - mean, mean - low))
    return np.asarray(np.divide(largest, spread, out=np.zeros(len(mean)), where=spread > 0))


def _of_column(values: NDArray[np.float64], column: int, rare: int) -> Outlier | None:
    quarter, middle, three = np.percentile(values, (25, 50, 75))
    far = np.abs(values - middle)
    order = np.argsort(far)
    counts = np.arange(1, rare + 1)  # the largest, the two largest, ...
    others = far[order[-1 - counts]]  # the largest deviation without them
    squares = np.cumsum(np.square(far[order]))[-1 - counts] / (len(values) - counts)
    if np.count_nonzero(far) < LEAST_OTHERS + rare:
        return None
    least = SPARSE_GAP if quarter == three else GAP
    alone = (far[order[-counts]] > least * others) & (np.square(far).mean() > RATIO**2 * squares)
    if not alone.any():
        return None
    rows, row = int(np.argmax(alone)) + 1, int(order[-1])
    return Outlier(row, column, float(values[row]), rows, float(others[rows - 1]))
