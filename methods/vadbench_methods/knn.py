"""kNN: the exact distance to the nearest training rows, AccI-VAD's pose and deep branches (Reiss &
Hoshen, 2022).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from vadbench.detector import (
    Detector,
    DetectorInfo,
    Features,
    MethodConfig,
    Nature,
    Standardisation,
    runtime,
    scoring,
)
from vadbench_methods.nearest import Nearest


class KNNConfig(MethodConfig):
    """Defaults are AccI-VAD's released setting."""

    k: PositiveInt = scoring(1, "neighbours whose distances are averaged")
    squared: bool = scoring(True, "squared distances, as released; else distances")
    standardise: bool = Field(
        False, description="divide each feature by its training standard deviation"
    )
    device: Literal["auto", "cpu", "cuda"] = runtime(
        "auto",
        "where the matrix products run that propose neighbours; float64 on the CPU settles them, so"
        " scores are the same bits anywhere. auto: cuda, else cpu",
    )


class KNN(Detector):
    """Anomaly score = mean Euclidean distance to the k nearest training rows, exact, in float64.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = KNN(KNNConfig(k=3), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = KNNConfig
    info = DetectorInfo(
        "knn",
        "k nearest neighbours",
        "Reiss & Hoshen, Attribute-based Representations, 2022 (pose and deep branches)",
        deterministic=True,
    )
    calibration = "minmax-p99.9"
    config: KNNConfig
    x: NDArray[np.float32]  # [N, D] the training rows
    video: NDArray[np.integer[Any]]  # [N]
    scale: NDArray[np.float64]  # [D]

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`fast`: distances, and standardised where columns are of several units, which would
        otherwise decide.

        Not squared, because smoothing a square lets one far row hide its neighbours. The columns of
        `deep`, `clip` and `pose` share a unit: divided by its deviation, a column that is almost
        always 0 in training would count for all others once it is not.

        `paper` is the default config: released for pose and deep features, which it takes unscaled.
        The frame-centric rows of MULDE's tables (`clip`) use kNN too, but their k and scaling are
        published nowhere: there `paper` is the released setting carried over, our reading.
        """
        return {"standardise": not nature.one_unit, "squared": False} if name == "fast" else {}

    def fit(self, train: Features) -> None:
        """Remember the training rows (as they are: a memory map stays one)."""
        train.require_rows(2)
        if self.config.standardise:
            train = train.without_outliers()
        scale = (
            Standardisation.fit(train.x).scale
            if self.config.standardise
            else np.ones(train.x.shape[1])
        )
        self.restore({"x": train.x, "video": train.video, "scale": scale})

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] mean distances, in the features' unit (squared: its square; standardised: standard
        deviations).
        """
        return self._mean(self._nearest.squares(test.x, self.config.k))

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """[N, 1] leave-one-video-out: the training rows' distances to the rows of other training
        videos.

        Where there is only one training video, each row leaves out itself alone; its neighbours in
        time stay, so these scores are small.
        """
        k = self.config.k
        if len(np.unique(self.video)) > 1:
            return self._mean(self._nearest.squares(train.x, k, train.video))
        # the first is the row's own, 0
        return self._mean(self._nearest.squares(train.x, k + 1)[:, 1:])

    def _mean(self, squared: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of each row of [N, k] over the neighbours that exist."""
        exist = np.isfinite(squared)
        distance = squared if self.config.squared else np.sqrt(squared)
        mean: NDArray[np.float64] = np.where(exist, distance, 0.0).sum(
            1, keepdims=True
        ) / exist.sum(1, keepdims=True)
        return mean

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The training rows, their videos and the scale of each feature."""
        return {"x": self.x, "video": self.video, "scale": self.scale}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up training rows."""
        self.x, self.video, self.scale = arrays["x"], arrays["video"], arrays["scale"]
        self._nearest = Nearest(self.x, self.scale, self.video, device=self.config.device)
