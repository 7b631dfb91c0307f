"""What kind of anomaly, and when: the events of a data set beside the stored scores of records.

Nothing is trained or written: frame scores are those that records keep, labels and events those of
the data set. AUC and VUS are of scores smoothed as the record's protocol says, as in tables. How
early events are found, and all that a threshold decides, is of unsmoothed scores: the filter looks
ahead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from vadbench.datasets.base import Labels
from vadbench.datasets.events import Event, check_events
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import events_tested
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import find_tested
from vadbench.evaluation.frames import FrameScores, read_frame_scores
from vadbench.evaluation.metrics.events import (
    UNKNOWN_FPS,
    ByVideo,
    CategoryAuc,
    EventMetrics,
    Measure,
    amoc_area,
    category_aucs,
    event_metrics,
    group_events,
)
from vadbench.evaluation.metrics.frame import Roc
from vadbench.evaluation.metrics.ranges import Volumes, range_volumes
from vadbench.evaluation.scores import Scores
from vadbench.evaluation.smoothing import smooth
from vadbench.registry import unknown
from vadbench.report.figures.scored import all_labels_of
from vadbench.report.tables.make import EDITED, NOT_RUN, find_record
from vadbench.results.frame import Frame
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import Wanted

BUFFER_SECONDS = 2.0  # the longest buffer of VUS: half of it on either side of an anomaly


@dataclass(frozen=True)
class Truth:
    """What the frames of a data set's tested videos are held against.

    Attributes:
        labels: of every tested video.
        events: of them.
        fps: frames a second; None: not known.
    """

    labels: Labels
    events: tuple[Event, ...]
    fps: float | None


@dataclass(frozen=True)
class RecordEvents:
    """What a record's scores say of events.

    Attributes:
        record: whose scores.
        truth: labels and events.
        categories: AUC of each.
        micro: AUC of all anomalous frames.
        volumes: VUS-ROC and VUS-PR.
        buffer: the longest buffer that these allow, in frames; None: not known.
        early: area under the AMOC curve.
        threshold: that what follows was computed at; None: nothing was.
        above: of all events.
        by_category: of the events of each category.
    """

    record: ResultRecord
    truth: Truth
    categories: tuple[CategoryAuc, ...]
    micro: Measure
    volumes: Volumes
    buffer: int | None
    early: Measure
    threshold: float | None = None
    above: EventMetrics | None = None
    by_category: dict[str | None, EventMetrics] | None = None


class Truths:
    """Labels and events of data sets, each read once for all records."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Truth] = {}

    def of(self, record: ResultRecord) -> Truth:
        """What a record was held against.

        Raises:
            BadInput: if the data set is not here, has videos without labels or other labels than
                the record's, or if its events differ from its labels.
        """
        key = record.dataset, record.result.training.split, record.labels["sha256"]
        if key not in self._known:
            labels = all_labels_of(record)
            dataset = open_dataset(record.dataset)
            events = events_tested(dataset, *find_tested(record.result, dataset))
            labels = labels.kept
            check_events(events, labels.videos, dataset.name)
            self._known[key] = Truth(labels, tuple(events), dataset.fps)
        return self._known[key]


def measure_events(
    results: Results, text: str, threshold: float | None = None, buffer: int | None = None
) -> RecordEvents:
    """What the scores of a record say of the events of its data set.

    Args:
        results: where records are.
        text: names the record, as `vadbench.results.names.locate` takes it.
        threshold: of its unsmoothed frame scores, for events found, delays and false alarms.
        buffer: the longest buffer of VUS in frames; None: as many as 2 seconds have.

    Raises:
        BadInput: if the text names no record or several, if its frame scores are not here, or as
            `Truths.of` and `range_volumes`.
    """
    where, record = locate(results, text)
    return measure_record(record, where, Truths().of(record), threshold, buffer)


def measure_record(
    record: ResultRecord,
    results: Results,
    truth: Truth,
    threshold: float | None = None,
    buffer: int | None = None,
) -> RecordEvents:
    """As `measure_events`, of a record that lies in `results` and the truth that it was held
    against.
    """
    frames = read_frame_scores(record, results)
    if frames is None:
        raise BadInput(
            f"{record.name}: its frame scores are not here; vadbench evaluate --results"
            f" {results.root} makes them"
        )
    labels, events = truth.labels.videos, truth.events
    raw = _split(frames, frames.scores, labels)
    sigma = record.result.protocol.smoothing
    smoothed = _split(frames, smooth(frames.scores, frames.lengths, sigma), labels)
    if buffer is None and truth.fps is not None:
        buffer = round(BUFFER_SECONDS * truth.fps)
    found = RecordEvents(
        record,
        truth,
        tuple(category_aucs(smoothed, labels, events)),
        _micro(smoothed, truth.labels),
        _volumes(smoothed, truth.labels, buffer),
        buffer,
        amoc_area(raw, labels, events),
    )
    if threshold is None:
        return found
    by_category = {
        category: event_metrics(raw, own, labels, threshold, truth.fps)
        for category, own in group_events(events).items()
    }
    above = event_metrics(raw, events, labels, threshold, truth.fps)
    return replace(found, threshold=threshold, above=above, by_category=by_category)


@dataclass(frozen=True)
class EventRow:
    """A method on a stream, and its records of one data set.

    Attributes:
        method, features: as tables call them.
        measured: of every seed.
        missing: why there is none, or not of every seed.
    """

    method: str
    features: str
    measured: tuple[RecordEvents, ...]
    missing: tuple[str, ...] = ()


def rows_of_suite(
    wanted: Iterable[Wanted], frame: Frame, buffer: int | None = None
) -> dict[str, list[EventRow]]:
    """Data set -> the rows of a suite on it, in the suite's order.

    Raises:
        BadInput: if several records could be meant by one row.
    """
    groups: dict[tuple[str, str, str], list[ResultRecord | str]] = {}
    for one in wanted:
        key = one.result.dataset, one.shown, one.result.features
        missing = NOT_RUN.format(f"--datasets {one.result.dataset} --methods {one.result.method}")
        groups.setdefault(key, []).append(find_record(one, frame) or missing)
    return _measure_groups(groups, frame.results, buffer)


def rows_of_datasets(
    datasets: Collection[str],
    frame: Frame,
    methods: Collection[str] = (),
    features: Collection[str] = (),
    buffer: int | None = None,
) -> dict[str, list[EventRow]]:
    """Data set -> a row for every method on every stream that it has usual records of: as
    `vadbench run` makes them where nothing is set.

    Args:
        datasets: their names.
        frame: the records.
        methods: that alone are shown; none: all.
        features: likewise.
        buffer: as of `measure_events`.

    Raises:
        BadInput: if a data set has no such record, or no record is of a named method or features.
    """
    usual = [one.result for one in frame.records.values() if one.dataset in datasets]
    for what, asked, known in (
        ("method with records", methods, {one.method for one in usual}),
        ("features with records", features, {one.features for one in usual}),
    ):
        for name in asked:
            if known and name not in known:
                raise unknown(what, name, sorted(known))
    groups: dict[tuple[str, str, str], list[ResultRecord | str]] = {}
    for record in sorted(frame.records.values(), key=lambda one: (one.dataset, one.name)):
        result = record.result
        if (
            record.dataset in datasets
            and not result.words
            and (not methods or result.method in methods)
            and (not features or result.features in features)
        ):
            key = record.dataset, result.title, result.features
            groups.setdefault(key, []).append(record)
    for dataset in datasets:
        if dataset not in {key[0] for key in groups}:
            raise BadInput(
                f"{dataset}: no record of such methods and features with usual settings in"
                f" {frame.results.root}; vadbench run --datasets {dataset} makes them"
            )
    return _measure_groups(groups, frame.results, buffer)


def _measure_groups(
    groups: dict[tuple[str, str, str], list[ResultRecord | str]],
    results: Results,
    buffer: int | None,
) -> dict[str, list[EventRow]]:
    truths = Truths()
    tables: dict[str, list[EventRow]] = {}
    for (dataset, method, features), records in groups.items():
        measured, missing = [], []
        for record in records:
            if isinstance(record, str):
                missing.append(record)
            elif record.edited is not None:
                missing.append(EDITED.format(record.edited))
            else:
                try:
                    measured.append(
                        measure_record(record, results, truths.of(record), buffer=buffer)
                    )
                except BadInput as error:
                    missing.append(str(error))
        row = EventRow(method, features, tuple(measured), tuple(dict.fromkeys(missing)))
        tables.setdefault(dataset, []).append(row)
    return tables


def _split(frames: FrameScores, scores: Scores, videos: Collection[str]) -> ByVideo:
    """The scores of each of the videos that are measured."""
    cuts = np.cumsum(frames.lengths)[:-1]
    return {
        video: own
        for video, own in zip(frames.videos, np.split(scores, cuts), strict=True)
        if video in videos
    }


def _micro(scores: ByVideo, labels: Labels) -> Measure:
    values, marked = np.concatenate(list(scores.values())), labels.flat()
    roc = Roc.of(values, marked != 0)
    return Measure(None if roc.one_class else roc.auc, len(values), roc.one_class)


def _volumes(scores: ByVideo, labels: Labels, buffer: int | None) -> Volumes:
    if buffer is not None:
        return range_volumes(scores, labels.videos, buffer)
    nothing = Measure(None, len(labels.flat()), f"{UNKNOWN_FPS}; --buffer gives it in frames")
    return Volumes(nothing, nothing)
