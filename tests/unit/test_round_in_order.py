"""Frame maxima are kept as float32, and every rank stays."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from vadbench.evaluation.calibration import calibration_statistics
from vadbench.evaluation.frames import PartFrames, round_in_order

sizes = st.integers(0, 60)
wide = arrays(np.float64, sizes, elements=st.floats(-1e30, 1e30))
# many that float32 cannot tell apart, and equal ones
close = st.builds(
    lambda base, steps: base + base * 1e-12 * steps,
    st.floats(0.1, 1e6),
    arrays(np.float64, sizes, elements=st.integers(-8, 8).map(float)),
)


@given(wide | close)
@example(np.array([1e-60, 0.0, -1e-60, 2e-60]))
@example(np.full(20, 0.1) + np.arange(20) * 1e-17)
def test_ranks_stay_those_of_float64(scores):
    rounded = round_in_order(scores)
    assert rounded.dtype == np.float32
    assert rounded.shape == scores.shape
    np.testing.assert_array_equal(rankdata(rounded), rankdata(scores))


@given(wide | close)
def test_a_score_moves_by_as_many_steps_as_there_are_scores_at_most(scores):
    rounded = round_in_order(scores)
    steps = np.spacing(np.abs(scores).astype(np.float32)).astype(np.float64)
    assert (np.abs(rounded - scores) <= 2 * (len(scores) + 1) * steps).all()


@given(wide)
def test_a_score_that_collides_with_none_is_rounded_to_the_nearest(scores):
    nearest = scores.astype(np.float32)
    distinct = len(np.unique(nearest)) == len(np.unique(scores))
    if distinct:
        np.testing.assert_array_equal(round_in_order(scores), nearest)


@given(wide, st.data())
def test_frames_without_an_object_stay_without_a_score(scores, data):
    empty = data.draw(arrays(bool, len(scores)))
    gaps = np.where(empty, np.nan, scores)
    rounded = round_in_order(gaps)
    np.testing.assert_array_equal(np.isnan(rounded), empty)
    np.testing.assert_array_equal(rounded[~empty], round_in_order(scores[~empty]))


def test_rounding_again_changes_nothing():
    scores = np.random.default_rng(0).normal(size=200)
    once = round_in_order(scores)
    np.testing.assert_array_equal(round_in_order(once.astype(np.float64)), once)


def test_every_read_out_is_rounded_alone_and_statistics_stay_float64():
    maxima = np.array([[1.0, 1 + 1e-12], [1 + 1e-12, 1.0], [np.nan, np.nan]])
    statistics = calibration_statistics(np.array([[0.1, 0.2], [0.3, 0.4]]))
    frames = PartFrames(maxima, statistics, statistics)
    again = PartFrames.from_arrays(frames.arrays())
    assert frames.arrays()["maxima"].dtype == np.float32
    assert again.maxima[0, 0] < again.maxima[1, 0]
    assert again.maxima[0, 1] > again.maxima[1, 1]
    np.testing.assert_array_equal(again.row.minimum, statistics.minimum)
