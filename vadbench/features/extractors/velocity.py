"""Velocity: optical flow statistics of each box, as AccI-VAD's orientation histogram or as six
plain numbers.

Source: Reiss and Hoshen, Attribute-based Representations for Accurate and Interpretable Video
Anomaly Detection (2022), for `hof`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from vadbench.detector import Nature
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors

if TYPE_CHECKING:
    from vadbench.features.footage import Footage

Corners = NDArray[np.int64]  # [n, 4] whole pixels x0, y0, x1, y1 inside the frame
BINS = {"hof1": 1, "hof8": 8}


class VelocityOptions(BaseModel):
    """How flow is computed and over which pixels of a box it is summed up."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flow: Literal["ultrafast", "fast", "medium", "farneback", "raft"] = Field(
        "fast",
        description=(
            "preset of OpenCV's DIS, Farneback, or RAFT (torchvision's large network, weights on"
            " disk)"
        ),
    )
    enlarge_below: NonNegativeInt = Field(
        400,
        description="frames narrower than this many pixels are enlarged x2 before flow; 0 = never",
    )
    pixels: Literal["auto", "all", "foreground"] = Field(
        "auto",
        description=(
            "pixels of a box that `stats` looks at: all, or those that differ from the clip's"
            " median background (all where none does), so that the still pixels of a loose box do"
            " not dilute its motion; auto = foreground in boxes of objects, all in the grid's cells"
        ),
    )
    threshold: NonNegativeInt = Field(
        20, description="grey levels by which a foreground pixel differs from the background"
    )
    samples: PositiveInt = Field(200, description="frames of which the background is the median")


class Velocity:
    """Flow from frame t - 1 to t in each box of frame t, in pixels a frame; the first frame borrows
    the next pair.

    Variants: `stats`: mean and 90th percentile of |u| + |v|, mean |u|, mean |v|, width and height
    of the box (6-d). `hof<B>`: B orientation bins of 360 / B degrees from 0, each the mean over the
    whole box of |u| + |v| of the pixels in that bin.

    >>> Velocity("stats", VelocityOptions(flow="fast")).columns()[:2]
    ('mean_l1', 'p90_l1')
    """

    name: ClassVar[str] = "velocity"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        "stats": "statistics of the flow, and the box's size, 6-d",
        "hof1": "mean magnitude of the flow, 1-d",
        "hof8": "histogram of the flow in 8 directions",
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = VelocityOptions

    def __init__(self, variant: str, options: VelocityOptions) -> None:
        self.variant = variant
        self.options = options

    @classmethod
    def resolve(cls, options: VelocityOptions, variant: str, provider: str) -> dict[str, Any]:
        """The options that change what this variant gives on these boxes, JSON-ready, nothing left
        to be decided.
        """
        values = options.model_dump(mode="json")
        if values["pixels"] == "auto":
            values["pixels"] = "all" if provider == "grid" else "foreground"
        if variant != "stats":
            del values["pixels"]
        if values.get("pixels") != "foreground":
            del values["threshold"], values["samples"]
        return values

    def columns(self) -> tuple[str, ...]:
        """Names of the feature's columns, in pixels a frame, or pixels for the box."""
        if self.variant == "stats":
            return ("mean_l1", "p90_l1", "mean_abs_u", "mean_abs_v", "box_width", "box_height")
        return tuple(f"hof_{k}" for k in range(BINS[self.variant]))

    def nature(self) -> Nature:
        """Speeds beside the box's size in `stats`. The bins of `hof` share a unit, not a scale."""
        if self.variant == "stats":
            return Nature(speeds=(0, 1, 2, 3), motion=(0, 1, 2, 3))
        return Nature(motion=tuple(range(BINS[self.variant])))

    def files(self) -> tuple[NeededFile, ...]:
        """RAFT's weights; flow by OpenCV has none."""
        from vadbench.features.extractors import raft

        return (raft.file(),) if self.options.flow == "raft" else ()

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row an object, frame by frame.

        Raises:
            BadInput: on a clip of one frame, which has no flow.
        """
        from vadbench.features.boxes.foreground import differs
        from vadbench.features.extractors.optical_flow import Flow, over_pairs

        footage.require(2, "optical flow")
        still = self._background(footage)
        solve = Flow(self.options.flow, self.options.enlarge_below)

        def pair(t: int, previous: NDArray[np.uint8], current: NDArray[np.uint8]) -> list[Floats]:
            flow = solve(previous, current)
            described = {0: previous, 1: current} if t == 1 else {t: current}
            masks = [
                None if still is None else differs(image, still, self.options.threshold)
                for image in described.values()
            ]
            return [
                self.describe(flow, objects.boxes[i], mask)
                for i, mask in zip(described, masks, strict=True)
            ]

        rows: list[Floats] = []
        for of_pair in over_pairs(
            pair, footage.grey(), threads=1 if self.options.flow == "raft" else None
        ):
            rows += of_pair
            advance(len(of_pair))
        return Vectors(np.concatenate(rows))

    @property
    def needs_opening(self) -> bool:
        """Whether a background tells which pixels of a box are looked at."""
        return self.variant == "stats" and self.options.pixels != "all"

    def follow(
        self,
        frames: Iterator[NDArray[np.uint8]],
        boxes: Iterator[Floats],
        opening: Footage | None,
    ) -> Iterator[Vectors]:
        """The rows of each frame, as `extract` gives them where the opening is the clip; the first
        frame's once the second is there.

        Raises:
            BadInput: on a clip of one frame, which has no flow.
        """
        from vadbench.errors import BadInput
        from vadbench.features.boxes.foreground import differs
        from vadbench.features.extractors.optical_flow import Flow, one_opencv_thread
        from vadbench.features.footage import to_grey

        still = self._background(opening) if opening is not None else None
        solve = Flow(self.options.flow, self.options.enlarge_below)
        greys, flow = map(to_grey, frames), None
        previous = next(greys)
        for current in greys:
            with one_opencv_thread():
                first, flow = flow is None, solve(previous, current)
            for image in (previous, current) if first else (current,):
                mask = None if still is None else differs(image, still, self.options.threshold)
                yield Vectors(self.describe(flow, next(boxes), mask))
            previous = current
        if flow is None:
            raise BadInput("a clip of one frame; optical flow needs two")

    def _background(self, footage: Footage) -> NDArray[np.uint8] | None:
        """[H, W] of a clip; None where all pixels of a box are looked at."""
        from vadbench.features.boxes.foreground import background_of

        return background_of(footage, self.options.samples) if self.needs_opening else None

    def describe(
        self, flow: Floats, boxes: Floats, mask: NDArray[np.bool_] | None = None
    ) -> Floats:
        """[n, D] features of the boxes [n, 4] under a flow [H, W, 2]; `mask` [H, W] limits `stats`
        to some pixels.
        """
        if self.variant == "stats":
            return stats(flow, boxes, mask)
        return hof(flow, boxes, BINS[self.variant])


def stats(flow: Floats, boxes: Floats, mask: NDArray[np.bool_] | None = None) -> Floats:
    """[n, 6] mean and 90th percentile of |u| + |v|, mean |u|, mean |v|, box width, box height.

    Args:
        flow: [H, W, 2] pixels a frame.
        boxes: [n, 4] pixels; they may overrun the frame.
        mask: [H, W] pixels to look at, or None for all; a box without any is looked at as a whole.

    >>> flow = np.ones((4, 6, 2), np.float32)  # one pixel a frame to the right, one down
    >>> stats(flow, np.float32([[0, 0, 3, 4]])).tolist()
    [[2.0, 2.0, 1.0, 1.0, 3.0, 4.0]]
    """
    u, v = np.abs(flow[..., 0]), np.abs(flow[..., 1])
    corners = whole_pixels(boxes, *u.shape)
    weight = np.ones(u.shape, bool) if mask is None else mask
    number = np.rint(box_sums(weight, corners)).astype(np.int64)
    bare = number == 0
    means = []
    for image in (u, v):
        inside = box_sums(image * weight, corners) / np.maximum(number, 1)
        means.append(
            np.where(bare, box_sums(image, corners) / _areas(corners), inside)
            if bare.any()
            else inside
        )
    high = _percentile_90(u + v, corners, weight)
    size = boxes[:, 2:] - boxes[:, :2]
    return np.column_stack([means[0] + means[1], high, *means, size]).astype(np.float32)


def hof(flow: Floats, boxes: Floats, bins: int) -> Floats:
    """[n, bins]: for each orientation, the mean over the whole box of |u| + |v| of the pixels that
    move that way.

    Bin k holds angles atan2(v, u) from k to k + 1 times 360 / bins degrees; v points down, so
    angles turn clockwise on screen.
    """
    u, v = flow[..., 0], flow[..., 1]
    magnitude = np.abs(u) + np.abs(v)
    corners = whole_pixels(boxes, *u.shape)
    if bins == 1:
        return (box_sums(magnitude, corners) / _areas(corners))[:, None].astype(np.float32)
    turn = np.arctan2(v, u) * np.float32(bins / (2 * np.pi))
    # the margin keeps exact diagonals out of rounding's hands
    bin_of = np.floor(turn + np.float32(1e-5)).astype(np.int64) % bins
    sums = [box_sums(np.where(bin_of == k, magnitude, np.float32(0)), corners) for k in range(bins)]
    return (np.stack(sums, 1) / _areas(corners)[:, None]).astype(np.float32)


def whole_pixels(boxes: Floats, height: int, width: int) -> Corners:
    """[n, 4] the boxes widened to whole pixels and cut to the frame; at least one pixel each."""
    low = np.floor(boxes[:, :2]).astype(np.int64).clip(0, (width - 1, height - 1))
    high = np.ceil(boxes[:, 2:]).astype(np.int64).clip(low + 1, (width, height))
    return np.concatenate([low, high], 1)


def box_sums(image: NDArray[Any], corners: Corners) -> NDArray[np.float64]:
    """[n] sum of a non-negative image [H, W] over each box, by an integral image; cut at 0, which
    rounding can miss.
    """
    import cv2

    sums = cv2.integral(image.astype(np.uint8) if image.dtype == bool else image, sdepth=cv2.CV_64F)
    x0, y0, x1, y1 = corners.T
    return np.asarray(
        np.maximum(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0], 0.0), np.float64
    )


def _areas(corners: Corners) -> NDArray[np.int64]:
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])


def _percentile_90(
    image: Floats, corners: Corners, weight: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """[n] over each box's weighted pixels, the smallest value that at least 90 % of them do not
    exceed; over all pixels where none has weight.
    """
    if not len(corners):
        return np.zeros(0, np.float32)
    full = bool(weight.all())
    height, width = corners[0, 3] - corners[0, 1], corners[0, 2] - corners[0, 0]
    # boxes of one size at once
    if full and (corners[:, 2:] - corners[:, :2] == (width, height)).all():
        cells = sliding_window_view(image, (height, width))[corners[:, 1], corners[:, 0]].reshape(
            len(corners), -1
        )
        rank = _rank(cells.shape[1])
        return np.asarray(np.partition(cells, rank, axis=1)[:, rank], np.float32)
    high = np.empty(len(corners), np.float32)
    for k, (x0, y0, x1, y1) in enumerate(corners):
        pixels, inside = image[y0:y1, x0:x1], weight[y0:y1, x0:x1]
        values = pixels.ravel() if full or not inside.any() else pixels[inside]
        rank = _rank(len(values))
        high[k] = np.partition(values, rank)[rank]
    return high


def _rank(number: int) -> int:
    """Index, from 0, of the 90th percentile among `number` sorted values."""
    return -(-9 * number // 10) - 1
