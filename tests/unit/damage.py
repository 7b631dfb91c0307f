"""The ways in which a user's copy of a data set may be damaged, and what its check says of them.

A fault is what is done to the folder of the data set, and a pattern of what is said of it.
"""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_writer import write_video

from vadbench.datasets.base import SPLITS, Dataset
from vadbench.errors import BadInput

Fault = tuple[Callable[[Path], object], str]


def findings(dataset: Dataset) -> dict[str, str]:
    """What `vadbench data check` says is wrong."""
    return {check.what: check.found for check in dataset.check() if not check.good}


def complaint(dataset: Dataset) -> str:
    """What it says first, in one line; nothing if all is good."""
    try:
        bad = list(findings(dataset).values())
    except BadInput as error:
        bad = [str(error)]
    assert all("\n" not in line for line in bad)
    return bad[0] if bad else ""


def refusal(do: Callable[..., object], *arguments: object) -> str:
    """What is said, in one line, when it is refused."""
    with pytest.raises(BadInput) as raised:
        do(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def use(dataset: Dataset) -> None:
    """Read videos, labels, frames, masks and tracks, all of them."""
    dataset.labels()
    for split in SPLITS:
        for video in dataset.videos(split):
            dataset.frames(video)
            list(dataset.masks(video) or ())
    dataset.tracks()


def require_complaint(dataset: Dataset, fault: Fault) -> None:
    """The fault is done, and told in one line."""
    damage, told = fault
    damage(dataset.folder)
    said = complaint(dataset)
    assert re.search(told, said), said


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def unknown_codec(path: Path) -> None:
    """As if written by an encoder that no one has."""
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZQXV").replace(b"FMP4", b"ZZZZ"))


def loop(path: Path) -> None:
    """In the place of the file, a link that leads to itself."""
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def litter(*places: Path) -> None:
    """What file managers leave: beside every file also its double."""
    for place in places:
        folder = place if place.is_dir() else place.parent
        for name in (".DS_Store", "Thumbs.db", f"._{place.name}"):
            (folder / name).write_bytes(b"x")


def rewrite_video(path: Path, frames: int, size: tuple[int, int] = (24, 32)) -> None:
    """Another video in its place, whatever its suffix is."""
    write_video(path.with_name("another.avi"), frames, size).rename(path)


def video_faults(video: str, frames: int) -> dict[str, Fault]:
    """Faults of a video file of 24 x 32 pixels that are told of it in the same words everywhere."""
    name = re.escape(Path(video).name)
    return {
        "truncated": (lambda base: truncate(base / video), rf"{name}: .*cut off"),
        "zero frames": (lambda base: (base / video).write_bytes(b""), rf"{name}: an empty file"),
        "wrong size": (
            lambda base: rewrite_video(base / video, frames, (24, 40)),
            rf"{name}: frames of shape \(24, 40, 3\)",
        ),
        "unknown codec": (lambda base: unknown_codec(base / video), rf"{name}: unknown codec"),
        "loop": (lambda base: loop(base / video), rf"{name}: cannot be read"),
    }


def clip_faults(clip: str, second: str) -> dict[str, Fault]:
    """Faults of a folder of 24 x 32 pictures in colour, likewise; `second` is the file of frame 2,
    or what is counted as such.
    """
    name, file = re.escape(Path(clip).name), re.escape(second)

    def empty(base: Path) -> None:
        for path in (base / clip).iterdir():
            path.unlink()

    return {
        "frame truncated": (lambda base: truncate(base / clip / second), rf"{file}: truncated"),
        "frames renumbered": (
            lambda base: (base / clip / second).rename(base / clip / second.replace("2", "9")),
            rf"{name}: frame 2 is missing",
        ),
        "frame of another size": (
            lambda base: cv2.imwrite(str(base / clip / second), np.zeros((24, 34, 3), np.uint8)),
            rf"{file}: shape \(24, 34, 3\), expected \(24, 32, 3\)",
        ),
        "clip without a frame": (empty, rf"{name}: empty clip"),
        "frame a loop": (
            lambda base: loop(base / clip / second),
            rf"{file}.*(cannot be read|a loop of links)",
        ),
    }
