"""The list of alarms of a watched video is what `find_alarms` finds in its scores."""

from __future__ import annotations

import csv

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vadbench.evaluation.alarms import find_alarms, join_frames
from vadbench.models.alarms import COLUMNS, AlarmList
from vadbench.models.watching import Watched

EMPTY = np.zeros((0, 4))


def watched(frame, score, fps=None):
    box = (1.0, 2.0, float(frame), 4.0)
    time = None if fps is None else frame / fps
    return Watched(frame, time, score, None, box, EMPTY, EMPTY, EMPTY, 0.5)


def listed(scores, join, fps=None):
    lines = []
    alarms = AlarmList(join, lines.append)
    for frame, score in enumerate(scores):
        alarms(watched(frame, float(score), fps))
    alarms.end()
    return list(csv.DictReader(lines)), alarms


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=30), st.integers(0, 4))
def test_alarms_are_those_of_the_whole_video(scores, join):
    rows, alarms = listed(scores, join)
    found = find_alarms(np.array(scores), 0.5, join)
    shown = [(int(row["start"]), int(row["end"]), int(row["peak"])) for row in rows]
    assert shown == [(one.start, one.end, one.peak) for one in found]
    assert [float(row["score"]) for row in rows] == [one.score for one in found]
    assert alarms.count == len(found)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=30), st.sampled_from([2, 4, 5]))
def test_a_second_ends_an_alarm_at_any_frame_rate(scores, fps):
    rows, _ = listed(scores, 0, fps)
    found = find_alarms(np.array(scores), 0.5, join_frames(fps))
    assert [(int(row["start"]), int(row["end"])) for row in rows] == [
        (one.start, one.end) for one in found
    ]


def test_a_line_has_times_and_the_box_of_the_peak():
    rows, _ = listed([0, 1, 3, 0], 0, 10)
    assert rows == [
        dict(
            zip(
                COLUMNS,
                ["1", "2", "2", "0.1", "0.2", "0.2", "3.0", "1.0", "2.0", "2.0", "4.0"],
                strict=True,
            )
        )
    ]


def test_an_alarm_is_told_when_it_begins_and_written_when_it_has_ended():
    lines, said = [], []
    alarms = AlarmList(1, lines.append, said.append)
    seen = []
    for frame, score in enumerate([0, 1, 0, 1, 0, 0, 0]):
        alarms(watched(frame, float(score)))
        seen.append((len(said), len(lines) - 1))
    assert seen == [(0, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 1)]


def test_the_smoothed_score_is_what_alarms_are_of():
    one = Watched(0, None, 0.0, 2.0, None, EMPTY, EMPTY, EMPTY, 1.0)
    assert (one.shown, one.alarm) == (2.0, True)
    assert not Watched(0, None, 2.0, None, None, EMPTY, EMPTY, EMPTY, None).alarm
