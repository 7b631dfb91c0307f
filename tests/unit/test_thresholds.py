"""Thresholds from the scores of normal videos: they raise as many alarms as was asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.errors import BadInput
from vadbench.evaluation.alarms import find_alarms, read_rate
from vadbench.evaluation.thresholds import (
    _appearances,
    _order_statistic,
    _tail,
    count_alarms,
    count_hours,
    set_threshold,
)

FPS = 10.0


def spikes(rng, draw, videos=10, minutes=6.0, apart=40):
    """Videos of which every 40th frame has a score that is drawn, all others 0: each an alarm of
    its own, 900 an hour.
    """
    made = []
    for _ in range(videos):
        scores = np.zeros(int(minutes * 60 * FPS))
        scores[::apart] = draw(rng, len(scores[::apart]))
        made.append(scores)
    return made


@given(st.permutations(range(24)), st.integers(0, 4), st.integers(1, 23))
def test_an_alarm_appears_where_the_threshold_first_has_so_many(order, join, cut):
    videos = [np.array(order[:cut], float), np.array(order[cut:], float)]
    counts = {value: count_alarms(videos, value - 0.5, join) for value in range(24)}
    expected = []
    for value in sorted(counts, reverse=True):
        if counts[value] > len(expected):
            expected.append(float(value))
    assert _appearances(videos, join, 99).tolist() == expected


def test_the_order_statistic_raises_what_was_asked_in_the_mean():
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(200):
        videos = spikes(rng, lambda rng, n: rng.uniform(size=n))  # an hour
        rates.append(900 * (1 - _order_statistic(videos, 20, 1.0, 9)))
    # of k = 20 alarms in an hour the true rate is Gamma(20): its mean 20, its deviation 4.5
    assert np.mean(rates) == pytest.approx(20, abs=3 * 4.5 / np.sqrt(200))
    assert np.std(rates) == pytest.approx(4.5, rel=0.2)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_the_tail_is_followed_to_alarms_rarer_than_any_seen(shape):
    def draw(rng, n):
        uniform = rng.uniform(size=n)
        return -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape

    rng = np.random.default_rng(1)
    found = [_tail(spikes(rng, draw), 0.2, 1.0, 9) for _ in range(100)]  # one in five hours
    rarer = 0.2 / 900
    exact = -np.log(rarer) if shape == 0 else (rarer**-shape - 1) / shape
    assert np.median(found) == pytest.approx(exact, rel=0.2)


def test_rarer_alarms_than_the_video_has_are_of_the_tail():
    rng = np.random.default_rng(5)
    videos = spikes(rng, lambda rng, n: rng.exponential(size=n))
    assert _order_statistic(videos, 0.5, 1.0, 9) is None
    found = set_threshold(videos, 0.5, FPS, 9)
    assert (found.method, found.value) == ("tail", _tail(videos, 0.5, 1.0, 9))


def test_more_alarms_are_raised_where_more_are_asked_for():
    """Of a few alarms an order statistic would be the highest score, above what a tail gives."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        videos = spikes(rng, lambda rng, n: rng.exponential(size=n))
        values = [set_threshold(videos, rate, FPS, 9).value for rate in (0.5, 1, 2, 4, 8, 16, 64)]
        assert values == sorted(values, reverse=True)


def test_the_estimator_that_keeps_its_promise_on_halves_is_taken():
    """Peaks of two heights, alarms of the higher ones asked for: no tail runs through both."""
    rng = np.random.default_rng(6)
    videos = spikes(rng, lambda rng, n: rng.uniform(size=n) + 99.0 * (rng.uniform(size=n) < 0.04))
    found = set_threshold(videos, 30, FPS, 9)
    assert found.method == "order statistic"
    assert found.ratios["order statistic"] == pytest.approx(1, abs=0.25)


def test_the_rate_is_kept_on_videos_that_move_slowly():
    """Scores that are alike from frame to frame, an hour of them: what new videos raise."""

    def move(rng, frames):
        noise = rng.standard_normal(frames) * np.sqrt(1 - 0.9**2)
        scores = np.empty(frames)
        last = rng.standard_normal()
        for place, step in enumerate(noise):
            last = scores[place] = 0.9 * last + step
        return np.exp(scores)

    rng = np.random.default_rng(2)
    new = [move(rng, 36_000) for _ in range(10)]
    rates = []
    for _ in range(8):
        found = set_threshold([move(rng, 3600) for _ in range(10)], 20, FPS, 9)
        rates.append(count_alarms(new, found.value, 9) / count_hours(new, FPS))
    assert 10 < np.median(rates) < 40


def test_how_far_a_rate_can_be_trusted_is_an_exact_interval():
    rng = np.random.default_rng(3)
    found = set_threshold(spikes(rng, lambda rng, n: rng.uniform(size=n)), 0.1, FPS, 9)
    assert (found.alarms, found.hours) == (0, pytest.approx(1.0))
    assert (found.low, found.high) == (0.0, pytest.approx(3.689, abs=1e-3))  # Garwood 1936


@pytest.mark.parametrize("videos", [[np.zeros(100)], [np.zeros(100), np.zeros(5)]])
def test_without_alarms_to_follow_there_is_no_threshold(videos):
    found = set_threshold(videos, 1, FPS, 9)
    assert (found.value, found.method) == (None, None)
    assert "minutes of held-out normal video are too little" in found.reason


@pytest.mark.parametrize("rate", [1, 60])
def test_scores_that_are_often_equal_have_no_tail(rate):
    """Twenty constant videos, and sixty whose peaks a cap makes equal: a threshold is a number that
    the video keeps, or there is none.
    """
    capped = [np.where(np.arange(300) == 150, 5.0, 0.0) for _ in range(60)]
    for videos in ([np.full(300, 1.0)] * 20, capped, [*capped[1:], capped[0] + 1]):
        found = set_threshold(videos, rate, FPS, 9)
        assert found.value is None or np.isfinite(found.value)
        assert (found.value is None) == bool(found.reason)


def test_a_scene_without_a_held_out_video_has_no_threshold():
    found = set_threshold([], 1, FPS, 9)
    assert (found.value, found.reason) == (None, "no video of it can be held out")


def test_alarms_that_no_video_has_are_told():
    found = set_threshold([np.zeros(36_000)], 60, FPS, 9)
    assert "raise fewer alarms than that at any threshold" in found.reason


def test_no_tail_is_followed_without_end():
    rng = np.random.default_rng(8)
    videos = spikes(rng, lambda rng, n: rng.exponential(size=n))
    assert set_threshold(videos, 0.02, FPS, 9).value is not None
    assert set_threshold(videos, 0.005, FPS, 9).value is None


def test_between_two_alarms_the_threshold_is_between_their_scores():
    scores = np.zeros(36_000)
    scores[::600] = np.arange(60)
    values = [_order_statistic([scores], rate, 1.0, 9) for rate in (5, 5.25, 6)]
    assert values == pytest.approx([55, 54.75, 54])


def test_frames_at_the_threshold_raise_no_alarm_and_ties_are_not_more_than_asked():
    scores = np.zeros(36_000)
    scores[::100] = np.arange(360) // 4  # four of each
    found = set_threshold([scores[:18_000], scores[18_000:]], 10, FPS, 9)
    assert len(find_alarms(scores, found.value, 9)) <= 10


def test_scores_on_another_scale_get_the_threshold_there():
    rng = np.random.default_rng(4)
    videos = spikes(rng, lambda rng, n: rng.exponential(size=n))
    one = set_threshold(videos, 5, FPS, 9)
    other = set_threshold([1000 + 8 * scores for scores in videos], 5, FPS, 9)
    assert other.value == pytest.approx(1000 + 8 * one.value)
    assert (one.method, one.alarms) == (other.method, other.alarms)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1/hour", 1), ("2/minute", 120), ("3/day", 0.125), ("7/week", 1 / 24), ("none", None)],
)
def test_a_rate_is_alarms_an_hour(text, rate):
    assert read_rate(text) == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1/",
        "/hour",
        "x/hour",
        "1/year",
        "0/hour",
        "-1/hour",
        "nan/hour",
        "1e9/hour",
        "1_0/hour",
        "3600/hour",
    ],
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(BadInput, match=r"alarms .*expected none, or how many a minute"):
        read_rate(text)
