"""kNN: the distance to the nearest training rows, AccI-VAD's pose and deep branches (Reiss &
Hoshen, 2022); the exact one, or where rows are millions nearly so.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from vadbench.detector import (
    APPROXIMATE,
    Approximation,
    Detector,
    DetectorInfo,
    Features,
    MethodConfig,
    Nature,
    Standardisation,
    runtime,
    scoring,
)
from vadbench_methods.nearest import TREE_DIM, TREE_VALUES, Nearest
from vadbench_methods.nearest.approximate import (
    CONSTRUCTION,
    PASSES,
    SAMPLE,
    TRAINING,
    Approximate,
    count_cells,
    load_faiss,
)
from vadbench_methods.nearest.rows import Rows

MOST = 1_000_000  # candidates, or probes: faiss counts them in 32 bits
# a step in a graph takes as long as so many times its operations in a matrix product
WALK = 10.0


class KNNConfig(MethodConfig):
    """Defaults are AccI-VAD's released setting."""

    k: PositiveInt = scoring(1, "neighbours whose distances are averaged")
    squared: bool = scoring(True, "squared distances, as released; else distances")
    standardise: bool = Field(
        False, description="divide each feature by its training standard deviation"
    )
    index: Literal["exact", "hnsw", "ivf"] = Field(
        "exact",
        description=(
            "how neighbours are found: exact, all rows are compared; hnsw, a graph, and ivf, cells,"
            " find most of them much faster where rows are millions, and need faiss"
        ),
        json_schema_extra={"left_out": "exact"},
    )
    links: PositiveInt = Field(
        32,
        le=512,
        description="hnsw: links of a row",
        json_schema_extra={"where": {"index": "hnsw"}},
    )
    candidates: PositiveInt = Field(
        128,
        le=MOST,
        description="hnsw: rows that a query keeps while it looks for its nearest",
        json_schema_extra={"where": {"index": "hnsw"}},
    )
    probes: PositiveInt = Field(
        32,
        le=MOST,
        description="ivf: cells that a query looks into, of the square root of the rows",
        json_schema_extra={"where": {"index": "ivf"}},
    )

    device: Literal["auto", "cpu", "cuda"] = runtime(
        "auto",
        "where the matrix products run that propose neighbours; float64 on the CPU settles them, so"
        " scores are the same bits anywhere. auto: cuda, else cpu",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.index == "hnsw" and self.links < 2:
            raise ValueError(f"links must be between 2 and 512, got {self.links}")
        return self


class KNN(Detector):
    """Anomaly score = mean Euclidean distance to the k nearest training rows, in float64.

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

    def require(self) -> None:
        """Refuse an index without faiss, and a GPU that is not here."""
        if self.config.index != "exact":
            load_faiss(self.config.index)
        if self.config.device == "cuda":
            from vadbench.training import resolve_device

            resolve_device(self.config.device)

    def fit(self, train: Features) -> None:
        """Remember the training rows (as they are: a memory map stays one)."""
        train.require_rows(2)
        self.require()
        if self.config.standardise:
            train = train.without_outliers()
        scale = (
            Standardisation.fit(train.x).scale
            if self.config.standardise
            else np.ones(train.x.shape[1])
        )
        self.restore({"x": train.x, "video": train.video, "scale": scale})
        if isinstance(self._nearest, Approximate):
            self._build(self._nearest)

    def _build(self, nearest: Approximate) -> None:
        """Build the index, and say what it finds of some training rows' nearest."""
        alone = len(np.unique(self.video)) == 1
        share, longer = nearest.recall(self.config.k, leave_out=not alone)
        warnings.warn(
            f"{APPROXIMATE}knn by {nearest.kind} finds {100 * share:.1f} % of the {self.config.k}"
            f" nearest rows of {min(SAMPLE, len(self.x))} training rows"
            f"{'' if alone else ' in other videos'}, at distances that are"
            f" {100 * longer:.2g} % longer on average",
            Approximation,
            stacklevel=3,
        )

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] mean distances, in the features' unit (squared: its square; standardised: standard
        deviations).
        """
        test.require_columns(self.x.shape[1], self.info.name)
        return self._mean(self._nearest.squares(test.x, self.config.k))

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """[N, 1] leave-one-video-out: the training rows' distances to the rows of other training
        videos.

        Where there is only one training video, each row leaves out itself alone; its neighbours in
        time stay, so these scores are small.
        """
        train.require_columns(self.x.shape[1], self.info.name)
        k = self.config.k
        if len(np.unique(self.video)) > 1:
            return self._mean(self._nearest.squares(train.x, k, train.video))
        found = self._nearest.squares(train.x, k + 1)
        # its own is 0; an index may miss it, and a row that was left out as an outlier has none
        own = found[:, :1] == 0
        return self._mean(np.where(own, found[:, 1:], found[:, :-1]))

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
        config = self.config
        if config.index == "exact":
            self._nearest: Nearest | Approximate = Nearest(
                self.x, self.scale, self.video, device=config.device
            )
            return
        self._nearest = Approximate(
            Rows(self.x, self.scale, np.asarray(self.video)),
            config.index,
            seed=self.seed,
            links=config.links,
            candidates=config.candidates,
            probes=config.probes,
        )

    def flops(self, rows: int, dim: int, test_rows: int = 0) -> float | None:
        """Of exact search, the products of all rows with all; of few columns, where a tree finds
        them, not known. Of ivf, k-means, and the products with centres and with the rows of cells;
        of hnsw, the distances along the graph.
        """
        config, queries, product = self.config, rows + test_rows, 2.0 * dim
        if config.index == "exact":
            few = dim <= TREE_DIM and rows * dim <= TREE_VALUES
            return None if few else product * rows * queries
        if config.index == "hnsw":
            return (
                WALK * product * config.links * (CONSTRUCTION * rows + config.candidates * queries)
            )
        cells = count_cells(rows)
        learnt = PASSES * min(rows, TRAINING * cells) * cells
        looked = min(config.probes, cells) * rows / cells
        return product * (learnt + rows * cells + queries * (cells + looked))
