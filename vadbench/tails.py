"""How rarely a score is reached: -log of the survival function of training scores, on one scale
for all scores, without a unit.

Up to the 99th percentile it is the empirical one; above, an exponential tail with the mean excess
of the training scores there (peaks over threshold with shape 0: where negative log-densities of
Gaussians, sums of many terms and most distances fall; a fitted shape would end some tails, and say
infinity of scores that are merely new).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVELS = 10 ** -np.linspace(0, 2, 33)  # survival probabilities, 1 to 1 in 100
LEAST = -1e300  # finite, and so are sums of it
Tail = NDArray[np.float64]  # [..., 34] the scores that are reached so often, and the mean excess


def fit_tail(scores: ArrayLike) -> Tail:
    """[34] of training scores [N], or [C, 34] of [N, C]; finite."""
    values = np.asarray(scores, np.float64)
    knots = np.quantile(values, 1 - LEVELS, axis=0)
    above = values > knots[-1]
    count = np.maximum(above.sum(0), 1)
    excess = np.where(above, values - knots[-1], 0.0).sum(0) / count
    return np.moveaxis(np.concatenate([knots, excess[None]]), 0, -1)


def log_survival(scores: ArrayLike, tail: Tail) -> NDArray[np.float64]:
    """[N] log of how often training scores reach each score; 0 below the least of them.

    It falls as the score rises. Where the highest hundredth of the training scores is one value,
    the excess says nothing, and the spread of all decides.

    >>> tail = fit_tail(-np.log(1 - (np.arange(100_000) + 0.5) / 100_000))  # exponential
    >>> log_survival([1.0, 10.0], tail).round(1).tolist()
    [-1.0, -10.0]
    """
    values = np.asarray(scores, np.float64)
    knots, excess = tail[:-1], float(tail[-1])
    distinct, first = np.unique(knots, return_index=True)
    last = float(knots[-1])
    inside = np.interp(values, distinct, np.log(LEVELS)[first])
    scale = next(
        one for one in (excess, (last - float(knots[0])) / -np.log(LEVELS[-1]), 1.0) if one
    )
    start = float(np.log(LEVELS)[first[-1]])
    with np.errstate(over="ignore"):  # a spread of next to nothing
        beyond = np.maximum(start - (values - last) / scale, LEAST)
    return np.where(values > last, beyond, inside)
