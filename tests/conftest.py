"""What holds for every test."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# OpenCV's FFmpeg reads this once in a process, at its first use, and the tests' own VideoWriter may
# be that use (vadbench/datasets/video.py).
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# a machine that does other work is slow now and then, which is no failure
settings.register_profile("vadbench", deadline=None)
settings.register_profile("long", deadline=None, max_examples=1000)
settings.load_profile("vadbench")


@pytest.fixture(scope="session")
def street_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the tests on the synthetic street, which is rendered, and its features
    extracted, once for all processes of `pytest -n`.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "street"
    folder.mkdir(exist_ok=True)
    return folder
