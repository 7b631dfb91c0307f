"""Directed density: how rarely normal objects move so much, one-sided, and how rarely the rest of
them is so improbable. The derivation is in docs/methods/directed.md.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from vadbench.detector import Detector, DetectorInfo, Features, MethodConfig, Nature
from vadbench.errors import BadInput
from vadbench.tails import Tail, fit_tail, log_survival
from vadbench_methods.mixture import Mixture, choose_components, choose_floor, fit_mixture
from vadbench_methods.streamed import Computed, Rows

BLOCK = 65536  # rows scored at a time
HELD = 2**24  # values that are described once; of more, whenever they are read
MANY = 2**20  # rows whose speeds are added at a time
STILL = 0.1  # of the median speed: about there a direction is half noise

Float64 = NDArray[np.float64]


class DirectedConfig(MethodConfig):
    """Mixtures are chosen as those of `gmm` are."""

    columns: tuple[NonNegativeInt, ...] = Field(
        (),
        description=(
            "columns of motion, of one unit: only more of it is anomalous, and their shares say"
            " where it goes; none: a density alone"
        ),
    )
    components: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8, 16),
        min_length=1,
        description="number of Gaussians; of several, the likeliest on held-out training videos",
    )
    floor: tuple[PositiveFloat, ...] = Field(
        (1e-6, 1e-3, 1e-2, 1e-1, 1.0),
        min_length=1,
        description="covariance floor, a share of each column's variance; likewise",
    )
    selection_rows: PositiveInt = Field(
        10_000, ge=3, description="at most so many training rows choose both"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns must differ, got {self.columns}")
        return self


class Directed(Detector):
    """Anomaly score = -log p, p the combination of two p-values: of the speed, one-sided; and of
    all else, by its density.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = Directed(DirectedConfig(columns=(0, 1)), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = DirectedConfig
    config: DirectedConfig
    info = DetectorInfo(
        "directed",
        "directed density",
        "a method of ours: Fisher's combination of a speed's tail and a density's",
        deterministic=False,
        threads=1,
    )
    calibration = "tail"
    still: NDArray[np.float64]  # [columns] motion that is added before shares are taken
    speed: Tail | None  # None: no column is of motion
    mixture: Mixture | None  # None: there are no other columns
    rest: Tail | None  # of the mixture's negative log-densities

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """The columns of motion, where the stream declares some."""
        return {"columns": nature.motion} if nature.motion else {}

    def fit(self, train: Features) -> None:
        """The tail of the speed; a mixture of the rest, and its tail.

        Raises:
            BadInput: if a column of motion is not there.
        """
        train.require_rows(2)
        columns = self.config.columns
        if max(columns, default=0) >= train.x.shape[1]:
            raise BadInput(
                f"{train.name}: {train.x.shape[1]} columns, columns asks for {columns} (--set"
                " directed.columns=[])"
            )
        train = train.without_outliers()
        self.still, self.speed = np.zeros(len(columns)), None
        self.mixture, self.rest = None, None
        if columns:
            speed = self._speed(train.x)
            self.still = self._find_still(train.x, speed)
            self.speed = fit_tail(speed)
        others = self._read_rest(train.x)
        if others.shape[1]:
            self.mixture = self._fit_mixture(others, train.video)
            self.rest = fit_tail(self.mixture.nll(others))

    def _read_rest(self, x: NDArray[np.float32]) -> Rows:
        """`_describe_rest` of all rows: in memory, or where they are many a block at a time."""
        columns = max(x.shape[1] - 1, 0) if self.config.columns else x.shape[1]
        lazy = Computed(x, self._describe_rest, columns)
        return lazy if x.size > HELD else lazy[:]

    def _find_still(self, x: NDArray[np.float32], speed: Float64) -> Float64:
        """A tenth of the usual speed in the usual direction: what hardly moves has that direction,
        and not that of its noise.
        """
        columns = list(self.config.columns)
        shares = np.sum(
            [
                np.abs(x[start : start + MANY, columns].astype(np.float64)).sum(0)
                for start in range(0, len(x), MANY)
            ],
            axis=0,
        )
        least = STILL * float(np.median(speed) or speed.mean()) or 1.0
        return least * (shares / shares.sum() if shares.any() else np.full(len(shares), 1.0))

    def _fit_mixture(self, x: Rows, video: NDArray[np.integer[Any]]) -> Mixture:
        config, seed = self.config, self.seed
        known: dict[str, Any] = {"rows": config.selection_rows}
        count = choose_components(
            x, video, config.components, seed, floor=min(config.floor), **known
        )
        floor = choose_floor(x, video, count, config.floor, seed, **known)
        return fit_mixture(x, count, seed, floor=floor)

    def score(self, test: Features) -> Float64:
        """[N, 1] -log p in nats."""
        others = 0 if self.mixture is None else self.mixture.means.shape[1]
        # of the columns of motion one share less is described
        test.require_columns(others + bool(self.config.columns), self.info.name)
        out = np.empty((len(test), 1))
        for start in range(0, len(test), BLOCK):
            x = np.asarray(test.x[start : start + BLOCK])
            surprises = []
            if self.speed is not None:
                surprises.append(-log_survival(self._speed(x), self.speed))
            if self.mixture is not None and self.rest is not None:
                nll = self.mixture.nll(self._read_rest(x))
                surprises.append(-log_survival(nll, self.rest))
            out[start : start + BLOCK, 0] = combine(surprises)
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The mixture, the motion that is added before shares are taken, and both tails."""
        mixture = {} if self.mixture is None else self.mixture.arrays()
        tails = {"speed": self.speed, "rest": self.rest}
        known = {name: tail for name, tail in tails.items() if tail is not None}
        return {**mixture, "still": self.still, **known}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what was fitted."""
        self.mixture = Mixture.from_arrays(arrays) if "means" in arrays else None
        self.still = arrays["still"]
        self.speed, self.rest = arrays.get("speed"), arrays.get("rest")

    def _speed(self, x: NDArray[np.float32]) -> Float64:
        """[N] sum of the columns of motion."""
        out, columns = np.empty(len(x)), list(self.config.columns)
        for start in range(0, len(x), MANY):
            speeds = np.abs(x[start : start + MANY, columns].astype(np.float64))
            out[start : start + MANY] = speeds.sum(1)
        return out

    def _describe_rest(self, x: NDArray[np.floating[Any]]) -> Float64:
        """[N, D'] the shares in the motion of all its columns but one, and the others."""
        rows, columns = np.asarray(x, np.float64), list(self.config.columns)
        if not columns:
            return rows
        motion = np.abs(rows[:, columns]) + self.still
        shares = motion[:, 1:] / motion.sum(1, keepdims=True)  # the first is what the others leave
        return np.concatenate([shares, np.delete(rows, columns, axis=1)], axis=1)


def combine(surprises: list[Float64]) -> Float64:
    """[N] -log p of one or two independent p-values, given as -log: of two with the product e^-t,
    p = e^-t (1 + t) (Fisher 1932).

    >>> combine([np.array([0.0, 2.0]), np.array([0.0, 1.0])]).round(4).tolist()
    [0.0, 1.6137]
    """
    total = np.asarray(sum(surprises), np.float64)
    return total - np.log1p(total) if len(surprises) > 1 else total
