"""A few rows that decide a column's deviation are left out by every method that standardises; heavy
tails and sparse columns are no such rows.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadbench import registry
from vadbench.detector import Features, LeftOut
from vadbench.outliers import find_outlier, find_outliers
from vadbench.plans.presets import resolve_config

ROWS = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
STANDARDISING = (
    "gmm",
    "gaussian",
    "knn",
    "ocsvm",
    "flow",
    "mulde",
    "msma",
    "msma-mulde",
    "autoencoder",
    "diffusion",
)


def spoil(rows, columns, value):
    x = ROWS.copy()
    x[np.ix_(np.atleast_1d(rows), np.atleast_1d(columns))] = value
    return x


def features(x):
    row = np.arange(len(x))
    return Features(x, row // 300, row % 300, name="street velocity train")


def detector(method, preset="fast", **changed):
    cls = registry.load("detectors", method)
    return cls(resolve_config(cls, preset, "ped2", "velocity", changed), seed=0)


@pytest.mark.parametrize("value", [100, 1e4, -1e4, 1e6, 1e38])
@pytest.mark.parametrize("row", [0, 1234, 2999])
@pytest.mark.parametrize("columns", [[2], range(6)], ids=["one column", "all columns"])
def test_a_wild_row_is_found(row, columns, value):
    found = find_outlier(spoil(row, columns, value))
    assert (found.row, found.column, found.rows) == (row, columns[0], 1)
    assert found.value == np.float32(value)


def test_some_wild_rows_of_several_sizes_are_found():
    x = spoil([5, 700, 701], 3, [[1e4], [1e5], [-1e6]])
    found = find_outlier(x)
    assert (found.row, found.column, found.rows) == (701, 3, 3)
    assert found.largest < 10


@pytest.mark.parametrize(
    "draw",
    [
        lambda random, shape: random.normal(size=shape),
        lambda random, shape: random.lognormal(size=shape),
        lambda random, shape: random.exponential(size=shape),
        lambda random, shape: random.standard_t(3, size=shape),
        lambda random, shape: random.normal(size=shape) ** 4,
        lambda random, shape: random.integers(0, 2, shape),
        lambda random, shape: random.integers(0, 640, shape),
    ],
    ids=["normal", "lognormal", "exponential", "t3", "fourth power", "binary", "pixels"],
)
def test_honest_rows_are_none(draw):
    assert find_outlier(draw(np.random.default_rng(1), (3000, 100)).astype(np.float32)) is None


def test_tails_of_infinite_variance_are_hardly_ever_taken_for_one():
    columns = np.random.default_rng(2).standard_t(2, size=(400, 3000, 1)).astype(np.float32)
    assert sum(find_outlier(x) is not None for x in columns) <= 4


@pytest.mark.parametrize("filled", [1, 4, 30, 300])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_sparse_columns_are_none(filled, seed):
    random = np.random.default_rng(seed)
    x = np.maximum(random.normal(size=(3000, 8)), 0).astype(np.float32)
    x[:, 0] = 0
    x[random.choice(3000, filled, replace=False), 0] = 1e-4 * random.exponential(size=filled)
    # strong beside faint ones, as a unit that saw three cars
    x[random.choice(3000, 3, replace=False), 0] = 3
    assert find_outlier(x) is None


def test_a_wild_value_in_a_sparse_column_is_found():
    x = np.maximum(ROWS - 2, 0)
    x[17, 4] = 1e4
    assert find_outlier(x).row == 17


def test_constant_columns_and_few_rows_are_none():
    x = ROWS.copy()
    x[:, 1] = 7
    x[3, 1] = 8
    assert find_outlier(x) is None
    assert find_outlier(spoil(3, 0, 1e6)[:40]) is None


QUICK = {"max_steps": 20, "units": (16,), "hidden": 16, "layers": 2}


def quick(method):
    """Few steps of small networks: what is compared are two fits of the same rows."""
    fields = registry.load("detectors", method).Config.model_fields
    return detector(method, **{name: value for name, value in QUICK.items() if name in fields})


@pytest.mark.parametrize("method", STANDARDISING)
def test_a_method_that_standardises_scores_as_without_the_row_and_says_so(method):
    row = 1234
    test = features(ROWS[::3].copy())
    spoilt_one, clean = quick(method), quick(method)
    with pytest.warns(LeftOut) as said:
        spoilt_one.fit(features(spoil(row, range(6), 1e6)))
    clean.fit(features(ROWS).rows(np.delete(np.arange(len(ROWS)), row)))
    np.testing.assert_array_equal(spoilt_one.score(test), clean.score(test))
    told = str(said[0].message)
    assert told.startswith(
        "street velocity train: 1 training row decides a column's deviation alone, left out of the"
        " training"
    )
    assert (
        f"row {row} (video {row // 300} of the split, counted from 0, frame {row % 300}), column 0"
        " is 1e+06" in told
    )


def test_glitches_that_hide_behind_a_larger_one_are_found_too():
    x = spoil([5, 700, 701], 3, [[1e3], [1e6], [-1e10]])
    assert sorted(row for outlier in find_outliers(x) for row in outlier.all_rows) == [5, 700, 701]


def test_no_more_than_a_few_rows_are_ever_left_out():
    heavy = np.random.default_rng(3).standard_cauchy((3000, 1)).astype(np.float32)
    assert sum(len(outlier.all_rows) for outlier in find_outliers(heavy)) <= 2 * 6


def test_features_without_such_a_row_are_themselves():
    whole = features(ROWS)
    assert whole.without_outliers() is whole


@pytest.mark.parametrize(
    ("method", "preset"), [("iforest", "fast"), ("knn", "paper"), ("gmm", "paper")]
)
@pytest.mark.parametrize("value", [1e4, 1e6])
def test_a_method_that_does_not_standardise_ranks_as_without_it(method, preset, value):
    test = ROWS[::3].copy()
    test[::5, 0] += 6
    scores = detector(method, preset)
    scores.fit(features(spoil(2999, range(6), value)))
    found = scores.score(features(test))[:, 0]
    anomalous = np.arange(len(test)) % 5 == 0
    assert np.median(found[anomalous]) > np.quantile(found[~anomalous], 0.9)
