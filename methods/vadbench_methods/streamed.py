"""Rows that are computed from others a block at a time: what a method reads of a memory map in
float64, standardised or put together, is never there as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vadbench.spill import make_array

Float64 = NDArray[np.float64]
# values that a method takes into memory as float64: 512 MiB, of which there may be two at a time
MOST_VALUES = 2**26
VALUES = 2**22  # of a block, 32 MiB


class Rows(Protocol):
    """An array [N, D], or what is read like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class Computed:
    """[N, columns] float64 rows, each of a row of x alone.

    Attributes:
        x: [N, D] what they are computed from.
        compute: [B, D] rows of x -> [B, columns].
        columns: how many there are.

    >>> rows = Computed(np.arange(6.0).reshape(3, 2), lambda x: x.sum(1, keepdims=True), 1)
    >>> rows.shape, rows[1:].ravel().tolist()
    ((3, 1), [5.0, 9.0])
    """

    x: Rows
    compute: Callable[[Float64], Float64]
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """(N, columns)."""
        return len(self.x), self.columns

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | NDArray[Any]) -> Float64:
        return self.compute(np.asarray(self.x[index], np.float64))


def is_large(x: Rows) -> bool:
    """Whether rows are left where they are, and read in blocks."""
    return len(x) * x.shape[1] > MOST_VALUES


def blocks(x: Rows, rows: int | None = None) -> Iterator[Float64]:
    """All rows in order as float64, so many at a time; None: 32 MiB."""
    step = rows or max(1, VALUES // max(1, x.shape[1]))
    return (np.asarray(x[start : start + step], np.float64) for start in range(0, len(x), step))


def read_all(x: Rows) -> Float64:
    """All rows as one float64 array; those that are computed block by block."""
    if isinstance(x, np.ndarray):
        return np.asarray(x, np.float64)
    out, end = np.empty(x.shape), 0
    for part in blocks(x):
        begin, end = end, end + len(part)
        out[begin:end] = part
    return out


def statistics(x: Rows) -> tuple[Float64, Float64]:
    """Mean and standard deviation (of all rows) of each column, by two passes.

    >>> statistics(np.array([[1.0], [3.0]]))
    (array([2.]), array([1.]))
    """
    mean = sum((part.sum(0) for part in blocks(x)), np.zeros(x.shape[1])) / len(x)
    squares = sum((np.square(part - mean).sum(0) for part in blocks(x)), np.zeros(x.shape[1]))
    return mean, np.sqrt(squares / len(x))


def moments(x: Rows) -> tuple[Float64, Float64]:
    """Mean and standard deviation of each column, in one go where the rows are few."""
    if is_large(x):
        return statistics(x)
    values = read_all(x)
    return values.mean(0), values.std(0)


def in_blocks(read: Callable[[Float64], Float64], values: Float64, columns: int) -> Float64:
    """[N, columns] what `read` gives of the rows of values [N, L], many of them a block at a
    time.
    """
    if len(values) * values.shape[1] <= VALUES:
        return read(values)
    out: Float64 = make_array((len(values), columns), np.float64, f"{len(values)} scores")
    step = VALUES // values.shape[1]
    for start in range(0, len(values), step):
        out[start : start + step] = read(values[start : start + step])
    return out
