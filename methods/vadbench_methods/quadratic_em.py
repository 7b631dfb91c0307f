"""EM of a Gaussian mixture over blocks of rows, for few columns: the log-densities of all
components are one product of the rows' monomials [x_i x_j, x_i, 1] with a matrix, and the sums of
the M-step the transposed product. It takes the steps of scikit-learn's GaussianMixture from the
same k-means start, and holds no more than a block of rows beside those that it is given.

A component that is narrow beside its distance from the origin would lose digits in that product:
its terms are centred first, component by component, as scikit-learn does with all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import Note
from vadbench_methods.streamed import Rows, blocks

Float64 = NDArray[np.float64]
MOST_COLUMNS = 16  # above, centred products are as quick
BLOCK = 1024  # rows at a time at most: their monomials stay in the cache
SMALL_PRODUCT = 10**6  # multiplications below which OpenBLAS does not copy its operands first
WIDE_BLOCK = 8192  # where there are none
TOLERANCE, ITERATIONS = 1e-3, 100  # as scikit-learn's defaults, and as the papers'
LOST = 1e-10  # digits of a log-density that may be lost
LEAST = -600.0  # log of a responsibility: smaller ones are subnormal numbers, which are slow
NARROW = "EM centred narrow components"  # slower, where a product of monomials loses digits


class NotPositive(ValueError):
    """A covariance is not positive definite: a higher floor may help."""


@dataclass(frozen=True)
class Components:
    """A mixture in the making: weights [K], means [K, D], covariances [K, D, D], and the Cholesky
    factors of their inverses.
    """

    weights: Float64
    means: Float64
    covariances: Float64
    factors: Float64

    @classmethod
    def of(cls, sizes: Float64, means: Float64, covariances: Float64, floor: float) -> Components:
        """Those of the sums of an M-step.

        Raises:
            NotPositive: if a covariance is not positive definite.
        """
        dim = means.shape[1]
        covariances = covariances + floor * np.eye(dim)
        try:
            lower = np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError as error:
            raise NotPositive("a covariance is not positive definite") from error
        factors = np.linalg.solve(lower, np.eye(dim)[None]).transpose(0, 2, 1)
        weights = sizes / sizes.sum()
        return cls(weights, means, covariances, np.ascontiguousarray(factors))

    @property
    def offsets(self) -> Float64:
        """[K] log weight and normaliser of each."""
        dim = self.means.shape[1]
        scale = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(1)
        return np.asarray(np.log(self.weights) + scale - 0.5 * dim * np.log(2 * np.pi))

    @property
    def narrow(self) -> NDArray[np.bool_]:
        """[K] those whose terms have to be centred."""
        precisions = np.square(self.factors).sum((1, 2))
        distances = np.square(self.means).sum(1) + np.trace(self.covariances, axis1=1, axis2=2)
        return np.asarray(np.finfo(np.float64).eps * precisions * distances > LOST)


def fit_components(rows: Float64, components: int, seed: int, floor: float) -> Components:
    """EM from k-means.

    Args:
        rows: [N, D].
        components: K.
        seed: of the start.
        floor: added to each variance.

    Raises:
        NotPositive: if a covariance becomes singular.
    """
    from sklearn.cluster import KMeans

    start = KMeans(components, n_init=1, random_state=np.random.RandomState(seed)).fit(rows)
    return _iterate(rows, _begin(rows, start.labels_, components, floor), floor)


def fit_streamed(
    rows: Rows, some: NDArray[np.intp] | slice, components: int, seed: int, floor: float
) -> Components:
    """EM of rows that are read in blocks, from the clusters of some of them by k-means.

    Args:
        rows: [N, D].
        some: numbers of the rows that k-means takes.
        components: K.
        seed: of the start.
        floor: added to each variance.

    Raises:
        NotPositive: if a covariance becomes singular.
    """
    from sklearn.cluster import KMeans

    first = np.asarray(rows[some], np.float64)  # k-means predicts in the type it was fitted in
    start = KMeans(components, n_init=1, random_state=np.random.RandomState(seed)).fit(first)
    dim = rows.shape[1]
    unit = np.broadcast_to(np.eye(dim), (components, dim, dim))
    centres = Components(np.full(components, 1 / components), start.cluster_centers_, unit, unit)
    sums = _Sums(centres, centred=True)
    for block in blocks(rows, WIDE_BLOCK):
        labels = start.predict(block)
        sums.add_shares(block, (labels == np.arange(components)[:, None]).astype(np.float64), None)
    return _iterate(rows, sums.components(floor), floor)


def _iterate(rows: Rows, fitted: Components, floor: float) -> Components:
    """EM until it settles."""
    before = -np.inf
    for _ in range(ITERATIONS):
        likelihood, fitted = _step(rows, fitted, floor)
        if abs(likelihood - before) < TOLERANCE:
            break
        before = likelihood
    if rows.shape[1] <= MOST_COLUMNS and fitted.narrow.any():
        warnings.warn(NARROW, Note, stacklevel=2)
    return fitted


def _begin(rows: Float64, labels: NDArray[np.intp], components: int, floor: float) -> Components:
    """The components of the clusters of a start."""
    dim = rows.shape[1]
    sizes = np.bincount(labels, minlength=components) + 10 * np.finfo(np.float64).eps
    means, covariances = np.zeros((components, dim)), np.zeros((components, dim, dim))
    for k in range(components):
        own = rows[labels == k]
        means[k] = own.sum(0) / sizes[k]
        own -= means[k]
        covariances[k] = own.T @ own / sizes[k]
    return Components.of(sizes, means, covariances, floor)


def _step(rows: Rows, now: Components, floor: float) -> tuple[float, Components]:
    """The mean log-likelihood of the rows, and the components after a step of EM."""
    many = rows.shape[1] > MOST_COLUMNS
    sums = _Sums(now, centred=many)
    few = min(BLOCK, max(1, SMALL_PRODUCT // max(1, sums.coefficients.size)))
    for block in blocks(rows, WIDE_BLOCK if many else few):
        sums.add(block)
    return sums.likelihood / len(rows), sums.components(floor)


class _Sums:
    """What the M-step needs of all rows: for each component the sums of its responsibilities times
    1, x and x x^T; of narrow ones, or of all where `centred`, x is taken from the mean of before.

    Monomials and densities lie with the rows along the last axis, so that each is computed from
    whole columns.
    """

    def __init__(self, now: Components, *, centred: bool = False) -> None:
        count, dim = now.means.shape
        self.now = now
        self.likelihood = 0.0
        pairs = [] if centred else list(combinations_with_replacement(range(dim), 2))
        self.pairs = np.array(pairs, np.intp).reshape(-1, 2).T
        narrow = np.ones(count, bool) if centred else now.narrow
        self.narrow, self.wide = np.flatnonzero(narrow), np.flatnonzero(~narrow)
        self.offsets = now.offsets
        self.coefficients = self._expand()
        self.sizes = np.zeros(count)
        self.first, self.second = np.zeros((count, dim)), np.zeros((count, dim, dim))
        self.moments = np.zeros(self.coefficients.shape)
        self.monomials = np.ones((self.coefficients.shape[1], 0))

    def _expand(self) -> Float64:
        """[wide, P] what the monomials are multiplied with for the log-densities."""
        factors, means = self.now.factors[self.wide], self.now.means[self.wide]
        precisions = factors @ factors.transpose(0, 2, 1)
        one, other = self.pairs
        squares = -np.where(one == other, 0.5, 1.0) * precisions[:, one, other]
        linear = np.einsum("kij,kj->ki", precisions, means)
        constant = self.offsets[self.wide] - 0.5 * np.square(
            np.einsum("ki,kij->kj", means, factors)
        ).sum(1)
        return np.concatenate([squares, linear, constant[:, None]], axis=1)

    def add(self, x: Float64) -> None:
        """Take a block of rows in."""
        monomials = self._expand_rows(x) if len(self.wide) else None
        log_p = np.empty((len(self.sizes), len(x)))
        if monomials is not None:
            log_p[self.wide] = self.coefficients @ monomials
        for k in self.narrow:
            whitened = (x - self.now.means[k]) @ self.now.factors[k]
            log_p[k] = self.offsets[k] - 0.5 * np.square(whitened, out=whitened).sum(1)
        top = log_p.max(0)
        log_p -= top
        np.maximum(log_p, LEAST, out=log_p)
        shares = np.exp(log_p, out=log_p)
        total = shares.sum(0)
        shares /= total
        self.likelihood += float(np.log(total).sum() + top.sum())
        self.add_shares(x, shares, monomials)

    def _expand_rows(self, x: Float64) -> Float64:
        """[P, B] the monomials of rows; overwritten by those of the next."""
        dim, pairs = x.shape[1], self.pairs.shape[1]
        if self.monomials.shape[1] != len(x):
            self.monomials = np.ones((len(self.monomials), len(x)))
        columns = self.monomials[pairs : pairs + dim]
        columns[:] = x.T
        end = 0
        for place in range(dim):
            begin, end = end, end + dim - place
            np.multiply(columns[place:], columns[place], out=self.monomials[begin:end])
        return self.monomials

    def add_shares(self, x: Float64, shares: Float64, monomials: Float64 | None) -> None:
        """Take a block of rows in whose responsibilities [K, B] are known."""
        self.sizes += shares.sum(1)
        if monomials is not None:
            self.moments += (monomials @ np.ascontiguousarray(shares[self.wide].T)).T
        for k in self.narrow:
            centred = x - self.now.means[k]
            self.first[k] += shares[k] @ centred
            self.second[k] += (shares[k, :, None] * centred).T @ centred

    def components(self, floor: float) -> Components:
        """The components of these sums."""
        count, dim = self.first.shape
        sizes = self.sizes + 10 * np.finfo(np.float64).eps
        pairs = self.pairs.shape[1]
        one, other = self.pairs
        self.first[self.wide] = self.moments[:, pairs : pairs + dim]
        for place, k in enumerate(self.wide):
            self.second[k][one, other] = self.second[k][other, one] = self.moments[place, :pairs]
        shifts = self.first / sizes[:, None]
        products = shifts[:, :, None] * shifts[:, None, :]
        covariances = self.second / sizes[:, None, None] - products
        narrow = np.zeros((count, 1), bool)
        narrow[self.narrow] = True
        means = shifts + np.where(narrow, self.now.means, 0.0)
        return Components.of(sizes, means, covariances, floor)
