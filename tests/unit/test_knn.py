"""kNN: its search back ends agree with brute force in float64, and calibration leaves out each
row's own video.
"""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from vadbench_methods.knn import KNN, KNNConfig
from vadbench_methods.nearest import Nearest

from vadbench.detector import Features
from vadbench.errors import BadInput
from vadbench.features.stream import declared_nature

needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None,
    reason="faiss-cpu is not installed (pip install vadbench[faiss])",
)
BACKENDS = ["tree", "product", pytest.param("faiss", marks=needs_faiss)]


def features(x, video=None):
    x = np.asarray(x, np.float32)
    return Features(
        x, np.zeros(len(x), np.int64) if video is None else np.asarray(video), np.arange(len(x))
    )


def brute_force(rows, queries, k, scale=1.0, group=None, query_group=None):
    """[Q, k] by all float64 differences, one query at a time."""
    out = np.full((len(queries), k), np.inf)
    for i, query in enumerate(queries.astype(np.float64)):
        squared = np.square((rows.astype(np.float64) - query) / scale).sum(1)
        if group is not None:
            squared = squared[group != query_group[i]]
        nearest = np.sort(squared)[:k]
        out[i, : len(nearest)] = nearest
    return out


def far_from_the_origin(rng, rows, dim):
    return (1000 + rng.standard_normal((rows, dim))).astype(np.float32)


def near_duplicates(rng, rows, dim):
    """Few tight clusters far apart: within one, |a|^2 + |b|^2 - 2ab in float32 is nothing but
    rounding.
    """
    centres = 100 * rng.standard_normal((4, dim))
    return (centres[rng.integers(0, 4, rows)] + 1e-4 * rng.standard_normal((rows, dim))).astype(
        np.float32
    )


def repeated(rng, rows, dim):
    return rng.integers(0, 2, (rows, dim)).astype(np.float32)


def mixed_units(rng, rows, dim):
    return (rng.standard_normal((rows, dim)) * np.geomspace(1e-6, 1e6, dim)).astype(np.float32)


def with_an_outlier(rng, rows, dim):
    x = rng.standard_normal((rows, dim)).astype(np.float32)
    x[0] = 1e30
    return x


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dim", [3, 40])
@pytest.mark.parametrize(
    "make", [far_from_the_origin, near_duplicates, repeated, mixed_units, with_an_outlier]
)
def test_search_equals_brute_force(backend, make, dim):
    rng = np.random.default_rng(0)
    x = make(rng, 1500, dim)
    rows, queries = x[:1200], x[1150:]
    found = Nearest(rows, backend=backend).squares(queries, 5)
    np.testing.assert_allclose(found, brute_force(rows, queries, 5), rtol=1e-9, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_search_equals_brute_force_over_several_blocks(backend):
    rng = np.random.default_rng(1)
    rows, queries = near_duplicates(rng, 20_000, 12), near_duplicates(rng, 30, 12)
    np.testing.assert_allclose(
        Nearest(rows, backend=backend).squares(queries, 3),
        brute_force(rows, queries, 3),
        rtol=1e-9,
        atol=0,
    )


@pytest.mark.parametrize("backend", ["tree", "product"])
@pytest.mark.parametrize("make", [far_from_the_origin, near_duplicates, repeated])
@pytest.mark.parametrize("k", [1, 4, 700])
def test_leaving_out_a_group_equals_brute_force(backend, make, k):
    rng = np.random.default_rng(2)
    rows, group = (
        make(rng, 900, 5),
        rng.permutation(np.repeat(np.arange(7), [1, 2, 97, 100, 200, 200, 300])),
    )
    queries, query_group = rows[::3], group[::3].copy()
    query_group[::10] = 99  # a group that no row has
    scale = np.linspace(0.5, 2, 5)
    found = Nearest(rows, scale, group, backend).squares(queries, k, query_group)
    np.testing.assert_allclose(
        found, brute_force(rows, queries, k, scale, group, query_group), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_query_beyond_the_range_of_float32_squares_is_exact(backend):
    rows = np.random.default_rng(0).standard_normal((500, 16)).astype(np.float32)
    queries = np.full((2, 16), 3e38, np.float32)
    np.testing.assert_allclose(
        Nearest(rows, backend=backend).squares(queries, 2), brute_force(rows, queries, 2), rtol=1e-9
    )


@pytest.mark.parametrize("unit", [1e-37, 1e36])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_feature_s_unit_may_lie_at_the_ends_of_float32(backend, unit):
    rows = (unit * np.random.default_rng(0).standard_normal((500, 16))).astype(np.float32)
    np.testing.assert_allclose(
        Nearest(rows, backend=backend).squares(rows, 3), brute_force(rows, rows, 3), rtol=1e-9
    )


@settings(deadline=None, max_examples=60)
@given(
    data=st_numpy.arrays(
        np.float32,
        st.tuples(st.integers(2, 40), st.integers(1, 6)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    k=st.integers(1, 6),
)
def test_back_ends_agree_on_any_rows(data, k):
    tree, product = (
        Nearest(data, backend=backend).squares(data, k) for backend in ("tree", "product")
    )
    np.testing.assert_allclose(tree, product, rtol=1e-9, atol=0)


def test_score_does_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    detector = KNN(KNNConfig(k=3), seed=0)
    detector.fit(features(rng.standard_normal((600, 20))))
    test = features(rng.standard_normal((50, 20)))
    alone = np.concatenate([detector.score(test.rows(slice(i, i + 1))) for i in range(len(test))])
    np.testing.assert_allclose(alone, detector.score(test), rtol=1e-12)


def test_defaults_are_squared_distances_of_raw_features():
    detector = KNN(KNNConfig(), seed=0)
    detector.fit(features([[0, 0], [10, 0]]))
    np.testing.assert_array_equal(detector.score(features([[3, 4], [10, 0]])), [[25.0], [0.0]])


def test_fast_preset_is_a_distance_in_standard_deviations():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)).astype(np.float32)
    config = KNNConfig(**KNN.preset("fast", "ped2", declared_nature("velocity")))
    scores = []
    for unit in (1, 1000):
        detector = KNN(config, seed=0)
        detector.fit(features(x * np.float32([unit, 1, 1])))
        scores.append(detector.score(features(2 * x * np.float32([unit, 1, 1]))))
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


@pytest.mark.parametrize("stream", ["deep", "deep@file.vec", "clip.hiera-l", "pose@import.accivad"])
def test_fast_preset_leaves_columns_of_one_unit_as_they_are(stream):
    assert KNN.preset("fast", "ped2", declared_nature(stream)) == {
        "standardise": False,
        "squared": False,
    }


@pytest.mark.parametrize(
    "stream", ["pose", "pose@import.accivad", "deep", "clip", "clip@import.x", "tracks"]
)
def test_paper_preset_is_the_released_setting_on_any_stream(stream):
    config = KNNConfig(**KNN.preset("paper", "shanghaitech", declared_nature(stream)))
    assert (config.k, config.squared, config.standardise) == (1, True, False)


def test_k_averages_the_distances():
    detector = KNN(KNNConfig(k=2, squared=False), seed=0)
    detector.fit(features([[0], [1], [5]]))
    np.testing.assert_allclose(detector.score(features([[0]])), [[0.5]])


def test_k_beyond_the_rows_averages_those_there_are():
    detector = KNN(KNNConfig(k=9), seed=0)
    detector.fit(features([[0], [2]]))
    np.testing.assert_allclose(detector.score(features([[0]])), [[2.0]])


def test_normal_scores_leave_out_the_row_s_own_video():
    train = features([[0], [0], [3], [10]], [0, 0, 1, 1])
    detector = KNN(KNNConfig(squared=False), seed=0)
    detector.fit(train)
    np.testing.assert_allclose(detector.score_normal(train)[:, 0], [3, 3, 3, 10])


def test_normal_scores_of_a_single_video_leave_out_the_row_alone():
    train = features([[0], [1], [3]])
    detector = KNN(KNNConfig(squared=False), seed=0)
    detector.fit(train)
    np.testing.assert_allclose(detector.score_normal(train)[:, 0], [1, 1, 2])


def test_saved_and_loaded_it_scores_the_same(tmp_path):
    rng = np.random.default_rng(0)
    train = features(rng.standard_normal((300, 12)), np.arange(300) // 100)
    detector = KNN(KNNConfig(k=2, standardise=True), seed=3)
    detector.fit(train)
    detector.save(tmp_path)
    loaded = KNN.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(train), detector.score(train))
    np.testing.assert_array_equal(loaded.score_normal(train), detector.score_normal(train))


def test_constant_features_do_not_explode():
    train = features(np.c_[np.random.default_rng(0).standard_normal(50), np.full(50, 7.0)])
    detector = KNN(KNNConfig(standardise=True), seed=0)
    detector.fit(train)
    assert detector.score(features([[0, 8]]))[0, 0] < 2


def test_no_rows_score_to_no_rows():
    detector = KNN(KNNConfig(), seed=0)
    detector.fit(features(np.eye(20)))
    assert detector.score(features(np.empty((0, 20)))).shape == (0, 1)


def test_a_single_training_row_is_refused():
    with pytest.raises(BadInput, match="at least 2"):
        KNN(KNNConfig(), seed=0).fit(features([[1, 2]]))


def test_rows_that_a_gpu_keeps_are_brought_there_once(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(20_000, 40)).astype(np.float32)
    group = np.arange(20_000) // 5000
    plain, kept = (Nearest(rows, group=group, backend="product") for _ in range(2))
    expected = [plain.squares(rows[:9], 2), plain.squares(rows[:9], 2, group[:9])]
    monkeypatch.setattr("vadbench.loading.fits_on", lambda *_: True)
    found = kept.squares(rows[:9], 2)
    held = kept._product._kept
    assert sum(map(len, held)) == len(rows)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_array_equal(kept.squares(rows[:9], 2, group[:9]), expected[1])
    assert kept._product._kept is held


def test_products_are_made_without_tf32_by_whose_rounding_no_bound_holds(monkeypatch):
    asked = []

    @contextmanager
    def rounding(device, tf32=False):
        asked.append((device.type, tf32))
        yield

    monkeypatch.setattr("vadbench.training.rounding", rounding)
    rows = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    Nearest(rows, backend="product").squares(rows[:9], 2)
    assert asked == [("cpu", False)]


def test_a_device_that_is_missing_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    rows = features(np.random.default_rng(0).normal(size=(30, 40)))
    detector = KNN(KNNConfig(device="cuda"), seed=0)
    detector.fit(rows)
    with pytest.raises(BadInput, match="device: cuda is not available to torch"):
        detector.score(rows)
