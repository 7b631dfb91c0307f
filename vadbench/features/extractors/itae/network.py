"""The two-path 3-D autoencoder of ITAE: few frames seen by many channels, all frames by few.

Source: Cho et al., Unsupervised video anomaly detection via normalizing flows with implicit latent
features (Pattern Recognition 2022), Table 1. What the table leaves out (norms, activations, the
widths of the lateral connection and of the fusion) follows the printed parameter counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from vadbench.features.extractors.itae.layers import LastDeconv

Paths = Literal["both", "static"]
Latents = tuple[Tensor, Tensor | None]  # [B, Cs, T / tau, h, w], [B, Cd, T, h, w]

SLOPE = 0.2  # of the leaky rectifier below zero
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4")
# kernels (time, height, width) and spatial strides of the four convolutions of either path
STATIC_KERNELS = ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))
DYNAMIC_KERNELS = ((5, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
STRIDES = (2, 2, 1, 1)
# temporal strides of the second and the third transposed convolution: together tau
UPWARDS = {1: (1, 1), 2: (1, 2), 4: (2, 2)}


@dataclass(frozen=True)
class Widths:
    """Channels after each convolution.

    Attributes:
        static: of the static path; the decoder goes back through its last, second and first.
        dynamic: of the dynamic path.
    """

    static: tuple[int, int, int, int] = (96, 128, 256, 256)
    dynamic: tuple[int, int, int, int] = (12, 16, 32, 32)

    def scaled(self, width: float) -> Self:
        """Every count times `width`, rounded to a multiple of 4, at least 4."""
        return type(self)(_scaled(self.static, width), _scaled(self.dynamic, width))


def _scaled(counts: tuple[int, int, int, int], width: float) -> tuple[int, int, int, int]:
    first, second, third, fourth = (max(4, 4 * round(width * count / 4)) for count in counts)
    return first, second, third, fourth


@dataclass(frozen=True)
class Layer:
    """One convolution: what is built and what it costs are read off the same table.

    Attributes:
        part: "static", "dynamic", "lateral" or "decoder".
        name: as in Table 1; a lateral connection has the name of the layer that it follows.
        reads: channels in.
        writes: channels out.
        kernel: time, height, width.
        stride: time, height, width; upwards in the decoder.
        frames: time steps of the smaller of the maps that it reads and writes: there the products
            are counted.
        shrink: pixels of a frame to one position of that map, along either side.
        plain: without norm and activation.
    """

    part: str
    name: str
    reads: int
    writes: int
    kernel: tuple[int, int, int]
    stride: tuple[int, int, int]
    frames: int
    shrink: int
    plain: bool = False

    def build(self) -> nn.Module:
        """The layer with PyTorch's initial weights: convolution (with bias), norm, activation."""
        kernel, stride = self.kernel, self.stride
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        convolution: nn.Module
        if self.part == "decoder":
            kind = LastDeconv if self.plain else nn.ConvTranspose3d
            convolution = kind(
                self.reads,
                self.writes,
                kernel,
                stride,
                padding,
                output_padding=(stride[0] - 1, stride[1] - 1, stride[2] - 1),
            )
        else:
            convolution = nn.Conv3d(self.reads, self.writes, kernel, stride, padding)
        if self.plain:
            return convolution
        return nn.Sequential(
            convolution, nn.BatchNorm3d(self.writes), nn.LeakyReLU(SLOPE, inplace=True)
        )

    def multiply_adds(self, size: tuple[int, int]) -> int:
        """Products of one clip of `size` (height, width) pixels; borders count as full."""
        positions = self.frames * (size[0] // self.shrink) * (size[1] // self.shrink)
        return positions * self.reads * self.writes * math.prod(self.kernel)


def table(
    channels: int,
    widths: Widths,
    paths: Paths = "both",
    lateral: Sequence[str] = ("conv1",),
    clip: int = 16,
    tau: int = 4,
) -> list[Layer]:
    """All layers of a network, Table 1; arguments as of `ITAE`."""
    two = paths == "both"
    followed = (*lateral, "conv4") if two else ()  # after conv4 it is the fusion
    layers = _encoder("static", channels, widths.static, STATIC_KERNELS, clip // tau, followed)
    if two:
        layers += _encoder("dynamic", channels, widths.dynamic, DYNAMIC_KERNELS, clip, ())
    for name, wide, narrow, shrink in zip(
        CONVOLUTIONS, widths.static, widths.dynamic, (2, 4, 4, 4), strict=True
    ):
        if name in followed:
            layers.append(
                Layer(
                    "lateral",
                    name,
                    narrow,
                    wide,
                    (5, 1, 1),
                    (tau, 1, 1),
                    clip // tau,
                    shrink,
                    plain=True,
                )
            )
    return layers + _decoder(channels, widths, two, clip, tau)


def _encoder(
    path: str,
    channels: int,
    widths: tuple[int, ...],
    kernels: tuple[tuple[int, int, int], ...],
    frames: int,
    followed: Sequence[str],
) -> list[Layer]:
    layers, reads, shrink = [], channels, 1
    for name, writes, kernel, stride in zip(CONVOLUTIONS, widths, kernels, STRIDES, strict=True):
        shrink *= stride
        layers.append(Layer(path, name, reads, writes, kernel, (1, stride, stride), frames, shrink))
        reads = 2 * writes if name in followed else writes
    return layers


def _decoder(channels: int, widths: Widths, two: bool, clip: int, tau: int) -> list[Layer]:
    first, second, _, last = widths.static
    slow, fast = UPWARDS[tau]
    rows = (  # reads, writes, stride, frames and shrink of what it reads
        ((1 + two) * last, last, (1, 1, 1), clip // tau, 4),
        (last, second, (slow, 2, 2), clip // tau, 4),
        (second, first, (fast, 2, 2), clip // fast, 2),
        (first, channels, (1, 1, 1), clip, 1),
    )
    return [
        Layer(
            "decoder",
            f"deconv{k}",
            reads,
            writes,
            (3, 3, 3),
            stride,
            frames,
            shrink,
            plain=k == len(rows),
        )
        for k, (reads, writes, stride, frames, shrink) in enumerate(rows, 1)
    ]


def multiply_adds(
    channels: int,
    size: tuple[int, int],
    width: float = 1.0,
    paths: Paths = "both",
    lateral: Sequence[str] = ("conv1",),
    clip: int = 16,
    tau: int = 4,
    decoder: bool = True,
) -> int:
    """Multiply-adds of one clip's forward pass, in closed form; without `decoder`, of its encoding.

    >>> f"{multiply_adds(1, (240, 360)):.4g}", f"{multiply_adds(3, (256, 256)):.4g}"
    ('2.242e+11', '1.759e+11')
    """
    layers = table(channels, Widths().scaled(width), paths, lateral, clip, tau)
    fused = {("lateral", "conv4")}  # the fusion is read by the decoder alone
    return sum(
        layer.multiply_adds(size)
        for layer in layers
        if decoder or (layer.part != "decoder" and (layer.part, layer.name) not in fused)
    )


class ITAE(nn.Module):
    """Two encoders and a decoder of their fused latents.

    The static path sees the first of every `tau` frames, the dynamic path all of them through an
    eighth of the channels; after the layers named in `lateral`, and after the last, the dynamic map
    is brought to the static one's time and width and concatenated. Nothing else skips the latents.

    Args:
        channels: of a frame, 1 or 3.
        width: multiplies every channel count of the paper.
        paths: "static": without the dynamic path, lateral connections and fusion.
        lateral: which of conv1, conv2, conv3 are followed by a lateral connection.
        clip: frames of a clip, a multiple of `tau`.
        tau: 1, 2 or 4.
        widths: channel counts in place of the paper's; `width` multiplies the paper's alone.

    >>> net = ITAE(channels=1, width=0.25).eval()
    >>> out, static, dynamic = net(torch.zeros(1, 1, 16, 32, 48))
    >>> tuple(out.shape), tuple(static.shape), tuple(dynamic.shape)
    ((1, 1, 16, 32, 48), (1, 64, 4, 8, 12), (1, 8, 16, 8, 12))
    """

    def __init__(
        self,
        channels: int,
        width: float = 1.0,
        paths: Paths = "both",
        lateral: Sequence[str] = ("conv1",),
        clip: int = 16,
        tau: int = 4,
        widths: Widths | None = None,
    ) -> None:
        super().__init__()
        self.tau = tau
        self.static = nn.ModuleDict()
        self.dynamic = nn.ModuleDict()
        self.lateral = nn.ModuleDict()
        self.decoder = nn.ModuleDict()
        for layer in table(channels, widths or Widths().scaled(width), paths, lateral, clip, tau):
            getattr(self, layer.part)[layer.name] = layer.build()

    def encode(self, frames: Tensor) -> Latents:
        """Each encoder's own last map, before the fusion: static [B, Cs, T / tau, h, w] and dynamic
        [B, Cd, T, h, w] or None, h and w a quarter of the frame's.

        Args:
            frames: [B, C, T, H, W] in [-1, 1], H and W multiples of 4.
        """
        frames = _channels_last(frames)
        static, dynamic = frames[:, :, :: self.tau], frames if self.dynamic else None
        for name in CONVOLUTIONS:
            static = self.static[name](static)
            if dynamic is None:
                continue
            dynamic = self.dynamic[name](dynamic)
            if name in self.lateral and name != CONVOLUTIONS[-1]:
                static = self._join(name, static, dynamic)
        return static, dynamic

    def decode(self, static: Tensor, dynamic: Tensor | None) -> Tensor:
        """[B, C, T, H, W] reconstruction of what `encode` gave."""
        out = static if dynamic is None else self._join(CONVOLUTIONS[-1], static, dynamic)
        for layer in self.decoder.values():
            out = layer(out)
        return out

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Reconstruction [B, C, T, H, W] and both latents of frames [B, C, T, H, W] in [-1, 1]."""
        static, dynamic = self.encode(frames)
        return self.decode(static, dynamic), static, dynamic

    def _join(self, name: str, static: Tensor, dynamic: Tensor) -> Tensor:
        return torch.cat([static, self.lateral[name](dynamic)], dim=1)


def _channels_last(frames: Tensor) -> Tensor:
    """The same frames, on a CPU with the channels of a pixel side by side: all maps made of them
    follow, and a convolution takes two thirds of the time.

    The weights stay as they are: an optimiser's moments have their order in memory. A copy, as a
    grey frame's only channel lies in both orders at once, and torch would take the slower.
    """
    if frames.device.type != "cpu":
        return frames
    return torch.empty_like(frames, memory_format=torch.channels_last_3d).copy_(frames)


def folded(net: ITAE) -> ITAE:
    """A copy for inference whose norms are part of the convolutions: the same function up to
    rounding, in fewer passes over the maps.
    """
    net = deepcopy(net).eval()
    for part in (net.static, net.dynamic, net.decoder):
        for name, layer in part.items():
            if isinstance(layer, nn.Sequential):
                convolution, norm, activation = layer
                _fold(convolution, norm)
                part[name] = nn.Sequential(convolution, activation)
    return net


@torch.no_grad()
def _fold(convolution: Any, norm: Any) -> None:
    """Make the norm part of the convolution's weights and bias, in float64."""
    weight, bias = convolution.weight, convolution.bias
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shape = (1, -1, 1, 1, 1) if isinstance(convolution, nn.ConvTranspose3d) else (-1, 1, 1, 1, 1)
    bias.copy_((bias.double() - norm.running_mean) * scale + norm.bias)
    weight.copy_(weight.double() * scale.reshape(shape))
