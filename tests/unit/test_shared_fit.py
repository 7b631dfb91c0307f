"""Jobs that differ only in scoring are fitted once, and score as if each had been fitted."""

import numpy as np
import pytest

from vadbench import registry
from vadbench.datasets.base import SPLITS
from vadbench.detector import Features
from vadbench.executors.local import one_fit_each
from vadbench.features import store
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.runner.job import run_one_fit
from vadbench.suite import make_suite

SMALL = {"epochs": 3, "max_steps": 6, "batch_size": 64, "progress": "off"}
SWEEPS = {
    "mulde": ({"units": (16, 16)}, {"scales": 4, "read_outs": ("max", "gmm3", "scales")}),
    "diffusion": ({"units": (16, 8)}, {"t": (9, 4), "draws": 1, "also": ("scaled",)}),
    "msma": (
        {"units": (16, 16), "components": (1, 2), "folds": 2},
        {"read_outs": ("knn", "gmm-raw1"), "norm": "squared", "neighbours": 2},
    ),
}


def rows(count, seed):
    x = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    return Features(x, np.arange(count) % 3, np.arange(count))


@pytest.mark.parametrize("name", SWEEPS)
def test_a_reconfigured_detector_scores_as_one_trained_separately(name):
    fit, scoring = SWEEPS[name]
    cls, train, test = registry.load("detectors", name), rows(200, 0), rows(50, 1)
    first = cls(cls.Config(**SMALL, **fit), seed=3)
    first.fit(train)
    before = first.score(test)
    other = cls.Config(**SMALL, **fit, **scoring)
    shared, apart = first.reconfigured(other, train), cls(other, seed=3)
    apart.fit(train)
    assert shared.read_outs == apart.read_outs != first.read_outs
    np.testing.assert_array_equal(shared.score(test), apart.score(test))
    np.testing.assert_array_equal(shared.score_normal(train), apart.score_normal(train))
    np.testing.assert_array_equal(first.score(test), before)


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Jobs of a sweep over L, a deterministic method's twice, and features in the cache for
    them.
    """
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    fields = {"methods": ("mulde", "knn"), "datasets": ("synthetic",)}
    suites = [
        {"mulde": {**SMALL, "units": [16, 16], "scales": scales}, "knn": {"k": scales}}
        for scales in (4, 8)
    ]
    planned = [
        job
        for settings in suites
        for job in plan_suite(make_suite({**fields, "settings": settings})).jobs
    ]
    for split in SPLITS:
        stream, features = planned[0].stream, rows(120, len(split))
        counts = np.full(40, 1, np.int64)
        index = store.Index.of_counts(np.zeros((120, 4), np.float32), [counts] * 3)
        described = stream.manifest | {
            "columns": list("abcde"),
            "split": split,
            "videos": [[f"v{i}", 40] for i in range(3)],
        }
        store.write(stream.folder(tmp_path / "cache", split), described, index, [features.x], 5)
    return planned


def test_a_sweep_over_scoring_is_fitted_once_and_says_so(jobs, tmp_path):
    groups = one_fit_each(jobs)
    assert [[job.method for job in group] for group in groups] == [
        ["mulde", "mulde"],
        ["knn", "knn"],
    ]
    together, apart = Results(tmp_path / "together"), Results(tmp_path / "apart")
    for group in groups:
        first, second = (
            record for _, record in run_one_fit(group, together, tmp_path / "cache", quiet=True)
        )
        assert first.status == second.status == "done", first.error
        assert first.fit_shared_with is None
        shared = (
            second.fit_shared_with == first.identity
            and second.seconds["fit"] == first.seconds["fit"]
        )
        assert shared == (group[0].method == "mulde"), (
            "a method that must be fitted again does not claim a shared fit"
        )
        for job, record in zip(group, (first, second), strict=True):
            ((_, alone),) = run_one_fit([job], apart, tmp_path / "cache", quiet=True)
            assert alone.rows_sha256 == record.rows_sha256


def test_a_record_from_before_fits_were_shared_is_still_read(jobs):
    old = {
        "status": "done",
        "identity": "i",
        "fit_identity": "f",
        "job": {},
        "runtime": {},
        "environment": {},
    }
    assert RunRecord.model_validate(old).fit_shared_with is None
