"""What a data set's page shows of its clips: AUC of single clips, the hardest of them, and score
timelines of a few methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.smoothing import smooth
from vadbench.report.leaderboard.charts import Timeline, timeline
from vadbench.report.leaderboard.entries import Entry
from vadbench.report.leaderboard.standings import row_name
from vadbench.results.frame import video_values
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import METRICS, Value

MOST_METHODS = 8  # whose clips and timelines are shown
MOST_TIMELINES = 6
MOST_SEEDS = 5  # that are averaged


@dataclass(frozen=True)
class Clip:
    """A test clip: its frames, the mean AUC over the methods with the extremes, or why it has
    none.
    """

    name: str
    frames: int
    mean: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Clips:
    """All of a data set's page that is about clips.

    Attributes:
        features: whose methods are shown: the data set's default ones, or those of most methods.
        methods: their names, the best micro AUC first; `of` is how many there are in all.
        clips: in the order of the test split.
        timelines: of the hardest clips; none where no record kept its frame scores.
        unshaded: why the timelines do not show what is anomalous; None where they do.
        labels: name, source and counts of the labels, from a record.
    """

    features: str
    methods: tuple[str, ...]
    of: int
    clips: tuple[Clip, ...]
    timelines: tuple[Timeline, ...]
    unshaded: str | None
    labels: dict[str, Any]

    @property
    def hardest(self) -> tuple[Clip, ...]:
        """The clips with an AUC, the lowest first."""
        return tuple(
            sorted(
                (clip for clip in self.clips if clip.mean is not None),
                key=lambda clip: clip.mean or 0.0,
            )
        )


def by_features(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """For all features (their streams in one order), one entry a method, best micro AUC first.

    They are of one group and one extraction of the features: those in which most methods are
    ranked.

    Args:
        entries: of one data set.
    """
    alike: dict[str, dict[Any, dict[str, Entry]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.settings == "paper", entry.settings)):
        if entry.unranked is None and entry.cells[0].value is not None:
            alike.setdefault(entry.streams, {}).setdefault(
                (entry.group, entry.extracted), {}
            ).setdefault(entry.method, entry)
    fullest = {streams: max(groups.values(), key=len) for streams, groups in alike.items()}
    return {
        streams: sorted(methods.values(), key=lambda entry: -entry.level)
        for streams, methods in fullest.items()
    }


def largest_choice(choices: Mapping[str, Sequence[Entry]]) -> tuple[str, Sequence[Entry]]:
    """Of `by_features`: the data set's default features where methods are ranked on them, else
    those of most methods.
    """
    return max(
        sorted(choices.items()),
        key=lambda choice: (any(entry.usual for entry in choice[1]), len(choice[1])),
    )


def make_clips(entries: Sequence[Entry], results: Results) -> Clips | None:
    """The clips of a data set from its entries' records; None where no entry is ranked or has a
    record.
    """
    choices = by_features(entries)
    every = largest_choice(choices)[1] if choices else []
    records = {
        entry: of_entry
        for entry in every[:MOST_METHODS]
        if (of_entry := read_records(entry, results))
    }
    if not records:
        return None
    first = next(iter(records.values()))[0]
    aucs = {entry: _average_clips(of_entry) for entry, of_entry in records.items()}
    clips = _summarise(first, list(aucs.values()))
    stored = {
        entry: scores
        for entry, of_entry in records.items()
        if (scores := read_scores(of_entry[0], results))
    }
    truth, unshaded = ground_truth(first)
    hardest = sorted(
        (clip for clip in clips if clip.mean is not None), key=lambda clip: clip.mean or 0.0
    )
    shown = [clip.name for clip in (hardest or clips)[:MOST_TIMELINES]] if stored else []
    timelines = tuple(_draw(name, stored, aucs, truth) for name in shown)
    names = tuple(row_name(entry) for entry in records)
    return Clips(
        every[0].features,
        names,
        len(every),
        tuple(clips),
        timelines,
        unshaded,
        first.labels,
    )


def ground_truth(record: ResultRecord) -> tuple[dict[str, NDArray[np.uint8]] | None, str | None]:
    """Frame labels by clip where the data set is on this machine and they are the ones that the
    record was evaluated by; else None and why.
    """
    from vadbench.datasets.open import open_dataset
    from vadbench.datasets.resplit import labels_tested
    from vadbench.evaluation.evaluate import find_tested

    here = "on the machine that made this page"
    try:
        dataset = open_dataset(record.dataset)
        labels = labels_tested(dataset, *find_tested(record.result, dataset))
    except BadInput:  # its message names this machine's folders, which are nobody else's business
        return None, f"{record.dataset} is not {here}, and labels are no part of the records"
    if labels.provenance()["sha256"] != record.labels.get("sha256"):
        return None, f"the labels of {record.dataset} {here} are not those of the records"
    return labels.videos, None


def read_records(entry: Entry, results: Results) -> list[ResultRecord]:
    """The records of a row, at most `MOST_SEEDS`."""
    records = (
        results.record(entry.group.dataset, entry.recipe, identity)
        for identity in entry.identities[:MOST_SEEDS]
    )
    return [record for record in records if record is not None]


def _average_clips(records: list[ResultRecord]) -> dict[str, float]:
    """Clip -> micro AUC of the shown read-out under the protocol's smoothing, mean over seeds;
    clips without one are left out.
    """
    aucs: dict[str, list[float]] = {}
    for record in records:
        for video, value in _read_clip_values(record).items():
            if value.value is not None:
                aucs.setdefault(video, []).append(value.value)
    return {video: fmean(values) for video, values in aucs.items()}


def _read_clip_values(record: ResultRecord) -> dict[str, Value]:
    """Clip -> micro AUC under the protocol's smoothing."""
    return video_values(record, METRICS["micro AUC"])


def _summarise(record: ResultRecord, aucs: list[dict[str, float]]) -> list[Clip]:
    clips = []
    for name, value in _read_clip_values(record).items():
        values = [of_method[name] for of_method in aucs if name in of_method]
        if values:
            clips.append(Clip(name, value.n, fmean(values), min(values), max(values)))
        else:
            clips.append(Clip(name, value.n, None, reason=value.reason))
    return clips


def read_scores(record: ResultRecord, results: Results) -> dict[str, NDArray[np.float64]] | None:
    """Clip -> frame scores [T] as evaluated; None where they are not here."""
    try:
        frames = read_frame_scores(record, results)
    except BadInput as error:  # of another record, or damaged: the page is made without them
        results.tell(str(error))
        return None
    if frames is None:
        return None
    scores = smooth(frames.scores, frames.lengths, record.result.protocol.smoothing)
    each = np.split(scores, np.cumsum(frames.lengths)[:-1])
    return dict(zip(frames.videos, each, strict=True))


def _draw(
    video: str,
    stored: dict[Entry, dict[str, NDArray[np.float64]]],
    aucs: dict[Entry, dict[str, float]],
    truth: dict[str, NDArray[np.uint8]] | None,
) -> Timeline:
    lanes = [
        (
            row_name(entry),
            f"{100 * aucs[entry][video]:.1f}" if video in aucs[entry] else "–",
            scores[video],
        )
        for entry, scores in stored.items()
        if video in scores
    ]
    return timeline(video, lanes, None if truth is None else truth.get(video))
