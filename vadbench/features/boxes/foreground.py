"""Objects as what differs from a clip's still background: boxes without weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from vadbench.features.boxes.provider import NeededFile, Objects

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage

# height and width of the frames that sizes in pixels are stated for; other frames scale them
REFERENCE = (240, 360)
PIXELS = 2**14  # at a time, so that what is computed of them stays small


class ForegroundOptions(BaseModel):
    """Sizes are pixels of a 240 x 360 frame and scale with the frame.

    Defaults are ours: a person of that frame is some 24 x 40 pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    samples: PositiveInt = Field(
        200, description="frames, evenly spaced, of which the background is the median"
    )
    threshold: NonNegativeInt = Field(
        20, description="grey levels by which a pixel of an object differs from the background"
    )
    closing_width: PositiveInt = Field(
        3,
        description=(
            "width of the closing kernel; people are higher than wide, and so is the kernel"
        ),
    )
    closing_height: PositiveInt = Field(5, description="height of the closing kernel")
    min_area: PositiveFloat = Field(
        120.0, description="least number of foreground pixels of an object"
    )
    min_height: PositiveFloat = Field(14.0, description="least height of an object")
    max_aspect: PositiveFloat = Field(
        10.0, description="sides of an object differ by less than this factor"
    )
    tile_width: PositiveFloat = Field(
        24.0, description="width of a person; wider components are split"
    )
    tile_height: PositiveFloat = Field(
        40.0, description="height of a person; higher components are split"
    )
    covered: NonNegativeFloat = Field(
        0.6,
        description="boxes of which more than this share lies in a larger one are dropped",
        le=1.0,
    )


class Foreground:
    """|frame - median background| > threshold, closed, in connected components; those larger than a
    person are split into tiles.

    The background is the median of the whole clip: not causal.

    >>> mask = np.zeros((240, 360), bool)
    >>> mask[100:140, 50:70] = True
    >>> Foreground(ForegroundOptions()).components(mask).tolist()
    [[50.0, 100.0, 70.0, 140.0]]
    """

    name: ClassVar[str] = "foreground"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    labelled: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = ForegroundOptions

    def __init__(
        self, options: ForegroundOptions, dataset: Dataset | None = None, label: str = ""
    ) -> None:
        self.options = options

    def files(self) -> tuple[NeededFile, ...]:
        """None: it looks at the frames alone."""
        return ()

    def objects(self, footage: Footage) -> Objects:
        """The components of every frame; two passes, one for the background."""
        still = background_of(footage, self.options.samples)
        return Objects(
            [
                self.components(differs(frame, still, self.options.threshold))
                for frame in footage.grey()
            ]
        )

    @property
    def needs_opening(self) -> bool:
        """True: the background is the median of many frames."""
        return True

    def follow(
        self, frames: Iterator[NDArray[np.uint8]], opening: Footage | None
    ) -> Iterator[NDArray[np.float32]]:
        """The components of each frame, as `objects` finds them where the opening is the clip."""
        from vadbench.features.footage import to_grey

        assert opening is not None
        still = background_of(opening, self.options.samples)
        for frame in frames:
            yield self.components(differs(to_grey(frame), still, self.options.threshold))

    def components(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """[n, 4] boxes of the objects of one foreground mask [H, W]."""
        import cv2

        options = self.options
        down, right = mask.shape[0] / REFERENCE[0], mask.shape[1] / REFERENCE[1]
        kernel = np.ones(
            (_odd(options.closing_height * down), _odd(options.closing_width * right)), np.uint8
        )
        closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        least_area, least_height = options.min_area * down * right, options.min_height * down
        found: list[tuple[int, int, int, int]] = []
        for component in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[component])
            aspect = max(width / height, height / width)
            if area < least_area or height < least_height or aspect >= options.max_aspect:
                continue
            pixels = labels[y : y + height, x : x + width] == component
            tiles = [
                tile
                for tile in self._tiles(pixels, down, right)
                if tile[4] >= least_area and tile[3] - tile[1] >= least_height
            ]
            found += [
                (x + x0, y + y0, x + x1, y + y1)
                for x0, y0, x1, y1, _ in tiles or [(0, 0, width, height, area)]
            ]
        return drop_covered(np.array(found, np.float32).reshape(-1, 4), options.covered)

    def _tiles(
        self, pixels: NDArray[np.bool_], down: float, right: float
    ) -> list[tuple[int, int, int, int, int]]:
        """x0, y0, x1, y1 and number of pixels of each person-sized part of a component, shrunk to
        the pixels it holds.
        """
        rows = _cuts(pixels.shape[0], self.options.tile_height * down)
        columns = _cuts(pixels.shape[1], self.options.tile_width * right)
        tiles = []
        for top, bottom in pairwise(rows):
            for left, end in pairwise(columns):
                part = pixels[top:bottom, left:end]
                if not part.any():
                    continue
                ys, xs = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
                tiles.append(
                    (
                        left + int(xs[0]),
                        top + int(ys[0]),
                        left + int(xs[-1]) + 1,
                        top + int(ys[-1]) + 1,
                        int(part.sum()),
                    )
                )
        return tiles


def background_of(footage: Footage, samples: int) -> NDArray[np.uint8]:
    """[H, W] median over at most so many frames of a clip; one pass, the first time it is asked
    for.
    """
    if samples not in footage.stills:
        footage.stills[samples] = background(footage.sample(samples))
    return footage.stills[samples]


def background(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W] median over the frames [T, H, W]; the lower of two medians, so that it is a grey
    level.
    """
    flat = frames.reshape(len(frames), -1)
    parts = [_lower_median(flat[:, k : k + PIXELS]) for k in range(0, flat.shape[1], PIXELS)]
    return np.concatenate(parts).reshape(frames.shape[1:])


def _lower_median(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[P] of the values [T, P], bit by bit: the median is at least m if at most half lie below m.
    Four times as fast as a selection.
    """
    middle = (len(values) - 1) // 2
    counts = np.uint8 if len(values) < 256 else np.uint32
    median = np.zeros(values.shape[1], np.uint8)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        higher = median + np.uint8(bit)
        below = np.add.reduce((values < higher).view(np.uint8), axis=0, dtype=counts)
        median = np.where(below <= middle, higher, median)
    return median


def differs(
    frame: NDArray[np.uint8], still: NDArray[np.uint8], threshold: int
) -> NDArray[np.bool_]:
    """[H, W]: where the frame is more than `threshold` grey levels from the background."""
    return np.maximum(frame, still) - np.minimum(frame, still) > threshold


def drop_covered(boxes: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The boxes [n, 4] without those of which more than `share` lies in one larger box (among
    equals the first stays).

    >>> drop_covered(np.float32([[0, 0, 10, 10], [2, 2, 6, 6]]), 0.6).tolist()
    [[0.0, 0.0, 10.0, 10.0]]
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.maximum(high - low, 0).prod(2)  # [n, n]
    order = np.arange(len(boxes))
    larger = (area[None] > area[:, None]) | (
        (area[None] == area[:, None]) & (order[None] < order[:, None])
    )
    covered: NDArray[np.bool_] = ((common > share * area[:, None]) & larger).any(1)
    return boxes[~covered]


def _cuts(length: int, tile: float) -> list[int]:
    """Ends of the parts of a side: as many equal parts as tiles fit best."""
    parts = max(1, round(length / tile))
    return [round(length * k / parts) for k in range(parts + 1)]


def _odd(size: float) -> int:
    """The nearest odd number of pixels, at least 1."""
    return 2 * max(0, round((size - 1) / 2)) + 1
