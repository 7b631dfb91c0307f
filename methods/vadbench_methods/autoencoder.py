"""Autoencoder: reconstruction error of feature vectors, the generator of GCL (Zaheer et al., CVPR
2022) in the table of Tur et al. (2023).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from vadbench.detector import DetectorInfo, Nature
from vadbench.training import LightningDetector, NeuralConfig, dense_flops, fast_steps


class AutoencoderConfig(NeuralConfig):
    """Defaults are GCL's generator, in Tur et al.'s training; GCL's features have 2048
    dimensions.
    """

    units: tuple[PositiveInt, ...] = Field(
        (1024, 512),
        min_length=1,
        description="widths of the encoder's hidden layers; the decoder mirrors them",
    )
    code: PositiveInt | None = Field(
        None,
        description=(
            "width of the bottleneck; none: an eighth of the features' dimension, at least 1, which"
            " is GCL's 256 of 2048"
        ),
    )
    epochs: PositiveInt = Field(50, description="passes over the training rows")
    batch_size: PositiveInt = Field(
        8192, description="rows a step; the last, partial batch of an epoch is kept"
    )
    lr: PositiveFloat = Field(2e-5, description="learning rate")
    algorithm: Literal["rmsprop", "adam"] = Field(
        "rmsprop", description="optimiser; rmsprop has momentum 0.6 and ignores betas"
    )


class Autoencoder(LightningDetector):
    """Anomaly score = mean over the features of the squared reconstruction error of a standardised
    row.

    >>> from vadbench.testing import small_config, synthetic_rows
    >>> detector = Autoencoder(small_config(Autoencoder), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    >>> detector.read_outs
    ('score',)
    """

    Config = AutoencoderConfig
    info = DetectorInfo(
        name="autoencoder",
        title="Autoencoder",
        paper=(
            "Zaheer et al., Generative Cooperative Learning for Unsupervised Video Anomaly"
            " Detection, CVPR 2022 (its generator alone)"
        ),
        deterministic=False,
    )
    # a squared error: its root, a distance, is what may be added to others
    calibration: ClassVar[str] = "sqrt"
    config: AutoencoderConfig

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the defaults.

        `fast`, for a CPU: 256 and 128 units, and Adam at 1e-3 for 2000 steps, because 2e-5 hardly
        moves small data sets.
        """
        if name != "fast":
            return {}
        return {
            "units": (256, 128),
            "algorithm": "adam",
            "lr": 1e-3,
            "batch_size": 2048,
            "epochs": 1000,
            "max_steps": fast_steps(nature),
        }

    def build(self, dim: int) -> nn.Module:
        """The encoder and its mirror image, with ReLU after all layers but the bottleneck and the
        last: a narrow ReLU code may die.
        """
        down = self._widths(dim)
        return nn.Sequential(*layers(down), *layers(down[::-1]))

    def _widths(self, dim: int) -> tuple[int, ...]:
        """The encoder's widths, from the features to the code."""
        return (dim, *self.config.units, self.config.code or max(1, dim // 8))

    def row_flops(self, dim: int) -> tuple[float, float]:
        """Forward and backward; forward."""
        down = self._widths(dim)
        once = dense_flops(down) + dense_flops(down[::-1])
        return 3 * once, once

    def optimiser(self) -> torch.optim.Optimizer:
        """GCL's RMSprop, or the house's Adam."""
        if self.config.algorithm == "adam":
            return super().optimiser()
        return torch.optim.RMSprop(self.net.parameters(), lr=self.config.lr, momentum=0.6)

    def loss(self, batch: Tensor) -> Tensor:
        """Mean squared reconstruction error."""
        return self._error(batch).mean()

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, 1] mean squared reconstruction errors."""
        return self._error(batch).mean(1, keepdim=True)

    def _error(self, batch: Tensor) -> Tensor:
        return cast(Tensor, (self.net(batch) - batch).square())


def layers(widths: tuple[int, ...]) -> list[nn.Module]:
    """Linear layers with ReLU between them."""
    both: list[nn.Module] = [
        layer for wide, narrow in pairwise(widths) for layer in (nn.Linear(wide, narrow), nn.ReLU())
    ]
    return both[:-1]
