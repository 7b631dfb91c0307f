"""Deep: what an object looks like, as a network's embedding of its crop.

Source: Reiss and Hoshen, Attribute-based Representations for Accurate and Interpretable Video
Anomaly Detection (2022; CLIP ViT-B/16, RGB here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile, Objects
from vadbench.features.extractors.crops import CROPS, batches
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
    crop: Literal["pad", "stretch", "context"] = Field(
        "pad",
        description=(
            "how a box becomes a square; pad: the mean colour beside it; stretch: its proportions"
            " are lost, as in AccI-VAD's code; context: the scene around it"
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

    A crop is made a square (`crop`; by default padded with the network's mean colour), enlarged or
    shrunk to the network's size, in RGB; grey frames are replicated. Two threads: one decodes and
    crops, one computes.
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
    def preset(cls, name: str, dataset: str) -> dict[str, Any]:
        """`paper`: crops as AccI-VAD's code makes them."""
        return {"crop": "stretch"} if name == "paper" else {}

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
        if options.crop != "pad":  # of streams made before there was a choice, nothing is said
            values["crop"] = options.crop
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
            for pictures, _ in self._batches([frame], here):
                x = np.concatenate([x, network(pictures)]) if len(pictures) else x
            yield Vectors(unit_length(x) if self.options.normalise else x)

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row an object, in order; memory holds a few batches of crops beside the rows.

        Raises:
            BadInput: on a clip or weights that cannot be used.
        """
        from vadbench.ahead import ahead

        network = self.backbone
        x = np.empty((sum(map(len, objects.boxes)), network.dim), np.float32)
        row = 0
        for pictures, frames in ahead(self._batches(footage, objects.boxes)):
            x[row : row + len(pictures)] = network(pictures)
            row += len(pictures)
            advance(frames)
        return Vectors(unit_length(x) if self.options.normalise else x)

    def _batches(
        self, frames: Iterable[Picture], boxes: list[Floats]
    ) -> Iterator[tuple[Picture, int]]:
        network = self.backbone
        crop = CROPS[self.options.crop]
        return batches(frames, boxes, network.size, network.mean_colour, self.batch, crop)


def unit_length(x: Floats) -> Floats:
    """Each row divided by its length; a row of zeros stays."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1), np.float32)
