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
        import cv2

        for frame in self:
            yield (
                frame
                if frame.ndim == 2
                else np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
            )

    def rgb(self) -> Iterator[NDArray[np.uint8]]:
        """One pass in colour, [H, W, 3] each; a grey frame has three equal channels."""
        import cv2

        for frame in self:
            yield (
                frame
                if frame.ndim == 3
                else np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), np.uint8)
            )

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

    def _decode(self) -> Iterator[NDArray[np.uint8]]:
        video, shape, count = self.video, None, 0
        kept: list[NDArray[np.uint8]] | None = []
        for count, frame in enumerate(self.dataset.read(video), 1):
            shape = shape or frame.shape
            if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or frame.shape != shape:
                self._refuse(
                    f"gives frame {count} as {frame.dtype} {list(frame.shape)}, expected uint8 of"
                    f" shape {list(shape)} as the first"
                )
            if count > video.frames:
                self._refuse(f"decodes to more than its {video.frames} frames")
            if kept is not None:
                kept.append(frame)
                if count * frame.nbytes > self.held:
                    kept = None
            yield frame
        if count != video.frames:
            self._refuse(f"decodes to {count} frames, expected {video.frames}")
        self._kept = kept

    def _refuse(self, why: str) -> None:
        raise BadInput(
            f"{self.dataset.name}: {self.video.split} clip {self.video.name} {why};"
            f" {self.dataset.check_hint}"
        )
