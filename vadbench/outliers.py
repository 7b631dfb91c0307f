"""A few training rows whose values decide a column's deviation alone: glitches of a tracker or of
optical flow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SHARE = 2e-3  # of the rows, at least one: glitches are few
RATIO = 2.0  # of a column's deviation to the one without them, above which it is theirs
GAP = 20.0  # of their deviations to all others: heavy tails have values in between
LEAST_ROWS = 50  # among fewer, no row is rare
# rows of another value than the middle one; a column with fewer is as good as constant
LEAST_OTHERS = 20
BLOCK = 1 << 20  # numbers looked at together


@dataclass(frozen=True)
class Outlier:
    """The row of a column's largest value, where it and rows as rare decide the column's deviation.

    Attributes:
        row, column: of the value.
        value: the number there.
        rows: how many rows decide.
        largest: magnitude of the other rows' values, from the median.
        all_rows: [rows] all of them.
    """

    row: int
    column: int
    value: float
    rows: int
    largest: float
    all_rows: NDArray[np.int64]


def find_outliers(x: NDArray[np.float32]) -> list[Outlier]:
    """What `find_outlier` finds in x [N, D], and then without these rows, until nothing is left or
    0.2 % of the rows are found.
    """
    found: list[Outlier] = []
    kept = np.arange(len(x))
    while (outlier := find_outlier(x, kept if found else None)) is not None:
        rows = kept[outlier.all_rows]
        found.append(replace(outlier, row=int(kept[outlier.row]), all_rows=rows))
        kept = np.setdiff1d(kept, rows)
        if len(x) - len(kept) >= max(1, int(len(x) * SHARE)):
            break
    return found


@dataclass(frozen=True)
class _Rows:
    """Some rows of x [N, D], read where they are needed and not copied beside it.

    Attributes:
        x: [N, D].
        kept: numbers of the rows, ascending; None: all.
    """

    x: NDArray[np.float32]
    kept: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.x if self.kept is None else self.kept)

    @property
    def columns(self) -> int:
        """D."""
        columns: int = self.x.shape[1]
        return columns

    @property
    def step(self) -> int:
        """Rows of a block."""
        return max(1, BLOCK // max(1, self.columns))

    def block(self, start: int) -> NDArray[np.float32]:
        """The block that begins with a row."""
        part = slice(start, start + self.step)
        return self.x[part] if self.kept is None else self.x[self.kept[part]]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All of them."""
        return (self.block(start) for start in range(0, len(self), self.step))

    def column(self, place: int) -> NDArray[np.float64]:
        """[N] a column."""
        values = np.asarray(self.x[:, place], np.float64)
        return values if self.kept is None else values[self.kept]


def find_outlier(x: NDArray[np.float32], kept: NDArray[np.int64] | None = None) -> Outlier | None:
    """The first column of x [N, D] whose deviation up to 0.2 % of the rows decide, far from all
    others, or None.

    The few values of a sparse column (a histogram's bin, a unit of a network that is mostly 0) are
    what it says: they are none unless they are far from the other rows' numbers in all columns.

    Args:
        x: [N, D].
        kept: numbers of the rows that are looked at, ascending, among which those that are found
            are counted; None: all.
    """
    return _find(_Rows(x, kept))


def _find(x: _Rows) -> Outlier | None:
    if len(x) < LEAST_ROWS:
        return None
    rare = max(1, int(len(x) * SHARE))
    in_row: NDArray[np.float64] | None = None
    for column in _suspects(x, rare):
        values = x.column(int(column))
        quarter, three = np.percentile(values, (25, 75))
        sparse = quarter == three
        if sparse and in_row is None:
            in_row = _largest_in_row(x)
        found = _of_column(values, int(column), rare, in_row if sparse else None)
        if found is not None:
            return found
    return None


def _largest_in_row(x: _Rows) -> NDArray[np.float64]:
    return np.concatenate([np.abs(block).max(1) for block in x.blocks()]).astype(np.float64)


def _suspects(x: _Rows, rare: int) -> NDArray[np.intp]:
    """Columns that may be found, by two passes over blocks: reading all columns one by one would
    take hours beside a memory map.

    Of such a column, some `rare` rows carry most of the squared deviations, and only so many lie
    beyond a small part of the largest deviation from the mean (which they move by little).
    """
    centre = x.block(0).mean(0, dtype=np.float64)
    total, squares = np.zeros((2, x.columns))
    low, high = np.full(x.columns, np.inf), np.full(x.columns, -np.inf)
    for block in x.blocks():
        deviation = block - centre
        low, high = np.minimum(low, deviation.min(0)), np.maximum(high, deviation.max(0))
        total += deviation.sum(0)
        squares += np.square(deviation, out=deviation).sum(0)
    mean = total / len(x)
    largest = np.maximum(high - mean, mean - low)
    spread = squares - len(x) * np.square(mean)
    columns = np.flatnonzero((spread > 0) & (np.square(largest) * rare > 0.5 * spread))
    beyond = np.zeros(len(columns), np.int64)
    for block in x.blocks() if len(columns) else ():
        deviation = block[:, columns] - (centre + mean)[columns]
        beyond += (np.abs(deviation) > largest[columns] / (0.75 * GAP)).sum(0)
    found: NDArray[np.intp] = columns[beyond <= rare]
    return found


def _of_column(
    values: NDArray[np.float64], column: int, rare: int, in_row: NDArray[np.float64] | None
) -> Outlier | None:
    far = np.abs(values - np.median(values))
    if np.count_nonzero(far) < LEAST_OTHERS + rare:
        return None
    order = np.argsort(far)
    counts = np.arange(1, rare + 1)  # the largest, the two largest, ...
    others = far[order[-1 - counts]]  # the largest deviation without them
    squares = np.cumsum(np.square(far[order]))[-1 - counts] / (len(values) - counts)
    least = others if in_row is None else np.maximum.accumulate(in_row[order])[-1 - counts]
    alone = (far[order[-counts]] > GAP * least) & (np.square(far).mean() > RATIO**2 * squares)
    if not alone.any():
        return None
    rows, row = int(np.argmax(alone)) + 1, int(order[-1])
    return Outlier(
        row,
        column,
        float(values[row]),
        rows,
        float(others[rows - 1]),
        order[-rows:].astype(np.int64),
    )
