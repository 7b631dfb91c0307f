import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]
# the shipped class with the counts of a miniature, in a process that does nothing else
SHRUNK = """
import ast, sys
from vadbench import registry
from vadbench.cli import main
dataset = registry.load("datasets", sys.argv.pop(1))
for name, value in ast.literal_eval(sys.argv.pop(1)).items():
    setattr(dataset, name, value)
main()
"""


@pytest.fixture
def environment(street_cache, tmp_path):
    folders = {"VADBENCH_CACHE": str(street_cache), "VADBENCH_DATA": str(tmp_path / "data")}
    return {**os.environ, **folders}


@pytest.fixture
def vadbench(environment, tmp_path) -> Call:
    """Runs the command line as a user does, in an empty folder."""
    return _caller([str(Path(sys.executable).with_name("vadbench"))], tmp_path, environment)


@pytest.fixture
def shrunk(tmp_path) -> Callable[[str, dict[str, Any]], Call]:
    """As `vadbench`, with a cache of its own, on a miniature under `tmp_path / "data"`: of the data
    set, these class attributes differ.
    """

    def made(dataset: str, attributes: dict[str, Any]) -> Call:
        folders = {
            "VADBENCH_CACHE": str(tmp_path / "cache"),
            "VADBENCH_DATA": str(tmp_path / "data"),
            "no_proxy": "127.0.0.1",
        }
        return _caller(
            [sys.executable, "-c", SHRUNK, dataset, repr(attributes)],
            tmp_path,
            {**os.environ, **folders},
        )

    return made


def _caller(command: list[str], folder: Path, environment: dict[str, str]) -> Call:
    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, (
            f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        )
        return done

    return call
