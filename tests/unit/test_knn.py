"""kNN: its search back ends agree with brute force in float64, and calibration leaves out each
row's own video.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from vadbench_methods.knn import KNN, KNNConfig
from vadbench_methods.nearest import Nearest

from vadbench.detector import Approximation, Features
from vadbench.errors import BadInput
from vadbench.features.stream import declared_nature
from vadbench.plans.presets import resolve_config

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


@pytest.mark.parametrize("threads", ["", "2,1", "0"])
def test_a_tree_is_asked_whatever_the_variable_of_threads_says(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    x = far_from_the_origin(np.random.default_rng(0), 30, 2)
    found = Nearest(x, np.ones(2), np.zeros(30, int), "tree").squares(x, 2)
    np.testing.assert_allclose(found, brute_force(x, x, 2), rtol=1e-9)


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


def test_a_row_that_was_left_out_as_an_outlier_loses_no_neighbour():
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[7] = 1e9
    train = features(x)
    detector = KNN(KNNConfig(k=1, standardise=True), seed=0)
    detector.fit(train)
    assert len(detector.x) == 199
    normal, seen = detector.score_normal(train)[:, 0], detector.score(train)[:, 0]
    assert normal[7] == seen[7] > 0
    others = np.arange(200) != 7
    assert (seen[others] == 0).all()
    assert (normal[others] > 0).all()


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


needs_index = [pytest.param(name, marks=needs_faiss) for name in ("hnsw", "ivf")]


def fit_index(index, train, seed=0, **settings):
    detector = KNN(KNNConfig(index=index, **settings), seed=seed)
    with pytest.warns(Approximation) as said:
        detector.fit(train)
    return detector, str(said[0].message)


def spread(rng, rows, dim):
    return rng.standard_normal((rows, dim)).astype(np.float32)


def without_own(found):
    """[Q, k] of [Q, k + 1] distances of rows no two of which are equal, each row's own left out,
    where it was found.
    """
    return np.where(found[:, :1] == 0, found[:, 1:], found[:, :-1])


@needs_faiss
def test_recall_of_a_video_alone_counts_equal_rows_and_no_row_itself():
    rng = np.random.default_rng(0)
    twins = np.repeat(spread(rng, 1000, 16), 2, axis=0)
    _, told = fit_index("ivf", features(twins), probes=1)
    assert "finds 100.0 % of the 1 nearest" in told  # the twin lies in the row's own cell
    alone = np.concatenate([np.zeros((1, 16)), np.eye(16), -np.eye(16)])
    _, told = fit_index("ivf", features(alone), probes=1)
    assert "finds 100.0 %" not in told  # the next row often lies in another cell


@pytest.mark.parametrize("index", needs_index)
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("videos", [1, 6])
def test_recall_that_is_told_is_that_of_brute_force(index, k, videos):
    """Few candidates and probes: the index misses some, and says how many."""
    rng = np.random.default_rng(3)
    x, video = spread(rng, 3000, 12), np.arange(3000) * videos // 3000
    poor = {"candidates": 2, "links": 4} if index == "hnsw" else {"probes": 2}
    detector, told = fit_index(index, features(x, video), k=k, **poor)
    drawn = np.sort(np.random.default_rng(0).choice(3000, 200, replace=False))
    alone = videos == 1
    group = np.arange(3000) if alone else video  # a video alone: a row leaves out itself
    nearest = brute_force(x, x[drawn], k, group=group, query_group=group[drawn])
    search = detector._nearest.squares
    found = without_own(search(x[drawn], k + 1)) if alone else search(x[drawn], k, video[drawn])
    share = np.mean(
        [
            np.isin(mine.round(9), real.round(9)).sum() / len(real)
            for mine, real in zip(found, nearest, strict=True)
        ]
    )
    longer = np.sqrt(found).sum() / np.sqrt(nearest).sum() - 1
    assert 0.02 < share < 0.999
    assert f"finds {100 * share:.1f} % of the {k} nearest rows of 200 training rows" in told
    assert f"{100 * longer:.2g} % longer" in told
    assert ("in other videos" in told) == (not alone)
    assert told.startswith("approximate: knn by ")


@pytest.mark.parametrize("index", needs_index)
def test_distances_by_an_index_are_exact_ones_to_rows_that_exist(index):
    rng = np.random.default_rng(0)
    train = features(mixed_units(rng, 2000, 8), np.arange(2000) // 500)
    detector, _ = fit_index(index, train, k=1, standardise=True)
    exact = KNN(KNNConfig(standardise=True), seed=0)
    exact.fit(train)
    test = features(mixed_units(rng, 300, 8))
    every = brute_force(train.x, test.x, 2000, exact.scale)
    found = detector.score(test)
    assert (np.abs(every - found).min(1) <= 1e-9 * found[:, 0]).all()
    assert (found >= exact.score(test) * (1 - 1e-9)).all()
    assert np.mean(np.isclose(found, exact.score(test), rtol=1e-9)) > 0.9


@pytest.mark.parametrize("index", needs_index)
def test_an_index_that_looks_everywhere_is_exact(index):
    train = features(spread(np.random.default_rng(0), 700, 6), np.arange(700) // 100)
    settings = {"candidates": 2000, "links": 64} if index == "hnsw" else {"probes": 10_000}
    detector, told = fit_index(index, train, k=3, **settings)
    exact = KNN(KNNConfig(k=3), seed=0)
    exact.fit(train)
    np.testing.assert_allclose(detector.score(train), exact.score(train), rtol=1e-9)
    np.testing.assert_allclose(detector.score_normal(train), exact.score_normal(train), rtol=1e-9)
    assert "finds 100.0 %" in told
    assert "0 % longer" in told


@pytest.mark.parametrize("index", needs_index)
def test_an_index_is_the_same_again_with_any_threads_and_loaded(index, tmp_path):
    import threadpoolctl

    train = features(spread(np.random.default_rng(0), 4000, 24), np.arange(4000) // 500)
    test = features(spread(np.random.default_rng(1), 300, 24))
    scores, notes = [], []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            detector, told = fit_index(index, train, seed=5)
            scores.append((detector.score(test), detector.score_normal(train)))
            notes.append(told)
    np.testing.assert_array_equal(scores[0][0], scores[1][0])
    np.testing.assert_array_equal(scores[0][1], scores[1][1])
    assert notes[0] == notes[1]
    detector.save(tmp_path)
    loaded = KNN.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(test), scores[0][0])
    alone = np.concatenate([loaded.score(test.rows(slice(i, i + 1))) for i in range(40)])
    np.testing.assert_array_equal(alone, scores[0][0][:40])


@pytest.mark.parametrize("index", needs_index)
@pytest.mark.parametrize("rows", [2, 3, 40])
def test_an_index_takes_few_rows_equal_rows_and_constant_columns(index, rows):
    x = np.c_[np.repeat(np.arange(rows // 2 + 1.0), 2)[:rows], np.full(rows, 7.0)]
    detector, _ = fit_index(index, features(x, np.arange(rows) % 2), k=3)
    scores = detector.score(features([[0, 7], [1e30, 7]]))
    assert np.isfinite(scores).all()
    assert scores[0] < scores[1]
    assert detector.score(features(np.empty((0, 2)))).shape == (0, 1)


def test_an_index_without_faiss_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(BadInput, match=r"index=hnsw needs faiss.*pip install vadbench\[faiss\]"):
        KNN(KNNConfig(index="hnsw"), seed=0).fit(features(np.eye(5)))


@needs_faiss
def test_an_index_that_the_memory_does_not_hold_is_refused(monkeypatch):
    full = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: full)
    with pytest.raises(BadInput, match=r"^knn: index=ivf of 500 rows needs .* knn.index=exact"):
        KNN(KNNConfig(index="ivf"), seed=0).fit(features(spread(np.random.default_rng(0), 500, 8)))


@needs_faiss
def test_a_loaded_model_whose_index_the_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    train = features(spread(np.random.default_rng(0), 500, 8), np.arange(500) // 100)
    fit_index("ivf", train)[0].save(tmp_path)
    loaded = KNN.load(tmp_path)
    full = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: full)
    with pytest.raises(BadInput, match=r"^knn: index=ivf of 500 rows needs .* knn.index=exact"):
        loaded.score(train)


@needs_faiss
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
@pytest.mark.parametrize("size", ["ivf:100000x64", "hnsw:8000x64"])
def test_the_memory_that_an_index_takes_is_told(size):
    script = Path(__file__).parents[2] / "benchmarks" / "speed" / "index_memory.py"
    told, taken = (
        float(number) for number in re.findall(r"([\d.]+) MiB", run_script(script, size))
    )
    assert taken <= told <= 1.6 * taken + 2


def run_script(script, *arguments):
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    "settings",
    [
        *({"index": "pq"}, {"links": 0}, {"probes": 0}, {"index": "hnsw", "links": 1}),
        *({name: 10**10} for name in ("candidates", "probes", "links")),
    ],
)
def test_settings_of_an_index_that_are_none_are_one_line(settings):
    with pytest.raises(BadInput, match=r"^knn: ") as refused:
        resolve_config(KNN, "fast", "ped2", "deep", settings)
    assert "\n" not in str(refused.value)


def test_exact_search_is_what_identities_say_without_a_word():
    assert KNNConfig().settings("fit", "scoring") == {
        "k": 1,
        "squared": True,
        "standardise": False,
    }
    told = KNNConfig(index="ivf").settings("fit")
    assert told == {"standardise": False, "index": "ivf", "probes": 32}
    assert KNNConfig(index="hnsw").settings("fit").keys() == {
        *("standardise", "index", "links", "candidates")
    }


def test_exact_search_costs_all_rows_by_all_and_an_index_less():
    def operations(index, dim=512):
        return KNN(KNNConfig(index=index), seed=0).flops(3_000_000, dim, 1_000_000)

    assert operations("exact") == 2 * 512 * 3_000_000 * 4_000_000
    assert KNN(KNNConfig(), seed=0).flops(3000, 5, 10) is None  # a tree finds them
    assert operations("ivf") < operations("hnsw") < operations("exact") / 10


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
    with pytest.raises(BadInput, match="device: cuda is not available to torch"):
        detector.fit(rows)
