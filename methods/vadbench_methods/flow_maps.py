"""What `flow` needs of maps: their shape, their scale, and Glow's log-density over several levels.

A row of a stream of maps holds C maps of h x w in C order. Each is standardised with one mean and
one deviation: cell by cell would whiten the scene away, and blow up cells that hardly change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vadbench.detector import Features, Standardisation
from vadbench.errors import BadInput
from vadbench.training import ACTIVATION
from vadbench_methods.data_start import DataStart
from vadbench_methods.flow_blocks import initialise


def require_maps(train: Features, levels: int) -> tuple[int, int, int]:
    """The shape (maps, rows, columns) of a stream's maps.

    Raises:
        BadInput: if its rows are no maps, or maps that cannot be halved `levels` times.
    """
    if train.shape is None or len(train.shape) != 3:
        raise BadInput(
            f"{train.name}: its rows are no maps; architecture glow-maps needs a stream that has"
            " maps, such as itae.static (or --set flow.architecture=glow)"
        )
    maps, height, width = train.shape
    step = 2**levels
    if height % step or width % step:
        raise BadInput(
            f"{train.name}: maps of {height} x {width} with levels {levels}; rows and columns must"
            f" be multiples of {step} (--set flow.levels=1, or extract at another size)"
        )
    return maps, height, width


def leave_out_maps(train: Features) -> Features:
    """The features without the few rows whose maps decide the deviation of a map's mean alone."""
    maps = (train.shape or (1,))[0]
    means = np.empty((len(train), maps), np.float32)
    for start in range(0, len(train), 4096):
        rows = train.x[start : start + 4096]
        means[start : start + 4096] = rows.reshape(len(rows), maps, -1).mean(2)
    return train.without_outliers(means)


def standardise_maps(x: NDArray[np.float32], shape: tuple[int, ...]) -> Standardisation:
    """One mean and one deviation a map, repeated over its columns; a map whose every column is
    constant keeps scale 1.

    Args:
        x: [N, D] rows.
        shape: (maps, rows, columns), D their product.
    """
    maps = shape[0]
    columns = Standardisation.fit(x)
    constant = (columns.scale == 1.0).reshape(maps, -1).all(1)
    means = columns.mean.reshape(maps, -1)
    mean = means.mean(1)
    # of the map: within its columns and between them
    within = np.where(columns.scale == 1.0, 0.0, columns.scale - 1e-8).reshape(maps, -1)
    rows, size = len(x), means.shape[1]
    squares = (rows - 1) * np.square(within).sum(1) + rows * np.square(means - mean[:, None]).sum(1)
    deviation = np.sqrt(squares / max(rows * size - 1, 1))
    scale = np.where(constant, 1.0, deviation + 1e-8)
    return Standardisation(np.repeat(mean, size), np.repeat(scale, size))


def varying_maps(standardisation: Standardisation, maps: int) -> NDArray[np.bool_]:
    """[maps] which take part: exactly 1 is the scale of a constant one."""
    varies: NDArray[np.bool_] = standardisation.scale.reshape(maps, -1)[:, 0] != 1.0
    return varies


def map_flops(columns: int, maps: float, levels: int, layers: int, hidden: int) -> float:
    """Operations of one row's forward pass through Glow on maps with so many columns together."""
    total, channels, positions = 0.0, maps, columns / maps
    for _ in range(levels):
        channels, positions = 4 * channels, positions / 4
        # 3 x 3 of half the channels, 1 x 1, 3 x 3 to a shift and a scale of the other half
        weights = 9 * channels / 2 * hidden + hidden**2 + 9 * hidden * channels + channels**2
        activations = ACTIVATION * (2 * hidden + 3 * channels)
        total += layers * positions * (2 * weights + activations)
        channels /= 2
    return total


class MapFlow(DataStart):
    """log p(x) of maps under Glow, over the maps that vary; rows are flat, as streams have them.

    Args:
        flow: from `glow_maps`, of so many maps as vary.
        varies: [maps] booleans, which take part; saved with the weights.
        shape: (maps, rows, columns) of a row.
    """

    varies: Tensor
    numbers: Tensor  # of those that vary: a mask would be counted in every step

    def __init__(self, flow: nn.Module, varies: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.flow: Any = flow
        self.register_buffer("varies", varies)
        self.register_buffer("numbers", varies.nonzero().squeeze(1), persistent=False)
        self.dropped = not bool(varies.all())
        self.shape = shape

    def start(self, first: Tensor) -> None:
        """Let the ActNorms begin from the first training batch [B, D]."""
        initialise(self.flow, self._maps(first))

    def log_prob(self, x: Tensor) -> Tensor:
        """[B] float64 log-densities in nats of rows [B, D]."""
        z, total = self.latent(x)
        return total - 0.5 * (z.to(total.dtype).square() + math.log(2 * math.pi)).sum(1)

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [B, D'] of rows [B, D], those of the first level first, and log |det dz/dx| [B],
        added up in float64.
        """
        # Apple's GPUs have no float64
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        z = self._maps(x)
        total = torch.zeros(len(x), dtype=wide, device=x.device)
        left = []
        for level, blocks in enumerate(self._levels()):
            for block in blocks:
                z, log_det = block.inverse(z)
                total = total + log_det
            if level < self.count - 1:
                (z, gone), _ = self.flow.merges[-1 - level].inverse(z)
                left.append(gone.flatten(1))
        return torch.cat([*left, z.flatten(1)], 1), total

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.flow.flows) if hasattr(self.flow, "merges") else 1

    def _levels(self) -> Iterator[Iterator[Any]]:
        """Of each level, from the data on, what is between data and latents: single couplings,
        linear maps and ActNorms.
        """
        levels = reversed(self.flow.flows) if self.count > 1 else [self.flow.flows]
        for level in levels:
            yield (
                part
                for step in reversed(level)
                for part in (reversed(step.flows) if hasattr(step, "flows") else [step])
            )

    def _maps(self, x: Tensor) -> Tensor:
        maps = x.reshape(len(x), *self.shape)
        return maps[:, self.numbers] if self.dropped else maps
