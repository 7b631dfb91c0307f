"""What jobs are expected to take, what a plan comes to, and the time that a run says is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadbench.features import store
from vadbench.plans.cost import expected_seconds
from vadbench.plans.jobs import Job, count_fits
from vadbench.plans.needs import streams_read
from vadbench.plans.plan import plan_suite
from vadbench.plans.summary import list_features, split_jobs, summarise
from vadbench.results.schema import RunRecord
from vadbench.runner.progress import TimeLeft, order_by_cost
from vadbench.spec import write_duration
from vadbench.suite import make_suite


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def jobs_of(*methods: str, **fields: Any) -> tuple[Job, ...]:
    suite = {"methods": methods, "datasets": ("synthetic",), **fields}
    return plan_suite(make_suite(suite)).jobs


def run_of(job: Job, fit: float, score: float, train: int = 100, test: int = 200) -> RunRecord:
    return RunRecord(
        status="done",
        identity=job.identity,
        fit_identity=job.fit_identity,
        job=job.document,
        runtime={},
        environment={},
        seconds={"fit": fit, "score": score},
        train_rows=train,
        test_rows=test,
    )


def store_features(job: Job, cache: Path, train: int, test: int) -> None:
    for split, rows in {"train": train, "test": test}.items():
        frames = np.arange(rows, dtype=np.int32)
        index = store.Index(np.zeros(rows, np.int32), frames, np.arange(rows), None)
        folder = job.stream.folder(cache, split)  # type: ignore[arg-type]
        folder.parent.mkdir(parents=True, exist_ok=True)
        described = {"split": split, "videos": [["a", rows]]}
        store.write(folder, described, index, [np.zeros((rows, 6), np.float32)], 6)


def test_a_run_of_another_seed_takes_as_long(cache: Path) -> None:
    first, second = jobs_of("mulde", seeds=2)
    seconds = expected_seconds([first, second], [run_of(first, 10.0, 2.0)], cache)
    assert seconds == {first.identity: 12.0, second.identity: 12.0}


def test_the_time_of_a_run_is_scaled_to_the_rows_stage_by_stage(cache: Path) -> None:
    (here,) = jobs_of("ocsvm")
    (there,) = jobs_of("ocsvm", datasets=("ped2",), features=("velocity",))
    store_features(here, cache, train=200, test=800)
    seconds = expected_seconds([here], [run_of(there, fit=10.0, score=2.0)], cache)
    assert seconds[here.identity] == pytest.approx(2 * 10.0 + 4 * 2.0)


def test_of_features_that_are_not_extracted_the_rows_of_another_run_are_known(cache: Path) -> None:
    (one,) = jobs_of("ocsvm")
    (other,) = jobs_of("gmm", features=("velocity.hof8",))  # on the same boxes
    (there,) = jobs_of("ocsvm", datasets=("ped2",), features=("velocity",))
    runs = [run_of(other, 1.0, 1.0, train=300, test=600), run_of(there, 10.0, 2.0)]
    assert expected_seconds([one], runs, cache)[one.identity] == pytest.approx(3 * 12.0)


def test_vectors_of_the_same_kind_come_before_the_same_settings(cache: Path) -> None:
    (job,) = jobs_of("knn", settings={"knn": {"k": 5}})
    store_features(job, cache, train=100, test=200)
    (alike,) = jobs_of("knn")
    (wide,) = jobs_of("knn", features=("velocity.hof8",), settings={"knn": {"k": 5}})
    runs = [run_of(wide, 90.0, 0.0), run_of(alike, 9.0, 0.0)]
    assert expected_seconds([job], runs, cache)[job.identity] == pytest.approx(9.0)


def test_without_a_run_that_is_alike_operations_are_counted(cache: Path) -> None:
    few, many = (
        jobs_of("mulde", settings={"mulde": {"max_steps": steps}})[0] for steps in (10, 40)
    )
    store_features(few, cache, train=500, test=500)
    one, more = expected_seconds([few, many], [], cache).values()
    assert one is not None
    assert more is not None
    assert 0 < one < more


def test_a_training_with_other_settings_takes_what_its_operations_do(cache: Path) -> None:
    """Of features that are not extracted, whose columns nobody knows."""
    narrow, wide = (
        jobs_of("mulde", settings={"mulde": {"units": [units, units], "max_steps": None}})[0]
        for units in (256, 4096)
    )
    known = [run_of(narrow, fit=10.0, score=2.0)]
    assert expected_seconds([narrow], known, cache)[narrow.identity] == pytest.approx(12.0)
    found = expected_seconds([wide], known, cache)[wide.identity]
    # a pass through 64 columns and sigma, two layers, one value; 250 an activation
    passes = [2 * (65 * h + h * h + h) + 250 * 2 * h for h in (256, 4096)]
    # training alone: scoring the training rows is a thousandth of it
    assert found == pytest.approx(10 * passes[1] / passes[0] + 2, rel=1e-3)
    (knn, other) = (jobs_of("knn", settings={"knn": {"k": k}})[0] for k in (1, 5))
    assert expected_seconds([other], [run_of(knn, 10.0, 2.0)], cache)[other.identity] == 12.0


def test_a_run_whose_settings_are_none_any_more_is_scaled_to_the_rows(cache: Path) -> None:
    (job,) = jobs_of("mulde")
    old = run_of(job, fit=10.0, score=2.0)
    config = {**old.job["config"], "of_before": 1}
    old = old.model_copy(update={"job": {**old.job, "config": config}})
    assert expected_seconds([job], [old], cache)[job.identity] == pytest.approx(12.0)


def test_without_runs_and_operations_nothing_is_known(cache: Path) -> None:
    (knn,) = jobs_of("knn")
    store_features(knn, cache, train=500, test=500)
    assert expected_seconds([knn], [], cache) == {knn.identity: None}


def test_a_summary_counts_one_fit_once_and_leaves_out_what_cannot_run() -> None:
    jobs = (*jobs_of("mulde"), *jobs_of("mulde", settings={"mulde": {"scales": 8}}))
    foreign = jobs_of("gmm", "knn", datasets=("avenue",))
    states = dict.fromkeys((job.identity for job in (*jobs, *foreign)), "missing")
    seconds = {jobs[0].identity: 50.0, jobs[1].identity: 60.0}
    seconds |= dict.fromkeys((job.identity for job in foreign), None)

    both = summarise(jobs, states, seconds, set())
    assert (both.jobs, both.left, both.seconds, both.time) == (2, 2, 60.0, "60 s")
    open_ = summarise((*jobs, *foreign), states, seconds, set())
    assert (open_.unknown, open_.time) == (2, "60 s, unknown for 2")
    barred = summarise((*jobs, *foreign), states, seconds, set(streams_read(foreign[0])))
    assert (barred.left, barred.barred, barred.time) == (2, 2, "60 s")
    states[jobs[0].identity] = "done"
    assert summarise(jobs[:1], states, seconds, set()).time == ""
    assert list(split_jobs((*jobs, *foreign))) == [
        ("mulde", "synthetic"),
        ("gmm", "avenue"),
        ("knn", "avenue"),
    ]


def test_features_to_extract_are_those_that_are_neither_there_nor_lacking(cache: Path) -> None:
    jobs = (*jobs_of("gmm"), *jobs_of("gmm", datasets=("ped2", "avenue"), features=("velocity",)))
    here, _, lacking = jobs
    store_features(here, cache, train=5, test=5)
    assert list_features(jobs, set(streams_read(lacking)), cache) == ("ped2 velocity",)


def test_quick_fits_come_first_those_of_one_fit_together_and_unknown_ones_last() -> None:
    slow = (*jobs_of("mulde"), *jobs_of("mulde", settings={"mulde": {"scales": 8}}))
    knn, gmm, unknown = jobs_of("knn", "gmm", "ocsvm")
    seconds: dict[str, float | None] = {
        slow[0].identity: 1.0,
        slow[1].identity: 50.0,
        knn.identity: 2.0,
        gmm.identity: 2.0,
        unknown.identity: None,
    }
    ordered = order_by_cost([unknown, slow[0], knn, gmm, slow[1]], seconds)
    assert ordered == [knn, gmm, slow[0], slow[1], unknown]


def test_the_time_left_is_corrected_by_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("vadbench.runner.progress.time.monotonic", lambda: now)
    first, second, third = jobs_of("mulde", seeds=3)
    seconds = dict.fromkeys((job.identity for job in (first, second, third)), 100.0)
    expected = TimeLeft([first, second, third], seconds)
    assert expected.words == "about 5 min left"
    now = 200.0
    expected.end(first, run_of(first, 200.0, 0.0))  # (200 + 30) / (100 + 30) of 200 s
    assert expected.words == "about 6 min left"
    now = 500.0  # 200 s of it beside the jobs
    expected.end(second, run_of(second, 100.0, 0.0))
    assert expected.words == "about 4 min left"
    expected.end(third, run_of(third, 100.0, 0.0))
    assert expected.words == ""


def test_a_quick_first_job_that_was_slow_decides_little() -> None:
    quick, slow = jobs_of("knn", "mulde")
    left = TimeLeft([quick, slow], {quick.identity: 0.01, slow.identity: 100.0})
    left.began -= 1.0
    left.end(quick, run_of(quick, 1.0, 0.0))
    assert left.words == "about 2 min left"


def test_jobs_of_unknown_time_and_several_processes_are_reckoned_with() -> None:
    first, second = jobs_of("mulde", seeds=2)
    (unknown,) = jobs_of("knn")
    seconds = {first.identity: 60.0, second.identity: 60.0, unknown.identity: None}
    left = TimeLeft([first, second, unknown], seconds, processes=2)
    assert left.words == "about 60 s left, and 1 of unknown time"


@pytest.mark.parametrize(
    ("count", "processes", "minutes"), [(16, 8, 10), (100, 8, 10), (5, 4, 60), (7, 1, 5), (9, 2, 3)]
)
def test_jobs_that_take_what_was_expected_are_told_to_a_factor_of_a_half(
    count: int, processes: int, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("vadbench.runner.progress.time.monotonic", lambda: now)
    jobs = jobs_of("mulde", seeds=count)
    left = TimeLeft(jobs, {job.identity: 60.0 * minutes for job in jobs}, processes)
    for number, job in enumerate(jobs, 1):
        now = 60.0 * minutes * -(-number // processes)
        left.end(job, run_of(job, 60.0 * minutes, 0.0))
        true = 60.0 * minutes * -(-count // processes) - now
        if number < count:
            assert 0.67 * true <= left.seconds <= max(1.5 * true, 30.0), number


def test_jobs_that_differ_in_scoring_count_each_where_the_method_is_fitted_again(
    cache: Path,
) -> None:
    fits = {
        "knn": jobs_of("knn", settings={"knn": {"k": 3}}) + jobs_of("knn"),
        "mulde": jobs_of("mulde", settings={"mulde": {"read_outs": ["max"]}}) + jobs_of("mulde"),
    }
    for method, jobs in fits.items():
        assert len({job.fit_identity for job in jobs}) == 1
        seconds: dict[str, float | None] = {job.identity: 60.0 for job in jobs}
        states: dict[str, Any] = {job.identity: "missing" for job in jobs}
        taken = 2 if method == "knn" else 1
        assert count_fits(jobs) == taken
        assert summarise(jobs, states, seconds, ()).seconds == 60.0 * taken
        told = TimeLeft(jobs, seconds).words
        assert told == f"about {write_duration(60.0 * taken)} left"


def test_jobs_of_one_fit_and_failures_are_no_time_of_their_own() -> None:
    one, other = (jobs_of("mulde", settings={"mulde": {"scales": scales}})[0] for scales in (8, 16))
    left = TimeLeft([one, other], {one.identity: 60.0, other.identity: 60.0})
    assert left.words == "about 60 s left"
    failed = run_of(one, 0.0, 0.0).model_copy(update={"status": "failed", "error": "why"})
    left.end(one, failed)
    assert left.words == "about 1 s left"
