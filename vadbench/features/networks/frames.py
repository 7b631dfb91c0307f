"""Frames for random access: one pass over the training videos writes them at the network's size
into a memory map.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.footage import Footage
from vadbench.features.progress import Frames
from vadbench.features.store import explain_disk_errors

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameMap:
    """The frames of several videos, one after the other.

    Attributes:
        frames: [F, h, w] grey or [F, h, w, 3] RGB uint8, memory-mapped.
        lengths: frames of each video.
    """

    frames: Image
    lengths: tuple[int, ...]

    @property
    def firsts(self) -> tuple[int, ...]:
        """The first frame of each video, as a row of `frames`.

        >>> FrameMap(np.zeros((5, 4, 4), np.uint8), (2, 3)).firsts
        (0, 2)
        """
        return tuple(int(first) for first in np.cumsum((0, *self.lengths[:-1])))


def resize_frame(frame: Image, size: tuple[int, int]) -> Image:
    """A frame [H, W] or [H, W, 3] at (height, width), area means where it shrinks."""
    import cv2

    if frame.shape[:2] == tuple(size):
        return frame
    return np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def read_frames(footage: Footage, size: tuple[int, int], colour: bool) -> Iterator[Image]:
    """One pass over a clip at (height, width), [h, w] in luma or [h, w, 3] in colour."""
    frames = footage.rgb() if colour else footage.grey()
    return (resize_frame(frame, size) for frame in frames)


def map_frames(
    videos: Sequence[Footage],
    size: tuple[int, int],
    colour: bool,
    path: Path,
    what: str,
    quiet: bool,
) -> FrameMap:
    """Write the videos' frames to `path` and map them; an older file is taken if it is whole.

    Args:
        videos: whose frames.
        size: (height, width) of the network's input.
        colour: RGB, else luma.
        path: where they go, about `frames * height * width` bytes, three times as many in colour.
        what: the network, for the progress.
        quiet: no progress.

    Raises:
        BadInput: if the disk has no room for them, before anything is written, or a clip cannot be
            read.
    """
    lengths = tuple(len(video) for video in videos)
    shape = (sum(lengths), *size, *((3,) if colour else ()))
    whole = int(np.prod(shape))
    if not path.is_file() or path.stat().st_size != whole:
        _require_room(path, whole, shape)
        _write(videos, size, colour, path, what, quiet)
    return FrameMap(np.memmap(path, np.uint8, "r", shape=shape), lengths)


def _require_room(path: Path, whole: int, shape: tuple[int, ...]) -> None:
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if whole > free:
        raise BadInput(
            f"{path.parent}: {free / 2**30:.1f} GiB free; the {shape[0]} training frames at"
            f" {shape[1]} x {shape[2]} take {whole / 2**30:.1f} GiB; free some space, or set"
            " VADBENCH_CACHE to another disk"
        )


def _write(
    videos: Sequence[Footage],
    size: tuple[int, int],
    colour: bool,
    path: Path,
    what: str,
    quiet: bool,
) -> None:
    """Through write(): a full disk raises, where a memory map would kill the process."""
    frames = sum(len(video) for video in videos)
    bytes_a_frame = size[0] * size[1] * (3 if colour else 1)
    aside = path.with_suffix(".writing")
    with Frames(f"{what}: frames at {size[0]} x {size[1]}", frames, quiet) as progress:
        progress.say(f"{what}: {frames * bytes_a_frame / 2**20:.1f} MiB of frames are written")
        with explain_disk_errors(path), aside.open("wb") as file:
            for video in videos:
                for frame in read_frames(video, size, colour):
                    file.write(np.ascontiguousarray(frame).data)
                progress.advance(len(video))
    aside.replace(path)
