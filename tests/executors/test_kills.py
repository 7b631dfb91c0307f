"""Tasks and controllers are killed at random moments, by every executor: the same command, given
again until it ends well, makes what an undisturbed run makes, to the bit, and nothing is left over.
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest
from clips import VADBENCH, digests, make_environment, write_dataset
from noisy_network import write as write_network
from processes import MARK, processes_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = {"local": 20, "ray": 15, "slurm": 15}
SEED = 20260101
SUITE = ("run", "--methods", "noisy,gaussian,gmm", "--datasets", "folder", "--seeds", "2")
TASK = {"local": "spawn_main", "slurm": "run-job", "ray": "ray::do_task"}
MORE = {
    "local": ("--jobs", "2"),
    "slurm": ("--executor", "slurm", "--wait"),
    "ray": ("--jobs", "2"),
}
LEFT = (".claims/*", ".checkpoints/*", ".tmp/.*", "runs/*/*/*/.old-*", "recipes/*/*/.old-*")
# seconds of a run after which its controller is killed, at the latest, and of a task
LONGEST, OF_A_TASK = {"local": 20.0, "slurm": 20.0, "ray": 45.0}, 8.0
TRIES = 60


class Runs:
    """Runs of one suite, in a results folder each round, by one executor."""

    def __init__(self, root, executor, environment):
        self.root, self.executor = root, executor
        self.mark = uuid.uuid4().hex
        self.environment = {
            **environment,
            MARK: self.mark,
            "PYTHONPATH": os.pathsep.join([str(root / "plug-in"), environment["PYTHONPATH"]]),
            "NOISY_NAP": "0.08",
            "RAY_memory_monitor_refresh_ms": "0",
        }
        self.random = random.Random(f"{SEED} {executor}")
        self.kills = {"task": 0, "controller": 0}
        self.commands = 0

    def begin(self, results):
        executor = () if self.executor != "ray" else ("--executor", "ray")
        self.commands += 1
        return subprocess.Popen(
            [VADBENCH, *SUITE, *MORE[self.executor], *executor, "--results", results],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.root / "said").open("a"),
        )

    def tasks(self):
        """The processes that run jobs; those of Slurm have another environment, and are known by
        the folder of their plan.
        """
        slurm, found = self.executor == "slurm", []
        for process in psutil.process_iter() if slurm else processes_of(self.mark):
            try:
                words = " ".join(process.cmdline())
                if TASK[self.executor] in words and (not slurm or f"{self.root}/" in words):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def kill(self, controller):
        """At a random moment of the run kill the controller, or of its tasks one of them; nothing
        where it ends before.
        """
        if self.random.random() < 0.4:
            longest, targets = LONGEST[self.executor], lambda: [psutil.Process(controller.pid)]
        else:
            wait_until(lambda: controller.poll() is not None or self.tasks(), 600)
            longest, targets = OF_A_TASK, self.tasks
        ends = time.monotonic() + self.random.uniform(0.0, longest)
        while controller.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
        found = targets() if controller.poll() is None else []
        if not found:
            return
        target = self.random.choice(found)
        target.kill()
        if target.pid != controller.pid:
            self.kills["task"] += 1
            return
        controller.wait()
        self.kills["controller"] += 1
        if self.executor != "slurm":  # all that it has started ends with it
            wait_until(lambda: not processes_of(self.mark), 30)

    def round(self, results, most):
        """Run the suite until it has ended well, with so many kills at most on the way."""
        aim = sum(self.kills.values()) + most
        for _ in range(TRIES):
            controller = self.begin(results)
            while controller.poll() is None:
                if sum(self.kills.values()) < aim:
                    self.kill(controller)
                else:
                    controller.wait()
            if controller.returncode == 0:
                wait_until(lambda: not processes_of(self.mark), 120)
                return
            # 2: on a machine that is too busy, Ray does not start in time
            assert controller.returncode in (1, 2, -signal.SIGKILL), (
                self.root / "said"
            ).read_text()
        raise AssertionError(f"it does not end well: {(self.root / 'said').read_text()[-3000:]}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("kills")
    write_dataset(root / "data", clips=2)
    (root / "plug-in").mkdir()
    write_network(root / "plug-in")
    return root


def try_kills(root, executor, environment):
    """Rounds of the suite until there were so many kills: each ends as the undisturbed run did.
    Says how many there were.
    """
    runs = Runs(root, executor, {**environment, **make_environment(root), **keep(environment)})
    began = time.monotonic()
    runs.round("whole", 0)
    whole = digests(root / "whole")
    assert any(path.endswith("rows.npz") for path in whole)
    rounds = 0
    kills = int(os.environ.get("VADBENCH_TEST_KILLS", KILLS[executor]))
    while sum(runs.kills.values()) < kills:
        results = f"{executor}{rounds}"
        runs.round(results, min(kills - sum(runs.kills.values()), 10))
        assert digests(root / results) == whole
        left = [path for pattern in LEFT for path in (root / results).glob(pattern)]
        assert not left
        rounds += 1
    minutes = (time.monotonic() - began) / 60
    return (
        f"{executor}, seed {SEED}: {runs.kills['task']} tasks and {runs.kills['controller']}"
        f" controllers killed in {rounds} rounds of {runs.commands} commands, {minutes:.0f} min;"
        " nothing lost, nothing left over\n"
    )


def keep(environment):
    """What talks to the batch system."""
    return {
        name: environment[name]
        for name in ("PATH", "LD_LIBRARY_PATH", "SLURM_CONF")
        if name in environment
    }


def test_kills_of_processes_of_this_machine(root, capsys):
    with capsys.disabled():
        sys.stderr.write(try_kills(root, "local", {"PYTHONPATH": "", **os.environ}))


def test_kills_of_tasks_of_ray(root, capsys):
    why = "needs Ray: pip install 'vadbench[ray]'"
    pytest.importorskip("ray", reason=why, exc_type=ImportError)
    with capsys.disabled():
        sys.stderr.write(try_kills(root, "ray", {"PYTHONPATH": "", **os.environ}))


def test_kills_of_tasks_of_slurm(root, slurm, capsys):
    with capsys.disabled():
        sys.stderr.write(try_kills(root, "slurm", {"PYTHONPATH": "", **slurm.environment}))
