"""EM of a full mixture: ours against scikit-learn's, from the same start, in CPU seconds on one
thread; by columns at 60,000 rows, and at 400,000 x 5 as a data set of person tracks has.

    python benchmarks/speed/mixture.py [--rounds R]

Each round fits both in turn; what counts is the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from vadbench_methods.quadratic_em import fit_components

FLOOR = 1e-6
CASES = ((60_000, 2, 8), (60_000, 5, 8), (60_000, 8, 8), (60_000, 16, 8), (400_000, 5, 16))


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # scikit-learn's, of iterations
    for rows, dim, components in CASES:
        x = make_rows(rows, dim)
        ratios = []
        for _ in range(rounds):
            theirs = GaussianMixture(components, reg_covar=FLOOR, random_state=0)
            with threadpool_limits(1):
                reference = seconds(lambda model=theirs, x=x: model.fit(x))  # type: ignore[misc]
                ours = seconds(lambda x=x, k=components: fit_components(x, k, 0, FLOOR))  # type: ignore[misc]
            ratios.append(reference / ours)
        print(
            f"{rows} x {dim}, {components} components, {theirs.n_iter_} iterations:"
            f" {ours:.2f} s, {statistics.median(ratios):.1f} times as fast as scikit-learn"
        )


def make_rows(rows: int, dim: int) -> NDArray[np.float64]:
    """Clusters of several widths, standardised."""
    rng = np.random.default_rng(0)
    own = rng.integers(0, 6, rows)
    widths, centres = rng.uniform(0.05, 1, (6, dim)), 3 * rng.normal(size=(6, dim))
    x = centres[own] + rng.normal(size=(rows, dim)) * widths[own]
    return np.asarray((x - x.mean(0)) / x.std(0))


def seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
