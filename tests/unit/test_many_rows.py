"""Rows that do not fit into memory: read in blocks, taken out to disk, and the same numbers."""

import errno
import os
import tracemalloc
import warnings

import numpy as np
import psutil
import pytest
from sklearn.mixture import GaussianMixture
from vadbench_methods import mixture, streamed
from vadbench_methods.mixture import fit_mixture
from vadbench_methods.streamed import Computed, blocks, in_blocks, moments

from vadbench import registry, spill
from vadbench.detector import Approximation, Features, Standardisation
from vadbench.errors import BadInput
from vadbench.features.resplit_streams import _gather_vectors
from vadbench.features.store import Stream
from vadbench.outliers import find_outliers
from vadbench.plans.presets import resolve_config
from vadbench.spill import make_array, require_memory, take_rows
from vadbench.training import _standardised

MIB = 2**20


@pytest.fixture
def on_disk(monkeypatch, tmp_path):
    """As if every array were large."""
    monkeypatch.setattr(spill, "IN_MEMORY", 0)
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def large(monkeypatch):
    """As if all rows were many, and k-means began from all."""
    monkeypatch.setattr(streamed, "MOST_VALUES", 0)
    monkeypatch.setattr("vadbench_methods.ocsvm.MOST_VALUES", 0)
    monkeypatch.setattr("vadbench_methods.directed.HELD", 0)
    monkeypatch.setattr(streamed, "VALUES", 1000)
    monkeypatch.setattr("vadbench_methods.quadratic_em.BLOCK", 100)
    monkeypatch.setattr("vadbench_methods.quadratic_em.WIDE_BLOCK", 100)


def clusters(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    own, widths = rng.integers(0, 4, rows), rng.uniform(0.1, 1, (4, dim))
    x = 3 * rng.normal(size=(4, dim))[own] + rng.normal(size=(rows, dim)) * widths[own]
    return x.astype(np.float32)


def mapped(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def features(x, videos=5):
    row = np.arange(len(x))
    return Features(x, row * videos // len(x), row, name="many")


INDICES = {
    "all but some": np.delete(np.arange(300), [0, 7, 299]),
    "in any order": np.random.default_rng(0).permutation(300),
    "twice": np.array([5, 5, 2]),
    "from the end": np.array([-1, 0]),
    "one stretch": np.arange(10, 200),
    "a slice": slice(3, 90, 2),
    "a mask": np.arange(300) % 3 == 0,
    "none": np.array([], np.int64),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_rows_on_disk_are_those_in_memory(on_disk, index):
    x = clusters(300, 7)
    np.testing.assert_array_equal(take_rows(x, index, "x"), x[index])


def test_large_arrays_lie_on_disk_and_leave_no_file(on_disk):
    taken = take_rows(clusters(300, 7), np.arange(0, 300, 2), "x")
    assert isinstance(taken, np.memmap)
    assert list(on_disk.iterdir()) == []


def test_small_arrays_lie_in_memory():
    assert not isinstance(make_array((3, 4), np.float64, "x"), np.memmap)


def test_a_disk_without_room_is_followed_by_memory_and_then_refused(on_disk, monkeypatch):
    monkeypatch.setattr(spill, "_find_room", lambda size: [])
    assert not isinstance(make_array((3, 4), np.float64, "x"), np.memmap)
    full = psutil.virtual_memory()._replace(available=10)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: full)
    with pytest.raises(BadInput, match=r"^my rows needs 0\.0 GiB of memory, .* VADBENCH_CACHE"):
        make_array((3, 4), np.float64, "my rows")
    with pytest.raises(BadInput, match=r"GiB are free; take fewer$"):
        require_memory(2**40, "this", "take fewer")


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EFBIG, errno.ENOSPC])
def test_a_disk_that_refuses_what_it_seemed_to_have_room_for_is_followed_by_the_next(
    on_disk, monkeypatch, code
):
    asked = []

    def refuse(*arguments):
        asked.append(arguments)
        raise OSError(code, "refused")

    monkeypatch.setattr(spill, "_find_room", lambda size: [on_disk, on_disk])
    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    assert not isinstance(make_array((3, 4), np.float64, "x"), np.memmap)
    assert len(asked) == 2
    full = psutil.virtual_memory()._replace(available=10)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: full)
    with pytest.raises(BadInput, match=r"^my rows needs .* VADBENCH_CACHE"):
        make_array((3, 4), np.float64, "my rows")
    assert list(on_disk.iterdir()) == []


def test_features_of_some_rows_are_the_same_on_disk(on_disk):
    whole, index = features(clusters(300, 5)), np.arange(0, 300, 3)
    some = whole.rows(index)
    np.testing.assert_array_equal(some.x, whole.x[index])
    np.testing.assert_array_equal(some.frame, index)
    assert isinstance(some.x, np.memmap)


def test_videos_that_are_split_again_are_gathered_on_disk(on_disk):
    x = clusters(60, 3)
    stream = Stream(features(x), np.arange(60), {}, {})
    parts = [(stream, np.arange(40, 60)), (stream, np.array([3, 1])), (stream, np.arange(0))]
    found = _gather_vectors(parts, "x")
    np.testing.assert_array_equal(found, np.concatenate([x[40:60], x[[3, 1]]]))
    assert isinstance(found, np.memmap)


@pytest.mark.parametrize("dim", [1, 6, 300])
def test_standardisation_by_parts_is_that_in_one_go(dim, monkeypatch):
    x = 1e3 * clusters(5000, dim)
    scaling = Standardisation.fit(x)
    expected = ((x - scaling.mean) / scaling.scale).astype(np.float32)
    np.testing.assert_array_equal(scaling.apply(x), expected)
    std = x.astype(np.float64).std(0, ddof=1)
    np.testing.assert_allclose(scaling.scale, std + 1e-8, rtol=1e-12)


def standardise_whole_rows(x):
    """The statistics by blocks of 65,536 whole rows, as records were made."""
    parts = [x[start : start + 65536] for start in range(0, len(x), 65536)]
    mean = sum(part.sum(0, dtype=np.float64) for part in parts) / len(x)
    squares = sum(np.square(part - mean).sum(0) for part in parts)
    return mean, np.sqrt(squares / (len(x) - 1)) + 1e-8


@pytest.mark.parametrize("kind", [np.float32, np.float64, mapped], ids=["32", "64", "mapped"])
@pytest.mark.parametrize("dim", [1, 5, 63, 64, 65, 129, 512, 1280])
def test_standardisation_of_stretches_of_columns_is_that_of_whole_rows_to_the_bit(
    dim, kind, tmp_path
):
    x = 5 + 3 * np.random.default_rng(dim).standard_normal((70_000 * 65 // max(dim, 65), dim))
    x = mapped(tmp_path, x.astype(np.float32)) if kind is mapped else x.astype(kind)
    mean, scale = standardise_whole_rows(x)
    scaling = Standardisation.fit(x)
    np.testing.assert_array_equal(scaling.mean, mean)
    np.testing.assert_array_equal(scaling.scale, scale)


def measure_peak(work):
    """MiB that it takes at most."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / MIB


def test_memory_does_not_grow_with_the_columns(tmp_path):
    """6000 x 4096 float64 values are 187 MiB, and 4 GiB are those of 65,536 rows."""
    chance = np.random.default_rng(0)
    x = mapped(tmp_path, chance.standard_normal((6000, 4096), dtype=np.float32))
    wide = features(x)
    magnitude = make("magnitude")
    magnitude.fit(wide)
    scaling = Standardisation.fit(x)
    assert measure_peak(lambda: Standardisation.fit(x)) < 40
    assert measure_peak(lambda: features(x)) < 10
    assert measure_peak(lambda: magnitude.score(wide)) < 80
    assert measure_peak(lambda: list(map(len, _standardised(scaling, x)))) < 80


def test_directed_rows_that_are_described_in_blocks_score_the_same_to_the_bit(monkeypatch):
    detector, test = make("directed"), features(clusters(300, 6, seed=1))
    detector.fit(features(clusters(1500, 6)))
    monkeypatch.setattr(mixture, "VALUES", 400)
    expected = detector.score(test)
    monkeypatch.setattr("vadbench_methods.directed.HELD", 0)
    np.testing.assert_array_equal(detector.score(test), expected)


def test_outliers_behind_one_another_are_found_without_a_copy(tmp_path):
    x = clusters(200_000, 20)
    x[[5, 700, 701], 3] = 1e4, 1e7, -1e10
    x = mapped(tmp_path, x)
    tracemalloc.start()
    found = find_outliers(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(row for one in found for row in one.all_rows) == [5, 700, 701]
    assert peak < 2 * x.nbytes  # blocks and columns; a copy without the first row came on top


def test_blocks_statistics_and_computed_rows_are_those_of_all():
    x = clusters(1003, 4)
    rows = Computed(x, lambda part: part[:, 1:] * 2, 3)
    np.testing.assert_array_equal(np.concatenate(list(blocks(rows, 100))), 2.0 * x[:, 1:])
    np.testing.assert_array_equal(rows[np.array([5, 2])], 2.0 * x[[5, 2], 1:])
    mean, deviation = streamed.statistics(rows)
    np.testing.assert_allclose(mean, rows[:].mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation, rows[:].std(0), rtol=1e-12)
    np.testing.assert_array_equal(moments(rows)[0], rows[:].mean(0))


def test_what_is_read_in_blocks_is_what_is_read_at_once(monkeypatch):
    values = clusters(1003, 4).astype(np.float64)
    expected = in_blocks(lambda part: part[:, :2] ** 2, values, 2)
    monkeypatch.setattr(streamed, "VALUES", 400)
    np.testing.assert_array_equal(in_blocks(lambda part: part[:, :2] ** 2, values, 2), expected)


@pytest.mark.parametrize("kind", ["clusters", "nearly collinear", "far from the origin", "units"])
@pytest.mark.parametrize("dim", [3, 16, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_streamed_mixture_ends_where_scikit_learn_ends(large, kind, dim, dtype):
    x = clusters(1200, dim).astype(np.float64)
    x[:, -1] = x[:, 0] + 1e-4 * x[:, 1] if kind == "nearly collinear" else x[:, -1]
    x += 1e3 if kind == "far from the origin" else 0
    x *= np.geomspace(1e-2, 1e2, dim) if kind == "units" else 1
    x = x.astype(dtype)
    ours = fit_mixture(x, 4, 0, absolute=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GaussianMixture(4, random_state=0).fit(x.astype(np.float64))
    scale = np.abs(theirs.means_).max(), np.abs(theirs.covariances_).max()
    np.testing.assert_allclose(ours.weights, theirs.weights_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=0, atol=1e-9 * scale[0])
    np.testing.assert_allclose(ours.covariances, theirs.covariances_, rtol=0, atol=1e-8 * scale[1])


def test_k_means_begins_from_some_rows_and_em_takes_all(large, monkeypatch):
    """A cluster that few rows are of is in the means, whichever rows began."""
    x = clusters(5000, 3).astype(np.float64)
    monkeypatch.setattr(mixture, "START_VALUES", 900)
    with pytest.warns(Approximation, match=r"^approximate: the mixture's k-means began from 300"):
        ours = fit_mixture(x, 4, 0, absolute=True)
    np.testing.assert_allclose(ours.weights @ ours.means, x.mean(0), rtol=1e-9)
    centred = ours.means - x.mean(0)
    within = np.einsum("k,kij->ij", ours.weights, ours.covariances)
    between = np.einsum("k,ki,kj->ij", ours.weights, centred, centred)
    np.testing.assert_allclose(within + between, np.cov(x.T, bias=True), rtol=1e-5, atol=1e-5)


def test_many_columns_of_rows_in_memory_begin_where_scikit_learn_begins(monkeypatch):
    x = clusters(1200, 20).astype(np.float64)
    expected = fit_mixture(x, 4, 0)
    monkeypatch.setattr(mixture, "WIDE_VALUES", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_mixture(x, 4, 0)
    np.testing.assert_allclose(found.means, expected.means, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.covariances, expected.covariances, rtol=0, atol=1e-9)


def test_few_distinct_rows_are_counted_over_blocks(large):
    x = np.repeat(np.arange(3.0), 2000)[:, None] * np.ones((1, 2))
    assert len(fit_mixture(x, 8, 0).weights) == 3


QUICK = {"max_steps": 20, "units": (16,), "hidden": 16, "layers": 2, "progress": "off"}
METHODS = (
    *("gmm", "gaussian", "directed", "ocsvm", "mulde", "msma", "msma-mulde", "autoencoder"),
    *("diffusion", "flow", "iforest", "knn", "magnitude"),
)


def make(method):
    cls = registry.load("detectors", method)
    fields = cls.Config.model_fields
    changed = {name: value for name, value in QUICK.items() if name in fields}
    changed |= {"columns": (0, 1)} if method == "directed" else {}
    return cls(resolve_config(cls, "fast", "ped2", "velocity", changed), seed=0)


@pytest.mark.filterwarnings("ignore:approximate")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_many_rows_as_it_scores_few(method, tmp_path, request):
    x = clusters(1500, 6)
    x[11] = 1e6  # is left out: the others are taken out of the map
    test = features(clusters(200, 6, seed=1))
    expected = make(method)
    expected.fit(features(x))
    request.getfixturevalue("large")
    request.getfixturevalue("on_disk")
    found = make(method)
    if "memory_gib" in type(found.config).model_fields:
        found.config = found.config.model_copy(update={"memory_gib": 0.0})
    train = features(mapped(tmp_path, x))
    found.fit(train)
    np.testing.assert_allclose(found.score(test), expected.score(test), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        found.score_normal(train), expected.score_normal(features(x)), rtol=1e-5, atol=1e-7
    )


@pytest.mark.filterwarnings("ignore:approximate")
@pytest.mark.parametrize("method", ["gmm", "directed", "gaussian", "ocsvm"])
def test_memory_does_not_grow_with_the_rows(method, tmp_path, monkeypatch):
    """400,000 x 24 float64 values are 77 MB."""
    monkeypatch.setattr(streamed, "MOST_VALUES", 2**18)
    monkeypatch.setattr("vadbench_methods.ocsvm.MOST_VALUES", 2**18)
    monkeypatch.setattr(streamed, "VALUES", 2**18)
    monkeypatch.setattr(mixture, "VALUES", 2**18)
    monkeypatch.setattr(mixture, "START_VALUES", 2**16)
    monkeypatch.setattr("vadbench_methods.directed.HELD", 2**18)
    monkeypatch.setattr("vadbench_methods.gaussian.BLOCK", 4096)
    monkeypatch.setattr("vadbench_methods.quadratic_em.ITERATIONS", 2)
    cls = registry.load("detectors", method)
    settings = (
        {"components": (2,), "floor": (1e-6,)} if "components" in cls.Config.model_fields else {}
    )
    settings |= {"columns": (0, 1)} if method == "directed" else {}
    settings |= {"rows": 20_000, "landmarks": 20} if method == "ocsvm" else {}
    train = features(mapped(tmp_path, clusters(400_000, 24)))
    detector = cls(cls.Config(**settings), seed=0)
    tracemalloc.start()
    detector.fit(train)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 70 * MIB, f"{peak / MIB:.0f} MiB"
