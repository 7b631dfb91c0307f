"""One-class SVM, by stochastic gradient descent on a Nystroem map of the Gaussian kernel
(Schoelkopf et al., 2001; Williams & Seeger, 2000).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from vadbench.detector import Detector, DetectorInfo, Features, MethodConfig, Standardisation
from vadbench.spill import make_array
from vadbench_methods.mixture import subsample
from vadbench_methods.streamed import MOST_VALUES

BLOCK = 16384  # rows scored at a time


class OCSVMConfig(MethodConfig):
    """Defaults are ours: the exact solver grows with the square of the rows, the map and the
    subsample keep large streams feasible.
    """

    nu: float = Field(
        0.05, gt=0, le=1, description="bound on the share of training rows outside the boundary"
    )
    gamma: PositiveFloat | None = Field(
        None,
        description=(
            "kernel exp(-gamma |a - b|^2) of standardised features; none: 1 / the number of those"
            " that vary"
        ),
    )
    landmarks: PositiveInt = Field(
        300, description="training rows that span the Nystroem map, at most all that are used"
    )
    rows: PositiveInt = Field(
        100_000, description="training rows used, drawn at random where there are more"
    )
    passes: PositiveInt = Field(20, description="passes of gradient descent over them")


class OCSVM(Detector):
    """Anomaly score = rho - w^T phi(x): the distance from the boundary, positive outside.

    The map phi(x) = N k(x) is linear in the kernel values with the landmarks, so w and N are kept
    as one weight a landmark.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = OCSVM(OCSVMConfig(), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = OCSVMConfig
    info = DetectorInfo(
        "ocsvm",
        "One-class SVM",
        "Schölkopf et al., Estimating the Support of a High-Dimensional Distribution",
        deterministic=False,
    )
    calibration = "minmax-p99.9"
    config: OCSVMConfig
    learnt: dict[str, NDArray[Any]]

    def fit(self, train: Features) -> None:
        """Draw rows and landmarks, then fit the boundary."""
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import SGDOneClassSVM

        train.require_rows(2)
        train = train.without_outliers()
        standardisation = Standardisation.fit(train.x)
        some = subsample(len(train), self.config.rows, self.seed)
        if min(len(train), self.config.rows) * train.x.shape[1] > MOST_VALUES:
            nystroem, gamma, mapped = self._map_blocks(train, some, standardisation)
        else:
            x = standardisation.apply(train.x[some]).astype(np.float64)
            gamma = self.config.gamma or 1 / max(int((x.std(0) > 0).sum()), 1)
            nystroem = Nystroem(
                gamma=gamma, n_components=min(self.config.landmarks, len(x)), random_state=self.seed
            )
            mapped = nystroem.fit_transform(x)
            del x  # not needed while the boundary is fitted
        svm = SGDOneClassSVM(
            nu=self.config.nu,
            max_iter=self.config.passes,
            tol=None,
            average=True,
            random_state=self.seed,
        )
        # scikit-learn 1.9 draws a number it does not use from the global generator
        state = np.random.get_state()
        svm.fit(mapped)
        np.random.set_state(state)
        self.learnt = {
            "mean": standardisation.mean,
            "scale": standardisation.scale,
            "landmarks": nystroem.components_,
            "weights": nystroem.normalization_.T @ np.ravel(svm.coef_),
            "offset": np.ravel(svm.offset_).astype(np.float64),
            "gamma": np.array([gamma]),
        }

    def _map_blocks(
        self, train: Features, some: NDArray[np.intp] | slice, standardisation: Standardisation
    ) -> tuple[Any, float, NDArray[np.float64]]:
        """The map, gamma, and the mapped rows, which lie on disk where they are many; the rows
        themselves are read in blocks.
        """
        from sklearn.kernel_approximation import Nystroem

        rows = np.arange(len(train))[some]
        parts = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]

        def read(part: NDArray[np.intp]) -> NDArray[np.float64]:
            return standardisation.apply(train.x[part]).astype(np.float64)

        gamma = self.config.gamma or 1 / max(count_varying(map(read, parts)), 1)
        count = min(self.config.landmarks, len(rows))
        landmarks = np.random.RandomState(self.seed).permutation(len(rows))[:count]
        nystroem = Nystroem(gamma=gamma, n_components=count, random_state=self.seed)
        nystroem.fit(read(rows[np.sort(landmarks)]))
        shape = len(rows), count
        mapped = make_array(shape, np.float64, f"{train.name}: ocsvm.rows={len(rows)}")
        for start, part in zip(range(0, len(rows), BLOCK), parts, strict=True):
            mapped[start : start + BLOCK] = nystroem.transform(read(part))
        return nystroem, gamma, mapped

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] distances outside the boundary, in the kernel's feature space."""
        from sklearn.metrics.pairwise import rbf_kernel

        learnt = self.learnt
        test.require_columns(len(learnt["mean"]), self.info.name)
        standardisation = Standardisation(learnt["mean"], learnt["scale"])
        out = np.empty((len(test), 1))
        for start in range(0, len(test), BLOCK):
            x = standardisation.apply(test.x[start : start + BLOCK]).astype(np.float64)
            kernel = rbf_kernel(x, learnt["landmarks"], gamma=float(learnt["gamma"][0]))
            out[start : start + BLOCK, 0] = learnt["offset"][0] - kernel @ learnt["weights"]
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The standardisation, the landmarks with their weights, the offset and gamma."""
        return dict(self.learnt)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.learnt = dict(arrays)


def count_varying(blocks: Iterable[NDArray[np.float64]]) -> int:
    """How many columns are not the same in all rows, of rows block by block.

    >>> count_varying([np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])])
    1
    """
    low, high = np.inf, -np.inf
    for block in blocks:
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    return int(np.sum(high > low))
