import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [
    "run",
    "--methods",
    "mulde,knn,gmm,magnitude",
    "--datasets",
    "synthetic",
    "--seeds",
    "3",
    "--set",
    "mulde.max_steps=150",
    "--quiet",
]
SUM = {".npz", ".md", ".csv"}  # run.json holds timings


def start(environment, folder, *arguments):
    command = [str(Path(sys.executable).with_name("vadbench")), *RUN, *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def digests(folder):
    paths = (
        path for path in folder.rglob("*") if path.suffix in SUM or path.name == "metrics.json"
    )
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def kill_and_resume(environment, folder, times, stop):
    """Kill the run `times` times at random points, then let it finish; returns the digests of what
    it left.
    """
    chance = random.Random(0)
    for _ in range(times):
        process = start(environment, folder, "--results", "killed")
        time.sleep(chance.uniform(1.0, 8.0))
        if process.poll() is None:
            os.killpg(process.pid, stop)
        process.wait()
    assert start(environment, folder, "--results", "killed").wait() == 0
    return digests(folder / "killed")


@pytest.mark.slow
def test_ten_kills_leave_what_an_uninterrupted_run_leaves(environment, tmp_path):
    environment["VADBENCH_CACHE"] = str(tmp_path / "cache")  # extraction is killed too
    killed = kill_and_resume(environment, tmp_path, 10, signal.SIGKILL)
    environment["VADBENCH_CACHE"] = str(tmp_path / "another")
    assert start(environment, tmp_path, "--results", "whole").wait() == 0
    assert killed == digests(tmp_path / "whole")


def test_ctrl_c_exits_130_and_the_next_run_goes_on(environment, tmp_path):
    command = [
        str(Path(sys.executable).with_name("vadbench")),
        *RUN,
        "--set",
        "mulde.max_steps=100000",
    ]
    # a suite that a shell started in the background inherits an ignored SIGINT, and would pass it
    # on
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **heed,
    )
    time.sleep(12)
    process.send_signal(signal.SIGINT)
    try:
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in told
    assert "Traceback" not in told
    # the quick jobs, which run first, are kept; of what was interrupted nothing is
    assert not list((tmp_path / "results").glob("runs/*/*/mulde/*"))
    assert not list((tmp_path / "results" / ".tmp").glob("*"))
