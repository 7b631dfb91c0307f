"""Jobs as tasks of Ray, without Ray: what is handed over, what a task does with it, and what
becomes of one that dies. `tests/executors/test_ray.py` has a real one.
"""

import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner
from vadbench_methods.knn import KNN

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.executors import ray as executor
from vadbench.executors.ray import Needs
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite
from vadbench.threads import limit_threads

SUITE = {"methods": ["gaussian", "knn"], "datasets": ["synthetic"]}


class RayError(Exception):
    """Of Ray's own."""


class RayTaskError(RayError):
    """What a task has raised."""

    def __init__(self, cause):
        self.cause = cause


class WorkerCrashedError(RayError):
    """A process has died."""


class FakeRay:
    """Does each task in this process when it is asked for it; `dies` says which have died."""

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, RaySystemError=WorkerCrashedError
    )

    def __init__(self, dies=()):
        self.dies, self.options, self.asked, self.open = dies, [], [], False
        self.started = 0

    def init(self, *_, **__):
        self.open = True
        self.started += 1

    def is_initialized(self):
        return self.open

    def shutdown(self):
        self.open = False

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 2.0**33}}]

    def put(self, value):
        assert type(value) in (str, int)
        return value

    def remote(self, do):
        assert do.__module__.startswith("vadbench.")

        def options(**asked):
            self.options.append(asked)
            return SimpleNamespace(remote=lambda *arguments: (do, arguments))

        return SimpleNamespace(options=options)

    def wait(self, waiting, num_returns, timeout=None):
        return waiting[:num_returns], waiting[num_returns:]

    def get(self, task):
        do, arguments = task
        self.asked.append(arguments)
        if arguments[-1] in self.dies:
            raise WorkerCrashedError("The worker died unexpectedly")
        try:
            return do(*arguments)
        except Exception as error:
            raise RayTaskError(error) from error

    def cancel(self, task):
        pass


@pytest.fixture
def plan(street_cache, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    return plan_suite(make_suite(SUITE))


def run(plan, folder, monkeypatch, fake, **how):
    monkeypatch.setattr(executor, "require_ray", lambda: fake)
    with limit_threads(1):
        return run_suite(plan, Results(folder), where="ray", say=lambda line: None, **how)


def test_tasks_make_what_this_process_makes(plan, tmp_path, monkeypatch):
    fake = FakeRay()
    run(plan, tmp_path / "ray", monkeypatch, fake)
    with limit_threads(1):
        run_suite(plan, Results(tmp_path / "local"), quiet=True, say=lambda line: None)
    ours, theirs = Results(tmp_path / "ray"), Results(tmp_path / "local")
    for job in plan.jobs:
        one, other = (each.rows(each.run(job.document, job.identity)) for each in (ours, theirs))
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    tables = [(each.root / "tables/latest.csv").read_text() for each in (ours, theirs)]
    assert tables[0] == tables[1]
    assert not fake.open
    assert fake.options == [{"num_cpus": 1, "num_gpus": 0, "max_retries": 0}] * 2
    assert len(json.loads(fake.asked[0][0])["fits"]) == 2


def test_a_task_that_has_died_is_a_failed_record_and_the_others_are_done(
    plan, tmp_path, monkeypatch
):
    outcome = run(plan, tmp_path, monkeypatch, FakeRay(dies=[0]))
    ((_, error),) = outcome.failed
    assert error.startswith("WorkerCrashedError: The worker died unexpectedly")
    assert not run(plan, tmp_path, monkeypatch, FakeRay()).failed


def test_what_a_task_raises_is_the_reason(plan, tmp_path, monkeypatch):
    from vadbench.runner import on_ray

    def refuse(*_):
        raise BadInput("the plan: job 0123 is none of this version")

    monkeypatch.setattr(on_ray, "_read_plan", refuse)
    outcome = run(plan, tmp_path, monkeypatch, FakeRay())
    assert [error for _, error in outcome.failed] == [outcome.failed[0][1]] * 2
    assert outcome.failed[0][1].startswith("BadInput: the plan: job 0123 is none of this version")


def test_a_task_whose_record_is_not_here_has_failed(plan, tmp_path, monkeypatch):
    from vadbench.runner import on_ray

    def elsewhere(*_):
        return []

    elsewhere.__module__ = "vadbench.elsewhere"
    monkeypatch.setattr(on_ray, "do_task", elsewhere)
    outcome = run(plan, tmp_path, monkeypatch, FakeRay())
    assert "has to be on a disk that all machines see" in outcome.failed[0][1]


def test_a_job_that_fails_as_it_runs_again_has_failed_and_its_record_stays(
    plan, tmp_path, monkeypatch
):
    run(plan, tmp_path, monkeypatch, FakeRay())

    def break_down(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(KNN, "fit", break_down)
    outcome = run(plan, tmp_path, monkeypatch, FakeRay(), existing="rerun")
    ((job, error),) = outcome.failed
    assert job.method == "knn"
    assert error.startswith("RuntimeError: out of memory (")
    results = Results(tmp_path)
    assert {results.run(job.document, job.identity).status for job in plan.jobs} == {"done"}


def test_nothing_is_started_where_all_is_done(plan, tmp_path, monkeypatch):
    run(plan, tmp_path, monkeypatch, FakeRay())
    fake = FakeRay()
    run(plan, tmp_path, monkeypatch, fake)
    assert fake.options == []
    assert fake.started == 0


def test_one_cluster_does_for_the_jobs_of_all_data_sets(plan, tmp_path, monkeypatch):
    monkeypatch.setattr("vadbench.runner.run._batches", lambda jobs: [[job] for job in jobs])
    fake = FakeRay()
    assert not run(plan, tmp_path, monkeypatch, fake).failed
    assert len(fake.asked) == 2
    assert fake.started == 1
    assert not fake.open


def test_a_task_asks_for_no_more_than_there_is():
    nodes = [{"CPU": 4.0, "memory": 100.0}, {"CPU": 2.0, "GPU": 1.0, "memory": 50.0}]
    assert executor._resources(Needs(16, True, 1000), nodes) == {
        "num_cpus": 4,
        "num_gpus": 1,
        "memory": 100,
        "max_retries": 0,
    }
    assert executor._resources(Needs(1, True, None), nodes[:1])["num_gpus"] == 0
    assert executor._resources(Needs(1, False, None), nodes)["num_gpus"] == 0


def test_variables_have_whole_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADBENCH_DATA", "data")
    assert executor._variables()["VADBENCH_DATA"] == str(tmp_path / "data")


def test_no_ray_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    command = ["run", "--methods", "gaussian", "--datasets", "synthetic", "--executor", "ray"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith("--executor ray: Ray is not installed (")
    assert str(done.exception).endswith("pip install 'vadbench[ray]'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "RAY_ADDRESS=127.0.0.1:1: no Ray there ("),
        ("[::1]:1", "RAY_ADDRESS=[::1]:1: no Ray there ("),
        ("no-such-host.invalid:6379", "RAY_ADDRESS=no-such-host.invalid:6379: no Ray there ("),
        ("127.0.0.1:99999", "RAY_ADDRESS=127.0.0.1:99999: no Ray there ("),
        ("head", "RAY_ADDRESS=head: expected HOST:PORT"),
        ("head:port", "RAY_ADDRESS=head:port: expected HOST:PORT"),
    ],
)
def test_an_address_where_nothing_answers_is_one_line(monkeypatch, tmp_path, address, message):
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.chdir(tmp_path)
    command = ["run", "--methods", "gaussian", "--datasets", "synthetic", "--executor", "ray"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith(message)
    assert not list(tmp_path.iterdir())


def test_what_ray_says_where_it_does_not_connect_is_one_line(plan, tmp_path, monkeypatch):
    fake = FakeRay()

    def init(*_, **__):
        raise RuntimeError("Version mismatch: the cluster was started with:\n  Ray: 2.1")

    monkeypatch.setattr(fake, "init", init)
    with pytest.raises(BadInput, match=r"this machine: no connection \(Version mismatch: the"):
        run(plan, tmp_path, monkeypatch, fake)
    assert not list(tmp_path.glob("runs/**/run.json"))


def test_curves_are_refused_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    monkeypatch.chdir(tmp_path)
    command = ["run", "--methods", "gaussian", "--datasets", "synthetic", "--executor", "ray"]
    done = CliRunner().invoke(app, [*command, "--wandb", "offline"])
    assert "--wandb is not there with --executor ray" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_folders_of_killed_runs_are_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(executor.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(executor, "LONGEST", 10_000)
    names = "vadbench-ray-4194303", "vadbench-ray-1", "vadbench-ray-x", "other-4194303"
    for name in names:
        (tmp_path / name).mkdir()
    made = executor._make_folder()
    assert made.name == f"vadbench-ray-{os.getpid()}"
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], made.name}
