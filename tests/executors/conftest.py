"""A real Slurm for the tests, and the command line on it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import Cluster, NoSlurm, unpack

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / name) for name in ("reliability", "unit")]  # what their tests share


@pytest.fixture(scope="session")
def slurm(request, tmp_path_factory):
    packages = Path(request.config.cache.mkdir("slurm"))
    try:
        unpack(packages)
        cluster = Cluster(tmp_path_factory.mktemp("slurm"), packages)
        cluster.start()
    except (NoSlurm, subprocess.TimeoutExpired) as error:
        pytest.skip(str(error))
    yield cluster
    cluster.stop()


class User:
    """Somebody at a login node, with a results folder."""

    def __init__(self, folder, environment):
        self.folder, self.results, self.environment = folder, folder / "results", environment

    def begin(self, *arguments):
        command = [str(Path(sys.executable).with_name("vadbench")), *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def call(self, *arguments, code=0):
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, err
        return out, err

    def run(self, *arguments, code=0, results=None):
        where = self.results if results is None else self.folder / results
        return self.call("run", *arguments, "--results", where, code=code)

    def submit(self, *arguments, code=0):
        return self.run(*arguments, "--executor", "slurm", code=code)

    def queue(self):
        command = ["squeue", "-h", "-r", "-o", "%j %T"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout.split("\n")[:-1]

    def wait_until(self, condition, seconds=120):
        for _ in range(int(seconds / 0.2)):
            if found := condition():
                return found
            time.sleep(0.2)
        raise AssertionError(f"not within {seconds} s: {self.queue()}")

    def wait_for_end(self):
        self.wait_until(lambda: not self.queue())

    def running(self):
        """The process of a fit that Slurm has started; None: there is none."""
        done = subprocess.run(
            ["pgrep", "-f", f"run-job {self.results}.* fits"], capture_output=True, text=True
        )
        return [int(line) for line in done.stdout.split()] or None


@pytest.fixture
def user(slurm, street_cache, tmp_path):
    variables = {"VADBENCH_CACHE": str(street_cache), "VADBENCH_DATA": str(tmp_path / "data")}
    yield User(tmp_path, {**slurm.environment, **variables, "OMP_NUM_THREADS": "1"})
    subprocess.run(["scancel", "-u", "root"], env=slurm.environment, check=False)
