"""GMM: a Gaussian mixture on the feature vectors; with two or five components, AccI-VAD's velocity
branch (Reiss & Hoshen, 2022).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from vadbench.detector import Detector, DetectorInfo, Features, MethodConfig, Nature, runtime
from vadbench.errors import BadInput
from vadbench_methods.mixture import Mixture, choose_components, choose_floor, fit_mixture
from vadbench_methods.mixture_device import nll


class GMMConfig(MethodConfig):
    """Defaults are ours (preset `fast`); preset `paper` is AccI-VAD's released setting."""

    components: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8, 16),
        min_length=1,
        description=(
            "number of Gaussians; of several, the likeliest on held-out training videos is taken"
        ),
    )
    floor: tuple[PositiveFloat, ...] = Field(
        (1e-6, 1e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description=(
            "covariance floor, a share of each feature's variance (absolute: in squared feature"
            " units); of several, chosen as components are and after them: in many dimensions the"
            " smallest would leave directions in which training rows hardly vary to decide"
        ),
    )
    absolute: bool = Field(
        False,
        description=(
            "features and floor are taken raw, as scikit-learn's reg_covar; else features are"
            " standardised"
        ),
    )
    selection_rows: PositiveInt = Field(
        10_000,
        ge=3,
        description="at most so many training rows choose the number of components and the floor",
    )
    init_seed: NonNegativeInt | None = Field(
        None,
        le=2**32 - 1,
        description="seed of the k-means start; null: the run's seed (AccI-VAD: always 0)",
    )
    device: Literal["auto", "cpu", "cuda"] = runtime(
        "auto",
        "where many rows are scored, in float64; EM runs on the CPU. auto: cuda, else cpu",
    )


class GMM(Detector):
    """Anomaly score = -log p(x) under a Gaussian mixture with full covariances, in float64.

    The run's seed decides the k-means start, so seeds measure how much the local optimum of EM
    matters; `init_seed` fixes it.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = GMM(GMMConfig(), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = GMMConfig
    info = DetectorInfo(
        "gmm",
        "Gaussian mixture",
        "Reiss & Hoshen, Attribute-based Representations, 2022 (velocity branch)",
        deterministic=False,
        threads=1,
    )
    # a negative log-density grows with the square of a distance: its root is what may be added to
    # others
    calibration = "sqrt"
    config: GMMConfig
    mixture: Mixture

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: 2 components on Ped2, 5 elsewhere, raw features, reg_covar 1e-6, random_state 0.
        `fast` is the default config.

        Released for velocity alone. The frame-centric rows of MULDE's tables (`clip`) use a mixture
        too, but its components and the scaling of the features are published nowhere: there `paper`
        is the released setting carried over, our reading.
        """
        if name != "paper":
            return {}
        return {
            "components": (2,) if dataset == "ped2" else (5,),
            "floor": (1e-6,),
            "absolute": True,
            "init_seed": 0,
        }

    def require(self) -> None:
        """Refuse a GPU that is not here."""
        if self.config.device == "cuda":
            from vadbench.training import resolve_device

            resolve_device(self.config.device)

    def fit(self, train: Features) -> None:
        """Choose the number of components, then the floor, on training videos; then fit to all
        training rows.
        """
        train.require_rows(2)
        if not self.config.absolute:
            train = train.without_outliers()
        try:
            self.mixture = self._fit(train)
        # raw features take such a row for a component of its own, up to the size where EM fails
        except BadInput:
            rest = train.without_outliers()
            if rest is train:
                raise
            self.mixture = self._fit(rest)

    def _fit(self, train: Features) -> Mixture:
        config = self.config
        seed = self.seed if config.init_seed is None else config.init_seed
        known: dict[str, Any] = {"absolute": config.absolute, "rows": config.selection_rows}
        count = choose_components(
            train.x, train.video, config.components, seed, floor=min(config.floor), **known
        )
        floor = choose_floor(train.x, train.video, count, config.floor, seed, **known)
        return fit_mixture(train.x, count, seed, floor=floor, absolute=config.absolute)

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] negative log-likelihoods in nats."""
        test.require_columns(self.mixture.means.shape[1], self.info.name)
        return nll(self.mixture, test.x, self.config.device)[:, None]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The mixture's weights, means, covariances and Cholesky factors of the precisions."""
        return self.mixture.arrays()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up a fitted mixture."""
        self.mixture = Mixture.from_arrays(arrays)
