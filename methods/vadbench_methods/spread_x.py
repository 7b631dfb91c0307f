"""Spread in x: the mean square of x' of a pose sequence; learns nothing, and is the bar that a
density of poses has to pass.

A window is normalised by the deviation of y: its only second moment that is left is that of x', how
far its joints reach and move across in units of how far they reach up. A Gaussian that does not
tell joints apart ranks windows by it, and STG-NF's released checkpoints nearly do
(docs/methods/stg-nf.md).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import COLUMNS, Detector, DetectorInfo, Features, MethodConfig, row_blocks
from vadbench.errors import BadInput


class SpreadXConfig(MethodConfig):
    """A mean square has no settings."""


class SpreadX(Detector):
    """Anomaly score = mean of x'^2 over the poses and joints of a window.

    >>> from vadbench.testing import synthetic_poses
    >>> detector = SpreadX(SpreadXConfig(), seed=0)
    >>> detector.fit(synthetic_poses(400, videos=4, seed=0))
    >>> detector.score(synthetic_poses(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = SpreadXConfig
    info = DetectorInfo(
        "spread-x", "Mean square of x' of a pose sequence", "trivial baseline", deterministic=True
    )
    takes: ClassVar[str] = "poses"
    dim: int | None  # columns; None: not known, of one that was saved before it was kept

    def fit(self, train: Features) -> None:
        """Nothing is learnt.

        Raises:
            BadInput: if the rows are no pose sequences.
        """
        if train.shape is None or len(train.shape) != 3 or train.shape[0] != 2:
            raise BadInput(
                f"{train.name}: its rows are no pose sequences [2, T, joints]; spread-x needs a"
                " stream of them, such as skeletons"
            )
        train.require_rows(2)
        self.dim = train.x.shape[1]

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] float64 mean squares, without a unit."""
        if self.dim is not None:
            test.require_columns(self.dim, self.info.name)
        half = test.x.shape[1] // 2  # x of all poses and joints stands before y
        scores = np.empty((len(test), 1))
        for block in row_blocks(test.x):
            scores[block, 0] = np.square(test.x[block, :half].astype(np.float64)).mean(1)
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The number of columns."""
        return {} if self.dim is None else {COLUMNS: np.array([self.dim])}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.dim = int(arrays[COLUMNS][0]) if COLUMNS in arrays else None
