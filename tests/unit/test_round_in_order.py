"""Frame maxima are kept as float32 where every rank stays, else as they are."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from vadbench.evaluation.calibration import calibration_statistics
from vadbench.evaluation.frames import PartFrames, pack, round_in_order, unpack

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


LENGTHS = np.array([60, 40])


def test_frame_maxima_are_small_where_no_rank_depends_on_more():
    scores = np.random.default_rng(0).normal(size=100)
    packed = pack(scores, -5.0, LENGTHS)
    assert packed.dtype == np.float32
    np.testing.assert_allclose(unpack(packed, -5.0), scores, atol=1e-6)
    np.testing.assert_array_equal(rankdata(unpack(packed, -5.0)), rankdata(scores))


def test_frame_maxima_stay_as_they_are_where_a_filter_would_tell_the_difference():
    """Far above the training minimum float32 knows no differences as small as theirs."""
    scores = 1e8 + np.random.default_rng(0).normal(size=100)
    assert pack(scores, -5.0, LENGTHS) is scores
    np.testing.assert_array_equal(unpack(scores, -5.0), scores)


def test_read_outs_are_packed_alone_and_statistics_stay_float64():
    maxima = np.random.default_rng(0).normal(size=(100, 2))
    maxima[:, 1] += 1e8
    maxima[3, 0] = np.nan
    statistics = calibration_statistics(np.array([[-4.1, -4.2], [0.3, 0.4]]))
    arrays = PartFrames(maxima, statistics, statistics).arrays(LENGTHS)
    kinds = arrays["maxima.0"].dtype, arrays["maxima.1"].dtype
    assert kinds == (np.float32, np.float64)
    again = PartFrames.from_arrays(arrays)
    np.testing.assert_allclose(again.maxima, maxima, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(again.maxima[:, 1], maxima[:, 1])
    np.testing.assert_array_equal(again.row.minimum, statistics.minimum)
