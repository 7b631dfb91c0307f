"""`vadbench run --executor ray` on a Ray of this machine: what it makes is what one machine
makes, whatever happens on the way.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from processes import MARK, processes_of
from same import require_same, scores

RAY = pytest.importorskip(
    "ray", reason="needs Ray: pip install 'vadbench[ray]'", exc_type=ImportError
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MULDE = ("--set", "mulde.units=[32,32]", "--set", "mulde.max_steps=300", "--seeds", "2")
SUITE = ("--methods", "mulde,gaussian", "--datasets", "synthetic", *MULDE)
SHARED = ("--methods", "knn,knn@velocity", "--datasets", "synthetic")
LONG = (
    *("--methods", "mulde,gaussian", "--datasets", "synthetic"),
    *("--set", "mulde.units=[512,512]", "--set", "mulde.max_steps=100000"),
)


@pytest.fixture
def begin(street_cache, tmp_path):
    """Begins a run on Ray, or another command, in an empty folder."""
    environment = {
        **os.environ,
        "VADBENCH_CACHE": str(street_cache),
        "VADBENCH_DATA": str(tmp_path / "data"),
        "OMP_NUM_THREADS": "1",
        "RAY_memory_monitor_refresh_ms": "0",  # other work on this machine is not ours to judge
        MARK: uuid.uuid4().hex,
    }

    def begin(*arguments, **more):
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("vadbench")), *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **more},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # a background shell has it ignored, and so have those it starts
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    yield begin
    for process in processes_of(environment[MARK]):
        process.kill()


def run(begin, *arguments, code=0, **more):
    """A run to its end: what it says."""
    process = begin("run", *arguments, **more)
    _, err = process.communicate(timeout=400)
    assert process.returncode == code, err
    return err


def find_task(process):
    """The process of a task of Ray that a run has started and that trains; None: not yet."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "ray::do_task" in " ".join(child.cmdline()) and sum(child.cpu_times()[:2]) > 7:
                return child
        except psutil.Error:
            continue
    return None


def wait_for_task(process):
    for _ in range(1200):
        assert process.poll() is None, process.stderr.read()
        if (task := find_task(process)) is not None:
            return task
        time.sleep(0.1)
    raise AssertionError("no task trains")


def test_tasks_make_what_one_machine_makes(begin, tmp_path):
    err = run(begin, *SUITE, "--executor", "ray", "--results", "ray")
    assert err.count("] mulde on synthetic") == 2
    run(begin, *SUITE, "--results", "local")
    require_same(tmp_path / "ray", tmp_path / "local")
    assert "nothing is trained" in run(begin, *SUITE, "--executor", "ray", "--results", "ray")


def test_a_task_whose_process_is_killed_has_failed_and_runs_again(begin, tmp_path):
    process = begin("run", *LONG, "--executor", "ray", "--results", "ray")
    wait_for_task(process).kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "failed: WorkerCrashedError: The worker died unexpectedly" in err
    assert len(scores(tmp_path / "ray")) == 1  # the other method's
    assert not list((tmp_path / "ray").glob(".claims/*"))
    err = run(begin, *LONG, "--set", "mulde.max_steps=20", "--executor", "ray", "--results", "ray")
    assert len(scores(tmp_path / "ray")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_ctrl_c_ends_all_of_it(begin, tmp_path, number):
    process = begin("run", *LONG, "--executor", "ray", "--results", "ray")
    mark = psutil.Process(process.pid).environ()[MARK]
    wait_for_task(process)
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted; the same command goes on" in err
    assert "Traceback" not in err
    while processes_of(mark):
        assert time.monotonic() - began < 20
        time.sleep(0.1)


def test_two_at_once_train_nothing_twice(begin, tmp_path):
    both = [begin("run", *SUITE, "--executor", "ray", "--results", "ray") for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
    run(begin, *SUITE, "--results", "local")
    require_same(tmp_path / "ray", tmp_path / "local")
    assert not list((tmp_path / "ray").glob(".claims/*"))


def test_a_limit_is_a_record_with_a_reason(begin):
    err = run(begin, *LONG, "--executor", "ray", "--results", "ray", "--time-limit", "15s", code=1)
    assert "TimeLimitReached: ended after 15 s, --time-limit is 15s" in err


def test_models_are_kept_where_they_were_learnt(begin, tmp_path):
    err = run(begin, *SUITE, "--executor", "ray", "--results", "ray", "--keep-models")
    assert "fitted again" not in err
    assert list((tmp_path / "ray").glob("models/**/*.safetensors"))


def test_an_address_without_ray_is_one_line(begin):
    err = run(begin, *SUITE, "--executor", "ray", RAY_ADDRESS="127.0.0.1:1", code=2)
    assert err.splitlines()[-1].startswith("vadbench: RAY_ADDRESS=127.0.0.1:1: no Ray there (")
    assert "Traceback" not in err
