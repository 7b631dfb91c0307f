"""What kind of anomaly, and when: AUC by category, events found, false alarms and delays at a
threshold, and how early events are found at any.

Frame scores and labels come by video, events as `vadbench.datasets.events` has them. What is
undefined is None with a reason, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.events import Event
from vadbench.errors import BadInput
from vadbench.evaluation.alarms import find_alarms, join_frames
from vadbench.evaluation.metrics.frame import Roc

ByVideo = Mapping[str, NDArray[np.float64]]  # video -> [T] frame scores
LabelsByVideo = Mapping[str, NDArray[np.uint8]]  # video -> [T], 1 = anomalous
UNKNOWN_FPS = "the frame rate is not known"


@dataclass(frozen=True)
class Measure:
    """A value, None with a reason where it is undefined, and how many things it rests on."""

    value: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True)
class CategoryAuc:
    """The frame AUC of the events of one category.

    Attributes:
        category: its name; None: events of which nobody has said what they are.
        events, frames: how many events there are of it, and anomalous frames in them.
        auc: of these frames against all normal ones; `n` counts both.
    """

    category: str | None
    events: int
    frames: int
    auc: Measure


@dataclass(frozen=True)
class EventMetrics:
    """What happens above a threshold.

    Attributes:
        found: part of the events that have a frame above it; `n` counts the events.
        delay, median_delay: seconds from the first frame of an event to its first frame above it,
            mean and median over the events found; `n` counts these.
        delay_frames, median_delay_frames: the same in frames.
        false_alarms: how many alarms have no anomalous frame.
        false_alarms_per_hour: of them in an hour of normal frames; `n` counts these frames.
    """

    found: Measure
    delay: Measure
    median_delay: Measure
    delay_frames: Measure
    median_delay_frames: Measure
    false_alarms: int
    false_alarms_per_hour: Measure


def category_aucs(
    scores: ByVideo, labels: LabelsByVideo, events: Iterable[Event]
) -> list[CategoryAuc]:
    """ROC-AUC of each category's frames against all normal frames, by name; frames that are
    anomalous in events of other categories alone are left out.

    A single category has the micro AUC of all frames, as its frames are all anomalous ones.

    Args:
        scores: of every test video.
        labels: likewise.
        events: their events; a frame may be in several.

    Raises:
        BadInput: if scores and labels are of other videos or lengths, or a score is NaN.

    >>> scores = {"a": np.array([0.1, 0.9, 0.2, 0.3, 0.8])}
    >>> labels = {"a": np.array([0, 1, 1, 0, 1])}
    >>> events = [Event("a", 1, 1, "car"), Event("a", 2, 2, "runner"), Event("a", 4, 4, "runner")]
    >>> [(one.category, one.frames, one.auc.value) for one in category_aucs(scores, labels, events)]
    [('car', 1, 1.0), ('runner', 2, 0.75)]
    """
    values = concatenate(scores, labels)
    normal = ~np.concatenate([labels[video] != 0 for video in scores])
    aucs = []
    for category, own in group_events(events).items():
        inside = {video: np.zeros(len(marked), np.bool_) for video, marked in labels.items()}
        for event in own:
            inside[event.video][event.frames] = True
        positive = np.concatenate([inside[video] for video in scores])
        used = positive | normal
        roc = Roc.of(values[used], positive[used])
        auc = None if roc.one_class else roc.auc
        frames = int(positive.sum())
        aucs.append(
            CategoryAuc(category, len(own), frames, Measure(auc, int(used.sum()), roc.one_class))
        )
    return aucs


def event_metrics(
    scores: ByVideo,
    events: Sequence[Event],
    labels: LabelsByVideo,
    threshold: float,
    fps: float | None,
) -> EventMetrics:
    """Events found, how late, and false alarms, where every frame that scores above a threshold
    alarms.

    Frames below it for less than a second end no alarm (`vadbench.evaluation.alarms`); without a
    frame rate, every frame below it does.

    Args:
        scores: of every test video.
        events: that are to be found; those of one category, for its values.
        labels: of every test video; an alarm without an anomalous frame is false, whatever the
            category.
        threshold: of the frame scores.
        fps: frames a second; None: not known, and values by time are undefined.

    Raises:
        BadInput: as `category_aucs`, or on a threshold that is NaN.

    >>> scores = {"a": np.array([0.0, 9, 0, 0, 0, 2, 9])}
    >>> labels = {"a": np.array([0, 0, 0, 0, 1, 1, 1])}
    >>> told = event_metrics(scores, [Event("a", 4, 6)], labels, threshold=1, fps=2)
    >>> told.found.value, told.delay.value, told.false_alarms, told.false_alarms_per_hour.value
    (1.0, 0.5, 1, 1800.0)
    """
    values = concatenate(scores, labels)
    if not np.isfinite(threshold):
        raise BadInput(
            f"threshold: {threshold}; expected a number on the scale of the frame scores"
        )
    delays = [
        int(above[0])
        for event in events
        if len(above := np.flatnonzero(scores[event.video][event.frames] > threshold))
    ]
    join = 0 if fps is None else join_frames(fps)
    false_alarms = sum(
        not labels[video][alarm.start : alarm.end + 1].any()
        for video, own in scores.items()
        for alarm in find_alarms(own, threshold, join)
    )
    normal = len(values) - sum(int(np.count_nonzero(labels[video])) for video in scores)
    part = len(delays) / len(events) if events else None
    return EventMetrics(
        found=Measure(part, len(events), None if events else "no event"),
        delay=_average(np.mean, delays, fps),
        median_delay=_average(np.median, delays, fps),
        delay_frames=_average(np.mean, delays, 1.0),
        median_delay_frames=_average(np.median, delays, 1.0),
        false_alarms=false_alarms,
        false_alarms_per_hour=_per_hour(false_alarms, normal, fps),
    )


def amoc_area(scores: ByVideo, labels: LabelsByVideo, events: Sequence[Event]) -> Measure:
    """How early events are found, at all thresholds: the area under an AMOC curve (Fawcett and
    Provost, Activity monitoring, KDD 1999).

    Their curve is what the first alarm of an event earns, over the rate of false alarms, and the
    application says what both are. Here an alarm at frame t of an event of n frames (from 0) earns
    1 - t / n, and 0 where there is none; the false alarms are the part of normal frames above the
    threshold, as of the ROC. As 1 - t / n is the part of frames that have one above the threshold
    at or before them, the area is the mean over events of the ROC-AUC of their running maxima. It
    is 1 if every event's first frame scores above all normal ones, and never below the mean of the
    AUCs of single events. `n` counts the events.

    Args:
        scores: of every test video.
        labels: likewise.
        events: their events.

    Raises:
        BadInput: as `category_aucs`.

    >>> scores = {"a": np.array([0.5, 0.1, 0.6, 0.3])}
    >>> labels = {"a": np.array([0, 1, 1, 1])}
    >>> amoc_area(scores, labels, [Event("a", 1, 3)]).value  # found at the second of three frames
    0.6666666666666666
    """
    values = concatenate(scores, labels)
    normal = np.sort(values[~np.concatenate([labels[video] != 0 for video in scores])])
    if not events or not len(normal):
        return Measure(None, len(events), "no normal frame" if events else "no event")
    areas = []
    for event in events:
        reached = np.maximum.accumulate(scores[event.video][event.frames])
        below, not_above = (np.searchsorted(normal, reached, side) for side in ("left", "right"))
        areas.append(np.mean(below + not_above) / (2 * len(normal)))
    return Measure(float(np.mean(areas)), len(events))


def group_events(events: Iterable[Event]) -> dict[str | None, list[Event]]:
    """Category -> its events; by name, those without one last."""
    groups: dict[str | None, list[Event]] = {}
    for event in sorted(events, key=lambda one: (one.category is None, one.category or "")):
        groups.setdefault(event.category, []).append(event)
    return groups


def _average(average: Callable[[list[int]], Any], delays: list[int], fps: float | None) -> Measure:
    """An average of delays in frames, in seconds of a frame rate."""
    if fps is None or not delays:
        return Measure(None, len(delays), UNKNOWN_FPS if delays else "no event was found")
    return Measure(float(average(delays)) / fps, len(delays))


def _per_hour(alarms: int, frames: int, fps: float | None) -> Measure:
    if fps is None or not frames:
        return Measure(None, frames, UNKNOWN_FPS if frames else "no normal frame")
    return Measure(alarms / (frames / fps / 3600), frames)


def concatenate(scores: ByVideo, labels: LabelsByVideo) -> NDArray[np.float64]:
    """All frame scores, in the order of the scores' videos, checked."""
    lengths = [{video: len(own) for video, own in one.items()} for one in (scores, labels)]
    if lengths[0] != lengths[1] or not lengths[0]:
        odd = next((name for name in {**lengths[0], **lengths[1]} if not _agree(name, lengths)), "")
        raise BadInput(
            f"scores and labels: {' and '.join(str(one.get(odd, 0)) for one in lengths)} frames of"
            f" {odd or 'all videos'}; expected one of each a frame (vadbench data check)"
        )
    for video, own in scores.items():
        if np.isnan(own).any():
            raise BadInput(
                f"scores: frame {int(np.argmax(np.isnan(own)))} of {video} is NaN; expected numbers"
                " (vadbench check METHOD)"
            )
    return np.concatenate([np.asarray(own, np.float64) for own in scores.values()])


def _agree(video: str, lengths: list[dict[str, int]]) -> bool:
    return lengths[0].get(video) == lengths[1].get(video)
