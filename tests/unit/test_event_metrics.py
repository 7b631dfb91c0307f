"""AUC by category, events found, false alarms, delays, and how early: by hand, by loops, and what
leaves them as they are.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.datasets.events import Event, events_of_labels
from vadbench.errors import BadInput
from vadbench.evaluation.metrics.events import (
    amoc_area,
    category_aucs,
    event_metrics,
    group_events,
)
from vadbench.evaluation.metrics.frame import micro_auc

A, B = np.array([0.0, 3, 1, 2, 9, 0, 0, 5]), np.array([4.0, 0, 0, 6])
SCORES = {"a": A, "b": B}
LABELS = {"a": np.array([0, 0, 1, 1, 1, 0, 0, 0]), "b": np.array([1, 1, 0, 0])}
CAR, RUNNER = Event("a", 2, 4, "car"), Event("a", 4, 4, "runner")
EVENTS = [RUNNER, Event("b", 0, 1, "runner"), CAR]


@st.composite
def clips(draw, categories=("car", "runner", None)):
    """Scores with ties, labels and events of one to three videos; categories are drawn."""
    scores, labels, events = {}, {}, []
    for name in "abc"[: draw(st.integers(1, 3))]:
        length = draw(st.integers(1, 12))
        marks = draw(st.lists(st.integers(0, 1), min_size=length, max_size=length))
        values = draw(st.lists(st.integers(-3, 3), min_size=length, max_size=length))
        scores[name], labels[name] = np.array(values, float), np.array(marks, np.uint8)
        events += [
            Event(one.video, one.start, one.end, draw(st.sampled_from(categories)))
            for one in events_of_labels({name: labels[name]})
        ]
    return scores, labels, events


def flat(by_video):
    return np.concatenate(list(by_video.values()))


def pairs(positive, negative):
    """The AUC as the part of pairs in order, ties half."""
    wins = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    return sum(wins) / len(wins) if wins else None


# by category


def test_a_category_is_held_against_normal_frames_alone():
    car, runner = category_aucs(SCORES, LABELS, EVENTS)
    normal = [0, 3, 0, 0, 5, 0, 6]  # frame 4 of a is of both
    assert (car.category, car.events, car.frames, car.auc.n) == ("car", 1, 3, 10)
    assert car.auc.value == pytest.approx(pairs([1, 2, 9], normal))
    assert (runner.category, runner.events, runner.frames, runner.auc.n) == ("runner", 2, 3, 10)
    assert runner.auc.value == pytest.approx(pairs([9, 4, 0], normal))


@given(clips(categories=("car",)))
def test_one_category_alone_has_the_frame_auc(clip):
    scores, labels, events = clip
    found = category_aucs(scores, labels, events)
    assert len(found) == bool(events)
    for one in found:
        auc = micro_auc(flat(scores), flat(labels))
        assert one.auc.value == (None if np.isnan(auc) else auc)


@given(clips())
def test_every_category_is_the_part_of_its_pairs_in_order(clip):
    scores, labels, events = clip
    normal = [s for v in scores for s, y in zip(scores[v], labels[v], strict=True) if not y]
    for one in category_aucs(scores, labels, events):
        frames = {
            (event.video, frame)
            for event in events
            if event.category == one.category
            for frame in range(event.start, event.end + 1)
        }
        expected = pairs([scores[video][frame] for video, frame in frames], normal)
        assert one.frames == len(frames)
        assert one.auc.value == (expected if expected is None else pytest.approx(expected))


def test_without_normal_frames_a_category_is_undefined_with_the_reason():
    (one,) = category_aucs({"a": A}, {"a": np.ones(8, np.uint8)}, [Event("a", 0, 7)])
    assert (one.auc.value, one.auc.reason) == (None, "no normal frame")


def test_categories_come_by_name_and_events_without_one_last():
    assert list(group_events([Event("a", 0, 0), *EVENTS])) == ["car", "runner", None]


# at a threshold


def test_events_are_found_late_and_false_alarms_are_counted_by_hand():
    told = event_metrics(SCORES, EVENTS, LABELS, threshold=3.5, fps=2)
    # the car at its third frame, the runners at their first; a gap of 2 frames ends an alarm
    assert (told.found.value, told.found.n) == (1.0, 3)
    assert (told.delay_frames.value, told.median_delay_frames.value) == (pytest.approx(2 / 3), 0)
    assert (told.delay.value, told.delay.n) == (pytest.approx(1 / 3), 3)
    assert told.false_alarms == 2  # frame 7 of a, frame 3 of b
    # 7 normal frames are 3.5 seconds
    assert told.false_alarms_per_hour.value == pytest.approx(2 * 3600 / 3.5)
    assert told.false_alarms_per_hour.n == 7


def test_a_frame_at_the_threshold_finds_nothing():
    told = event_metrics(SCORES, EVENTS, LABELS, threshold=9, fps=2)
    assert (told.found.value, told.found.n, told.false_alarms) == (0.0, 3, 0)
    assert (told.delay.value, told.delay.n) == (None, 0)
    assert told.delay.reason == told.median_delay_frames.reason == "no event was found"


def test_an_alarm_that_goes_on_into_an_event_is_no_false_one():
    scores, labels = {"a": np.array([0.0, 2, 0, 2])}, {"a": np.array([0, 0, 0, 1])}
    joined, apart = (
        event_metrics(scores, [Event("a", 3, 3)], labels, 1, fps) for fps in (10, None)
    )
    assert (joined.false_alarms, apart.false_alarms) == (0, 1)


def test_without_a_frame_rate_there_are_frames_and_the_reason():
    told = event_metrics(SCORES, EVENTS, LABELS, threshold=3.5, fps=None)
    assert told.delay_frames.value == pytest.approx(2 / 3)
    for one in (told.delay, told.median_delay, told.false_alarms_per_hour):
        assert (one.value, one.reason) == (None, "the frame rate is not known")


def test_without_events_or_normal_frames_it_is_undefined():
    nothing = event_metrics({"a": A}, [], {"a": np.zeros(8, np.uint8)}, 1, 2)
    assert (nothing.found.value, nothing.found.reason) == (None, "no event")
    every = event_metrics({"a": A}, [Event("a", 0, 7)], {"a": np.ones(8, np.uint8)}, 1, 2)
    rate = every.false_alarms_per_hour
    assert (rate.value, rate.reason) == (None, "no normal frame")


@given(clips(), st.integers(-4, 4))
def test_a_higher_threshold_finds_no_more_events_and_none_earlier(clip, threshold):
    scores, labels, events = clip
    low, high = (
        event_metrics(scores, events, labels, one, 1) for one in (threshold, threshold + 1)
    )
    if events:
        assert low.found.value >= high.found.value
    if low.found.value == high.found.value == 1:
        assert low.delay_frames.value <= high.delay_frames.value


# at all thresholds


def by_thresholds(scores, labels, events):
    """The area under what the first alarms earn, a threshold at a time, by trapezoids."""
    normal = [s for v in scores for s, y in zip(scores[v], labels[v], strict=True) if not y]
    curve = [(0.0, 0.0)]
    for threshold in sorted({*flat(scores).tolist()}, reverse=True):
        earned = 0.0
        for event in events:
            own = scores[event.video][event.start : event.end + 1]
            first = next((t for t, score in enumerate(own) if score >= threshold), None)
            earned += 0.0 if first is None else 1 - first / len(own)
        curve.append((sum(s >= threshold for s in normal) / len(normal), earned / len(events)))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))


def test_an_event_earns_what_is_left_of_it_by_hand():
    # running maxima of car: 1, 2, 9; of the runners: 9 and 4, 4
    normal = [0, 3, 0, 0, 5, 0, 6]
    expected = np.mean([pairs(own, normal) for own in ([1, 2, 9], [9], [4, 4])])
    area = amoc_area(SCORES, LABELS, EVENTS)
    assert (area.value, area.n) == (pytest.approx(expected), 3)


@given(clips())
def test_the_area_is_that_of_the_curve_over_thresholds(clip):
    scores, labels, events = clip
    area = amoc_area(scores, labels, events)
    if not events or flat(labels).all():
        assert area.value is None
        assert area.reason in ("no event", "no normal frame")
    else:
        assert area.value == pytest.approx(by_thresholds(scores, labels, events))


@given(clips(categories=("car",)))
def test_earlier_is_better_and_lasting_no_worse(clip):
    """Of the same scores in falling order within events the area is 1 at best; no order has less
    than the events' own AUCs.
    """
    scores, labels, events = clip
    if not events or flat(labels).all():
        return
    early = {video: own.copy() for video, own in scores.items()}
    for event in events:
        early[event.video][event.frames] = -np.sort(-early[event.video][event.frames])
    normal = flat(scores)[flat(labels) == 0]
    own = np.mean([pairs(scores[event.video][event.frames], normal) for event in events])
    area = amoc_area(scores, labels, events).value
    assert own - 1e-12 <= area <= amoc_area(early, labels, events).value + 1e-12


@given(clips())
def test_a_rising_transform_of_scores_changes_nothing_without_a_threshold(clip):
    scores, labels, events = clip
    other = {video: np.exp(own) - 7 for video, own in scores.items()}
    assert category_aucs(other, labels, events) == category_aucs(scores, labels, events)
    assert amoc_area(other, labels, events) == amoc_area(scores, labels, events)


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"a": A[:7], "b": B}, r"7 and 8 frames of a; expected one of each"),
        ({"a": A}, r"0 and 4 frames of b"),
        ({}, r"0 and 8 frames of a"),
        ({"a": A, "b": np.full(4, np.nan)}, r"frame 0 of b is NaN"),
    ],
)
def test_scores_that_do_not_fit_are_refused_in_one_line(scores, reason):
    for metric in (
        lambda: category_aucs(scores, LABELS, EVENTS),
        lambda: amoc_area(scores, LABELS, EVENTS),
        lambda: event_metrics(scores, EVENTS, LABELS, 1, 2),
    ):
        with pytest.raises(BadInput, match=reason):
            metric()


def test_a_threshold_has_to_be_a_number():
    with pytest.raises(BadInput, match="threshold: nan; expected a number"):
        event_metrics(SCORES, EVENTS, LABELS, float("nan"), 2)
