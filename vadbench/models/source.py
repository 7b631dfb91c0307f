"""What is watched: a video file, a folder of pictures, or a camera, as frames with their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.datasets.folders import count_frames as count_pictures
from vadbench.datasets.folders import iterate_clip
from vadbench.datasets.video import count_frames, iterate_live, iterate_timed
from vadbench.errors import BadInput

Frame = NDArray[np.uint8]  # [H, W] grey or [H, W, 3] RGB


@dataclass(frozen=True)
class Timed:
    """A frame, its number from 0, and its seconds from the video's begin; None: not said."""

    number: int
    time: float | None
    image: Frame


class Nothing(Dataset):
    """A data set without a video: what providers of boxes are made with where there is no data
    set.
    """

    name = "watched"
    title = citation = licence = how_to_get = ""
    revision = "0"

    def __init__(self) -> None:
        super().__init__(Path())

    @property
    def check_hint(self) -> str:
        """What helps."""
        return "copy the video again"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """None."""
        return ()

    def read(self, video: Video) -> Iterator[Frame]:
        """None."""
        return iter(())

    def labels(self) -> Labels:
        """None."""
        return Labels("none", "none", {})

    def check(self) -> list[Check]:
        """Nothing to check."""
        return []


class Source(Nothing):
    """A video file, or a folder of pictures: read from its begin as often as needed.

    Args:
        path: where it is.
        fps: frames a second of a folder of pictures; None: they have no times.
    """

    live = False

    def __init__(self, path: Path, fps: float | None = None) -> None:
        super().__init__()
        self.where = path
        self.place = str(path)
        self.fps = fps

    @property
    def video(self) -> Video:
        """The clip, its frames counted by decoding it once.

        Raises:
            BadInput: if it cannot be read.
        """
        count = count_pictures(self.where) if self.where.is_dir() else count_frames(self.where)
        return Video(self.where.stem, "test", count)

    def read(self, video: Video) -> Iterator[Frame]:
        """The frames, as the data set `folder` reads them."""
        return (one.image for one in self.pictures())

    def pictures(self) -> Iterator[Timed]:
        """One pass.

        Raises:
            BadInput: while iterating, as `iterate_video` and `iterate_clip`.
        """
        if not self.where.is_dir():
            for number, (time, image) in enumerate(iterate_timed(self.where)):
                yield Timed(number, time, image)
            return
        for number, image in enumerate(iterate_clip(self.where)):
            yield Timed(number, None if self.fps is None else number / self.fps, image)


class Camera(Nothing):
    """A camera or a network's stream (`rtsp://…`, `/dev/video0`): read once, as it comes.

    Args:
        url: what FFmpeg opens.
    """

    live = True

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = self.place = url

    def pictures(self) -> Iterator[Timed]:
        """The frames until the stream ends.

        Raises:
            BadInput: while iterating, if it cannot be opened, or breaks off.
        """
        for number, (time, image) in enumerate(iterate_live(self.url)):
            yield Timed(number, time, image)


def open_source(text: str | Path, fps: float | None = None) -> Source | Camera:
    """What a text names.

    Raises:
        BadInput: if there is nothing.
    """
    path = Path(text)
    if "://" in str(text) or str(text).startswith("/dev/video"):
        return Camera(str(text))
    if not path.exists():
        raise BadInput(
            f"{path}: no such file or folder; expected a video, a folder of numbered pictures, or"
            " the address of a camera (rtsp://…)"
        )
    return Source(path, fps)
