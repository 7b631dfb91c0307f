"""Gaussian mixtures: exact round trips, units that do not matter, degenerate rows, and a number of
components that training videos choose.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GroupKFold
from vadbench_methods import streamed
from vadbench_methods.gmm import GMM, GMMConfig
from vadbench_methods.mixture import (
    Mixture,
    _groups,
    choose_components,
    choose_floor,
    fit_mixture,
    subsample,
)
from vadbench_methods.quadratic_em import NotPositive

from vadbench.detector import Features, Nature, Note
from vadbench.errors import BadInput
from vadbench.features.stream import declared_nature


def two_blobs(rows=400, dim=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, dim)) + 8 * rng.integers(0, 2, (rows, 1))


class Way(NamedTuple):
    """Of fitting: what learns, and of how many columns."""

    learner: type
    columns: int


@pytest.fixture(params=["few columns", "many columns", "streamed"])
def fit_by(request, monkeypatch):
    if request.param == "streamed":
        monkeypatch.setattr(streamed, "MOST_VALUES", 0)
    return Way(GaussianMixture, 20) if request.param == "many columns" else Way(KMeans, 6)


def features(x, video=None):
    x = np.asarray(x, np.float32)
    return Features(
        x,
        np.arange(len(x)) * 4 // len(x) if video is None else np.asarray(video),
        np.arange(len(x)),
    )


def test_likelihood_is_that_of_its_components():
    x = two_blobs(dim=3)
    mixture = fit_mixture(x, 2, 0)
    density = sum(
        w * multivariate_normal(m, c).pdf(x)
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    )
    np.testing.assert_allclose(mixture.nll(x), -np.log(density), rtol=1e-9)


def test_one_component_is_the_sample_gaussian():
    x = two_blobs()
    expected = multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf(x)
    np.testing.assert_allclose(fit_mixture(x, 1, 0, floor=1e-12).nll(x), -expected, rtol=1e-8)


def test_absolute_floor_is_scikit_learn_s():
    x = two_blobs(dim=4)
    reference = GaussianMixture(3, random_state=5).fit(x)
    np.testing.assert_allclose(
        fit_mixture(x, 3, 5, absolute=True).nll(x), -reference.score_samples(x), rtol=1e-9
    )


@settings(deadline=None, max_examples=15)
@given(exponent=st.integers(-8, 8), offset=st.floats(-1e3, 1e3))
def test_relative_floor_does_not_depend_on_a_column_s_unit(exponent, offset):
    x = two_blobs(dim=3)
    unit = np.array([10.0**exponent, 1, 1])
    there, here = fit_mixture((x + offset) * unit, 3, 0), fit_mixture(x, 3, 0)
    np.testing.assert_allclose(
        there.nll((x + offset) * unit), here.nll(x) + exponent * np.log(10), rtol=1e-6, atol=1e-6
    )


def test_arrays_give_back_the_same_mixture_to_the_bit():
    x = two_blobs()
    mixture = fit_mixture(x, 2, 0)
    np.testing.assert_array_equal(Mixture.from_arrays(mixture.arrays()).nll(x), mixture.nll(x))


def test_nearly_collinear_columns_keep_the_relative_floor():
    """MULDE's case: sixteen log densities with a covariance of condition 1e15."""
    rng = np.random.default_rng(0)
    x = 1e-4 * (rng.standard_normal((500, 1)) + 1e-6 * rng.standard_normal((500, 16)))
    mixture = fit_mixture(x, 3, 0)
    assert mixture.floor == 1e-6
    assert np.isfinite(mixture.nll(x)).all()


def test_floor_is_raised_where_em_fails():
    # rank 1: 1e-12 drowns in the rounding of 1e16
    x = 1e8 * np.outer(np.random.default_rng(0).standard_normal(200), np.ones(6))
    assert fit_mixture(x / 1e8, 1, 0, floor=1e-17).floor > 1e-17


def test_em_that_never_succeeds_is_a_clear_error():
    x = 1e12 * np.outer(np.random.default_rng(0).standard_normal(200), np.ones(6))
    with pytest.raises(BadInput, match="EM failed with every covariance floor"):
        fit_mixture(x, 1, 0, absolute=True)


def test_a_covariance_without_a_factor_is_a_matter_of_the_floor_in_every_way_of_fitting(fit_by):
    x = 1e12 * np.outer(np.random.default_rng(0).standard_normal(200), np.ones(fit_by.columns))
    with pytest.raises(BadInput, match="EM failed with every covariance floor") as refusal:
        fit_mixture(x, 1, 0, absolute=True)
    assert type(refusal.value.__cause__) is NotPositive


def test_another_error_of_fitting_is_not_taken_for_one_of_the_floor(fit_by, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("something else")

    monkeypatch.setattr(fit_by.learner, "fit", fail)
    with pytest.raises(ValueError, match=r"^something else$"):
        fit_mixture(two_blobs(dim=fit_by.columns), 2, 0, absolute=True)


def test_a_seed_of_the_start_that_scikit_learn_does_not_take_is_refused():
    assert GMMConfig(init_seed=2**32 - 1).init_seed == 2**32 - 1
    with pytest.raises(ValidationError, match="init_seed"):
        GMMConfig(init_seed=2**32)


def test_constant_column_adds_the_same_to_every_row():
    x = two_blobs()
    with_constant = fit_mixture(np.c_[x, np.full(len(x), 24.0)], 2, 0)
    without = fit_mixture(x, 2, 0)
    np.testing.assert_allclose(
        with_constant.nll(np.c_[x, np.full(len(x), 24.0)]),
        without.nll(x) + 0.5 * np.log(2 * np.pi),
        rtol=1e-9,
    )


def test_only_constant_columns_are_a_unit_gaussian():
    mixture = fit_mixture(np.full((10, 2), 3.0), 4, 0)
    np.testing.assert_allclose(
        mixture.nll(np.array([[3.0, 3], [4, 3]])), np.log(2 * np.pi) + np.array([0, 0.5])
    )


@pytest.mark.parametrize(
    "x", [two_blobs(3), np.repeat(two_blobs(3), 50, axis=0)], ids=["few rows", "repeated rows"]
)
def test_no_more_components_than_distinct_rows(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", Note)
        mixture = fit_mixture(x, 8, 0)
    assert len(mixture.weights) == 3
    assert np.isfinite(mixture.nll(x)).all()


@pytest.mark.parametrize(
    "x", [np.ones((1, 2)), np.array([[1, 2], [np.nan, 1]])], ids=["one row", "NaN"]
)
def test_rows_that_cannot_be_fitted_are_refused(x):
    with pytest.raises(BadInput, match="at least two finite rows"):
        fit_mixture(x, 1, 0)


def test_held_out_likelihood_finds_the_number_of_blobs():
    assert choose_components(two_blobs(900), np.arange(900) // 90, (1, 2, 8), 0) == 2


def test_videos_are_held_out_whole():
    """Each video repeats one row: held out row by row, ever more components would look better; held
    out whole, one is best.
    """
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(12), 50)
    x = rng.standard_normal((12, 2))[video] + 1e-3 * rng.standard_normal((600, 2))
    assert choose_components(x, video, (1, 8), 0) == 1
    assert choose_components(x, rng.permutation(video), (1, 8), 0) == 8


def test_a_candidate_with_more_parameters_than_rows_is_not_tried():
    x = np.random.default_rng(0).standard_normal((200, 15))  # 136 parameters a component
    assert choose_components(x, np.arange(200) // 20, (1, 2, 4), 0) == 1


def test_many_dimensions_get_a_larger_floor_than_few():
    """60 rows a fold barely span 40 dimensions: nearly flat directions would decide.

    In 2 dimensions 10,000 rows need no floor.
    """
    rng = np.random.default_rng(0)
    few, many = (
        rng.standard_normal((90, 40)),
        rng.standard_normal((10_000, 2)) @ np.array([[1, 1], [0, 0.01]]),
    )
    assert choose_floor(few, np.arange(90) // 10, 1, (1e-6, 1e-2, 1.0), 0) == 1.0
    assert choose_floor(many, np.arange(10_000) // 1000, 1, (1e-6, 1e-2, 1.0), 0) == 1e-6


def test_a_video_that_holds_nearly_all_rows_is_cut():
    x, video = two_blobs(300), np.repeat([0, 1], [299, 1])
    assert choose_components(x, video, (1, 2), 0) == 2


def test_beside_a_video_that_holds_nearly_all_rows_is_chosen_what_it_alone_would_choose():
    x, alone = two_blobs(3000), np.zeros(3000, int)
    with_another = np.repeat([0, 1], [2998, 2])
    counts = {choose_components(x, video, (1, 2, 4, 8), 0) for video in (alone, with_another)}
    floors = {choose_floor(x, video, 2, (1e-6, 1e-2, 1.0), 0) for video in (alone, with_another)}
    assert (len(counts), len(floors)) == (1, 1)


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8).filter(lambda n: sum(n) >= 4),
    folds=st.integers(2, 10),
)
def test_every_fold_is_fitted_to_a_fair_share_of_the_rows(sizes, folds):
    groups = _groups(np.repeat(np.arange(len(sizes)), sizes), folds)
    splits = GroupKFold(min(folds, len(np.unique(groups)))).split(groups, groups=groups)
    least = min(len(fitted) for fitted, _ in splits)
    assert least >= max(2, len(groups) / (2 * folds))


def test_a_subsample_is_drawn_in_order_and_only_where_there_are_more_rows():
    index = subsample(1000, 10, 0)
    assert len(index) == 10
    assert (np.diff(index) > 0).all()
    assert subsample(10, 10, 0) == subsample(10, None, 0) == slice(None)


@pytest.mark.parametrize(
    "stream",
    ["clip", "clip@import.x", "pose@import.accivad", "deep", "tracks", "velocity.hof8@grid"],
)
def test_paper_preset_takes_any_stream(stream):
    config = GMMConfig(**GMM.preset("paper", "shanghaitech", declared_nature(stream)))
    assert (config.components, config.floor, config.absolute, config.init_seed) == (
        (5,),
        (1e-6,),
        True,
        0,
    )


def test_a_single_candidate_is_used_as_it_is():
    detector = GMM(GMMConfig(components=(3,)), seed=0)
    detector.fit(features(two_blobs()))
    assert len(detector.mixture.weights) == 3


def test_score_rises_with_the_distance_from_normal():
    detector = GMM(GMMConfig(), seed=0)
    detector.fit(features(two_blobs()))
    near, far, farther = detector.score(features([[0, 0], [4, 4], [50, 50]]))[:, 0]
    assert near < far < farther


def test_paper_preset_is_the_released_setting():
    from sklearn.mixture import GaussianMixture

    x = two_blobs(dim=3).astype(np.float32)
    detector = GMM(GMMConfig(**GMM.preset("paper", "avenue", Nature())), seed=7)
    detector.fit(features(x))
    reference = GaussianMixture(5, random_state=0).fit(x.astype(np.float64))
    np.testing.assert_allclose(
        detector.score(features(x))[:, 0], -reference.score_samples(x.astype(np.float64)), rtol=1e-9
    )
    assert GMM.preset("paper", "ped2", Nature())["components"] == (2,)


def test_same_seed_fits_the_same_mixture_to_the_bit():
    train = features(two_blobs(3000, 5))
    scores = []
    for _ in range(2):
        detector = GMM(GMMConfig(components=(2, 6)), seed=1)
        detector.fit(train)
        scores.append(detector.score(train))
    np.testing.assert_array_equal(*scores)


def test_saved_and_loaded_it_scores_the_same(tmp_path):
    train = features(two_blobs())
    detector = GMM(GMMConfig(), seed=3)
    detector.fit(train)
    detector.save(tmp_path)
    np.testing.assert_array_equal(GMM.load(tmp_path).score(train), detector.score(train))


def test_no_rows_score_to_no_rows():
    detector = GMM(GMMConfig(), seed=0)
    detector.fit(features(two_blobs()))
    assert detector.score(features(np.empty((0, 2)))).shape == (0, 1)


def test_a_single_training_row_is_refused():
    with pytest.raises(BadInput, match="at least 2"):
        GMM(GMMConfig(), seed=0).fit(features([[1, 2]]))
