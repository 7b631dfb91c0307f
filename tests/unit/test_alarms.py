"""Alarms: stretches above a threshold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.evaluation.alarms import find_alarms, join_frames

SCORES = st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan")]), max_size=30).map(np.array)


def test_a_frame_at_the_threshold_is_in_no_alarm():
    assert find_alarms(np.array([1.0, 1.0]), 1.0) == []


@given(SCORES, st.integers(0, 5))
def test_every_frame_above_the_threshold_is_in_one_alarm_and_alarms_are_apart(scores, join):
    alarms = find_alarms(scores.astype(float), 0.5, join)
    inside = np.zeros(len(scores), int)
    for alarm in alarms:
        inside[alarm.start : alarm.end + 1] += 1
        assert alarm.start <= alarm.peak <= alarm.end
        assert alarm.score == np.nanmax(scores[alarm.start : alarm.end + 1])
    assert (inside[scores > 0.5] == 1).all()
    for one, other in pairwise(alarms):
        assert other.start - one.end - 1 > join


@pytest.mark.parametrize(("fps", "join"), [(10, 9), (0.5, 0), (25, 24), (29.97, 29)])
def test_a_second_without_a_frame_above_ends_an_alarm(fps, join):
    assert join_frames(fps) == join
