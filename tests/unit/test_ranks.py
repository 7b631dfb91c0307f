"""Ranks over data sets."""

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.ranks import (
    average_ranks,
    borda,
    critical_difference,
    friedman,
    ranks,
)


def test_ranks_share_ties_and_the_highest_is_first():
    table = [[0.9, 0.8, 0.8], [0.5, 0.7, 0.6]]
    assert ranks(table).tolist() == [[1, 2.5, 2.5], [3, 1, 2]]
    assert average_ranks(table).tolist() == [2, 1.75, 2.25]
    assert borda(table).tolist() == [2, 2.5, 1.5]


def test_a_missing_value_cannot_be_ranked():
    with pytest.raises(BadInput, match="missing value"):
        ranks([[0.9, np.nan]])


def test_friedman_finds_a_consistent_order_and_no_order_in_noise():
    consistent = np.tile([0.9, 0.8, 0.7], (10, 1))
    statistic, p = friedman(consistent)
    assert statistic == pytest.approx(20.0)  # D (M - 1), its largest value
    assert p < 0.001
    assert friedman([[3, 2, 1], [1, 3, 2], [2, 1, 3]])[1] == pytest.approx(1.0)
    assert np.isnan(friedman([[0.5, 0.5, 0.5]] * 4)).all()


@pytest.mark.parametrize(("methods", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_demsar_s_table_5(methods, quantile):
    expected = quantile * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, rel=1e-3)
