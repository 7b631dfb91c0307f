"""A kept model, ready for videos."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vadbench import registry
from vadbench.detector import Detector
from vadbench.errors import BadInput, quote
from vadbench.evaluation.alarms import join_frames, read_rate
from vadbench.evaluation.protocol import PER_VIDEO
from vadbench.evaluation.thresholds import Threshold
from vadbench.models.clock import Clock
from vadbench.models.describe import NETWORK_SAW, check_fit, check_method, describe_model
from vadbench.models.filters import make_filter
from vadbench.models.held_out import (
    KeptRate,
    describe_threshold,
    read_scores,
    set_thresholds,
    try_rates,
)
from vadbench.models.manifest import KeptFit, ModelManifest
from vadbench.models.scoring import Part
from vadbench.models.source import Camera, Source, open_source
from vadbench.models.store import Kept, find_model, read_model, unpack_model
from vadbench.models.watching import STAGES, Watched, watch
from vadbench.spec import ScoredPart

RESULTS = Path("results")
USUAL_FPS = 25.0  # where none is known


class Model:
    """A kept model whose files are whole; its detectors are loaded when a video is watched.

    Attributes:
        manifest: what it is.
        folder: where it lies.
    """

    def __init__(
        self, kept: Kept, temporary: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.manifest: ModelManifest = kept.manifest
        self.folder = kept.folder
        self._temporary = temporary  # goes with the model
        self._loaded: dict[str, list[Part]] = {}

    @property
    def name(self) -> str:
        """`dataset/method@stream:seed`."""
        return self.manifest.name

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def describe(self) -> str:
        """A few lines on what it is, and how videos are watched with it."""
        return describe_model(Kept(self.manifest, self.folder))

    def watch(
        self,
        source: str | Path | Source | Camera,
        *,
        smoothing: str = "none",
        scene: str = "",
        warm_up: int | None = None,
        fps: float | None = None,
        threshold: float | None = None,
        alarms: str | None = None,
        listed: bool = False,
        say: Callable[[str], None] = lambda line: None,
        clock: Clock | None = None,
    ) -> Iterator[Watched]:
        """Score a video frame by frame; what is wrong with model or options is raised before the
        first frame is asked for.

        Args:
            source: a video file, a folder of numbered pictures, or the address of a camera.
            smoothing: `none`, or `causal-SIGMA`.
            scene: which camera's detector, of a model with one for each.
            warm_up: take background and noise from so many first frames, and not from a pass over
                the whole clip; scores are then others than those of `vadbench run`.
            fps: frames a second of a folder of pictures.
            threshold: above which a frame raises an alarm; None: that of `alarms`.
            alarms: how many normal video may raise, such as `1/hour`, or `none`; None: as the model
                was trained for.
            listed: whether alarms are needed: a model without a threshold is refused.
            say: receives a line for what should be known: how the video is scored, another size.
            clock: takes the times of the stages.

        Raises:
            BadInput: if the model cannot be used here, or not for this source; while iterating, on
                a video that cannot be read on.
        """
        filter_ = make_filter(smoothing)
        parts = self.load(scene)
        opened = source if isinstance(source, Source | Camera) else open_source(source, fps)
        level = self.manifest.result.protocol.calibration_level
        clock = clock or Clock(STAGES)
        if threshold is None:
            threshold = self._choose_threshold(alarms, smoothing, scene, warm_up, say)
        elif alarms is not None:
            raise BadInput(f"threshold {threshold:g} and alarms {alarms}: give one of them")
        elif not np.isfinite(threshold):
            raise BadInput(f"threshold {threshold}: expected a number")
        if listed and threshold is None:
            raise BadInput(f"{self.name}: no alarms without a {self._no_threshold(alarms)}")
        return watch(parts, opened, level, filter_, warm_up, say, clock, threshold)

    def threshold(
        self, alarms: str | float | None = None, smoothing: str = "none", scene: str = ""
    ) -> Threshold:
        """The threshold of a rate, from the held-out normal videos that the model knows.

        Args:
            alarms: as of `watch`, or a number of them an hour.
            smoothing: as of `watch`.
            scene: likewise.

        Raises:
            BadInput: if the model knows no held-out videos, or has no such scene.
        """
        rate = alarms if isinstance(alarms, float) else self._read_rate(alarms)
        return self._find_threshold(rate, smoothing, scene)

    def try_rates(self, rates: Sequence[float], smoothing: str = "none") -> list[KeptRate]:
        """How the thresholds of some rates keep their promise on held-out normal videos that they
        were not set from; of a model with several scenes, all of them together come last.

        Args:
            rates: alarms an hour.
            smoothing: as of `watch`.

        Raises:
            BadInput: if the model knows no held-out videos.
        """
        held_out = self.manifest.held_out
        if held_out is None:
            raise BadInput(f"{self.name}: no {self._no_threshold()}")
        scores = read_scores(self.folder, held_out)
        scenes = list(self.manifest.fits[0].detectors)
        return try_rates(held_out, scores, rates, smoothing, scenes)

    def _no_threshold(self, alarms: str | None = None) -> str:
        """Why there is none, and what helps."""
        kept = self.manifest.threshold
        why = self.manifest.bare or "it was trained without"
        if alarms == "none":
            why = "none was asked for"
        elif kept is not None and len(kept.scenes) == 1:
            why = next(iter(kept.scenes.values())).reason or "none was found for this rate"
        return f"threshold ({why}); name one (--threshold), or train with --alarms"

    def join_frames(self, fps: float | None = None) -> int:
        """How many frames below the threshold two stretches of one alarm may have between them:
        a second, at the rate of the training videos where none is given.
        """
        known = self.manifest.held_out
        return join_frames(fps or (USUAL_FPS if known is None else known.fps))

    def _read_rate(self, alarms: str | None) -> float | None:
        """Alarms an hour; None: no threshold."""
        kept = self.manifest.threshold
        if alarms is not None:
            return read_rate(alarms)
        return None if kept is None else kept.rate

    def _find_threshold(self, rate: float | None, smoothing: str, scene: str) -> Threshold:
        held_out = self.manifest.held_out
        if held_out is None or rate is None:
            raise BadInput(f"{self.name}: no {self._no_threshold()}")
        _choose_scene(self.manifest.fits[0], scene)
        scores = read_scores(self.folder, held_out)
        return set_thresholds(held_out, scores, rate, smoothing, [scene]).scenes[scene]

    def _choose_threshold(
        self,
        alarms: str | None,
        smoothing: str,
        scene: str,
        warm_up: int | None,
        say: Callable[[str], None],
    ) -> float | None:
        rate = self._read_rate(alarms)
        if rate is None:
            return None
        found = self._find_threshold(rate, smoothing, scene)
        say(f"threshold: {describe_threshold(found, rate)}")
        if self.manifest.held_out is not None and self.manifest.held_out.network_saw:
            say(NETWORK_SAW.strip())
        if warm_up is not None:
            say("it was set from scores without a warm-up, which differ")
        return found.value

    def load(self, scene: str = "") -> list[Part]:
        """The parts with their detectors, loaded once.

        Raises:
            BadInput: if one cannot be used here.
        """
        result = self.manifest.result
        if scene not in self._loaded:
            try:
                self._loaded[scene] = [
                    self._load_part(part, fit, scene)
                    for part, fit in zip(result.parts, self.manifest.fits, strict=True)
                ]
            except BadInput as error:
                raise BadInput(f"{self.name}: {error}") from error
        return self._loaded[scene]

    def scale(self, scene: str = "") -> tuple[float, float]:
        """The scores at the cold and at the warm end of an annotated video's colours."""
        from vadbench.models.film import scale_of

        return scale_of(self.load(scene))

    def _load_part(self, part: ScoredPart, fit: KeptFit, scene: str) -> Part:
        if part.calibration == PER_VIDEO:
            raise BadInput(
                f"calibration {PER_VIDEO} looks at whole videos, no frame can be scored as it"
                " comes; train with another (--set protocol.calibration=minmax)"
            )
        check_method(part.method, fit)
        check_fit(fit)
        method: type[Detector] = registry.load("detectors", part.method)
        detector = method.load(self.folder / _choose_scene(fit, scene))
        column = 0
        if self.manifest.result.read_out is not None:
            column = fit.read_outs.index(self.manifest.result.read_out)
        network = None if fit.network is None else self.folder / fit.network
        return Part(part, fit, detector, column, network)


def _choose_scene(fit: KeptFit, scene: str) -> str:
    """The folder of a scene's detector."""
    if set(fit.detectors) == {""}:
        if scene:
            raise BadInput(f"scene {quote(scene)}: the model has one detector for all scenes")
        return fit.detectors[""]
    if scene not in fit.detectors:
        raise registry.unknown("scene (a model with one detector for each)", scene, fit.detectors)
    return fit.detectors[scene]


def load_model(path_or_name: str | Path, results: str | Path = RESULTS) -> Model:
    """A kept model, all its files checked.

    Args:
        path_or_name: its folder or .zip, the beginning of its identity, or
            `[dataset/]method@stream[:seed]`.
        results: the results folder that names are looked for in.

    Raises:
        BadInput: if there is none, or it is damaged, edited or of another format.

    >>> load_model("gmm@velocity", results="nowhere")
    Traceback (most recent call last):
    vadbench.errors.BadInput: 'gmm@velocity': no model under nowhere/models; vadbench train ...
    """
    path = Path(path_or_name)
    if path.suffix == ".zip" and path.is_file():
        return Model(*unpack_model(path))
    kept = find_model(Path(results), str(path_or_name))
    return Model(read_model(kept.folder))
