"""Magnitude: the L1 norm of the raw features; learns nothing, and is the bar that a density has to
pass.

On `velocity` and `tracks` it is plain speed. On vectors without a natural zero (`deep`, `pose`,
`clip`) the norm means nothing in particular: it is kept there as a control, a figure that a method
on such features should leave behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from vadbench.detector import (
    COLUMNS,
    Detector,
    DetectorInfo,
    Features,
    MethodConfig,
    Nature,
    row_blocks,
    scoring,
)
from vadbench.errors import BadInput


class MagnitudeConfig(MethodConfig):
    """Which columns are summed."""

    columns: tuple[NonNegativeInt, ...] | None = scoring(
        None, "columns whose absolute values are added; none: all", min_length=1, examples=[(0, 1)]
    )


class Magnitude(Detector):
    """Anomaly score = sum of |x_j|: plain speed on `velocity` and `tracks`, elsewhere a control
    without meaning (see the module).

    >>> from vadbench.testing import synthetic_rows
    >>> detector = Magnitude(MagnitudeConfig(), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = MagnitudeConfig
    config: MagnitudeConfig
    info = DetectorInfo(
        "magnitude",
        "L1 norm of the features",
        "trivial baseline",
        deterministic=True,
        threads=1,
    )
    calibration = "minmax-p99.9"
    dim: int | None  # columns; None: not known, of one that was saved before it was kept

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """Only the columns of speed, where the stream declares others beside them; else all.

        `velocity` in its default variant: the first four; the last two are the box's width and
        height in pixels. `tracks`: the first, speed in box heights a frame, of which |vx| and |vy|
        are the parts. Of any other stream the norm is a control alone.
        """
        return {} if nature.speeds is None else {"columns": nature.speeds}

    def fit(self, train: Features) -> None:
        """Nothing is learnt.

        Raises:
            BadInput: if a column to add is not there.
        """
        train.require_rows(2)
        if max(self.config.columns or (0,)) >= train.x.shape[1]:
            raise BadInput(
                f"{train.name}: {train.x.shape[1]} columns, columns asks for {self.config.columns}"
                " (--set magnitude.columns=null)"
            )
        self.dim = train.x.shape[1]

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] float64 norms, in the features' unit."""
        if self.dim is not None:
            test.require_columns(self.dim, self.info.name)
        columns = slice(None) if self.config.columns is None else list(self.config.columns)
        norms = np.empty((len(test), 1))
        for block in row_blocks(test.x):
            norms[block, 0] = np.abs(test.x[block, columns].astype(np.float64)).sum(1)
        return norms

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The number of columns."""
        return {} if self.dim is None else {COLUMNS: np.array([self.dim])}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.dim = int(arrays[COLUMNS][0]) if COLUMNS in arrays else None
