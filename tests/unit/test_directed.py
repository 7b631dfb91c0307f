"""Directed density: one-sided in motion, a density in the rest."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chi2, spearmanr
from vadbench_methods.directed import Directed, DirectedConfig, combine

from vadbench.detector import Features, Nature
from vadbench.errors import BadInput


def features(x):
    x = np.asarray(x, np.float32)
    return Features(x, np.arange(len(x)) // 100, np.arange(len(x)) % 100)


def walkers(count=2000, seed=0):
    """Speeds along and across, and a height that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    speed = rng.gamma(9.0, 0.2, size=count)
    along = rng.uniform(0.7, 1.0, size=count)
    return np.column_stack([speed * along, speed * (1 - along), rng.normal(170, 10, size=count)])


def fitted(x, **config):
    detector = Directed(DirectedConfig(**config), seed=0)
    detector.fit(features(x))
    return detector


def score(detector, rows):
    return detector.score(features(rows))[:, 0]


def test_of_speed_alone_the_order_is_that_of_speed():
    speed = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
    scores = score(fitted(speed, columns=(0,)), speed)
    assert spearmanr(scores, speed[:, 0]).statistic == pytest.approx(1, abs=1e-6)


def test_slow_is_no_anomaly_and_fast_is():
    detector = fitted(walkers(), columns=(0, 1))
    still, slow, usual, fast = score(
        detector, [[0.05, 0.01, 170], [0.5, 0.1, 170], [1.5, 0.3, 170], [8, 1.6, 170]]
    )
    assert fast > usual + 5
    assert slow < usual + 1
    assert still < fast - 5  # its direction is noise, and tells little


def test_another_direction_and_another_size_are_anomalies():
    detector = fitted(walkers(), columns=(0, 1))
    usual, across, tall = score(detector, [[1.5, 0.3, 170], [0.1, 1.7, 170], [1.5, 0.3, 270]])
    assert across > usual + 3
    assert tall > usual + 3


def test_of_independent_speed_and_rest_it_is_a_p_value():
    detector = fitted(walkers(20_000), columns=(0, 1), components=(4,), floor=(1e-6,))
    p = np.exp(-score(detector, walkers(20_000, seed=1)))
    for level in (0.3, 0.1, 0.01):
        assert np.mean(p <= level) == pytest.approx(level, abs=0.25 * level)


def test_the_combination_is_fishers():
    one, other = np.random.default_rng(0).exponential(size=(2, 50))
    expected = -chi2.logsf(2 * (one + other), 4)
    np.testing.assert_allclose(combine([one, other]), expected, rtol=1e-12)
    np.testing.assert_array_equal(combine([one]), one)


def test_a_unit_of_speed_decides_nothing():
    x = walkers()
    other = x * [0.01, 0.01, 1]
    np.testing.assert_allclose(
        score(fitted(other, columns=(0, 1)), other), score(fitted(x, columns=(0, 1)), x), atol=1e-3
    )


def test_without_columns_of_motion_it_is_the_tail_of_a_density():
    x = walkers()
    detector = fitted(x)
    nll = detector.mixture.nll(np.float32(x))
    assert spearmanr(score(detector, x), nll).statistic > 0.99


@pytest.mark.parametrize("rows", [np.zeros((200, 3)), np.ones((200, 3)), [[0, 0, 1]] * 2])
def test_features_that_do_not_vary_give_finite_scores(rows):
    detector = fitted(rows, columns=(0, 1))
    assert np.isfinite(score(detector, [[0, 0, 1], [5, 5, 5], [0, 0, 0]])).all()


def test_saved_and_loaded_it_scores_the_same(tmp_path):
    for columns, name in (((0, 1), "both"), ((0, 1, 2), "motion"), ((), "none")):
        detector = fitted(walkers(), columns=columns)
        detector.save(tmp_path / name)
        loaded = Directed.load(tmp_path / name)
        np.testing.assert_array_equal(score(loaded, walkers()), score(detector, walkers()))


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(BadInput, match="3 columns, columns asks for"):
        fitted(walkers(), columns=(0, 3))


@pytest.mark.parametrize("columns", [(), (1,), (0, 1), (0, 1, 2)])
def test_rows_of_other_columns_are_refused_whatever_is_motion(columns):
    detector = fitted(walkers(200), columns=columns)
    assert score(detector, walkers(5)).shape == (5,)
    for other in (walkers(5)[:, :2], np.ones((5, 4))):
        with pytest.raises(BadInput, match="columns, directed was trained on 3"):
            score(detector, other)


def test_a_column_of_motion_counts_once():
    with pytest.raises(ValidationError, match="columns must differ"):
        DirectedConfig(columns=(0, 1, 0))


def test_the_stream_says_which_columns_are_motion_and_its_identity_does_not_change():
    nature = Nature(speeds=(0,), motion=(0, 1, 2))
    assert Directed.preset("fast", "any", nature) == {"columns": (0, 1, 2)}
    assert Directed.preset("fast", "any", Nature()) == {}
    assert nature.document == Nature(speeds=(0,)).document
