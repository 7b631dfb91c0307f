"""One training for each scene (camera), each test row scored by its own scene's detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import Detector, Features
from vadbench.errors import BadInput
from vadbench.features.store import Stream


class PerScene:
    """Fits and scores like a `Detector`; its rows' scenes are those of their videos.

    Args:
        make: a detector that is not yet fitted.
        train, test: the scene of each training and test video, in order.
    """

    def __init__(
        self, make: Callable[[], Detector], train: Sequence[str], test: Sequence[str]
    ) -> None:
        self.make = make
        self.train = np.asarray(train)
        self.test = np.asarray(test)
        self.detectors: dict[str, Detector] = {}

    def fit(self, train: Features) -> None:
        """Fit a detector to the training rows of each scene.

        Raises:
            BadInput: on a tested scene without training rows.
        """
        scene = self.train[train.video]
        bare = sorted(set(self.test.tolist()) - set(scene.tolist()))
        if bare:
            raise BadInput(
                f"{train.name}: scene {bare[0]} is tested and has no training row; use scope ="
                ' "pooled"'
            )
        for name in sorted(set(scene.tolist())):
            detector = self.make()
            detector.fit(train.rows(np.flatnonzero(scene == name)))
            self.detectors[name] = detector

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, C] each row scored by its scene's detector."""
        return self._each(test, self.test, lambda detector, rows: detector.score(rows))

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """[N, C] what the training rows score in their scene, for calibration."""
        return self._each(train, self.train, lambda detector, rows: detector.score_normal(rows))

    @property
    def read_outs(self) -> tuple[str, ...]:
        """As the method's."""
        return next(iter(self.detectors.values())).read_outs

    def parameter_count(self) -> int:
        """Of all scenes together."""
        return sum(detector.parameter_count() for detector in self.detectors.values())

    def reconfigured(self, config: Any, train: Features) -> None:
        """None: a sweep over scoring settings fits each scene again."""
        return

    def _each(
        self,
        features: Features,
        of_video: NDArray[np.str_],
        score: Callable[[Detector, Features], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        scene = of_video[features.video]
        scores = np.empty((len(features), len(self.read_outs)))
        for name, detector in self.detectors.items():
            rows = np.flatnonzero(scene == name)
            if len(rows):
                scores[rows] = score(detector, features.rows(rows))
        return scores


def scenes(stream: Stream) -> list[str]:
    """The scene of each of the stream's videos, in order.

    Raises:
        BadInput: on features that were cached before scenes were.
    """
    names = stream.manifest.get("scenes")
    if names is None:
        raise BadInput(
            f"{stream.features.name}: cached without scenes; delete its folder and run `vadbench"
            " features extract`"
        )
    return [str(name) for name in names]
