"""`vadbench run --devices`: a GPU for each process, respecting what CUDA lets it see."""

import os
import subprocess
import sys
import textwrap

import pytest
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.executors import devices
from vadbench.executors.devices import VISIBLE, Devices, name_devices, share_devices
from vadbench.workers import open_workers


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setenv(VISIBLE, "")  # so that it is as before afterwards, whatever a test does
    monkeypatch.delenv(VISIBLE)
    monkeypatch.setattr(devices, "_held", {})


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ("3", "0")),
        ("4,5,6,7", ("7", "4")),
        (" GPU-8932f937 , 1,MIG-a, GPU-1", ("GPU-1", "GPU-8932f937")),
        ("0,1,2,3,4", ("3", "0")),
    ],
)
def test_numbers_are_those_of_what_is_visible(visible, names):
    assert name_devices(("3", "0"), 4, visible) == names


@pytest.mark.parametrize(
    "number",
    ["4", "-1", "x", "", "1.5", "cuda:0", "٣", "9" * 5000, " 1", "00000000099", "0" * 5000],
)
def test_a_device_that_is_not_there_is_told_in_one_line(number):
    with pytest.raises(BadInput, match=r"--devices: no GPU .*; torch sees 0 to 3; ") as told:
        name_devices(("0", number), 4, None)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("text", [",", " ", " , ,"])
def test_devices_without_a_number_are_refused(text):
    asked = ["run", "--methods", "magnitude", "--datasets", "synthetic", "--devices", text]
    ended = CliRunner().invoke(app, asked)
    assert isinstance(ended.exception, BadInput)
    assert "names no GPU" in str(ended.exception)


@pytest.mark.parametrize(
    ("count", "visible", "seen"),
    [(0, None, "none;"), (1, "2", "0 alone (CUDA_VISIBLE_DEVICES='2');"), (0, "", "none (CUDA_V")],
)
def test_what_is_there_is_told(count, visible, seen):
    with pytest.raises(BadInput) as told:
        name_devices(("7",), count, visible)
    assert f"torch sees {seen}" in str(told.value)


def test_more_jobs_than_devices_are_refused(monkeypatch):
    monkeypatch.setattr(devices, "count_devices", lambda: 2)
    with pytest.raises(BadInput, match=r"--jobs 3 with 2 of --devices: .*; name one twice"):
        share_devices(("0", "1"), 3)
    assert VISIBLE not in os.environ
    assert share_devices(("1", "1", "0"), 3).names == ("1", "1", "0")
    assert os.environ[VISIBLE] == "1,0"


def see(shared: Devices) -> str:
    """In a process that is there already: takes a device, at most once."""
    shared.take()
    first = os.environ[VISIBLE]
    shared.take()
    return first if os.environ[VISIBLE] == first else "two"


def test_each_process_takes_one_and_keeps_it(tmp_path):
    shared = Devices(("4", "GPU-5", "4"), tmp_path)
    with open_workers(1) as one, open_workers(1) as other, open_workers(1) as third:
        seen = [workers.submit(see, shared).result() for workers in (one, other, third)]
        assert seen == ["4", "GPU-5", "4"]
        assert other.submit(see, shared).result() == "GPU-5"


def test_what_a_process_had_that_was_killed_is_taken_by_the_next(tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from vadbench.executors.devices import Devices
        Devices(("7",), Path(sys.argv[1])).take()
        print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.returncode) == ("7\n", -9)


def run(*arguments):
    asked = ["run", "--methods", "magnitude", "--datasets", "synthetic", *arguments]
    return CliRunner().invoke(app, asked)


def test_the_command_refuses_a_device_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "count_devices", lambda: 0)
    done = run("--devices", "0,1", "--results", str(tmp_path / "r"))
    assert isinstance(done.exception, BadInput)
    assert "no GPU '0'; torch sees none; vadbench doctor lists them" in str(done.exception)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("executor", ["slurm", "ray"])
def test_a_cluster_gives_devices_itself(tmp_path, executor):
    done = run("--executor", executor, "--devices", "0", "--results", str(tmp_path / "r"))
    assert isinstance(done.exception, BadInput)
    assert f"--devices is of --executor local; with {executor} each" in str(done.exception)
    assert not (tmp_path / "r").exists()


def test_jobs_run_each_with_a_device(tmp_path, monkeypatch, street_cache):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    monkeypatch.setattr(devices, "count_devices", lambda: 2)
    done = run("--devices", "1,0", "--quiet", "--results", str(tmp_path / "r"))
    assert done.exit_code == 0, done.output
    assert sum(path.name == "run.json" for path in tmp_path.rglob("*")) == 1
