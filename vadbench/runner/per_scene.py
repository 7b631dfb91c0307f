"""One training for each scene (camera), each test row scored by its own scene's detector."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.checkpoints import read_finished, write_finished
from vadbench.detector import Detector, Features
from vadbench.errors import BadInput
from vadbench.features.store import Stream


class PerScene:
    """Fits and scores like a `Detector`; its rows' scenes are those of their videos.

    Args:
        make: a detector that is not yet fitted.
        train, test: the scene of each training and test video, in order.
        checkpoint: where networks are kept until all of them are trained, a file a scene beside
            this one; None: nowhere.

    Attributes:
        seconds_before: that trainings took before this process.
    """

    def __init__(
        self,
        make: Callable[[], Detector],
        train: Sequence[str],
        test: Sequence[str],
        checkpoint: Path | None = None,
    ) -> None:
        self.make = make
        self.checkpoint = checkpoint
        self.seconds_before = 0.0
        self.train = np.asarray(train)
        self.test = np.asarray(test)
        self.detectors: dict[str, Detector] = {}

    def fit(self, train: Features) -> None:
        """Fit a detector to the training rows of each scene; of networks, those that a process
        before this one has trained are taken, and one that it was at goes on.

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
            self.detectors[name] = self._fit(name, train.rows(np.flatnonzero(scene == name)))

    def _fit(self, name: str, rows: Features) -> Detector:
        detector = self.make()
        if self.checkpoint is None or not hasattr(detector, "checkpoint"):
            detector.fit(rows)
            return detector
        path = scene_checkpoint(self.checkpoint, name)
        seconds = read_finished(path, detector)
        if seconds is None:
            detector.checkpoint = path
            began = time.perf_counter()
            detector.fit(rows)
            seconds = getattr(detector, "seconds_before", 0.0)
            took = seconds + time.perf_counter() - began
            write_finished(path, detector, took)
        self.seconds_before += seconds
        return detector

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, C] each row scored by its scene's detector.

        Raises:
            BadInput: on rows of a scene that none was fitted to.
        """
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
        bare = sorted(set(scene.tolist()) - self.detectors.keys())
        if bare:
            raise BadInput(
                f"{features.name}: scene {bare[0]} has rows to score, and had none to learn from;"
                ' use scope = "pooled"'
            )
        scores = np.empty((len(features), len(self.read_outs)))
        for name, detector in self.detectors.items():
            rows = np.flatnonzero(scene == name)
            if len(rows):
                scores[rows] = score(detector, features.rows(rows))
        return scores


def scene_checkpoint(path: Path, scene: str) -> Path:
    """The file of a scene beside that of a job; a scene's name may be anything."""
    digest = hashlib.sha256(scene.encode("utf-8", "surrogatepass")).hexdigest()
    return path.with_name(f"{path.stem}-{digest[:12]}{path.suffix}")


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
