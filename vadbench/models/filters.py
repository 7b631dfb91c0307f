"""Causal filters of frame scores, by name: what a frame is given depends on no later one."""

from __future__ import annotations

import re
from collections import deque

import numpy as np

from vadbench.errors import BadInput, quote
from vadbench.spec import MOST_SMOOTHING

_NAME = re.compile(r"causal-(\d+(?:\.\d+)?)")
TRUNCATE = 4.0  # sigmas after which the filter is cut off, as that of the benchmark


class Causal:
    """Half a Gaussian: the mean of the frames so far with weights exp(-(age / sigma)^2 / 2), cut
    off at 4 sigma. Of the first frames the weights that are there add up to 1.

    Args:
        sigma: in frames.

    >>> filter = Causal(3)
    >>> filter(2.0), round(filter(4.0), 3)
    (2.0, 3.028)
    """

    def __init__(self, sigma: float) -> None:
        ages = np.arange(int(TRUNCATE * sigma + 0.5) + 1)
        self._weights = np.exp(-0.5 * np.square(ages / sigma))
        self._last: deque[float] = deque(maxlen=len(ages))

    def __call__(self, score: float) -> float:
        """The smoothed score of the next frame."""
        self._last.appendleft(score)
        weights = self._weights[: len(self._last)]
        return float(weights @ np.array(self._last) / weights.sum())


def make_filter(name: str) -> Causal | None:
    """The filter that a name stands for; None: `none`.

    Raises:
        BadInput: on another name.
    """
    if name in ("", "none"):
        return None
    found = _NAME.fullmatch(name)
    sigma = float(found[1]) if found else 0.0
    if not 0 < sigma <= MOST_SMOOTHING:
        raise BadInput(
            f"smoothing {quote(name)}: expected none, or causal-SIGMA such as causal-3, of up to"
            f" {MOST_SMOOTHING} frames; a Gaussian over both sides would look ahead"
        )
    return Causal(sigma)
