import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all end-to-end tests, so that features are extracted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(cache, tmp_path):
    return {**os.environ, "VADBENCH_CACHE": str(cache), "VADBENCH_DATA": str(tmp_path / "data")}


@pytest.fixture
def vadbench(environment, tmp_path):
    """Runs the command line as a user does, in an empty folder."""

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess:
        command = [str(Path(sys.executable).with_name("vadbench")), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        return done

    return call
