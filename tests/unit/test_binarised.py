"""Decisions by L_th = mean + k std of a batch, and their AUC."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.binarised import PAPER_K, auc_binarised, by_sensitivity, decide

SCORES, LABELS = np.array([0.0, 1.0, 2.0, 9.0, 3.0, 4.0]), np.array([0, 0, 1, 1, 0, 1])


def test_scores_above_mean_plus_k_unbiased_deviations_are_anomalous():
    threshold = SCORES.mean() + 0.2 * SCORES.std(ddof=1)
    np.testing.assert_array_equal(decide(SCORES, 0.2), threshold < SCORES)


def test_each_batch_has_its_own_threshold():
    np.testing.assert_array_equal(
        decide(SCORES, 0.1, batch=2), [False, True, False, True, False, True]
    )


def test_a_batch_of_one_is_normal():
    assert not decide(SCORES[:5], 0.0, batch=4)[-1]
    assert not decide([3.0], 1.0).any()


def test_auc_is_the_mean_of_both_rates():
    decisions = decide(SCORES, 0.0)
    rates = [(decisions == label)[label == LABELS].mean() for label in (0, 1)]
    assert auc_binarised(SCORES, LABELS, 0.0) == pytest.approx(np.mean(rates))


def test_one_class_is_undefined():
    assert np.isnan(auc_binarised(SCORES, np.zeros(6), 0.5))


@given(
    scores=st.lists(st.integers(-50, 50), min_size=1, max_size=30),
    k=st.floats(0.05, 2),
    scale=st.sampled_from([0.5, 2.0, 4.0]),
)
def test_decisions_do_not_depend_on_the_scale(scores, k, scale):
    np.testing.assert_array_equal(
        decide(scores, k, batch=7), decide(np.multiply(scores, scale), k, batch=7)
    )


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match="expected one finite number"):
        decide([1.0, np.nan], 0.5)
    with pytest.raises(BadInput, match="batch"):
        decide(SCORES, 0.5, batch=0)


def test_every_sensitivity_of_the_paper_in_one_fixed_order():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 0, 1], 100)  # in videos' order, most batches of 50 hold one class
    scores = labels + rng.standard_normal(400)
    found = by_sensitivity(scores, labels, batch=50)
    assert tuple(found) == PAPER_K
    assert found == by_sensitivity(scores, labels, batch=50)
    in_order = by_sensitivity(scores, labels, batch=50, seed=None)
    assert in_order[0.5] == auc_binarised(scores, labels, 0.5, 50)
    assert found[0.1] > 0.6 > in_order[0.1]


def test_scores_and_labels_of_different_lengths_are_refused():
    with pytest.raises(BadInput, match="expected one of each a frame"):
        by_sensitivity(SCORES, LABELS[:-1])
