"""Diffusion: reconstruction from partial noise by k-diffusion (Tur et al., ICIP 2023; Karras et
al., NeurIPS 2022).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from torch import Tensor

from vadbench.detector import (
    BLOCK,
    DetectorInfo,
    Features,
    Nature,
    Standardisation,
    runtime,
    scoring,
)
from vadbench.training import (
    Batches,
    Decay,
    LightningDetector,
    NeuralConfig,
    dense_flops,
    fast_steps,
)
from vadbench_methods.denoiser import EMBEDDING, RK4_STEPS, Conditioning, Denoiser
from vadbench_methods.folded import FoldedDenoiser
from vadbench_methods.samplers import SAMPLERS, Sampler, karras_sigmas

# of the ShanghaiTech R3D-18 features, to which the released noise levels belong
RELEASED_STD = 0.6206
STORED_NOISE = 32  # noise vectors kept with a model, in pairs n, -n
EXACT_TRACE = 64  # features up to which the likelihood's trace is exact
SQUARES = np.finfo(np.float32)  # of noise levels, which the network computes with
FINE = 1e-3  # below this part of sigma_data, a float32 residual would be mostly rounding


class Config(NeuralConfig):
    """Defaults are the released configuration's (for ShanghaiTech, R3D-18) unless a field says
    otherwise.
    """

    units: tuple[PositiveInt, ...] = Field(
        (1024, 512, 256),
        min_length=1,
        description="width of the encoder's layers; the decoder mirrors them",
    )
    conditioning: Conditioning = Field(
        "fourier",
        description=(
            "how the noise level enters: fixed random Fourier modulation at input and latent"
            " (released), three concatenated columns there (the paper's comparison), or film in"
            " every layer (as the paper's text reads)"
        ),
    )
    p_mean: float = Field(-1.0, description="mean of ln sigma in training")
    p_std: PositiveFloat = Field(
        1.5,
        description="standard deviation of ln sigma in training; sampling spans p_mean -+ 5 p_std",
    )
    scaling: Literal["global", "component", "none"] = Field(
        "global",
        description=(
            "global: one factor for all features, to the released overall standard deviation of"
            " .6206, not centred; component: each feature by its training mean and deviation, to"
            " .6206; none: as they are"
        ),
    )
    sigma_data: Annotated[float, Field(ge=1e-12, le=1e12)] | Literal["auto"] = Field(
        "auto", description="sigma_data of the preconditioning; auto: the scaled training features'"
    )
    epochs: PositiveInt = Field(50, description="passes over the training rows")
    batch_size: PositiveInt = Field(
        8192,
        description=(
            "most rows a step; an epoch is cut into as few batches of about equal size as that"
            " allows"
        ),
    )
    lr: PositiveFloat = Field(2e-4, description="learning rate of AdamW before warm-up and decay")
    betas: tuple[Decay, Decay] = Field(
        (0.95, 0.999), description="decay rates of AdamW's two moments"
    )
    weight_decay: NonNegativeFloat = Field(1e-4, description="weight decay of AdamW")
    warmup: float = Field(
        0.99, ge=0, lt=1, description="w of the learning rate's warm-up factor 1 - w^(step + 1)"
    )
    inverse_gamma: PositiveFloat = Field(
        20000.0,
        description=(
            "steps after which the learning rate is halved, as 1 / (1 + step / inverse_gamma)"
        ),
    )
    ema: float | None = Field(
        0.9999,
        ge=0,
        lt=1,
        description="largest decay of the weights' moving average, min(ema, 1 - (1 + step)^(-2/3))",
    )
    steps: PositiveInt = scoring(10, "noise levels of the sampling schedule, without the final 0")
    rho: PositiveFloat = scoring(7.0, "curvature of the sampling schedule")
    t: tuple[NonNegativeInt, ...] = scoring(
        (6,),
        "start indices in the schedule, one score column each, the first is ranked; 0 is the most"
        " noise. Default: the least noise that exceeds the features' deviation",
        min_length=1,
    )
    sampler: Sampler = scoring(
        "lms", "solver of the probability flow: lms of order 4 (released), heun or euler"
    )
    draws: PositiveInt = scoring(
        2,
        "fixed noise vectors n, -n, n', -n', ... whose errors are averaged; released: 1, whose"
        " direction biases the error where features are few",
        le=STORED_NOISE,
    )
    also: tuple[Literal["scaled", "likelihood"], ...] = scoring(
        (),
        "further columns: the errors of the residuals divided by sigma_t, or the probability flow's"
        " negative log-likelihood (slow)",
        examples=[("scaled",), ("likelihood",)],
    )
    score_batch: PositiveInt = runtime(1024, "rows scored at a time")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if max(self.t) >= self.steps:
            raise ValueError(f"t must be below steps ({self.steps}), got {max(self.t)}")
        if len(set(self.t)) < len(self.t) or len(set(self.also)) < len(self.also):
            raise ValueError(
                f"the values of t and of also must differ, got {self.t} and {self.also}"
            )
        with np.errstate(all="ignore"):  # what becomes infinite is refused
            levels = karras_sigmas(self.p_mean, self.p_std, self.steps, self.rho)[:-1]
            squares = np.square(np.array(levels, np.float32))
        # those of float32 that keep all their digits
        inside = (squares >= SQUARES.tiny) & (squares <= SQUARES.max)
        if not inside.all() or not (np.diff(squares) < 0).all():
            raise ValueError(
                "p_mean, p_std, rho and steps must give noise levels that fall, between 1e-19 and"
                f" 1e19, got {levels[0]:.3g} to {levels[-1]:.3g}"
            )
        return self


class Diffusion(LightningDetector):
    """Anomaly score = mean squared error of a row's reconstruction: noise of level sigma_t is
    added, and the learnt flow takes it back to 0.

    Which t? By the closed form for a Gaussian, the reconstruction keeps the part a = sd / sqrt(sd^2
    + sigma_t^2) of a row's deviation x and the error is (1 - a) x - a sigma_t n. At t = 7 and
    beyond (sigma_t < sd) a is .95 or more and the error is that of the noise n; at t = 4 and before
    a is below .04 and the reconstruction no longer knows the row. Our default is therefore 6, the
    least noise above sd (a = .42); the paper's, 9 and for ShanghaiTech with R3D-18 6, were the best
    on test AUC. This holds where features deviate by about .6206. P_mean and P_std are the released
    point of a grid that the authors searched by test AUC too; they are kept in every preset.

    Why two draws? The square of that error has a term in x n; n and -n together cancel it, so that
    rows on all sides of the mean are treated alike.

    Differs from the release: an epoch's last batch is not dropped (batches have about equal size),
    and as the fields' descriptions say. Single precision is enough for the network at any noise:
    only what is added to and subtracted from a row needs float64 where sigma_t is fine.

    >>> from vadbench.testing import small_config, synthetic_rows
    >>> detector = Diffusion(small_config(Diffusion), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    >>> detector.read_outs
    ('t6',)
    """

    Config = Config
    info = DetectorInfo(
        name="diffusion",
        title="Diffusion",
        paper=(
            "Tur et al., Exploring Diffusion Models for Unsupervised Video Anomaly Detection, ICIP"
            " 2023"
        ),
        deterministic=False,
        test_chosen=("t", "p_mean", "p_std"),
    )
    # a squared error: its root, a distance, is what may be added to others
    calibration: ClassVar[str] = "sqrt"
    net: Denoiser
    # [STORED_NOISE, D] rows n, -n, n', -n', ... with n ~ N(0, 1), the same for all rows
    noise: NDArray[np.float32]

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the released configuration, one draw, and the paper's t, its best on the test
        labels: read such figures as an oracle's.

        `fast`, for a CPU: half the units, smaller batches, a higher learning rate, and 2000
        optimiser steps at most. Each feature by its own deviation where columns are of several
        units: one factor for all leaves those of small numbers (speeds beside pixels) below any
        noise.
        """
        if name == "fast":
            scaling = "global" if nature.one_unit else "component"
            return {
                "units": (512, 256, 128),
                "batch_size": 512,
                "lr": 1e-3,
                "epochs": 1000,
                "max_steps": fast_steps(nature),
                "scaling": scaling,
            }
        return {
            "draws": 1,
            "t": (6,) if dataset == "shanghaitech" and nature.network == "r3d-18" else (9,),
        }

    @property
    def read_outs(self) -> tuple[str, ...]:
        """Names of the score columns: `t6`, ..., then `t6-scaled`, ... and `likelihood`."""
        errors = [f"t{t}" for t in self.config.t]
        scaled = [f"{name}-scaled" for name in errors] if "scaled" in self.config.also else []
        return (*errors, *scaled, *(["likelihood"] if "likelihood" in self.config.also else []))

    def standardise(self, x: NDArray[np.float32]) -> Standardisation:
        """How features x [N, D] are scaled, by the field `scaling`."""
        component, dim = Standardisation.fit(x), x.shape[1]
        if self.config.scaling == "component":
            return Standardisation(component.mean, component.scale / RELEASED_STD)
        spread = (
            overall_std(x, Standardisation(np.zeros(dim), np.ones(dim)))
            if self.config.scaling == "global"
            else RELEASED_STD
        )
        return Standardisation(np.zeros(dim), np.full(dim, spread / RELEASED_STD))

    def build(self, dim: int) -> Denoiser:
        """The untrained denoiser, and the noise vectors."""
        noise = torch.randn(STORED_NOISE // 2, 1, dim)
        self.noise = torch.cat([noise, -noise], 1).flatten(0, 1).numpy()
        return Denoiser(dim, self.config.units, self.config.conditioning)

    def row_flops(self, dim: int) -> tuple[float, float]:
        """Forward and backward; a forward pass for each step left from each t, of each draw (Heun:
        two), and those of the likelihood.
        """
        config = self.config
        widths = (dim, *config.units, *config.units[-2::-1], dim)
        once = dense_flops(widths)
        # a row, in training alone
        embedded = (
            2.0 * EMBEDDING * (EMBEDDING + 2 * sum(widths[1:-1]))
            if config.conditioning == "film"
            else 0.0
        )
        evaluations = (
            config.draws
            * sum(config.steps - t for t in config.t)
            * (2 if config.sampler == "heun" else 1)
        )
        if "likelihood" in config.also:
            evaluations += 4 * RK4_STEPS * (1 + (dim if dim <= EXACT_TRACE else STORED_NOISE // 2))
        return 3 * (once + embedded), evaluations * once

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW."""
        config = self.config
        fused = config.precision != "bf16-mixed"
        return torch.optim.AdamW(
            self.net.parameters(),
            lr=config.lr,
            betas=config.betas,
            eps=1e-6,
            weight_decay=config.weight_decay,
            fused=fused,
        )

    def schedule(
        self, optimiser: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """InverseLR: `learning_rate_factor` after each step."""
        config = self.config
        return torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_factor(step, config.warmup, config.inverse_gamma)
        )

    def loss(self, batch: Tensor) -> Tensor:
        """Denoising error at random noise levels, ln sigma ~ N(P_mean, P_std^2), preconditioned."""
        if len(batch) == 1:
            batch = batch.expand(2, -1)  # BatchNorm needs two rows
        sigma = (
            torch.randn_like(batch[:, :1]).mul_(self.config.p_std).add_(self.config.p_mean).exp_()
        )
        return self.net.loss(batch, sigma, torch.randn_like(batch)).mean()

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, C] scores of rows [B, D], one column a read-out."""
        sigmas = karras_sigmas(
            self.config.p_mean, self.config.p_std, self.config.steps, self.config.rho
        )
        errors = [self.error(batch, sigmas[t:]) for t in self.config.t]
        scaled = (
            [error / sigmas[t] ** 2 for error, t in zip(errors, self.config.t, strict=True)]
            if "scaled" in self.config.also
            else []
        )
        surprise = (
            [-self.net.log_likelihood(batch, sigmas[-2], sigmas[0], self.probes(batch))]
            if "likelihood" in self.config.also
            else []
        )
        return torch.stack([*errors, *scaled, *(values.double() for values in surprise)], 1)

    def error(self, batch: Tensor, sigmas: tuple[float, ...]) -> Tensor:
        """[B] mean squared errors of the reconstructions, averaged over the draws; float64 where
        the noise is fine.
        """
        precise = batch.double() if sigmas[0] < FINE * float(self.net.sigma_data) else batch
        draws = torch.from_numpy(self.noise[: self.config.draws]).to(precise)
        errors = [
            (self.reconstruct(precise, noise, sigmas) - precise).square().mean(1).double()
            for noise in draws
        ]
        return torch.stack(errors).mean(0)

    def reconstruct(self, x: Tensor, noise: Tensor, sigmas: tuple[float, ...]) -> Tensor:
        """[B, D] rows x after noise [D] of level sigmas[0] was added and taken away again along
        `sigmas`.
        """
        return SAMPLERS[self.config.sampler](self.folded().slope, x + noise * sigmas[0], sigmas)

    def folded(self) -> FoldedDenoiser:
        """The network as it scores; kept while its weights do not change."""
        state = (
            id(self.net),
            *(
                (values.data_ptr(), values._version)
                for values in self.net.state_dict(keep_vars=True).values()
            ),
        )
        kept = getattr(self, "_kept", None)
        if kept is None or kept[0] != state:
            self._kept = kept = (state, FoldedDenoiser(self.net))
        return cast(FoldedDenoiser, kept[1])

    def probes(self, batch: Tensor) -> Tensor:
        """[P, D] vectors for the likelihood's trace: exact for few features, else the fixed noise's
        signs.
        """
        dim = batch.shape[1]
        exact = math.sqrt(dim) * torch.eye(dim)
        return (exact if dim <= EXACT_TRACE else torch.from_numpy(self.noise[::2]).sign()).to(batch)

    def read_out_arrays(self) -> dict[str, NDArray[Any]]:
        """The noise vectors."""
        return {"noise": self.noise}

    def restore_read_outs(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `read_out_arrays` gave."""
        self.noise = np.array(arrays["noise"])

    def _batches(self, train: Features) -> Batches:
        """Batches of about equal size, so that none of a few rows disturbs BatchNorm."""
        auto = self.config.sigma_data == "auto"
        self.net.sigma_data.fill_(
            overall_std(train.x, self.standardisation) if auto else self.config.sigma_data
        )
        batches = super()._batches(train)
        an_epoch = -(-batches.rows // batches.size)
        return replace(batches, size=-(-batches.rows // an_epoch))


def learning_rate_factor(step: int, warmup: float = 0.99, inverse_gamma: float = 20000.0) -> float:
    """What the learning rate of `step` (from 0) is multiplied with: exponential warm-up, then
    inverse decay (k-diffusion's InverseLR).
    """
    return (1 - warmup ** (step + 1)) / (1 + step / inverse_gamma)


def overall_std(x: NDArray[np.float32], scaling: Standardisation) -> float:
    """Standard deviation of all numbers of x [N, D] together, after scaling; 1 if they are all the
    same. In blocks, float64.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, len(x), BLOCK)]
    mean = sum(float(scaling.apply(x[block]).sum(dtype=np.float64)) for block in blocks) / x.size
    squares = sum(_sum_squares(scaling.apply(x[block]), mean) for block in blocks)
    std = math.sqrt(squares / max(x.size - 1, 1))
    return std if std > 1e-6 * abs(mean) else 1.0


def _sum_squares(values: NDArray[np.float32], mean: float) -> float:
    """Sum of the squares of values [N, D] about a mean; they are overwritten."""
    values -= np.float32(mean)
    return float(np.square(values, out=values).sum(dtype=np.float64))
