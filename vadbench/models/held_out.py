"""What a model knows of normal videos that it has not seen, and the thresholds set from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vadbench.errors import BadInput
from vadbench.evaluation.alarms import join_frames
from vadbench.evaluation.thresholds import (
    LEAST_ALARMS,
    Threshold,
    count_alarms,
    count_hours,
    set_threshold,
)
from vadbench.files.npy import load_npy
from vadbench.models.filters import make_filter
from vadbench.spec import Count, Record

TRIED = 5  # parts of the held-out videos that a threshold is tried on, one after the other
FILE = "held-out.npy"  # [T] float64, frame scores of all held-out videos, unsmoothed


class HeldOut(Record):
    """Normal training videos, each scored by the whole method fitted to others.

    Attributes:
        videos: name, frames and scene of each, in the order of the scores.
        folds: fits that it took, each without one share of the videos.
        fps: frames a second.
        network_saw: whether the network of a learnt stream was trained on them all the same.
    """

    videos: tuple[tuple[str, Count, str], ...] = Field(min_length=1)
    folds: Count
    fps: float = Field(gt=0, le=1000)
    network_saw: bool = False


class KeptThreshold(Record):
    """The threshold of a rate.

    Attributes:
        rate: alarms an hour on normal video.
        scenes: the threshold of each scene; the scene is empty where one detector serves all.
    """

    rate: float = Field(gt=0)
    scenes: dict[str, Threshold] = Field(min_length=1)


@dataclass(frozen=True)
class NormalScores:
    """Held-out videos with [T] their frame scores, and the alarms an hour that were asked for."""

    held_out: HeldOut
    scores: NDArray[np.float64]
    rate: float

    def threshold(self, scenes: Collection[str]) -> KeptThreshold:
        """The threshold of each scene's detector on unsmoothed scores."""
        videos = _split(self.scores, self.held_out)
        return set_thresholds(self.held_out, videos, self.rate, "none", scenes)


def read_scores(folder: Path, held_out: HeldOut) -> list[NDArray[np.float64]]:
    """The frame scores of each held-out video.

    Raises:
        BadInput: if the file holds something else.
    """
    path = folder / FILE
    scores = load_npy(path, "train the model again")
    frames = sum(frames for _, frames, _ in held_out.videos)
    if scores.shape != (frames,) or scores.dtype != np.float64:
        raise BadInput(f"{path}: expected {frames} scores; train the model again")
    return _split(np.asarray(scores, np.float64), held_out)


def _split(scores: NDArray[np.float64], held_out: HeldOut) -> list[NDArray[np.float64]]:
    return np.split(scores, np.cumsum([frames for _, frames, _ in held_out.videos])[:-1])


def set_thresholds(
    held_out: HeldOut,
    scores: list[NDArray[np.float64]],
    rate: float,
    smoothing: str,
    scenes: Collection[str],
) -> KeptThreshold:
    """The threshold of each scene's detector.

    Args:
        held_out: the videos.
        scores: theirs.
        rate: alarms an hour on normal video.
        smoothing: the causal filter that scores pass before, `none` or `causal-SIGMA`.
        scenes: those with a detector of their own; only the empty one: one serves all.

    Raises:
        BadInput: on another name of a filter.
    """
    filtered = [smooth_causally(own, smoothing) for own in scores]
    thresholds = {}
    for scene in scenes:
        own = [
            values
            for values, (_, _, of) in zip(filtered, held_out.videos, strict=True)
            if scene in ("", of)
        ]
        thresholds[scene] = set_threshold(own, rate, held_out.fps, join_frames(held_out.fps))
    return KeptThreshold(rate=rate, scenes=thresholds)


def smooth_causally(scores: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """[T] scores as a causal filter gives them, one after the other."""
    filter_ = make_filter(name)
    return scores if filter_ is None else np.array([filter_(score) for score in scores.tolist()])


def describe_threshold(threshold: Threshold, rate: float) -> str:
    """A threshold and how far it can be trusted, in a line.

    >>> found = Threshold(7.25, "tail", 0.5, 1, 0.05, 11.1, {})
    >>> found, trusted, warning = describe_threshold(found, 1).split("; ")
    >>> found
    '7.25 for 1 alarm an hour (tail)'
    >>> trusted
    '1 alarm in 30 minutes of held-out normal video, so 0.05 to 11.1 an hour (95 %)'
    >>> warning
    'new video may well raise twice as many: that video is short for this rate'
    """
    asked = f"{rate:.3g} alarm{'' if rate == 1 else 's'} an hour"
    if threshold.value is None or threshold.high is None:
        return f"none for {asked}: {threshold.reason}"
    found = f"{threshold.alarms} alarm{'' if threshold.alarms == 1 else 's'}"
    words = [
        f"{threshold.value:.4g} for {asked} ({threshold.method})",
        f"{found} in {threshold.hours * 60:.3g} minutes of held-out normal video, so"
        f" {threshold.low:.3g} to {threshold.high:.3g} an hour (95 %)",
    ]
    if not threshold.low <= rate <= threshold.high:
        words.append(f"these are not the {rate:.3g} that were asked for")
    elif rate * threshold.hours < LEAST_ALARMS:
        words.append("new video may well raise twice as many: that video is short for this rate")
    elif threshold.method in threshold.ratios:
        ratio = threshold.ratios[threshold.method]
        words.append(f"{ratio:.2f} times what was asked on halves that it was not set from")
    return "; ".join(words)


@dataclass(frozen=True)
class KeptRate:
    """What a threshold raised on normal videos that it was not set from.

    Attributes:
        scene: whose detector; empty where one serves all.
        rate: alarms an hour that were asked for.
        hours: of the videos that it was tried on.
        asked: alarms in them, `rate` times `hours`.
        raised: alarms that there were.
    """

    scene: str
    rate: float
    hours: float
    asked: float
    raised: int

    @property
    def ratio(self) -> float | None:
        """Raised over asked; None: it was tried on no video."""
        return self.raised / self.asked if self.asked else None


def try_rates(
    held_out: HeldOut,
    scores: list[NDArray[np.float64]],
    rates: Collection[float],
    smoothing: str,
    scenes: Collection[str],
) -> list[KeptRate]:
    """How thresholds keep their promise: each fifth of a scene's held-out videos, neighbours by
    name, is tried with the threshold that the others give. No label is read.

    Args:
        held_out: the videos.
        scores: theirs.
        rates: alarms an hour.
        smoothing: as of `set_thresholds`.
        scenes: likewise.
    """
    tried = []
    join, fps = join_frames(held_out.fps), held_out.fps
    order = sorted(range(len(scores)), key=lambda place: held_out.videos[place][0])
    for scene in scenes:
        own = [
            smooth_causally(scores[place], smoothing)
            for place in order
            if scene in ("", held_out.videos[place][2])
        ]
        parts = np.array_split(np.arange(len(own)), min(TRIED, len(own))) if own else []
        for rate in rates:
            hours, raised = 0.0, 0
            for part in parts:
                others = [own[place] for place in range(len(own)) if place not in part]
                found = set_threshold(others, rate, fps, join).value if others else None
                if found is not None:
                    here = [own[place] for place in part]
                    hours += count_hours(here, fps)
                    raised += count_alarms(here, found, join)
            tried.append(KeptRate(scene, rate, hours, rate * hours, raised))
    return [*tried, *(_add_scenes(tried, rate) for rate in rates if len(scenes) > 1)]


def _add_scenes(tried: list[KeptRate], rate: float) -> KeptRate:
    """All scenes together."""
    own = [one for one in tried if one.rate == rate]
    hours, asked = sum(one.hours for one in own), sum(one.asked for one in own)
    return KeptRate("all", rate, hours, asked, sum(one.raised for one in own))
