"""Deep: what an object looks like, as a network's embedding of its crop.

Source: Reiss and Hoshen, Attribute-based Representations for Accurate and Interpretable Video
Anomaly Detection (2022; CLIP ViT-B/16, RGB here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors

if TYPE_CHECKING:
    from vadbench.features.extractors.backbones import Backbone
    from vadbench.features.footage import Footage

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
USES = {  # the options of each variant beside `normalise`
    "efficientnet-lite0": ("size",),
    "clip-vit-b16": (),
    "timm": ("model", "file"),
    "onnx": ("file", "size", "mean", "std"),
}
SIZES = {"efficientnet-lite0": 96, "onnx": 224}


class DeepOptions(BaseModel):
    """What the network sees and what becomes of its vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: PositiveInt | None = Field(
        None,
        description=(
            "width and height in pixels to which a crop is enlarged or shrunk; default 96 for"
            " efficientnet-lite0, 224 for onnx; the other variants have one size of their own"
        ),
    )
    normalise: bool = Field(False, description="divide each vector by its length")
    model: str = Field("", description="timm: which model, for example resnet50.a1_in1k")
    file: str = Field(
        "",
        description=(
            "timm, onnx: file below $VADBENCH_WEIGHTS, or a path; timm's default is"
            " <model>.safetensors"
        ),
    )
    mean: tuple[float, float, float] = Field(
        (0.485, 0.456, 0.406),
        description="onnx: mean of red, green, blue between 0 and 1 (ImageNet's)",
    )
    std: tuple[float, float, float] = Field(
        (0.229, 0.224, 0.225), description="onnx: deviation of red, green, blue (ImageNet's)"
    )


class Deep:
    """One embedding a box.

    Variants: `efficientnet-lite0` (1280-d, works with no hub), `clip-vit-b16` (open_clip, OpenAI's
    weights, 512-d, the papers'), `timm` (any of its backbones), `onnx` (any file). All but the
    first need weights on disk; clip-vit-b16 and timm the extra `vision`.

    A crop is padded to a square with the network's mean colour (see `square`), enlarged or shrunk
    to the network's size, in RGB; grey frames are replicated. Two threads: one decodes and crops,
    one computes.
    """

    name: ClassVar[str] = "deep"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        "efficientnet-lite0": "EfficientNet-Lite0, 1280-d, from a package",
        "clip-vit-b16": "CLIP's ViT-B/16, 512-d",
        "timm": "any backbone of timm (deep.model)",
        "onnx": "any ONNX file (deep.file)",
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = DeepOptions
    batch: ClassVar[int] = 32  # crops at a time, of one or several frames

    def __init__(self, variant: str, options: DeepOptions) -> None:
        self.variant = variant
        self.options = options

    @classmethod
    def resolve(cls, options: DeepOptions, variant: str, provider: str) -> dict[str, Any]:
        """The options that change what this variant gives, JSON-ready.

        Raises:
            BadInput: if a variant lacks the model or file it is about.
        """
        lacking = {"timm": "model", "onnx": "file"}.get(variant)
        if lacking and not getattr(options, lacking):
            raise BadInput(
                f"deep.{variant}: names no {lacking}; --set deep.{lacking}=…"
                f" ({DeepOptions.model_fields[lacking].description})"
            )
        values = options.model_dump(mode="json", include={"normalise", *USES[variant]})
        return {**values, "size": options.size or SIZES[variant]} if "size" in values else values

    def files(self) -> tuple[NeededFile, ...]:
        """The weights."""
        from vadbench.features.extractors import backbones, efficientnet
        from vadbench.features.weights import weights_file

        if self.variant == "timm":
            return (backbones.timm_file(self.options.model, self.options.file),)
        if self.variant == "onnx":
            return (weights_file(self.options.file, "deep.onnx", "where you exported it"),)
        return ((backbones.clip_file() if self.variant == "clip-vit-b16" else efficientnet.file()),)

    @cached_property
    def backbone(self) -> Backbone:
        """The network, loaded on first use."""
        from vadbench.features.extractors import backbones

        options, path = self.options, self.files()[0].path
        if self.variant == "clip-vit-b16":
            return backbones.clip_vit_b16(path)
        if self.variant == "timm":
            return backbones.timm_backbone(options.model, path)
        size = options.size or SIZES[self.variant]
        return (
            backbones.onnx_file(path, size, options.mean, options.std)
            if self.variant == "onnx"
            else backbones.efficientnet_lite0(size)
        )

    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""
        return tuple(f"deep_{k}" for k in range(self.backbone.dim))

    def nature(self) -> Nature:
        """An embedding; of a file of one's own the network is not known."""
        known = {"timm": self.options.model, "onnx": ""}
        return Nature(one_unit=True, embedding=True, network=known.get(self.variant, self.variant))

    @property
    def needs_opening(self) -> bool:
        """False: a row describes its own crop."""
        return False

    def follow(
        self, frames: Iterator[Picture], boxes: Iterator[Floats], opening: Footage | None
    ) -> Iterator[Vectors]:
        """The rows of each frame; to the bit those of `extract` where a picture's vector does not
        depend on the others of its batch.
        """
        network = self.backbone
        for frame in frames:
            x = np.zeros((0, network.dim), np.float32)
            here = [next(boxes)]
            for pictures, _ in batches(
                [frame], here, network.size, network.mean_colour, self.batch
            ):
                x = np.concatenate([x, network(pictures)]) if len(pictures) else x
            yield Vectors(unit_length(x) if self.options.normalise else x)

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row an object, in order; memory holds a few batches of crops beside the rows.

        Raises:
            BadInput: on a clip or weights that cannot be used.
        """
        from vadbench.features.ahead import ahead

        network = self.backbone
        x = np.empty((sum(map(len, objects.boxes)), network.dim), np.float32)
        row = 0
        for pictures, frames in ahead(
            batches(footage, objects.boxes, network.size, network.mean_colour, self.batch)
        ):
            x[row : row + len(pictures)] = network(pictures)
            row += len(pictures)
            advance(frames)
        return Vectors(unit_length(x) if self.options.normalise else x)


def batches(
    frames: Iterable[Picture],
    boxes: list[Floats],
    size: int,
    colour: tuple[int, int, int],
    most: int,
) -> Iterator[tuple[Picture, int]]:
    """Crops [at most `most`, size, size, 3] of all frames' boxes, frame by frame, each with how
    many more frames are done with it.
    """
    waiting: list[Picture] = []
    done = 0
    for frame, of_frame in zip(frames, boxes, strict=True):
        for box in of_frame:
            waiting.append(resize(square(frame, box, colour), size))
            if len(waiting) == most:
                yield np.stack(waiting), done
                waiting, done = [], 0
        done += 1
    yield np.stack(waiting) if waiting else np.zeros((0, size, size, 3), np.uint8), done


def square(frame: Picture, box: Floats, colour: tuple[int, int, int]) -> Picture:
    """[L, L, 3] RGB: the box, widened to whole pixels, in the middle of a square as wide as its
    longer side.

    What the box does not fill, or lies outside the frame, is `colour`: the network's mean, which is
    0 once normalised, as is the padding that a convolution puts beyond a picture's border. Not the
    scene around the box, because a row is to describe its own object: a cyclist would make the
    walker beside it anomalous. Not the box stretched, because that changes a body's proportions.
    """
    import cv2

    x0, y0 = np.floor(box[:2]).astype(np.int64).tolist()
    x1, y1 = np.ceil(box[2:]).astype(np.int64).tolist()
    width, height = max(x1 - x0, 1), max(y1 - y0, 1)
    side = max(width, height)
    out = np.full((side, side, 3), colour, np.uint8)
    # from the frame's pixels to the square's
    left, top = (side - width) // 2 - x0, (side - height) // 2 - y0
    inside = frame[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if inside.size:
        rows, columns = inside.shape[:2]
        down, right = max(y0, 0) + top, max(x0, 0) + left
        out[down : down + rows, right : right + columns] = (
            inside if inside.ndim == 3 else cv2.cvtColor(inside, cv2.COLOR_GRAY2RGB)
        )
    return out


def resize(picture: Picture, size: int) -> Picture:
    """The picture squashed to [size, size] or [size, size, 3]: area means where it shrinks, cubic
    where it grows.
    """
    import cv2

    shrinks = max(picture.shape[:2]) > size
    return np.asarray(
        cv2.resize(
            picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        ),
        np.uint8,
    )


def unit_length(x: Floats) -> Floats:
    """Each row divided by its length; a row of zeros stays."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1), np.float32)
