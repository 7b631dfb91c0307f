"""Small video files for tests of readers."""

from pathlib import Path

import cv2
import numpy as np
import pytest


def write_video(
    path: Path, frames: int, size: tuple[int, int] = (24, 32), codec: str = "MJPG"
) -> Path:
    """A video of so many frames of noise, the size being height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, size[::-1])
    assert writer.isOpened()
    random = np.random.default_rng(frames)
    for _ in range(frames):
        writer.write(random.integers(0, 256, (*size, 3)).astype(np.uint8))
    writer.release()
    return path


def write_images(
    folder: Path,
    frames: int,
    size: tuple[int, int] = (24, 32),
    pattern: str = "{:03d}.jpg",
    first: int = 0,
) -> Path:
    """A folder of so many images of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(frames)
    for frame in range(first, first + frames):
        cv2.imwrite(
            str(folder / pattern.format(frame)),
            random.integers(0, 256, (*size, 3)).astype(np.uint8),
        )
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Frame counts of these videos are remembered in a cache of the test's own."""
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
