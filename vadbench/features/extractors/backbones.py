"""Networks that turn pictures, or windows of pictures, into one vector each: their files,
preprocessing and loading from disk.

EfficientNet-Lite0 works everywhere (extra `deep`); the others need weights that have to be fetched
first and, all but `onnx`, the extra `vision`. Files and preprocessing
as in open_clip_torch 3.3, timm 1.0, hiera-transformer 0.1.4, torchvision 0.29.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile
from vadbench.features.extractors import efficientnet
from vadbench.features.weights import (
    VISION_EXTRA,
    fill,
    load_package,
    load_state,
    onnx_session,
    torch_device,
    weights_file,
)
from vadbench.locations import cache_root

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]  # red, green, blue between 0 and 1
OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# of torchvision's video models
KINETICS_MEAN, KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
HIERA_MEAN, HIERA_STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
CLIP_MODEL = "ViT-B-16-quickgelu"  # OpenAI trained with x * sigmoid(1.702 x)
FRAMES = 16  # of a window of the video models


@dataclass(frozen=True)
class Backbone:
    """A network with its preprocessing.

    Attributes:
        size: width and height in pixels of the pictures it takes.
        dim: length D of its vectors.
        mean, std: of its input's colours.
        run: normalised pictures, channels first, to vectors [B, D].
    """

    size: int
    dim: int
    mean: Colour
    std: Colour
    run: Callable[[Floats], Floats]

    @property
    def mean_colour(self) -> tuple[int, int, int]:
        """The colour that is 0 after normalisation, 0 to 255."""
        red, green, blue = (round(255 * value) for value in self.mean)
        return red, green, blue

    def __call__(self, pictures: NDArray[np.uint8]) -> Floats:
        """[B, D] vectors of pictures [B, S, S, 3], or of windows [B, T, S, S, 3], RGB."""
        if not len(pictures):
            return np.zeros((0, self.dim), np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normalised = pictures * (1 / (255 * std)) - mean / std
        return self.run(np.ascontiguousarray(np.moveaxis(normalised, -1, 1)))


def clip_file() -> NeededFile:
    """The weights of `clip_vit_b16`."""
    where = (
        "https://huggingface.co/timm/vit_base_patch16_clip_224.openai (open_clip_model.safetensors,"
        " renamed)"
    )
    return weights_file(
        "vit_base_patch16_clip_224.openai.safetensors", "open_clip ViT-B-16 openai", where
    )


def timm_file(model: str, file: str) -> NeededFile:
    """The weights of a timm model: `file`, or `<model>.safetensors`."""
    where = f"https://huggingface.co/timm/{model} (model.safetensors, renamed)"
    return weights_file(file or f"{model}.safetensors", f"timm {model}", where)


def hiera_file() -> NeededFile:
    """The weights of `hiera_large`."""
    where = "https://dl.fbaipublicfiles.com/hiera/hiera_large_16x224.pth (CC BY-NC 4.0)"
    return weights_file(
        "hiera_large_16x224.pth", "Hiera-L hiera_large_16x224 mae_k400_ft_k400", where
    )


def r3d_file() -> NeededFile:
    """The weights of `r3d_18`."""
    return weights_file(
        "r3d_18-b3b3357e.pth",
        "torchvision r3d_18 KINETICS400_V1",
        "https://download.pytorch.org/models/r3d_18-b3b3357e.pth",
        "b3b3357e",
    )


def efficientnet_lite0(size: int) -> Backbone:
    """1280-d, ImageNet; pictures of any size that 32 divides.

    Raises:
        BadInput: on another size, or without its package.
    """
    if size % efficientnet.STRIDE:
        raise BadInput(
            f"size: is {size}, EfficientNet-Lite0 takes multiples of {efficientnet.STRIDE}, for"
            " example 64 or 96"
        )
    run = _onnx(efficientnet.ensure_onnx(cache_root()))
    return Backbone(size, efficientnet.DIM, (127 / 255,) * 3, (128 / 255,) * 3, run)


def onnx_file(path: Path, size: int, mean: Colour, std: Colour) -> Backbone:
    """Any ONNX file from normalised RGB pictures [B, 3, S, S] to one vector each (its first output,
    flattened).

    Raises:
        BadInput: if the file is none, or takes another shape.
    """
    return _probe(size, mean, std, _onnx(path), 1)


def clip_vit_b16(path: Path) -> Backbone:
    """CLIP's image tower, 512-d after its projection; squashed to its size, without a centre crop,
    as are all pictures here.

    Raises:
        BadInput: if the extra is not installed, or the file holds no tensors `visual.*` of this
            model.
    """
    model = (
        load_package("open_clip", VISION_EXTRA)
        .create_model(CLIP_MODEL, pretrained=None, load_weights=False)
        .visual
    )
    start = "visual."
    state = {
        name.removeprefix(start): tensor
        for name, tensor in load_state(path).items()
        if name.startswith(start)
    }
    return _probe(
        model.image_size[0],
        OPENAI_MEAN,
        OPENAI_STD,
        _torch(fill(model, state, path, f"open_clip {CLIP_MODEL}")),
        1,
    )


def timm_backbone(name: str, path: Path) -> Backbone:
    """Any backbone of timm with pooled features, with its own size and colours.

    Raises:
        BadInput: if the extra is not installed, timm has no such model, or the file is not of it.
    """
    timm = load_package("timm", VISION_EXTRA)
    if not timm.is_model(name):
        close = timm.list_models(f"{name[:6]}*")[:3]
        raise BadInput(
            f"deep.model: timm has no {name!r}{', but ' + ', '.join(close) if close else ''};"
            " `timm.list_models()` lists them"
        )
    model = timm.create_model(name, pretrained=False, num_classes=0)
    config = timm.data.resolve_model_data_config(model)
    heads = model.pretrained_cfg.get("classifier") or ()
    state = _without(
        load_state(path), *(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    )
    return _probe(
        config["input_size"][-1],
        config["mean"],
        config["std"],
        _torch(fill(model, state, path, f"timm {name}")),
        1,
    )


def hiera_large(path: Path) -> Backbone:
    """Hiera-L on windows of 16 frames, its head removed, 1152-d (MULDE's frame-centric features).

    Raises:
        BadInput: if the extra is not installed or the file is not of this model.
    """
    import torch

    model = load_package("hiera", VISION_EXTRA).hiera_large_16x224(pretrained=False)
    model.head = torch.nn.Identity()
    run = _torch(
        fill(model, _without(load_state(path), "head."), path, "Hiera-L hiera_large_16x224")
    )
    return _probe(224, HIERA_MEAN, HIERA_STD, run, FRAMES)


def r3d_18(path: Path) -> Backbone:
    """R3D-18 on windows of 16 frames, its head removed, 512-d.

    Raises:
        BadInput: if the extra is not installed or the file is not of this model.
    """
    import torch

    model = load_package("torchvision.models.video", VISION_EXTRA).r3d_18(weights=None)
    model.fc = torch.nn.Identity()
    run = _torch(fill(model, _without(load_state(path), "fc."), path, "torchvision r3d_18"))
    return _probe(112, KINETICS_MEAN, KINETICS_STD, run, FRAMES)


def _without(state: dict[str, torch.Tensor], *heads: str) -> dict[str, torch.Tensor]:
    """The tensors of a file less those of heads that we do without."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(heads)}


def _torch(model: torch.nn.Module) -> Callable[[Floats], Floats]:
    import torch

    device = torch_device()

    def run(pictures: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(
                model(torch.from_numpy(pictures).to(device)).float().cpu().numpy(), np.float32
            )

    return run


def _onnx(path: Path) -> Callable[[Floats], Floats]:
    session = onnx_session(path)
    name = session.get_inputs()[0].name

    def run(pictures: Floats) -> Floats:
        try:
            found = session.run(None, {name: pictures})[0]
        except Exception as error:  # onnxruntime's errors have no common base class
            takes, gets = list(session.get_inputs()[0].shape), list(pictures.shape)
            raise BadInput(
                f"{path}: takes {takes}, got pictures {gets}; export it with a free batch axis and"
                " set deep.size to its size"
            ) from error
        return np.asarray(found, np.float32).reshape(len(pictures), -1)

    return run


def _probe(
    size: int, mean: Colour, std: Colour, run: Callable[[Floats], Floats], frames: int
) -> Backbone:
    """The backbone, its D read off one black picture or window."""
    shape = (1, 3, size, size) if frames == 1 else (1, 3, frames, size, size)
    return Backbone(size, run(np.zeros(shape, np.float32)).shape[1], mean, std, run)
