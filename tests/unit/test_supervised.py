"""Processes that run jobs and are watched, with jobs that are nothing but names."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from vadbench.errors import BadInput
from vadbench.executors import supervised
from vadbench.executors.limits import Limits
from vadbench.executors.supervised import run_supervised


def jobs(names):
    return [SimpleNamespace(identity=name) for name in names]


def fail(job, error):
    return f"{type(error).__name__}: {error}"


def run(*groups, work, **how):
    """Name of a job -> its record, in the order in which they came."""
    done = run_supervised([jobs(names) for names in groups], work, fail, **how)
    return {job.identity: record for job, record in done}


def work(group, begins):
    """Each job does what its name says."""
    for job in group:
        begins(job)
        if job.identity.startswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.identity.startswith("slow"):
            time.sleep(60)
        yield job, f"{job.identity} is done"


def refuse(group, begins):
    raise BadInput("run.json: written by a later vadbench")
    yield


def idle_dies(group, begins):
    """Ends its process a moment after its job."""
    yield from work(group, begins)
    if group[0].identity == "nap":
        threading.Timer(0.0, os._exit, [3]).start()


def wait_first(group, begins):
    """Waits for another process before its job begins."""
    time.sleep(3)
    yield from work(group, begins)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_all_jobs_of_all_fits_are_run(processes):
    groups = ["a", "b"], ["c"], ["d", "e", "f"]
    found = run(*groups, work=work, processes=processes)
    assert found == {name: f"{name} is done" for group in groups for name in group}


def test_of_a_fit_that_dies_all_have_failed_and_of_one_that_was_there_one():
    found = run(["dies", "b"], ["c", "dies too", "e"], ["f"], work=work, processes=2)
    done = {name for name, record in found.items() if record.endswith("is done")}
    assert done == {"c", "e", "f"}
    assert found["b"] == found["dies"] == found["dies too"]
    assert found["b"] == "WorkerDied: its process was ended by SIGKILL, from outside mostly"


def test_of_jobs_that_share_a_fit_the_one_over_its_limit_has_failed():
    found = run(["a", "slow", "b"], work=work, limits=Limits(seconds=1.0))
    assert found.pop("slow").startswith("TimeLimitReached: ended after 1 s")
    assert found == {"a": "a is done", "b": "b is done"}


def test_what_a_job_waits_for_another_process_is_none_of_its_time():
    assert run(["a"], work=wait_first, limits=Limits(seconds=1.0)) == {"a": "a is done"}


def test_a_process_that_dies_while_it_is_idle_costs_no_job(monkeypatch):
    monkeypatch.setattr(supervised, "LOOK", 0.1)
    running = run_supervised(
        [jobs(["a"]), jobs(["nap"]), jobs(["b"])], idle_dies, fail, limits=Limits(seconds=60.0)
    )
    found = {job.identity: record for job, record in running}
    assert found == {name: f"{name} is done" for name in ("a", "nap", "b")}


def test_what_is_wrong_with_the_folder_ends_the_run():
    with pytest.raises(BadInput, match="later vadbench"):
        run(["a"], work=refuse, processes=2)


def test_who_leaves_early_leaves_no_process_behind(monkeypatch):
    workers = []

    class Seen(supervised.Worker):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            workers.append(self)

    monkeypatch.setattr(supervised, "Worker", Seen)
    running = run_supervised([jobs(["a"]), jobs(["slow"])], work, fail, processes=2)
    job, _ = next(running)
    assert job.identity == "a"
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 10
    assert len(workers) == 2
    assert not any(worker.process.is_alive() for worker in workers)
