"""Gaussian mixtures with full covariances, fitted and evaluated in float64; shared by GMM, MULDE
and MSMA.

The covariance floor is relative by default: columns are standardised before EM, so a floor of 1e-6
means 1e-6 of *each column's* variance, and neither k-means nor the floor depends on the columns'
units (pixels beside pixels per frame; log densities that shrink with MULDE's beta). `absolute=True`
is scikit-learn's `reg_covar` on the raw columns: what AccI-VAD and MULDE released.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import APPROXIMATE, Approximation
from vadbench.errors import BadInput
from vadbench_methods.quadratic_em import (
    MOST_COLUMNS,
    NotPositive,
    fit_components,
    fit_streamed,
)
from vadbench_methods.streamed import VALUES, Computed, Rows, blocks, is_large, moments, read_all

START_VALUES = 2**24  # of rows that k-means begins from, where not all are in memory
WIDE_VALUES = 2**25  # of more than MOST_COLUMNS: scikit-learn holds four arrays of them
FLOORS = (1e-6, 1e-5, 1e-3, 1e-2)  # tried in turn where EM fails
Float64 = NDArray[np.float64]
Parts = tuple[Float64, Float64, Float64, Float64]  # fields of a mixture, without the floor


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture with K full covariances, in the units of the data.

    Attributes:
        weights: [K] float64, sum 1.
        means: [K, D] float64.
        covariances: [K, D, D] float64.
        precisions_cholesky: [K, D, D] float64, P with inverse(covariance) = P @ P.T; P is upper
            triangular.
        floor: the covariance floor that EM succeeded with.
    """

    weights: Float64
    means: Float64
    covariances: Float64
    precisions_cholesky: Float64
    floor: float

    def nll(self, x: Rows) -> Float64:
        """[N] float64 negative log-likelihoods (nats) of the rows of x [N, D]."""
        from scipy.special import logsumexp

        count, dim = self.means.shape
        # [K]
        log_scale = np.log(np.diagonal(self.precisions_cholesky, axis1=1, axis2=2)).sum(
            1
        ) - 0.5 * dim * np.log(2 * np.pi)
        out = np.empty(len(x))
        # 32 MiB a block, and 128 MiB of its log-densities at most
        step = max(1, min(VALUES // dim, 4 * VALUES // count))
        for start in range(0, len(x), step):
            rows = np.asarray(x[start : start + step], np.float64)
            log_p = np.empty((len(rows), count))
            # the mean is subtracted before the product: an offset in the data costs no digits
            for k in range(count):
                whitened = (rows - self.means[k]) @ self.precisions_cholesky[k]
                log_p[:, k] = log_scale[k] - 0.5 * np.square(whitened).sum(1)
            out[start : start + step] = -logsumexp(log_p + np.log(self.weights), axis=1)
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learnt as named float64 arrays; `from_arrays` gives back the same mixture to
        the bit.
        """
        return {
            "weights": self.weights,
            "means": self.means,
            "covariances": self.covariances,
            "precisions_cholesky": self.precisions_cholesky,
            "floor": np.array([self.floor]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Mixture:
        """The mixture that `arrays` described."""
        parts = {
            name: arrays[name]
            for name in ("weights", "means", "covariances", "precisions_cholesky")
        }
        return cls(**parts, floor=float(arrays["floor"][0]))


def fit_mixture(
    x: Rows,
    components: int,
    seed: int,
    *,
    floor: float = FLOORS[0],
    absolute: bool = False,
) -> Mixture:
    """Fit by EM from k-means (scikit-learn's defaults: one start, tolerance 1e-3, at most 100
    iterations).

    More than `MOST_VALUES` numbers are read in blocks, in every pass, and k-means begins from some
    of the rows, which is said in an `Approximation`; EM takes all. Fewer components are fitted
    where there are fewer distinct rows. With a relative floor, a constant column says nothing of
    density and gets variance 1 in its own unit, as in `Standardisation`; with an absolute one it
    gets the floor, as released. Where EM fails, the floor is raised.

    Args:
        x: [N, D], N >= 2, finite.
        components: K.
        seed: of the k-means start.
        floor: added to the diagonal of each covariance; relative to a column's variance, or
            absolute.
        absolute: `floor` is scikit-learn's `reg_covar`, in squared units of the raw columns.

    Raises:
        BadInput: on fewer than two rows, a value that is not finite, or if EM fails with every
            floor.
    """
    flat = len(x.shape) != 2
    large = not flat and is_large(x)
    rows = x if flat or large else read_all(x)
    if flat or len(x) < 2 or not all(np.isfinite(part).all() for part in blocks(rows)):
        raise BadInput(
            f"mixture: expected at least two finite rows [N, D], got shape {x.shape}; check the"
            " features (vadbench features verify)"
        )
    if absolute:
        return _em(rows, components, seed, floor)
    mean, std = moments(rows)
    varying = std > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    if not varying.any():
        return _unit_gaussian(mean, floor)

    def standardise(part: Float64) -> Float64:
        own = part[:, varying]  # a copy
        own -= mean[varying]
        own /= std[varying]
        return own

    lazy = Computed(rows, standardise, int(varying.sum()))
    standard = lazy if large else lazy[:]
    del rows, lazy  # two arrays of all rows are enough
    return _in_raw_units(_em(standard, components, seed, floor), mean, std, varying)


def choose_components(
    x: Rows,
    video: NDArray[np.integer[Any]],
    candidates: Sequence[int],
    seed: int,
    *,
    floor: float = FLOORS[0],
    absolute: bool = False,
    rows: int = 10_000,
    folds: int = 3,
) -> int:
    """The candidate with the best mean log-likelihood of held-out *training* videos.

    Whole videos are held out: neighbouring frames are near-copies, and held out row by row they
    would reward memorising. Where one video holds nearly all rows, so that all others together are
    fewer than half of what a fold holds out, 1 / (2 folds) of the rows, all rows are cut into
    contiguous stretches instead: few rows fitted would decide alone. At most `rows` rows, drawn
    with `seed`, take part. A candidate with more parameters than rows to fit is not tried.

    Args:
        x: [N, D] training rows.
        video: [N] the rows' videos.
        candidates: numbers of components.
        seed: of the draw and of EM.
        floor: as in `fit_mixture`.
        absolute: as in `fit_mixture`.
        rows: at most so many rows are used.
        folds: at most so many folds.
    """
    if len(candidates) == 1:
        return candidates[0]
    chosen, groups = _sample(x, video, rows, seed, folds)
    largest = max(1.0, len(chosen) * (1 - 1 / folds) / _parameters(chosen.shape[1]))
    tried = [k for k in sorted(set(candidates)) if k <= largest] or [min(candidates)]
    if len(tried) == 1:
        return tried[0]
    loss = [
        held_out_nll(chosen, groups, k, seed, floor=floor, absolute=absolute, folds=folds)
        for k in tried
    ]
    return tried[int(np.argmin(loss))]


def choose_floor(
    x: Rows,
    video: NDArray[np.integer[Any]],
    components: int,
    floors: Sequence[float],
    seed: int,
    *,
    absolute: bool = False,
    rows: int = 10_000,
    folds: int = 3,
) -> float:
    """The floor with the best mean log-likelihood of held-out *training* videos, by the same rows
    and folds as `choose_components`.

    Args:
        x: [N, D] training rows.
        video: [N] the rows' videos.
        components: number of components.
        floors: as in `fit_mixture`.
        seed: of the draw and of EM.
        absolute: as in `fit_mixture`.
        rows: at most so many rows are used.
        folds: at most so many folds.
    """
    if len(floors) == 1 or len(x) < 4:
        return min(floors)
    chosen, groups = _sample(x, video, rows, seed, folds)
    tried = sorted(set(floors))
    return tried[
        int(
            np.argmin(
                [
                    held_out_nll(
                        chosen,
                        groups,
                        components,
                        seed,
                        floor=floor,
                        absolute=absolute,
                        folds=folds,
                    )
                    for floor in tried
                ]
            )
        )
    ]


def subsample(count: int, most: int | None, seed: int) -> NDArray[np.intp] | slice:
    """At most `most` of `count` rows, drawn at random and in order (a memory map is read forwards);
    all of them where `most` is None.
    """
    return (
        slice(None)
        if most is None or count <= most
        else np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
    )


def held_out_nll(
    x: NDArray[np.floating[Any]],
    group: NDArray[np.integer[Any]],
    components: int,
    seed: int,
    *,
    floor: float,
    absolute: bool,
    folds: int,
) -> float:
    """Mean negative log-likelihood of the rows of held-out groups, each row scored by the one
    mixture that has not seen its group.
    """
    from sklearn.model_selection import GroupKFold

    total = 0.0
    for fitted, held_out in GroupKFold(min(folds, len(np.unique(group)))).split(x, groups=group):
        total += float(
            fit_mixture(x[fitted], components, seed, floor=floor, absolute=absolute)
            .nll(x[held_out])
            .sum()
        )
    return total / len(x)


def _sample(
    x: Rows, video: NDArray[np.integer[Any]], rows: int, seed: int, folds: int
) -> tuple[Float64, NDArray[np.integer[Any]]]:
    index = subsample(len(x), rows, seed)
    return np.asarray(x[index], np.float64), _groups(np.asarray(video)[index], folds)


def _groups(video: NDArray[np.integer[Any]], folds: int) -> NDArray[np.integer[Any]]:
    """[N] what is held out together: the videos, or contiguous stretches of the rows; see
    `choose_components`.
    """
    # what is left to fit where the largest video is held out
    rest = len(video) - np.unique(video, return_counts=True)[1].max()
    if rest >= max(2, len(video) / (2 * folds)):
        return video
    return np.arange(len(video)) * folds // len(video)


def _parameters(dim: int) -> int:
    """Free parameters of one component: weight, mean, covariance."""
    return 1 + dim + dim * (dim + 1) // 2


def _em(rows: Rows, components: int, seed: int, floor: float) -> Mixture:
    from threadpoolctl import threadpool_limits

    count = _at_most_distinct(rows, components)
    fit = _choose_fit(rows)
    failure: NotPositive | None = None
    for reg_covar in (floor, *(larger for larger in FLOORS if larger > floor)):
        # k-means adds OpenMP threads' sums in any order: with one thread a refit is equal to the
        # bit. The papers too stop EM after 100 iterations.
        with threadpool_limits(1, user_api="openmp"):
            try:
                parts = fit(rows, count, seed, reg_covar)
            except NotPositive as error:
                failure = error
                continue
        if all(np.isfinite(part).all() for part in parts):
            return Mixture(*parts, reg_covar)
    raise BadInput(
        f"mixture: EM failed with every covariance floor up to {FLOORS[-1]}; fit fewer components"
        f" than {count}"
    ) from failure


def _choose_fit(rows: Rows) -> Callable[..., Parts]:
    if is_large(rows):
        return _fit_streamed
    if rows.shape[1] <= MOST_COLUMNS:
        return _fit_few_columns
    return _fit_many_columns if len(rows) * rows.shape[1] <= WIDE_VALUES else _fit_streamed


def _fit_streamed(rows: Rows, count: int, seed: int, floor: float) -> Parts:
    """Weights, means, covariances and factors of the precisions; where k-means began from some rows
    alone, that is said.
    """
    most = max(count, START_VALUES // rows.shape[1])
    some = subsample(len(rows), most, seed) if is_large(rows) else slice(None)
    fitted = fit_streamed(rows, some, count, seed, floor)
    if not isinstance(some, slice):
        warnings.warn(
            f"{APPROXIMATE}the mixture's k-means began from {len(some)} of {len(rows)} rows, drawn"
            " with the seed; EM took all rows",
            Approximation,
            stacklevel=2,
        )
    return fitted.weights, fitted.means, fitted.covariances, fitted.factors


def _fit_few_columns(rows: Float64, count: int, seed: int, floor: float) -> Parts:
    """Likewise, of rows in memory."""
    fitted = fit_components(rows, count, seed, floor)
    return fitted.weights, fitted.means, fitted.covariances, fitted.factors


def _fit_many_columns(rows: Float64, count: int, seed: int, floor: float) -> Parts:
    """Likewise, by scikit-learn."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(count, covariance_type="full", reg_covar=floor, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(rows)
        except ValueError as error:
            # scikit-learn says so of a covariance that has no Cholesky factor, and of much else
            if isinstance(error.__context__, np.linalg.LinAlgError):
                raise NotPositive(str(error)) from error
            raise
    return model.weights_, model.means_, model.covariances_, model.precisions_cholesky_


def _at_most_distinct(rows: Rows, components: int) -> int:
    """`components`, or the number of distinct rows if that is smaller; the first thousand rows
    mostly settle it.
    """
    seen = np.unique(rows[:1000], axis=0)
    for part in blocks(rows) if len(seen) < components else ():
        seen = np.unique(np.concatenate([seen, part]), axis=0)
        if len(seen) >= components:
            break
    return min(len(seen), components)


def _unit_gaussian(mean: Float64, floor: float) -> Mixture:
    identity = np.eye(len(mean))[None]
    return Mixture(np.ones(1), mean[None], identity, identity.copy(), floor)


def _in_raw_units(
    standard: Mixture, mean: Float64, std: Float64, varying: NDArray[np.bool_]
) -> Mixture:
    """The mixture of x from that of (x - mean) / std over the varying columns."""
    count, dim = len(standard.weights), len(mean)
    scale = std[varying]
    means = np.tile(mean, (count, 1))
    means[:, varying] += standard.means * scale
    covariances, choleskys = np.tile(np.eye(dim), (2, count, 1, 1))
    where = np.ix_(np.arange(count), varying.nonzero()[0], varying.nonzero()[0])
    covariances[where] = standard.covariances * np.outer(scale, scale)
    choleskys[where] = standard.precisions_cholesky / scale[:, None]
    return Mixture(standard.weights, means, covariances, choleskys, standard.floor)
