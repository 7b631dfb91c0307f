"""A mixture of four overlapping Gaussians whose density is known exactly."""

import math

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


def mixture(rows: int, seed: int, dim: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a fixed mixture of 4 Gaussians with full covariances, and each one's exact -log
    density.
    """
    shape = np.random.default_rng(1)
    means = shape.normal(size=(4, dim))
    factors = shape.normal(size=(4, dim, 2 * dim)) / math.sqrt(2)
    roots = np.linalg.cholesky((factors @ factors.transpose(0, 2, 1) / dim + np.eye(dim)) / 2)
    draw = np.random.default_rng(seed)
    which = draw.integers(0, 4, rows)
    x = (
        means[which] + np.einsum("nij,nj->ni", roots[which], draw.normal(size=(rows, dim)))
    ).astype(np.float32)
    log_densities = [
        norm.logpdf(np.linalg.solve(root, (x - mean).T)).sum(0) - np.log(np.diag(root)).sum()
        for mean, root in zip(means, roots, strict=True)
    ]
    return x, math.log(4) - logsumexp(log_densities, axis=0)
