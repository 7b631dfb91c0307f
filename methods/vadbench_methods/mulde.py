"""MULDE: multiscale log-density estimation by denoising score matching (Micorek et al., CVPR
2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from vadbench.detector import DetectorInfo, Nature, runtime, scoring
from vadbench.training import Decay, LightningDetector, NeuralConfig, dense_flops, fast_steps
from vadbench_methods.mixture import Mixture, fit_mixture, subsample
from vadbench_methods.mixture_device import nll
from vadbench_methods.mlp import NoiseConditionedMLP, RegularisedMLP
from vadbench_methods.streamed import in_blocks, moments

ReadOut = Literal["gmm5", "gmm3", "gmm1", "mean", "max", "median", "scales"]
POOLS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
}


class Config(NeuralConfig):
    """Defaults are the paper's (Sec. 4) unless a field says otherwise."""

    units: tuple[PositiveInt, ...] = Field(
        (4096, 4096), min_length=1, description="width of each hidden layer"
    )
    sigma_low: PositiveFloat = Field(
        1e-3, description="smallest noise scale, in standard deviations of a feature"
    )
    sigma_high: PositiveFloat = Field(1.0, description="largest noise scale")
    beta: NonNegativeFloat = Field(
        0.1, description="weight of the regulariser, Eq. 6; 0 leaves it out"
    )
    epochs: PositiveInt = Field(
        1000,
        description="passes over the training rows; the paper states none, the released code 1000",
    )
    batch_size: PositiveInt = Field(
        2048, description="rows a step; the last, partial batch of an epoch is kept"
    )
    lr: PositiveFloat = Field(
        5e-4,
        description=(
            "learning rate of Adam, for object streams; the paper has 1e-4 for frame-centric ones"
        ),
    )
    betas: tuple[Decay, Decay] = Field((0.5, 0.9), description="decay rates of Adam's two moments")
    layer_norm: bool = Field(
        False,
        description=(
            "LayerNorm before each GELU, a flag of the released code; costs a double backward"
        ),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="dropout after each GELU, a flag of the released code; costs a double backward",
    )
    scales: PositiveInt = scoring(16, "noise scales L at scoring time, evenly spaced")
    read_outs: tuple[ReadOut, ...] = scoring(
        ("gmm5", "gmm3", "gmm1", "mean", "max", "median"),
        "score columns, the first is ranked: -log-likelihood of the L values under a mixture of 5,"
        " 3 or 1 Gaussians, or a pool of their z-scores; the paper does not say which of its three"
        " mixtures it reports: the largest is our default; `scales`: f at each scale, a column"
        " each",
        min_length=1,
    )
    floor: Literal["relative", "absolute"] = scoring(
        "relative",
        "what keeps the mixtures' covariances regular: a fraction of the values' own variance, or"
        " the released code's absolute 1e-6",
    )
    mixture_rows: PositiveInt | None = scoring(
        None,
        "at most so many training rows, drawn at random, are what the mixtures are fitted to;"
        " none: all",
        ge=2,
    )
    score_batch: PositiveInt = runtime(128, "rows scored at a time, at all L noise scales together")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.sigma_low >= self.sigma_high:
            raise ValueError(
                f"sigma_low must be below sigma_high, got {self.sigma_low} and {self.sigma_high}"
            )
        if len(set(self.read_outs)) < len(self.read_outs):
            raise ValueError(f"read_outs must differ, got {', '.join(self.read_outs)}")
        scales = noise_scales(self.sigma_low, self.sigma_high, self.scales)
        names = {f"{scale:g}" for scale in scales} if "scales" in self.read_outs else set(scales)
        if not scales[0] > 0 or len(names) < len(scales):
            raise ValueError(
                f"{self.scales} scales from sigma_low={self.sigma_low} to"
                f" sigma_high={self.sigma_high}, rounded to 5 decimals, must be above 0 and differ;"
                " take fewer, or farther apart"
            )
        return self


class MULDE(LightningDetector):
    """Anomaly score = negative log-likelihood of [f(x, s) for s in L noise scales] under a Gaussian
    mixture fitted to normal data.

    >>> from vadbench.testing import small_config, synthetic_rows
    >>> detector = MULDE(small_config(MULDE), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 6)
    >>> detector.read_outs
    ('gmm5', 'gmm3', 'gmm1', 'mean', 'max', 'median')
    """

    Config = Config
    info = DetectorInfo(
        name="mulde",
        title="MULDE",
        paper=(
            "Micorek et al., MULDE: Multiscale Log-Density Estimation via Denoising Score Matching"
            " for Video Anomaly Detection, CVPR 2024"
        ),
        deterministic=False,
    )
    calibration: ClassVar[str] = "zscore-clip"
    net: NoiseConditionedMLP | RegularisedMLP

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`fast`, for a CPU: 256 units a layer instead of 4096, few steps, a relative covariance
        floor, mixtures of 50,000 rows at most.

        Its steps are 2000 at most (1000 on image embeddings). `paper`: the defaults, with the
        released covariance floor and the learning rate that the paper gives the kind of stream.
        """
        if name == "fast":
            return {"units": (256, 256), "max_steps": fast_steps(nature), "mixture_rows": 50_000}
        return {"floor": "absolute", "lr": 1e-4 if nature.windows else 5e-4}

    @property
    def read_outs(self) -> tuple[str, ...]:
        """Names of the score columns."""
        single = [f"f@{sigma:g}" for sigma in self.noise_scales().tolist()]
        return tuple(
            column
            for name in self.config.read_outs
            for column in (single if name == "scales" else [name])
        )

    def build(self, dim: int) -> NoiseConditionedMLP | RegularisedMLP:
        """The network f(x, sigma) -> R."""
        config = self.config
        if config.layer_norm or config.dropout:
            return RegularisedMLP(dim, config.units, config.layer_norm, config.dropout)
        return NoiseConditionedMLP(dim, config.units)

    def row_flops(self, dim: int) -> tuple[float, float]:
        """With a forward pass as 1: noisy forward and input gradient 2, backward through both 4,
        regulariser 3; L forward passes.
        """
        widths = (dim + 1, *self.config.units, 1)
        once, shared = dense_flops(widths), dense_flops(widths[:2])
        return (9 if self.config.beta else 6) * once, shared + self.config.scales * (once - shared)

    def loss(self, batch: Tensor) -> Tensor:
        """Eq. 6 at random noise; the halves are the released code's."""
        sigma = log_uniform(self.config.sigma_low, self.config.sigma_high, batch)
        matching, regulariser = mulde_loss(
            self.net, batch, sigma, torch.randn_like(batch), self.config.beta
        )
        return matching + regulariser

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, L] values f(x, sigma_i), which approximate -log p at noise sigma_i up to a constant
        of the scale.
        """
        return self.net.at_scales(batch, self.noise_scales().to(batch))

    def noise_scales(self) -> Tensor:
        """[L] noise scales, float64."""
        config = self.config
        return torch.from_numpy(noise_scales(config.sigma_low, config.sigma_high, config.scales))

    def fit_read_outs(self, values: NDArray[np.float64]) -> None:
        """Mixtures of the training rows' raw values [N, L], and each scale's mean and standard
        deviation.
        """
        self.mean, deviation = moments(values)
        self.std = deviation + 1e-8
        some = values[subsample(len(values), self.config.mixture_rows, self.seed)]
        self.mixtures = {
            name: fit_mixture(
                some,
                int(name.removeprefix("gmm")),
                self.seed,
                floor=1e-6,
                absolute=self.config.floor == "absolute",
            )
            for name in self.config.read_outs
            if name.startswith("gmm")
        }

    def read_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, C] scores of the values [N, L]."""
        return in_blocks(self._read_out, values, len(self.read_outs))

    def _read_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        z = (values - self.mean) / self.std
        columns = []
        for name in self.config.read_outs:
            if name == "scales":
                columns += list(values.T)
            else:
                columns.append(
                    POOLS[name](z, axis=1)
                    if name in POOLS
                    else nll(self.mixtures[name], values, self.config.device)
                )
        return np.stack(columns, 1)

    def read_out_arrays(self) -> dict[str, NDArray[Any]]:
        """Each scale's statistics and the mixtures."""
        mixtures = {
            f"{name}.{key}": values
            for name, mixture in self.mixtures.items()
            for key, values in mixture.arrays().items()
        }
        return {"mean": self.mean, "std": self.std, **mixtures}

    def restore_read_outs(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `read_out_arrays` gave."""
        self.mean, self.std = arrays["mean"], arrays["std"]
        self.mixtures = {
            name: Mixture.from_arrays(
                {
                    key.removeprefix(f"{name}."): values
                    for key, values in arrays.items()
                    if key.startswith(f"{name}.")
                }
            )
            for name in self.config.read_outs
            if name.startswith("gmm")
        }


def noise_scales(low: float, high: float, count: int) -> NDArray[np.float64]:
    """[count] evenly spaced noise scales, rounded to 5 decimals as released."""
    return np.linspace(low, high, count).round(5)


def log_uniform(low: float, high: float, like: Tensor) -> Tensor:
    """[B, 1] noise scales, log-uniform between low and high, for rows [B, D]."""
    return (
        torch.empty(len(like), 1, dtype=like.dtype, device=like.device)
        .uniform_(math.log(low), math.log(high))
        .exp_()
    )


def mulde_loss(
    net: NoiseConditionedMLP | RegularisedMLP, x: Tensor, sigma: Tensor, eps: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """The two terms of Eq.
    6 with lambda = sigma^2, halved, mean over the batch: score matching at x + sigma eps, and the
    regulariser at x.

    The published residual grad f - eps / sigma is multiplied by sigma before it is squared: nothing
    is ever divided by sigma.
    """
    gradient = net.input_gradient(x + sigma * eps, sigma)  # [B, D]
    matching = (sigma * gradient - eps).square().sum(1).mean() / 2
    regulariser = beta * net(x, sigma).square().mean() / 2 if beta else torch.zeros_like(matching)
    return matching, regulariser
