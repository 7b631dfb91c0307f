"""EM by monomials takes scikit-learn's steps from the same start."""

import warnings

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from vadbench_methods.mixture import fit_mixture
from vadbench_methods.quadratic_em import BLOCK, Components, fit_components

from vadbench.detector import Note


def make_rows(kind, count, dim):
    """Standardised rows."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(6, dim))
    own = rng.integers(0, 6, count)
    rows = centres[own] + rng.normal(size=(count, dim)) * rng.uniform(0.05, 1, (6, dim))[own]
    if kind == "a tight cluster far away":
        rows[: count // 3] = 50 + 1e-4 * rng.normal(size=(count // 3, dim))
    if kind == "heavy tails":
        rows = rng.standard_t(2, size=(count, dim))
    if kind == "zeros":
        rows[: count // 2, 0] = 0.0
    if kind == "columns that nearly agree":
        rows[:, -1] = rows[:, 0] + 1e-5 * rng.normal(size=count)
    return (rows - rows.mean(0)) / rows.std(0)


KINDS = (
    *("clusters", "a tight cluster far away", "heavy tails", "zeros"),
    "columns that nearly agree",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("count", "dim", "components"), [(3000, 5, 8), (BLOCK + 1, 2, 16), (800, 16, 3), (2000, 1, 4)]
)
def test_it_ends_where_scikit_learn_ends(kind, count, dim, components):
    if dim == 1 and kind == "columns that nearly agree":
        pytest.skip("there is one column")
    rows = make_rows(kind, count, dim)
    ours = fit_components(rows, components, 0, 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GaussianMixture(components, reg_covar=1e-6, random_state=0).fit(rows)
    np.testing.assert_allclose(ours.weights, theirs.weights_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.covariances, theirs.covariances_, rtol=0, atol=1e-9)
    expected = -theirs.score_samples(rows)
    mixture = fit_mixture(rows, components, 0, floor=1e-6, absolute=True)
    np.testing.assert_allclose(mixture.nll(rows), expected, rtol=1e-6, atol=1e-6)


def test_narrow_components_are_centred_and_wide_ones_are_not():
    means, sizes = np.array([[0.0, 0.0], [30.0, 30.0]]), np.ones(2)
    wide, narrow = np.eye(2), 1e-8 * np.eye(2)
    assert Components.of(sizes, means, np.array([wide, wide]), 0.0).narrow.tolist() == [False] * 2
    assert Components.of(sizes, means, np.array([wide, narrow]), 0.0).narrow.tolist() == [
        False,
        True,
    ]


def test_terms_that_are_centred_are_told():
    rows = make_rows("clusters", 600, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Note)
        fit_components(rows, 2, 0, 1e-6)
    rows[:200] = 1e3 + 1e-5 * rows[:200]
    with pytest.warns(Note, match="centred narrow components"):
        fit_components(rows, 2, 0, 1e-12)


def test_a_covariance_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="not positive"):
        Components.of(np.ones(1), np.zeros((1, 2)), np.ones((1, 2, 2)), 0.0)


def test_the_blocks_decide_nothing(monkeypatch):
    rows = make_rows("clusters", 3000, 4)
    whole = fit_components(rows, 4, 0, 1e-6)
    monkeypatch.setattr("vadbench_methods.quadratic_em.BLOCK", 7)
    small = fit_components(rows, 4, 0, 1e-6)
    np.testing.assert_allclose(small.covariances, whole.covariances, rtol=1e-9, atol=1e-12)
