"""Letters beside a value: which rows it is significantly better than (after ranx)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.uncertainty import Floats

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter(position: int) -> str:
    """The letter of a table's row.

    Raises:
        BadInput: past the last letter.

    >>> letter(0), letter(27)
    ('a', 'B')
    """
    if position >= len(ALPHABET):
        raise BadInput(
            f"--letters: {len(ALPHABET)} rows at most have a letter; choose rows with --methods"
        )
    return ALPHABET[position]


def beats(p: Floats, means: Sequence[float], better: int, level: float) -> list[tuple[int, ...]]:
    """For each of M rows the positions of those that it is significantly better than.

    Args:
        p: [M, M] corrected p-values; NaN: not tested.
        means: the rows' values.
        better: +1 where higher is better, -1 where lower is.
        level: of the test.

    >>> beats(np.array([[np.nan, 0.01], [0.01, np.nan]]), [0.9, 0.8], 1, 0.05)
    [(1,), ()]
    """
    values = better * np.asarray(means)
    ahead = np.subtract.outer(values, values) > 0
    return [tuple(np.flatnonzero(of_row).tolist()) for of_row in ahead & (p < level)]
