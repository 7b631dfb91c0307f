"""Ranks of methods over data sets: average and Borda ranks, Friedman's test, Nemenyi's difference.

Source: Demsar, JMLR 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput

Floats = NDArray[np.float64]


def ranks(values: ArrayLike) -> Floats:
    """[D, M] rank of each method on each data set, 1 = highest value, equal values sharing their
    mean rank.

    Args:
        values: [D, M] a metric of M methods on D data sets, higher = better; every method on every
            data set.

    Raises:
        BadInput: if a value is missing.
    """
    from scipy.stats import rankdata

    table = np.asarray(values, np.float64)
    if table.ndim != 2 or not table.size or np.isnan(table).any():
        raise BadInput(
            f"ranks: a table of shape {table.shape} with a missing value or none at all; rank the"
            " methods that ran on every data set"
        )
    return np.asarray(rankdata(-table, axis=1), np.float64)


def average_ranks(values: ArrayLike) -> Floats:
    """[M] mean rank over data sets, 1 = best; `values` [D, M] as `ranks` takes them.

    >>> average_ranks([[0.9, 0.8], [0.7, 0.9]]).tolist()  # two methods [M] on two data sets
    [1.5, 1.5]
    """
    return np.asarray(ranks(values).mean(0))


def borda(values: ArrayLike) -> Floats:
    """[M] Borda count: the methods beaten, summed over data sets, ties counted half; `values` [D,
    M] as `ranks` takes them.
    """
    table = ranks(values)
    return np.asarray((table.shape[1] - table).sum(0))


def friedman(values: ArrayLike) -> tuple[float, float]:
    """Friedman's chi-square, corrected for ties, and its p-value: whether M >= 3 methods differ
    over D >= 2 data sets at all.

    NaN for fewer methods or data sets, or if all values tie.
    """
    from scipy.stats import friedmanchisquare

    table = ranks(values)
    if table.shape[0] < 2 or table.shape[1] < 3 or not np.ptp(table):
        return np.nan, np.nan
    statistic, p = friedmanchisquare(*table.T)
    return float(statistic), float(p)


def critical_difference(methods: int, datasets: int, level: float = 0.05) -> float:
    """Nemenyi's critical difference: two mean ranks further apart differ significantly, all M (M -
    1) / 2 pairs together at `level`.

    CD = q sqrt(M (M + 1) / (6 D)), q being the studentised range's quantile over sqrt(2) (Demsar
    2006, Sec. 3.2.2).

    Raises:
        BadInput: for fewer than two methods or no data set.
    """
    from scipy.stats import studentized_range

    if methods < 2 or datasets < 1:
        raise BadInput(
            f"critical difference: {methods} methods on {datasets} data sets; expected at least 2"
            " and 1"
        )
    quantile = studentized_range.ppf(1 - level, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))
