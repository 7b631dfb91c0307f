"""Small video files for tests of readers, whole and damaged."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vadbench.datasets.base import Dataset
from vadbench.errors import BadInput


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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def unknown_codec(path: Path) -> None:
    """As if written by an encoder that no one has."""
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZQXV"))


def loop(path: Path) -> None:
    """In the place of the file, a link that leads to itself."""
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def complaint(dataset: Dataset) -> str:
    """What `vadbench data check` says first is wrong, in one line; nothing if all is good."""
    try:
        bad = [check.found for check in dataset.check() if not check.good]
    except BadInput as error:
        bad = [str(error)]
    assert all("\n" not in line for line in bad)
    return bad[0] if bad else ""


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Frame counts of these videos are remembered in a cache of the test's own."""
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
