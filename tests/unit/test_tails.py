"""How rarely scores are reached: against closed forms and by counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.errors import BadInput
from vadbench.evaluation.calibration import Statistics, calibrate, calibration_statistics
from vadbench.tails import LEVELS, fit_tail, log_survival


def quantiles(count, inverse):
    """Scores of a known distribution, evenly spread in probability."""
    return inverse((np.arange(count) + 0.5) / count)


def test_of_exponential_scores_it_is_the_score_itself_far_beyond_the_last_one():
    scores = quantiles(100_000, lambda p: -np.log(1 - p))
    at = np.array([0.5, 1, 3, 4.6, 10, 100])
    np.testing.assert_allclose(-log_survival(at, fit_tail(scores)), at, rtol=0.005)


def test_inside_it_is_how_many_training_scores_are_as_high():
    scores = np.random.default_rng(0).gamma(2.0, size=5000)
    for at in np.quantile(scores, [0.05, 0.3, 0.5, 0.9, 0.985]):
        counted = np.log(np.mean(scores >= at))
        assert log_survival(at, fit_tail(scores)) == pytest.approx(counted, abs=0.03)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200),
    st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=30),
)
def test_it_is_finite_and_never_rises_with_the_score(scores, at):
    values = log_survival(np.sort(at), fit_tail(scores))
    assert np.isfinite(values).all()
    assert (np.diff(values) <= 1e-12).all()
    assert (values <= 0).all()


def test_above_the_last_training_score_it_still_tells_scores_apart():
    for scores in ([1.0], [2.0] * 500, [*range(500), *[500.0] * 100]):
        tail = fit_tail(scores)
        top = max(scores)
        values = log_survival([top, top + 1, top + 2], tail)
        assert (np.diff(values) < 0).all(), scores


def test_of_scores_that_are_all_equal_the_score_itself_is_no_surprise():
    assert log_survival([2.0], fit_tail([2.0] * 500)) == [0.0]


def test_sums_of_independent_calibrated_streams_are_fishers_statistic():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 20_000, 2))
    streams = [calibrate("tail", test[:, c], calibration_statistics(train[:, c])) for c in range(2)]
    total = np.sum(streams, axis=0)
    for at in (1.0, 3.0, 6.0):  # P(T >= t) of two: e^-t (1 + t)
        expected = np.exp(-at) * (1 + at)
        assert np.mean(total >= at) == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))


def test_columns_are_calibrated_each_by_its_own_tail():
    train = np.random.default_rng(0).normal([0, 100], [1, 10], size=(1000, 2))
    statistics = calibration_statistics(train)
    both = calibrate("tail", train, statistics)
    for column in range(2):
        own = calibration_statistics(train[:, column])
        np.testing.assert_array_equal(both[:, column], calibrate("tail", train[:, column], own))
    assert statistics.arrays()["tail"].shape == (2, len(LEVELS) + 1)


def test_a_change_of_unit_changes_nothing():
    train = np.random.default_rng(0).gamma(2.0, size=1000)
    one = calibrate("tail", train, calibration_statistics(train))
    other = calibrate("tail", 7 + 1e-6 * train, calibration_statistics(7 + 1e-6 * train))
    np.testing.assert_allclose(other, one, atol=1e-6)


def test_statistics_of_before_have_no_tail_and_say_what_helps():
    arrays = calibration_statistics(np.arange(10.0)).arrays()
    del arrays["tail"]
    old = Statistics(**arrays)
    assert "tail" not in old.arrays()
    with pytest.raises(BadInput, match="--existing rerun"):
        calibrate("tail", [1.0], old)
