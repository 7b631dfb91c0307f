"""What the autoencoder is trained on: squared error, structural similarity and gradients of its
reconstruction, with equal weights.

Sources: Cho et al. (2022), Eq. 8 and 9; Wang et al., Multiscale structural similarity (2003);
Mathieu et al., Deep multi-scale video prediction beyond mean square error (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, Wang et al.
WINDOW, SIGMA = 11, 1.5  # pixels of the Gaussian window and its deviation
C1, C2 = 0.01**2, 0.03**2  # for values between 0 and 1
STEEP = 1e-2  # similarities below it count linearly


def levels(height: int, width: int) -> int:
    """How many of the five scales are at least as large as the window.

    >>> levels(256, 256), levels(64, 96), levels(8, 96)
    (5, 3, 0)
    """
    side = min(height, width)
    return sum(side >> k >= WINDOW for k in range(len(WEIGHTS)))


def total(losses: Sequence[str], frames: Tensor, reconstruction: Tensor) -> Tensor:
    """The sum of the named losses, a scalar; see `parts`."""
    return torch.stack(list(parts(losses, frames, reconstruction).values())).sum()


def parts(losses: Sequence[str], frames: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """Each of the named losses, a scalar.

    Args:
        losses: some of "l2", "ms-ssim", "gradient".
        frames: [B, C, T, H, W] in [-1, 1].
        reconstruction: of the same shape.
    """
    return {name: LOSSES[name](frames, reconstruction) for name in losses}


def l2(frames: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared difference."""
    return (frames - reconstruction).square().mean()


def gradient(frames: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean difference of the absolute gradients along the width, and along the height; their
    sum.
    """
    return torch.stack(
        [
            (frames.diff(dim=axis).abs() - reconstruction.diff(dim=axis).abs()).abs().mean()
            for axis in (-1, -2)
        ]
    ).sum()


def ms_ssim_loss(frames: Tensor, reconstruction: Tensor) -> Tensor:
    """1 - the mean MS-SSIM of the frames, on values brought to [0, 1]."""
    x, y = ((values.transpose(1, 2).flatten(0, 2) + 1) / 2 for values in (frames, reconstruction))
    return 1 - ms_ssim(x, y).mean()


def ms_ssim(x: Tensor, y: Tensor, scales: int | None = None) -> Tensor:
    """[N] multiscale structural similarity of images x and y [N, H, W] in [0, 1].

    Gaussian window where it fits whole, means of 2 x 2 pixels between the scales.

    Args:
        x: images, each colour one of its own.
        y: their reconstructions.
        scales: how many; None: as many as fit. The weights are renormalised.
    """
    scales = scales or levels(*x.shape[-2:])
    weights = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
    similarity = x.new_ones(len(x))
    for scale, weight in enumerate(weights, 1):
        luminance, contrast = _ssim(x, y)
        kept = luminance * contrast if scale == scales else contrast
        similarity = similarity * _power(kept.mean((1, 2)), weight)
        x, y = (functional.avg_pool2d(values[:, None], 2)[:, 0] for values in (x, y))
    return similarity


def _ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure terms at every place of the window, [N, H - 10, W - 10].

    Only the sum of both variances is needed, so four maps are filtered, not five.
    """
    means = _filter(torch.stack([x, y, x * x + y * y, x * y]))
    mean_x, mean_y, squares, products = means.unbind()
    both, cross = mean_x.square() + mean_y.square(), mean_x * mean_y
    luminance = (2 * cross + C1) / (both + C1)
    contrast = (2 * (products - cross) + C2) / (squares - both + C2)
    return luminance, contrast


def _filter(maps: Tensor) -> Tensor:
    """Gaussian means of [..., H, W], one side after the other.

    As products with banded matrices: on a CPU several times as fast as convolutions of one channel,
    and repeatable on every device.
    """
    height, width = maps.shape[-2:]
    down, right = (_band(side, maps.dtype, maps.device) for side in (height, width))
    return down @ (maps @ right.T)


@lru_cache(maxsize=32)
def _band(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[side - 10, side]: row k holds the window from position k on."""
    place = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    window = torch.exp(-place.square() / (2 * SIGMA**2))
    window = window / window.sum()
    band = torch.zeros(side - WINDOW + 1, side, dtype=torch.float64)
    for k in range(len(band)):
        band[k, k : k + WINDOW] = window
    return band.to(device, dtype)


def _power(similarity: Tensor, weight: float) -> Tensor:
    """similarity ** weight, 0 below 0; linear below STEEP, where the slope would be infinite."""
    return similarity.clamp(min=0) * similarity.clamp(min=STEEP) ** (weight - 1)


LOSSES = {"l2": l2, "ms-ssim": ms_ssim_loss, "gradient": gradient}
