"""The autoencoder's last layer, which torch computes slowly on a CPU."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCK = (2, 2, 4)  # positions (time, height, width) that are written at once


class LastDeconv(nn.ConvTranspose3d):
    """A transposed convolution of kernel 3 and stride 1 to few channels.

    On a CPU a convolution fills a vector with the channels that it writes, and one channel leaves
    most of it empty. Forwards, blocks of 2 x 2 x 4 positions are written at once as channels, by a
    kernel enlarged with zeros, in a third of the time. Backwards, and elsewhere, it is torch's own.
    """

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, C', T, H, W] of maps [B, C, T, H, W]."""
        whole = not any(side % step for side, step in zip(maps.shape[2:], BLOCK, strict=True))
        if maps.device.type != "cpu" or not whole:
            return super().forward(maps, output_size)
        out: Tensor = _LastDeconv.apply(maps, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


class _LastDeconv(torch.autograd.Function):
    """Blocks forwards, torch's transposed convolution backwards."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(maps, weight)
        kernel = _enlarged(weight)
        cells = functional.conv3d(maps, kernel, bias.repeat(math.prod(BLOCK)), BLOCK, 1)
        # [B, 2, 2, 4, C', T / 2, H / 2, W / 4]
        apart = cells.reshape(len(maps), *BLOCK, len(bias), *cells.shape[2:])
        out = apart.permute(0, 4, 5, 1, 6, 2, 7, 3)
        return out.reshape(len(maps), len(bias), *maps.shape[2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        maps, weight = ctx.saved_tensors
        one, none = [1, 1, 1], [0, 0, 0]
        return torch.ops.aten.convolution_backward(
            gradients[0],
            maps,
            weight,
            [weight.shape[1]],
            one,
            one,
            one,
            True,
            none,
            1,
            list(ctx.needs_input_grad),
        )


def _enlarged(weight: Tensor) -> Tensor:
    """[16 C', C, 4, 4, 6] kernel that writes a block of positions as channels, of a transposed
    convolution's [C, C', 3, 3, 3].
    """
    kernel = weight.flip(2, 3, 4).transpose(0, 1)
    large = kernel.new_zeros(*BLOCK, *kernel.shape[:2], *(side + 2 for side in BLOCK))
    for t, y, x in product(*map(range, BLOCK)):
        large[t, y, x, :, :, t : t + 3, y : y + 3, x : x + 3] = kernel
    return large.flatten(0, 3)
