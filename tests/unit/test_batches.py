"""What is run while features of other data sets are not extracted yet."""

import pytest

from vadbench.plans.needs import Need
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.runner.run import _batches, _run_quick_first
from vadbench.suite import make_suite

SUITE = {
    "methods": ["magnitude", "gaussian"],
    "datasets": ["ped2", "synthetic", "shanghaitech"],
    "features": ["velocity", "velocity@grid"],
}


@pytest.fixture
def jobs():
    return list(plan_suite(make_suite(SUITE)).jobs)


def named(batches):
    return [sorted({job.dataset for job in batch}) for batch in batches]


def test_without_features_it_is_one_data_set_after_the_other(jobs, monkeypatch):
    monkeypatch.setattr(Need, "is_cached", lambda self, cache: False)
    assert named(_batches(jobs)) == [["ped2"], ["synthetic"], ["shanghaitech"]]


def test_what_has_its_features_is_first(jobs, monkeypatch):
    monkeypatch.setattr(Need, "is_cached", lambda self, cache: self.dataset == "shanghaitech")
    assert named(_batches(jobs)) == [["shanghaitech"], ["ped2"], ["synthetic"]]


def test_with_all_features_there_is_one_batch_of_all_jobs(jobs, monkeypatch):
    monkeypatch.setattr(Need, "is_cached", lambda self, cache: True)
    assert _batches(jobs) == [jobs]
    assert _batches([]) == []


def test_no_job_is_lost(jobs, monkeypatch):
    monkeypatch.setattr(Need, "is_cached", lambda self, cache: self.stream.name == "velocity")
    batches = _batches(jobs)
    assert sorted(job.identity for batch in batches for job in batch) == sorted(
        job.identity for job in jobs
    )
    assert {job.stream.name for job in batches[0]} == {"velocity"}


def test_the_time_left_is_that_of_the_jobs_to_come(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(Need, "is_cached", lambda self, cache: self.dataset == "shanghaitech")
    minutes = {"shanghaitech": 1, "ped2": 10, "synthetic": 100}
    monkeypatch.setattr(
        "vadbench.runner.run.expected_seconds",
        lambda jobs, runs, cache: {job.identity: 60 * minutes[job.dataset] for job in jobs},
    )
    said = []

    def do(batch, *, processes):
        for job in batch:
            yield (
                job,
                RunRecord(
                    status="done",
                    identity=job.identity,
                    fit_identity=job.fit_identity,
                    job=job.document,
                    runtime={},
                    environment={},
                    seconds={"fit": 60.0 * minutes[job.dataset]},
                ),
            )

    results = Results(tmp_path / "results")
    list(_run_quick_first(jobs, lambda batch: batch, do, results, 1, said.append))
    first = [line for line in said if " to run; " in line]
    each = len(jobs) // 3
    assert first == [
        f"{3 * each} jobs to run; about {each * 111 / 60:.1f} h left",
        f"{2 * each} jobs to run; about {each * 110 / 60:.1f} h left",
        f"{each} jobs to run; about {each * 100 / 60:.1f} h left",
    ]
