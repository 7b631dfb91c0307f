import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest
from clips import VADBENCH, digests, make_environment, vadbench, write_dataset
from processes import MARK, processes_of, wait_until

RUN = ("run", "--methods", "mulde,gaussian", "--datasets", "folder", "--seeds", "2")
STEPS = ("--set", "mulde.max_steps=50", "--set", "mulde.progress=off")
ENDLESS = ("--set", "mulde.max_steps=1000000", "--set", "mulde.progress=off")
CODES = {"TERM": 143, "HUP": 129, "INT": 130, "KILL": -9}
SECONDS = 5.0  # to end in


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data set whose extraction takes seconds, its features, and what undisturbed runs leave."""
    root = tmp_path_factory.mktemp("signals")
    write_dataset(root / "data", clips=3, frames=80, size=(96, 128))
    vadbench(make_environment(root), root, *RUN, *STEPS)
    return root


def is_training(process, jobs):
    """Whether each of the processes that train has worked for as long as a start takes."""
    try:
        children = psutil.Process(process.pid).children()
        workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
        busy = workers if jobs > 1 else [psutil.Process(process.pid)]
        return len(busy) == jobs and all(sum(one.cpu_times()[:2]) > 7 for one in busy)
    except psutil.NoSuchProcess:
        return False


def begin(folder, environment, phase, jobs):
    """Start the run in a group of its own, and wait until it is in the phase."""
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(
        [VADBENCH, *RUN, *ENDLESS, "--jobs", str(jobs)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "said").open("w"),
        start_new_session=True,
        **heed,
    )
    if phase == "extraction":
        cache = folder / "cache"
        wait_until(lambda: list(cache.rglob(".parts-*/*.npz")) or process.poll() is not None)
    else:
        wait_until(lambda: is_training(process, jobs) or process.poll() is not None)
    assert process.poll() is None, (folder / "said").read_text()
    return process


def interrupt(root, folder, sent, to, phase, jobs, times=1):
    """Interrupt a run in a phase: how it ended is as promised, and the next one goes on; the
    seconds until it had ended.
    """
    mark = uuid.uuid4().hex
    environment = make_environment(root) | {MARK: mark}
    if phase == "extraction":
        environment["VADBENCH_CACHE"] = str(folder / "cache")
    process = begin(folder, environment, phase, jobs)
    number = getattr(signal, f"SIG{sent}")
    for _ in range(times):
        (os.killpg if to == "group" else os.kill)(process.pid, number)
        time.sleep(0.2 if times > 1 else 0)
    began = time.monotonic()
    assert process.wait(timeout=60) == CODES[sent]
    wait_until(lambda: not processes_of(mark), SECONDS)
    seconds = time.monotonic() - began
    assert seconds < SECONDS
    said = (folder / "said").read_text()
    assert "Traceback" not in said
    assert sent == "KILL" or said.count("interrupted; the same command goes on") == 1
    vadbench(environment, folder, *RUN, *STEPS)
    assert digests(folder / "results") == digests(root / "results")
    if phase == "extraction":
        assert digests(folder / "cache") == digests(root / "cache")
    return seconds


def test_a_signal_ends_a_run_in_seconds_and_the_next_goes_on(root, tmp_path):
    interrupt(root, tmp_path, "TERM", "parent", "training", 1)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("phase", ["extraction", "training"])
@pytest.mark.parametrize("to", ["parent", "group"])
@pytest.mark.parametrize("sent", CODES)
def test_any_signal_ends_any_run(root, tmp_path, sent, to, phase, jobs, record_property):
    record_property("seconds", interrupt(root, tmp_path, sent, to, phase, jobs))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_three_times_is_as_good_as_once(root, tmp_path, jobs):
    interrupt(root, tmp_path, "INT", "group", "training", jobs, times=3)


def signal_when_ready(program, number, seconds=0.0):
    """The exit code of a program that is sent a signal so long after it has said that it is ready,
    and what it says then.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    return process.returncode, said


def test_a_call_that_does_not_return_is_ended_too():
    """Where a library computes for minutes, the interpreter runs no handler."""
    program = (
        "import hashlib\n"
        "from vadbench.cli import signals\n"
        "signals.GRACE = 0.5\n"
        "signals.heed_signals()\n"
        "print('ready', flush=True)\n"
        "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
    )
    code, said = signal_when_ready(program, signal.SIGTERM, 0.5)  # until it is in the call
    assert code == 143
    assert "interrupted" in said


def test_ctrl_c_while_the_commands_are_imported_is_heeded():
    program = (
        "import sys, time\n"
        "from vadbench.cli import main\n"
        "assert 'typer' not in sys.modules\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            print('ready', flush=True)\n"
        "            time.sleep(30)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "main()\n"
    )
    code, said = signal_when_ready(program, signal.SIGINT)
    assert code == 130
    assert said == "vadbench: interrupted; the same command goes on where this one stopped\n"
