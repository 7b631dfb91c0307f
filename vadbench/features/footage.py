"""Footage: the frames of one clip, pass after pass, in bounded memory whatever the clip's
length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset, Video
from vadbench.errors import BadInput

# bytes: a clip of up to this size is decoded once and held, a longer one is decoded anew in each
# pass
HELD = 256 * 2**20


class Footage:
    """Iterating gives the clip's frames, [H, W] grey or [H, W, 3] RGB uint8, checked against its
    frame count; every iteration is a pass.

    Attributes:
        video: the clip.
        held: bytes of frames that are kept between passes.
        stills: number of samples -> the clip's still background, once it was computed.
    """

    def __init__(self, dataset: Dataset, video: Video, held: int = HELD) -> None:
        self.dataset = dataset
        self.video = video
        self.held = held
        self.stills: dict[int, NDArray[np.uint8]] = {}
        self._kept: list[NDArray[np.uint8]] | None = None
        self._luma: list[NDArray[np.uint8]] | None = None

    @classmethod
    def of_frames(cls, dataset: Dataset, video: Video, frames: list[NDArray[np.uint8]]) -> Footage:
        """A clip of frames that are in memory."""
        footage = cls(dataset, video)
        footage._kept = frames
        return footage

    def __len__(self) -> int:
        return self.video.frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """One pass.

        Raises:
            BadInput: on a frame that cannot be read, of another type or shape than the first, or if
                there are more or fewer than expected.
        """
        return iter(self._kept) if self._kept is not None else self._decode()

    def grey(self) -> Iterator[NDArray[np.uint8]]:
        """One pass in luma, [H, W] each."""
        if self._kept is None and self._luma is not None:
            yield from self._luma
            return
        for frame in self._decode(luma=True) if self._kept is None else self._kept:
            yield to_grey(frame)

    def rgb(self) -> Iterator[NDArray[np.uint8]]:
        """One pass in colour, [H, W, 3] each; a grey frame has three equal channels."""
        for frame in self:
            yield to_rgb(frame)

    def sample(self, most: int) -> NDArray[np.uint8]:
        """[n, H, W] luma of at most `most` evenly spaced frames, the first and the last among them;
        one pass.
        """
        wanted = set(
            np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int).tolist()
        )
        return np.stack([frame for t, frame in enumerate(self.grey()) if t in wanted])

    def require(self, frames: int, what: str) -> None:
        """Refuse a clip of fewer frames than `what` needs.

        Raises:
            BadInput: if it is shorter.
        """
        if len(self) < frames:
            raise BadInput(
                f"{self.video.split} clip {self.video.name}: has {len(self)} frame; {what} needs"
                f" {'two' if frames == 2 else frames}"
            )

    def _decode(self, luma: bool = False) -> Iterator[NDArray[np.uint8]]:
        """One pass over the file; what fits is kept for the next, in colour or else in luma where
        that is what is asked for.
        """
        video, shape, count = self.video, None, 0
        kept = _Kept(self.held, luma)
        for count, frame in enumerate(self.dataset.read(video), 1):
            shape = shape or frame.shape
            if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or frame.shape != shape:
                self._refuse(
                    f"gives frame {count} as {frame.dtype} {list(frame.shape)}, expected uint8 of"
                    f" shape {list(shape)} as the first"
                )
            if count > video.frames:
                self._refuse(f"decodes to more than its {video.frames} frames")
            kept.add(frame)
            yield frame
        if count != video.frames:
            self._refuse(f"decodes to {count} frames, expected {video.frames}")
        if kept.luma:
            self._luma = kept.frames
        else:
            self._kept = kept.frames

    def _refuse(self, why: str) -> None:
        raise BadInput(
            f"{self.dataset.name}: {self.video.split} clip {self.video.name} {why};"
            f" {self.dataset.check_hint}"
        )


class _Kept:
    """The frames of a pass that fit into so many bytes: as they are, or in luma where colours do
    not fit and luma will do; none where that is too much as well.
    """

    def __init__(self, held: int, luma_will_do: bool) -> None:
        self.held = held
        self.luma_will_do = luma_will_do
        self.luma = False
        self.frames: list[NDArray[np.uint8]] | None = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Keep one more."""
        if self.frames is None:
            return
        self.frames.append(to_grey(frame) if self.luma else frame)
        if self._full() and self.luma_will_do and not self.luma:
            self.luma = True
            self.frames = [to_grey(one) for one in self.frames]
        if self._full():
            self.frames = None

    def _full(self) -> bool:
        return self.frames is not None and len(self.frames) * self.frames[0].nbytes > self.held


def to_grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W] luma of a grey frame or of RGB."""
    import cv2

    if frame.ndim == 2:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def to_rgb(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 3] of RGB, or of a grey frame with three equal channels."""
    import cv2

    if frame.ndim == 3:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), np.uint8)
