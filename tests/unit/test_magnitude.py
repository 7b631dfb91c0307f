"""Magnitude: the bar that a density has to pass."""

import numpy as np
import pytest
from vadbench_methods.magnitude import Magnitude, MagnitudeConfig

from vadbench.detector import Features
from vadbench.errors import BadInput


def features(x):
    x = np.asarray(x, np.float32)
    return Features(x, np.zeros(len(x), np.int64), np.arange(len(x)))


def fit_on():
    detector = Magnitude(MagnitudeConfig(), seed=0)
    detector.fit(features([[1, 1], [2, 2]]))
    return detector


def test_score_is_the_l1_norm_in_float64():
    scores = fit_on().score(features([[3, -4], [0, 0]]))
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, [[7], [0]])


def test_score_does_not_overflow_float32():
    assert np.isfinite(fit_on().score(features(np.full((1, 2), 3e38)))).all()


def test_saved_and_loaded_it_scores_the_same(tmp_path):
    fit_on().save(tmp_path)
    np.testing.assert_array_equal(Magnitude.load(tmp_path).score(features([[3, -4]])), [[7]])


def test_one_that_was_saved_without_its_columns_takes_any():
    older = Magnitude(MagnitudeConfig(), seed=0)
    older.restore({})
    np.testing.assert_array_equal(older.score(features([[1, 2, 3]])), [[6]])
    assert older.arrays() == {}


def test_the_number_of_columns_is_kept_and_is_nothing_learnt():
    detector = fit_on()
    assert detector.parameter_count() == 0
    with pytest.raises(BadInput, match="features: 3 columns, magnitude was trained on 2"):
        detector.score(features([[1, 2, 3]]))


def test_a_single_training_row_is_refused():
    with pytest.raises(BadInput, match="at least 2"):
        Magnitude(MagnitudeConfig(), seed=0).fit(features([[1, 2]]))
