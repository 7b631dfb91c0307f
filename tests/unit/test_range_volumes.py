"""VUS-ROC and VUS-PR: by hand, by loops over thresholds as the paper defines them, and what leaves
them as they are.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.frame import micro_auc
from vadbench.evaluation.metrics.ranges import extend, range_volumes


@st.composite
def clips(draw):
    """Scores with ties, and labels, of one to three videos."""
    scores, labels = {}, {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        length = draw(st.integers(1, 12))
        marks = draw(st.lists(st.integers(0, 1), min_size=length, max_size=length))
        values = draw(st.lists(st.integers(-3, 3), min_size=length, max_size=length))
        scores[name], labels[name] = np.array(values, float), np.array(marks, np.uint8)
    return scores, labels


def flat(by_video):
    return np.concatenate(list(by_video.values()))


def soft_label(marks, frame, length):
    """How anomalous a frame is: the formula, a range at a time."""
    total, start = 0.0, None
    for place, mark in enumerate([*marks, 0]):
        if mark and start is None:
            start = place
        if not mark and start is not None:
            end, outside = place - 1, max(start - frame, frame - (place - 1))
            if start <= frame <= end:
                total += 1
            elif outside <= length // 2:
                total += (1 - outside / length) ** 0.5
            start = None
    return min(total, 1.0)


def by_thresholds(scores, labels, length):
    """Areas under ROC and PR of one buffer length, a threshold at a time."""
    soft = {
        video: [soft_label(marks, frame, length) for frame in range(len(marks))]
        for video, marks in labels.items()
    }
    ranges = []  # (video, frames): stretches with their buffers
    for video, values in soft.items():
        own = []
        for frame, value in enumerate([*values, 0]):
            if value > 0:
                own.append(frame)
            elif own:
                ranges.append((video, own))
                own = []
    count = len(flat(scores))
    positives = (flat(labels).sum() + sum(map(sum, soft.values()))) / 2
    roc, pr = [(0.0, 0.0)], [(0.0, 1.0)]
    for threshold in sorted({*flat(scores).tolist()}, reverse=True):
        hit = sum(
            value
            for video in scores
            for value, score in zip(soft[video], scores[video], strict=True)
            if score >= threshold
        )
        decided = int((flat(scores) >= threshold).sum())
        exist = sum(any(scores[v][frame] >= threshold for frame in own) for v, own in ranges)
        recall = min(hit / positives, 1) * exist / len(ranges)
        roc.append(((decided - hit) / (count - positives), recall))
        pr.append((recall, hit / decided))
    roc.append((1.0, 1.0))
    return [
        sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))
        for curve in (roc, pr)
    ]


def test_a_buffer_by_hand():
    """Frames 0 to 3, the third anomalous, l = 2: labels 0, a, 1, a with a = sqrt(1/2)."""
    scores, labels = {"a": np.array([0.3, 0.9, 0.6, 0.1])}, {"a": np.array([0, 0, 1, 0])}
    a = np.sqrt(0.5)
    np.testing.assert_allclose(extend(labels["a"], 2), [0, a, 1, a])
    positives, negatives = 1 + a, 3 - a
    recall = np.minimum([a / positives, (a + 1) / positives, 1, 1], 1)
    false = np.array([1 - a, 1 - a, 2 - a, 3 - 2 * a]) / negatives
    precision = [a, (a + 1) / 2, (a + 1) / 3, (2 * a + 1) / 4]
    roc = sum(
        (x1 - x0) * (y0 + y1) / 2
        for (x0, y0), (x1, y1) in pairwise([(0, 0), *zip(false, recall, strict=True), (1, 1)])
    )
    pr = sum(
        (x1 - x0) * (y0 + y1) / 2
        for (x0, y0), (x1, y1) in pairwise([(0, 1), *zip(recall, precision, strict=True)])
    )
    # l = 0 and l = 1: the labels as they are; the second frame comes first
    plain_roc, plain_pr = 2 / 3, 1 / 4  # precision 0 where recall is 0, then 1/2 at recall 1
    found = range_volumes(scores, labels, buffer=2)
    assert found.roc.value == pytest.approx((2 * plain_roc + roc) / 3)
    assert found.pr.value == pytest.approx((2 * plain_pr + pr) / 3)
    assert found.roc.n == found.pr.n == 4


@given(clips(), st.integers(0, 7))
def test_it_is_the_mean_area_over_buffers_a_threshold_at_a_time(clip, buffer):
    scores, labels = clip
    if len({*flat(labels).tolist()}) < 2:
        return
    areas = [by_thresholds(scores, labels, length) for length in range(buffer + 1)]
    found = range_volumes(scores, labels, buffer)
    expected = np.mean(areas, axis=0)
    assert (found.roc.value, found.pr.value) == (
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
    )


@given(st.lists(st.integers(-3, 3), min_size=3, max_size=20), st.data())
def test_of_one_range_without_buffers_it_is_the_frame_auc(values, data):
    start = data.draw(st.integers(0, len(values) - 2))
    end = data.draw(st.integers(start, len(values) - 2))
    marks = np.zeros(len(values), np.uint8)
    marks[start : end + 1] = 1
    found = range_volumes({"a": np.array(values, float)}, {"a": marks}, 0)
    assert found.roc.value == pytest.approx(micro_auc(values, marks))


@given(clips(), st.integers(0, 5))
def test_a_rising_transform_of_scores_changes_nothing(clip, buffer):
    scores, labels = clip
    other = {video: np.exp(own) - 7 for video, own in scores.items()}
    assert range_volumes(other, labels, buffer) == range_volumes(scores, labels, buffer)


@given(clips(), st.integers(0, 5))
def test_the_order_of_videos_does_not_matter_and_buffers_stay_in_theirs(clip, buffer):
    scores, labels = clip
    turned = [dict(reversed(one.items())) for one in (scores, labels)]
    one, other = range_volumes(scores, labels, buffer), range_volumes(*turned, buffer)
    if one.roc.value is not None:
        assert one.roc.value == pytest.approx(other.roc.value)
        assert one.pr.value == pytest.approx(other.pr.value)


@pytest.mark.parametrize(
    ("marks", "reason"), [([0, 0], "no anomalous frame"), ([1, 1], "no normal frame")]
)
def test_of_one_class_it_is_undefined_with_the_reason(marks, reason):
    found = range_volumes({"a": np.array([0.0, 1])}, {"a": np.array(marks)}, 3)
    for one in (found.roc, found.pr):
        assert (one.value, one.n, one.reason) == (None, 2, reason)


def test_a_negative_buffer_is_refused():
    with pytest.raises(BadInput, match="buffer: -1; expected 0 or more frames"):
        range_volumes({"a": np.array([0.0, 1])}, {"a": np.array([0, 1])}, -1)
