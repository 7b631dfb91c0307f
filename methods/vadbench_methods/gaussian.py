"""Gaussian: -log-density under one Gaussian with a shrunken covariance (Ledoit & Wolf, 2004), a
Mahalanobis distance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import Detector, DetectorInfo, Features, MethodConfig, Standardisation

BLOCK = 65536  # rows at a time, so that nothing the size of a memory-mapped stream is made;
MOST_VALUES = 2**27  # in very many columns fewer,
SCORED_VALUES = 2**25  # and where scored, with another array of the size


class GaussianConfig(MethodConfig):
    """No settings: the shrinkage is computed, not chosen."""


class Gaussian(Detector):
    """Anomaly score = -log N(x; mean, covariance) of the standardised features, in nats: half the
    squared Mahalanobis distance and a constant.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = Gaussian(GaussianConfig(), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = GaussianConfig
    info = DetectorInfo(
        "gaussian",
        "Gaussian",
        "Ledoit & Wolf, A Well-conditioned Estimator for Large-dimensional Covariance Matrices,"
        " 2004",
        True,
        threads=1,
    )
    calibration = "sqrt"  # half a squared distance: its root is what may be added to others
    standardisation: Standardisation
    whiten: NDArray[np.float64]  # [D, D], W with inverse(covariance) = W W^T

    def fit(self, train: Features) -> None:
        """The mean and the shrunken covariance of the training rows."""
        train.require_rows(2)
        train = train.without_outliers()
        self.standardisation = Standardisation.fit(train.x)
        covariance, fourth = self._moments(train.x)
        varying = np.flatnonzero(np.diagonal(covariance) >= 1e-6)
        # a constant feature says nothing of density: variance 1 in its own unit
        shrunken = np.eye(len(covariance))
        if len(varying):
            block = np.ix_(varying, varying)
            shrunken[block] = shrink(covariance[block], fourth, len(train))
        values, vectors = np.linalg.eigh(shrunken)
        self.whiten = vectors / np.sqrt(np.maximum(values, 1e-12))

    def _moments(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """Covariance [D, D] of the standardised rows, and the mean of their norms to the fourth."""
        covariance, fourth = np.zeros((x.shape[1], x.shape[1])), 0.0
        step = min(BLOCK, max(1, MOST_VALUES // x.shape[1]))
        for start in range(0, len(x), step):
            z = self._standardise(x[start : start + step])
            covariance += z.T @ z / len(x)
            fourth += float(np.square(np.square(z, out=z).sum(1)).sum()) / len(x)
        return covariance, fourth

    def _standardise(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        z = x - self.standardisation.mean
        z /= self.standardisation.scale
        return z

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] negative log-likelihoods in nats."""
        test.require_columns(len(self.whiten), self.info.name)
        constant = (
            0.5 * len(self.whiten) * np.log(2 * np.pi)
            - 0.5 * np.linalg.slogdet(self.whiten @ self.whiten.T)[1]
        )
        out = np.empty((len(test), 1))
        step = min(BLOCK, max(1, SCORED_VALUES // len(self.whiten)))
        for start in range(0, len(test), step):
            whitened = self._standardise(test.x[start : start + step]) @ self.whiten
            out[start : start + step, 0] = 0.5 * np.square(whitened, out=whitened).sum(1) + constant
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The standardisation and the whitening matrix."""
        return {
            "mean": self.standardisation.mean,
            "scale": self.standardisation.scale,
            "whiten": self.whiten,
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.standardisation = Standardisation(arrays["mean"], arrays["scale"])
        self.whiten = arrays["whiten"]


def shrink(covariance: NDArray[np.float64], fourth: float, rows: int) -> NDArray[np.float64]:
    """The covariance [D, D] drawn towards the mean variance times the identity, by Ledoit and
    Wolf's share (equal to scikit-learn's).

    scikit-learn needs two float64 copies of all rows, this two sums over them.

    Args:
        covariance: of centred rows, divided by their number.
        fourth: mean over the rows of their squared norm, squared.
        rows: their number.
    """
    dim = len(covariance)
    variance = float(np.trace(covariance)) / dim
    # d^2 of the paper, times D
    spread = float(np.square(covariance - variance * np.eye(dim)).sum())
    # b^2 of the paper, times D
    noise = min((fourth - float(np.square(covariance).sum())) / rows, spread)
    share = noise / spread if spread > 0 else 0.0
    return (1 - share) * covariance + share * variance * np.eye(dim)
