"""From noise back to data: Karras et al.'s noise levels (2022, Eq. 5) and the ODE solvers LMS, Heun
and Euler.

All solve dx/dsigma = (x - D(x; sigma)) / sigma, the probability flow, along falling noise levels;
`slope` is that right-hand side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Slope = Callable[[Tensor, float], Tensor]  # x [B, D] and sigma -> dx/dsigma [B, D]
Sampler = Literal["lms", "heun", "euler"]

LMS_ORDER = 4
NOISE_RANGE = 5.0  # the noise levels end at exp(P_mean -+ 5 P_std), Tur et al. Sec. 4.2


def karras_sigmas(
    p_mean: float, p_std: float, steps: int = 10, rho: float = 7.0
) -> tuple[float, ...]:
    """The `steps` falling noise levels from exp(P_mean + 5 P_std) to exp(P_mean - 5 P_std), evenly
    spaced in sigma^(1/rho), and a final 0.
    """
    low, high = (np.exp(p_mean + end * p_std) ** (1 / rho) for end in (-NOISE_RANGE, NOISE_RANGE))
    levels = np.linspace(high, low, steps) ** rho
    return (*levels.tolist(), 0.0)


@lru_cache(maxsize=64)
def lms_coefficients(
    sigmas: tuple[float, ...], order: int = LMS_ORDER
) -> tuple[tuple[float, ...], ...]:
    """For every step of `sigmas` [n + 1] the weights of its slope and of up to `order` - 1 earlier
    ones, the latest first.

    A weight is the integral over the step of the slope's Lagrange polynomial. A Gauss-Legendre rule
    with half as many nodes as the order integrates it exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss((order + 1) // 2)  # on [-1, 1]
    steps = []
    for i, (start, end) in enumerate(pairwise(sigmas)):
        knots = sigmas[max(i + 1 - order, 0) : i + 1][::-1]
        sigma = (start + end) / 2 + nodes * (end - start) / 2
        integrals = [float(weights @ lagrange(sigma, knot, knots)) for knot in knots]
        steps.append(tuple(integral * (end - start) / 2 for integral in integrals))
    return tuple(steps)


def lagrange(
    sigma: NDArray[np.float64], knot: float, knots: tuple[float, ...]
) -> NDArray[np.float64]:
    """At `sigma` [n] the Lagrange polynomial that is 1 at `knot` and 0 at the other `knots`."""
    value = np.ones_like(sigma)
    for other in knots:
        if other != knot:
            value *= (sigma - other) / (knot - other)
    return value


def lms(slope: Slope, x: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """Linear multistep of order 4: one evaluation a step; the order grows from 1 with the slopes
    that are known.
    """
    slopes: list[Tensor] = []
    for sigma, weights in zip(sigmas[:-1], lms_coefficients(sigmas), strict=True):
        slopes = [slope(x, sigma), *slopes[: LMS_ORDER - 1]]
        x = x.add(slopes[0], alpha=weights[0])
        for weight, known in zip(weights[1:], slopes[1:], strict=True):
            x.add_(known, alpha=weight)
    return x


def heun(slope: Slope, x: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """Heun's method: two evaluations a step, but one for the last, which ends at sigma = 0 where
    there is no slope.
    """
    for sigma, following in pairwise(sigmas):
        first = slope(x, sigma)
        ahead = x.add(first, alpha=following - sigma)
        if following:
            ahead = x.add(first + slope(ahead, following), alpha=(following - sigma) / 2)
        x = ahead
    return x


def euler(slope: Slope, x: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """Euler's method: one evaluation a step."""
    for sigma, following in pairwise(sigmas):
        x = x.add(slope(x, sigma), alpha=following - sigma)
    return x


SAMPLERS: dict[str, Callable[[Slope, Tensor, tuple[float, ...]], Tensor]] = {
    "lms": lms,
    "heun": heun,
    "euler": euler,
}
