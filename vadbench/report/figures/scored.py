"""What a figure needs of a record: its frame scores as its protocol smooths them, its name among
others, and the ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Labels
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import labels_tested, tracks_tested
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import find_tested, read_rows
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.region_values import OF_OFFICIAL
from vadbench.evaluation.scores import Scores
from vadbench.evaluation.smoothing import smooth
from vadbench.registry import unknown
from vadbench.report.compare import require_comparable
from vadbench.results.frame import value_of, video_values
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import METRICS, OFFICIAL, Value


@dataclass(frozen=True)
class Scored:
    """A record and the frame scores of the read-out it shows.

    Attributes:
        record: the record.
        results: where it lies.
        videos: names of the tested videos, in order.
        lengths: [V] their frames.
        scores: [T] of all frames of all videos, smoothed as the record's protocol says.
    """

    record: ResultRecord
    results: Results
    videos: tuple[str, ...]
    lengths: NDArray[np.int64]
    scores: Scores

    @property
    def method(self) -> str:
        """The detector or recipe, with what is unusual: how it was trained, or another read-out
        than its default.
        """
        return self.record.result.title

    @property
    def features(self) -> str:
        """The streams, joined by `+`."""
        return self.record.result.features

    @property
    def name(self) -> str:
        """`method on features, seed n`."""
        return f"{self.method} on {self.features}, seed {self.record.seed}"

    def frames_of(self, video: str) -> slice:
        """Where a video's frames are in `scores`.

        Raises:
            BadInput: if it is none of the tested videos, with the nearest.
        """
        if video not in self.videos:
            raise unknown(f"test video of {self.record.dataset}", video, self.videos)
        place = self.videos.index(video)
        end = int(self.lengths[: place + 1].sum())
        return slice(end - int(self.lengths[place]), end)

    def scaled(self, scale: str = "range") -> Scores:
        """[T] between 0 and 1: by the range of all test frames' scores, or by rank: the share of
        the other frames that score lower.

        Raises:
            BadInput: on another scale.
        """
        if scale == "range":
            span = float(np.ptp(self.scores))
            return np.asarray((self.scores - self.scores.min()) / (span or 1.0))
        if scale == "rank":
            from scipy.stats import rankdata

            return np.asarray((rankdata(self.scores) - 1) / max(len(self.scores) - 1, 1))
        raise unknown("scale", scale, ("range", "rank"))

    def value(self, title: str) -> Value:
        """The value of a metric, by its title: undefined, with a reason, where there is none."""
        return value_of(self.record, METRICS[title])

    def video_auc(self, video: str) -> float | None:
        """The micro AUC of one video; None where it has one class."""
        values = video_values(self.record, METRICS["micro AUC"])
        return values[video].value if video in values else None


def read_scored(results: Results, texts: Sequence[str]) -> list[Scored]:
    """The records that the texts name, as `vadbench compare` names them; all of one data set,
    labels and protocol.

    Raises:
        BadInput: if a text names no record or several, if its frame scores are not here, or if data
            set, labels or protocol differ.
    """
    first, *others = [_read_one(*locate(results, text)) for text in texts]
    for other in others:
        require_comparable(first.record, other.record)
    return [first, *others]


def _read_one(results: Results, record: ResultRecord) -> Scored:
    frames = read_frame_scores(record, results)
    if frames is None:
        raise BadInput(
            f"{record.name}: its frame scores are not here; vadbench evaluate --results"
            f" {results.root} makes them"
        )
    sigma = record.result.protocol.smoothing
    smoothed = smooth(frames.scores, frames.lengths, sigma)
    return Scored(record, results, frames.videos, frames.lengths, smoothed)


def names(scored: Sequence[Scored]) -> list[str]:
    """Short names that tell the records apart: by what differs of method and features, then also by
    seed, then by identity.
    """
    several_methods = len({one.method for one in scored}) > 1
    several_features = len({one.features for one in scored}) > 1

    def name(one: Scored) -> str:
        if several_methods and several_features:
            return f"{one.method} on {one.features}"
        return one.features if several_features else one.method

    short = [name(one) for one in scored]
    with_seeds = [f"{name}, seed {one.record.seed}" for name, one in _pairs(short, scored)]
    with_identities = [
        f"{name}, {one.record.identity[:8]}" for name, one in _pairs(with_seeds, scored)
    ]
    for choice in (short, with_seeds):
        if len(set(choice)) == len(choice):
            return choice
    return with_identities


def _pairs(texts: Sequence[str], scored: Sequence[Scored]) -> list[tuple[str, Scored]]:
    return list(zip(texts, scored, strict=True))


def origin(scored: Sequence[Scored]) -> str:
    """A caption's sentence: what was tested on what."""
    record, labels = scored[0].record, scored[0].record.labels
    methods = list(dict.fromkeys(one.method for one in scored))
    features = list(dict.fromkeys(one.features for one in scored))
    seeds = [str(seed) for seed in dict.fromkeys(one.record.seed for one in scored)]
    under = f" under labels {labels['name']}" if record.result.protocol.labels != OFFICIAL else ""
    tested = f"{record.dataset}: {labels['videos']} test videos, {labels['frames']} frames{under}"
    named_apart = len(methods) > 1 and len(features) > 1  # then the names of the curves say it
    of_what = "" if named_apart else f"{', '.join(methods)} on {', '.join(features)}, "
    plural = "s" if len(seeds) > 1 else ""
    return f"{tested}; {of_what}seed{plural} {', '.join(seeds)}."


def smoothing(scored: Sequence[Scored]) -> str:
    """A caption's sentence: what a frame's score is."""
    sigma = scored[0].record.result.protocol.smoothing
    how = (
        "unsmoothed"
        if sigma is None
        else f"Gaussian smoothing sigma {sigma:g} (reflect) within each video"
    )
    return f"Frame score: maximum over objects, {how}."


def require_sources(scored: Sequence[Scored], part: str, read: Callable[[], object]) -> None:
    """Refuse in one line what needs a data set and row scores of which some are not here.

    Args:
        scored: the records.
        part: what is needed of the data set: videos or regions.
        read: reads it, or as much of it as is quick.

    Raises:
        BadInput: with all that is missing, and how to get it.
    """
    missing = []
    try:
        read()
    except BadInput as error:
        missing.append(f"the {part} of {scored[0].record.dataset} ({error})")
    for one in scored:
        try:
            read_rows(one.record, one.results)
        except BadInput as error:
            missing.append(f"the row scores of {one.name} ({error})")
    if missing:
        raise BadInput(f"this needs {'; and '.join(missing)}")


def why_no_labels(record: ResultRecord) -> str:
    """Why a record's frame labels cannot be shown and how to get them; nothing where they can."""
    try:
        labels_of(record)
    except BadInput as error:
        return str(error)
    return ""


def labels_of(record: ResultRecord) -> Labels:
    """The frame labels that the record was evaluated with, those of frames that are not measured
    among them: `Labels.cut` and `Labels.kept` are without.

    Raises:
        BadInput: if the data set is not on this machine, with how to get it, or its labels are
            others than the record's.
    """
    dataset = open_dataset(record.dataset)
    labels = labels_tested(dataset, *find_tested(record.result, dataset))
    if labels.provenance()["sha256"] != record.labels["sha256"]:
        raise BadInput(
            f"{record.dataset}: labels `{labels.name}` here are not those of the record; vadbench"
            " evaluate gives it these"
        )
    return labels


def all_labels_of(record: ResultRecord) -> Labels:
    """As `labels_of`, of every tested video.

    Raises:
        BadInput: as `labels_of`, or if one has no labels.
    """
    labels = labels_of(record)
    if labels.unknown:
        raise BadInput(
            f"{record.dataset}: {labels.lacking}, and this needs them; vadbench plot timeline and"
            " vadbench show do without"
        )
    return labels


def tracks_of(record: ResultRecord) -> pd.DataFrame:
    """The region tracks of the tested videos.

    Raises:
        BadInput: if the data set is not on this machine, with how to get it, or has no regions.
    """
    dataset = open_dataset(record.dataset)
    labels_of(record)
    if record.result.protocol.labels != OFFICIAL:
        raise BadInput(
            f"{record.name}: {OF_OFFICIAL.format(record.result.protocol.labels)}; vadbench plot roc"
            " needs frame labels only"
        )
    tracks = tracks_tested(dataset, find_tested(record.result, dataset)[0])
    if tracks is None:
        raise BadInput(
            f"{record.dataset}: no region annotations; vadbench plot roc needs frame labels only"
        )
    return tracks
