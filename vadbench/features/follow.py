"""Streams made frame by frame, for videos that are watched: each frame's rows as soon as they can
be known.

Providers of boxes and extractors that have `follow` do so, and give what they give of the whole
clip to the bit. The others are asked for the whole clip, which then has to be a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vadbench.features.boxes.provider import Floats, Objects, Provider
from vadbench.features.extractors.extractor import Extractor, Vectors

if TYPE_CHECKING:
    from vadbench.features.footage import Footage

Image = NDArray[np.uint8]  # [H, W] grey or [H, W, 3] RGB
# frame by frame; so after a pass over an opening; after the clip
Pace = Literal["live", "opening", "clip"]


class FollowsBoxes(Protocol):
    """What a provider of boxes has that finds them frame by frame."""

    @property
    def needs_opening(self) -> bool:
        """Whether something is taken from many frames first, such as a still background."""

    def follow(self, frames: Iterator[Image], opening: Footage | None) -> Iterator[Floats]:
        """[n, 4] boxes of each frame in order, each as soon as it is known.

        Args:
            frames: of the clip, one after the other.
            opening: the frames that a background is taken from: the whole clip's, or its first.
        """


class FollowsObjects(Protocol):
    """What an extractor has that describes frame by frame."""

    @property
    def needs_opening(self) -> bool:
        """As of `FollowsBoxes`."""

    def follow(
        self, frames: Iterator[Image], boxes: Iterator[Floats], opening: Footage | None
    ) -> Iterator[Vectors]:
        """The rows of each frame in order, `of` counting the frame's objects from 0; of windows
        one row in the frame of their centre, with a frame's rows none or one.

        Args:
            frames: of the clip, one after the other.
            boxes: of each frame, read not before they are needed.
            opening: as of `FollowsBoxes`.
        """


@dataclass(frozen=True)
class FrameRows:
    """The rows of one frame.

    Attributes:
        x: [n, D] float32.
        box: [n, 4] of each row; None of windows.
        of: [n] which of the frame's objects each row describes.
    """

    x: Floats
    box: Floats | None
    of: NDArray[np.int64]


def pace_of(provider: Provider | None, extractor: Extractor) -> Pace:
    """When the rows of a frame are known."""
    used = [one for one in (provider, extractor) if one is not None]
    if not all(hasattr(one, "follow") for one in used):
        return "clip"
    return "opening" if any(getattr(one, "needs_opening", False) for one in used) else "live"


def pair_rows(vectors: Iterator[Vectors], boxes: Iterator[Floats] | None) -> Iterator[FrameRows]:
    """Each frame's rows with their boxes; None: of windows."""
    for rows in vectors:
        number = len(rows.x)
        of = np.arange(number) if rows.of is None else rows.of
        box = None if boxes is None else next(boxes)[of]
        yield FrameRows(rows.x, box, of)


def whole_boxes(provider: Provider, footage: Footage) -> Objects:
    """The objects of a whole clip."""
    from vadbench.features.extractors.optical_flow import one_opencv_thread

    with one_opencv_thread():
        return provider.objects(footage)


def whole_clip(
    extractor: Extractor, footage: Footage, find: Callable[[], Objects] | None
) -> Iterator[FrameRows]:
    """The rows of each frame, all made before the first is given.

    Args:
        extractor: that has no `follow`, or stands on boxes without one.
        footage: the clip.
        find: finds its objects; None: of an extractor of whole frames.
    """
    bare = [np.zeros((0, 4), np.float32)] * len(footage)
    objects = Objects(bare) if find is None else find()
    rows = extractor.extract(footage, objects, lambda frames: None)
    counts = [len(of_frame) for of_frame in objects.boxes]
    if find is None:
        of = np.arange(len(rows.x)) if rows.of is None else rows.of
        ends = np.searchsorted(of, np.arange(len(footage) + 1))
    else:
        of = np.arange(sum(counts)) if rows.of is None else rows.of
        ends = np.searchsorted(of, np.concatenate([[0], np.cumsum(counts)]))
    starts = np.concatenate([[0], np.cumsum(counts)])
    for frame, boxes in enumerate(objects.boxes):
        span = slice(ends[frame], ends[frame + 1])
        if find is None:
            yield FrameRows(rows.x[span], None, np.zeros(span.stop - span.start, np.int64))
        else:
            own = of[span] - starts[frame]
            yield FrameRows(rows.x[span], boxes[own], own)
