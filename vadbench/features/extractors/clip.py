"""Clip: frame-centric features, one vector for a window of frames around each frame.

Source: Micorek et al., MULDE (CVPR 2024), whose frame-centric features are Hiera-L's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from vadbench.detector import Nature
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.extractors.crops import resize
from vadbench.features.extractors.deep import unit_length
from vadbench.features.extractors.extractor import Advance, Vectors

if TYPE_CHECKING:
    from vadbench.features.extractors.backbones import Backbone
    from vadbench.features.footage import Footage

Frame = NDArray[np.uint8]
EFFICIENTNET = "efficientnet-lite0"
SIZE = 224  # of EfficientNet-Lite0's training pictures
BATCH = {EFFICIENTNET: 8, "hiera-l": 4, "r3d-18": 8}  # windows at a time: at most 40 MB of pictures


class ClipOptions(BaseModel):
    """Which frames make up a window and which frames have one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stride: PositiveInt = Field(
        1, description="frames from one window's centre to the next's; the first centre is frame 0"
    )
    sampling: PositiveInt = Field(
        1,
        description=(
            "hiera-l, r3d-18: frames from one of the window's 16 frames to the next; 4 spans two"
            " seconds"
        ),
    )
    normalise: bool = Field(False, description="divide each vector by its length")


class Clip:
    """One vector a window, describing the frame at its centre; frames beyond the clip's ends repeat
    its first or last frame.

    Variants: `efficientnet-lite0` (1280-d, works with no hub): the grey frames t - 2, t, t + 2 as
    the channels of one picture. Weak: an image network sees motion as coloured fringes and has no
    notion of time. It is there so that frame-centric methods run
    everywhere; `hiera-l` (1152-d, MULDE's) and `r3d-18` (512-d) see 16 frames, and need weights on
    disk and the extra `vision`.

    Whole frames are squashed to the network's square: a centre crop would not see what happens at
    the edges. Two threads: one decodes, one computes.
    """

    name: ClassVar[str] = "clip"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        EFFICIENTNET: "EfficientNet-Lite0 of three grey frames, 1280-d, from a package; weak",
        "hiera-l": "Hiera-L of 16 frames, 1152-d, MULDE's",
        "r3d-18": "R3D-18 of 16 frames, 512-d",
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = ClipOptions

    def __init__(self, variant: str, options: ClipOptions) -> None:
        self.variant = variant
        self.options = options

    @classmethod
    def resolve(cls, options: ClipOptions, variant: str, provider: str) -> dict[str, Any]:
        """The options that change what this variant gives, JSON-ready."""
        return options.model_dump(
            mode="json", exclude={"sampling"} if variant == EFFICIENTNET else set()
        )

    def files(self) -> tuple[NeededFile, ...]:
        """The weights."""
        from vadbench.features.extractors import backbones, efficientnet

        found = {
            EFFICIENTNET: efficientnet.file,
            "hiera-l": backbones.hiera_file,
            "r3d-18": backbones.r3d_file,
        }
        return (found[self.variant](),)

    @cached_property
    def backbone(self) -> Backbone:
        """The network, loaded on first use."""
        from vadbench.features.extractors import backbones

        if self.variant == EFFICIENTNET:
            return backbones.efficientnet_lite0(SIZE)
        path = self.files()[0].path
        return backbones.hiera_large(path) if self.variant == "hiera-l" else backbones.r3d_18(path)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The window's frames, counted from its centre."""
        from vadbench.features.extractors.backbones import FRAMES

        return (
            (-2, 0, 2)
            if self.variant == EFFICIENTNET
            else window_offsets(FRAMES, self.options.sampling)
        )

    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""
        return tuple(f"clip_{k}" for k in range(self.backbone.dim))

    def nature(self) -> Nature:
        """An embedding of windows."""
        return Nature(one_unit=True, embedding=True, windows=True, network=self.variant)

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row a window, in order, `of` its centre frame; memory holds a window and a few
        batches beside the rows.

        Raises:
            BadInput: on a clip or weights that cannot be used.
        """
        from vadbench.ahead import ahead

        network, stride = self.backbone, self.options.stride
        centres = np.arange(0, len(footage), stride, dtype=np.int64)
        x = np.empty((len(centres), network.dim), np.float32)
        row = 0
        for pictures in ahead(self._batches(footage, network.size)):
            end = row + len(pictures)
            x[row:end] = network(pictures)
            advance(min(stride * end, len(footage)) - stride * row)
            row = end
        return Vectors(unit_length(x) if self.options.normalise else x, centres)

    @property
    def needs_opening(self) -> bool:
        """False: a row describes its own window."""
        return False

    def follow(
        self, frames: Iterator[Frame], boxes: Iterator[Floats], opening: Footage | None
    ) -> Iterator[Vectors]:
        """The row of each window's centre once the window is there, of other frames no row; to the
        bit those of `extract` where a window's vector does not depend on the others of its batch.
        """
        from vadbench.features.footage import to_grey, to_rgb

        network, stride, count = self.backbone, self.options.stride, 0

        def counted() -> Iterator[Frame]:
            nonlocal count
            for frame in frames:
                count += 1
                yield to_grey(frame) if self.variant == EFFICIENTNET else to_rgb(frame)

        bare = Vectors(np.zeros((0, network.dim), np.float32))
        done = 0
        for number, pictures in enumerate(self._stack(counted(), network.size, 1)):
            row = network(pictures)
            yield from repeat(bare, number * stride - done)
            yield Vectors(unit_length(row) if self.options.normalise else row)
            done = number * stride + 1
        yield from repeat(bare, count - done)

    def _batches(self, footage: Footage, size: int) -> Iterator[Frame]:
        grey = self.variant == EFFICIENTNET
        frames = footage.grey() if grey else footage.rgb()
        return self._stack(frames, size, BATCH[self.variant])

    def _stack(self, frames: Iterable[Frame], size: int, most: int) -> Iterator[Frame]:
        """[B, S, S, 3] pictures of grey channels, or [B, 16, S, S, 3] RGB windows."""
        grey = self.variant == EFFICIENTNET
        shrunk = (resize(frame, size) for frame in frames)
        whole = windows(shrunk, self.offsets, self.options.stride)
        while some := list(islice(whole, most)):
            yield np.stack([np.stack(window, -1 if grey else 0) for window in some])


def window_offsets(frames: int, sampling: int) -> tuple[int, ...]:
    """Offsets of a window's frames from its centre: 16 frames of sampling 4 reach from -30 to 30,
    of sampling 1 from -8 to 7.
    """
    return tuple((2 * k - frames + 1) * sampling // 2 for k in range(frames))


def windows(
    frames: Iterable[Frame], offsets: tuple[int, ...], stride: int
) -> Iterator[list[Frame]]:
    """The window of every `stride`-th frame, from frame 0: the frames at these rising offsets from
    it, the first and last repeated beyond the ends.

    One pass, holding as many frames as a window spans.
    """
    before, after = max(-offsets[0], 0), max(offsets[-1], 0)
    span = before + after + 1
    held: deque[Frame] = deque(maxlen=span)
    for t, frame in enumerate(_repeat_ends(frames, before, after)):
        held.append(frame)
        centre = t + 1 - span
        if centre >= 0 and centre % stride == 0:
            yield [held[before + offset] for offset in offsets]


def _repeat_ends(frames: Iterable[Frame], before: int, after: int) -> Iterator[Frame]:
    """The frames, the first so many times more before them and the last after them."""
    source = iter(frames)
    for first in islice(source, 1):
        last = first
        yield from repeat(first, before + 1)
        for last in source:
            yield last
        yield from repeat(last, after)
