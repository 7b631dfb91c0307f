"""MSMA: multiscale score matching analysis, the norms of the score over a ladder of noise scales
(Mahmood et al., ICLR 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from vadbench.detector import DetectorInfo, Features, Nature, runtime, scoring
from vadbench.training import Decay, LightningDetector, NeuralConfig, dense_flops, fast_steps
from vadbench_methods.mixture import Mixture, choose_components, fit_mixture, subsample
from vadbench_methods.mixture_device import nll
from vadbench_methods.mlp import NoiseConditionedMLP, gelu
from vadbench_methods.mulde import log_uniform, mulde_loss
from vadbench_methods.nearest import Nearest
from vadbench_methods.streamed import in_blocks, moments

Ladder = Literal["geometric", "linear"]
Norm = Literal["weighted", "squared"]
PlainReadOut = Literal["gmm-raw5", "gmm-raw3", "gmm-raw1", "mean", "max", "median", "scales"]
ReadOut = Literal["gmm", "knn"] | PlainReadOut
POOLS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
}
BETA = 0.1  # of the regulariser of MULDE's network (its Sec. 4), where network is log-density


class ScoreNormConfig(NeuralConfig):
    """What both variants share.

    The network is MULDE's with another last layer, because the original's is convolutional.
    """

    network: Literal["score", "log-density"] = Field(
        "score",
        description=(
            "what is trained: the score itself, or MULDE's log-density (beta 0.1), whose gradient"
            " is then the score"
        ),
    )
    units: tuple[PositiveInt, ...] = Field(
        (4096, 4096),
        min_length=1,
        description="width of each hidden layer; the original's toy has 128, 128",
    )
    ladder: Ladder = Field(
        "geometric",
        description=(
            "spacing of the noise scales; training draws among the scales themselves (geometric),"
            " or log-uniformly (linear)"
        ),
    )
    sigma_low: PositiveFloat = Field(
        0.01, description="smallest noise scale, in standard deviations of a feature"
    )
    sigma_high: PositiveFloat = Field(1.0, description="largest noise scale")
    scales: PositiveInt = Field(10, description="noise scales L")
    norm: Norm = scoring(
        "weighted", "what becomes of the score s at scale sigma: sigma |s|, or |s|^2"
    )
    read_outs: tuple[ReadOut, ...] = scoring(
        ("mean",), "score columns, the first is ranked", min_length=1
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
        scales = noise_ladder(self.ladder, self.sigma_low, self.sigma_high, self.scales)
        if "scales" in self.read_outs and len(set(map(name_norm, scales))) < len(scales):
            raise ValueError(
                f"{self.scales} scales from sigma_low={self.sigma_low} to"
                f" sigma_high={self.sigma_high} must differ in 4 digits, to be columns; take fewer,"
                " or farther apart"
            )
        return self


class MSMAConfig(ScoreNormConfig):
    """Defaults are the original's, whose data are images in [0, 1] (Mahmood et al. 2021)."""

    epochs: PositiveInt = Field(
        200_000, description="passes over the training rows; max_steps is the limit that counts"
    )
    max_steps: PositiveInt | None = Field(200_000, description="optimiser steps")
    batch_size: PositiveInt = Field(
        128, description="rows a step; the last, partial batch of an epoch is kept"
    )
    read_outs: tuple[ReadOut, ...] = scoring(
        ("gmm", "knn", "mean"),
        "score columns, the first is ranked: -log-likelihood of the standardised norms under a"
        " mixture, distance to the k-th nearest training norms, -log-likelihood of the raw norms"
        " under 5, 3 or 1 Gaussians, a pool of the norms' z-scores, or every scale's norm as a"
        " column of its own",
        min_length=1,
    )
    components: tuple[PositiveInt, ...] = scoring(
        (2, 4, 6, 8, 10, 12, 14, 16, 18, 20),
        "gmm: numbers of Gaussians, of which the likeliest on held-out training videos is taken",
        min_length=1,
    )
    folds: PositiveInt = scoring(10, "gmm: folds of that cross-validation", ge=2)
    selection_rows: PositiveInt | None = scoring(
        None, "gmm: at most so many training rows choose the number of Gaussians; none: all"
    )
    neighbours: PositiveInt = scoring(5, "knn: which neighbour's distance is taken, from 1")


class MSMAInMULDEConfig(ScoreNormConfig):
    """Defaults are those of MULDE's comparison and its released code."""

    ladder: Ladder = Field(
        "linear",
        description=(
            "spacing of the noise scales; training draws log-uniformly between the smallest and the"
            " largest"
        ),
    )
    sigma_low: PositiveFloat = Field(
        1e-3, description="smallest noise scale, in standard deviations of a feature"
    )
    scales: PositiveInt = Field(16, description="noise scales L")
    epochs: PositiveInt = Field(1000, description="passes over the training rows, MULDE's")
    batch_size: PositiveInt = Field(
        2048, description="rows a step; the last, partial batch of an epoch is kept"
    )
    lr: PositiveFloat = Field(
        5e-4, description="learning rate of Adam, for object streams; 1e-4 for frame-centric ones"
    )
    betas: tuple[Decay, Decay] = Field((0.5, 0.9), description="decay rates of Adam's two moments")
    norm: Norm = scoring(
        "squared", "what becomes of the score s at scale sigma: sigma |s|, or |s|^2"
    )
    read_outs: tuple[PlainReadOut, ...] = scoring(
        ("gmm-raw5", "gmm-raw3", "gmm-raw1", "mean", "max", "median"),
        "score columns, the first is ranked: -log-likelihood of the raw norms under 5, 3 or 1"
        " Gaussians, a pool of the norms' z-scores, or every scale's norm as a column of its own;"
        " which of its mixtures MULDE's comparison reports is not said",
        min_length=1,
    )


class MSMA(LightningDetector):
    """Anomaly score = improbability of [norm of the score at scale i] for L noise scales, under a
    model of what normal rows have.

    >>> from vadbench.testing import small_config, synthetic_rows
    >>> detector = MSMA(small_config(MSMA), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 3)
    >>> detector.read_outs
    ('gmm', 'knn', 'mean')
    """

    Config: ClassVar[type[ScoreNormConfig]] = MSMAConfig
    info = DetectorInfo(
        name="msma",
        title="MSMA",
        paper=(
            "Mahmood et al., Multiscale Score Matching for Out-of-Distribution Detection, ICLR 2021"
        ),
        deterministic=False,
    )
    calibration: ClassVar[str] = "zscore-clip"
    config: ScoreNormConfig
    net: nn.Module

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the defaults.

        `fast`, for a CPU: two layers of 256 units, 2000 optimiser steps of 2048 rows, fewer
        mixtures to choose from.
        """
        if name != "fast":
            return {}
        mixtures = {
            "components": (1, 2, 4, 8, 16),
            "folds": 3,
            "selection_rows": 10_000,
            "mixture_rows": 50_000,
        }
        return {
            "units": (256, 256),
            "max_steps": fast_steps(nature),
            "batch_size": 2048,
            **mixtures,
        }

    @property
    def read_outs(self) -> tuple[str, ...]:
        """Names of the score columns; `scales` becomes one column a scale, norm@sigma."""
        norms = [name_norm(sigma) for sigma in self.noise_scales().tolist()]
        return tuple(
            column
            for name in self.config.read_outs
            for column in (norms if name == "scales" else [name])
        )

    def build(self, dim: int) -> nn.Module:
        """The score network, or MULDE's; the noise scales go with it from device to device."""
        net: nn.Module = (
            NoiseConditionedMLP(dim, self.config.units)
            if self.config.network == "log-density"
            else ScoreMLP(dim, self.config.units)
        )
        net.register_buffer("ladder", self.noise_scales().float(), persistent=False)
        return net

    def row_flops(self, dim: int) -> tuple[float, float]:
        """Forward and backward; L forward passes.

        MULDE's network: its training, and L forward passes and input gradients.
        """
        scales, widths = self.config.scales, (dim + 1, *self.config.units, dim)
        if self.config.network == "log-density":
            once = dense_flops((*widths[:-1], 1))
            return 9 * once, 2 * scales * once
        once, shared = dense_flops(widths), dense_flops(widths[:2])
        return 3 * once, shared + scales * (once - shared)

    def noise_scales(self) -> Tensor:
        """[L] noise scales, float64."""
        return torch.from_numpy(
            noise_ladder(
                self.config.ladder,
                self.config.sigma_low,
                self.config.sigma_high,
                self.config.scales,
            )
        )

    def loss(self, batch: Tensor) -> Tensor:
        """Denoising score matching at random noise."""
        sigma, eps = self._training_scales(batch), torch.randn_like(batch)
        if self.config.network == "log-density":
            matching, regulariser = mulde_loss(
                cast(NoiseConditionedMLP, self.net), batch, sigma, eps, BETA
            )
            return matching + regulariser
        return dsm_loss(self.net(batch + sigma * eps, sigma), sigma, eps)

    def _training_scales(self, batch: Tensor) -> Tensor:
        if self.config.ladder == "linear":
            return log_uniform(self.config.sigma_low, self.config.sigma_high, batch)
        ladder = cast(Tensor, self.net.ladder)
        return ladder[torch.randint(self.config.scales, (len(batch), 1), device=batch.device)]

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, L] norms of the score at clean rows."""
        scales = self.noise_scales().to(batch)
        if isinstance(self.net, NoiseConditionedMLP):
            repeated = (
                batch.repeat_interleave(len(scales), 0),
                scales.repeat(len(batch)).unsqueeze(1),
            )
            score = -self.net.input_gradient(*repeated).view(len(batch), len(scales), -1)
        else:
            score = cast(ScoreMLP, self.net).at_scales(batch, scales)
        return score_norms(score, scales, self.config.norm)

    def fit_read_outs(self, values: NDArray[np.float64]) -> None:
        """Mixtures of the training rows' norms [N, L], each scale's mean and standard deviation,
        and for knn the norms themselves.
        """
        self.mean, deviation = moments(values)
        self.std = deviation + 1e-8
        video = self._normal[0].video
        some = subsample(len(values), self.config.mixture_rows, self.seed)
        self.mixtures = {
            name: self._mixture(name, values[some], video[some])
            for name in self.config.read_outs
            if name.startswith("gmm")
        }
        if "knn" in self.config.read_outs:  # the network answers in float32: nothing is lost
            self._remember(values.astype(np.float32), np.asarray(video))

    def _mixture(
        self, name: str, values: NDArray[np.float64], video: NDArray[np.integer[Any]]
    ) -> Mixture:
        if name != "gmm":
            return fit_mixture(
                values,
                min(int(name.removeprefix("gmm-raw")), len(values)),
                self.seed,
                floor=1e-6,
                absolute=True,
            )
        # A floor relative to each column's variance is StandardScaler before scikit-learn's
        # reg_covar; -log p differs by a constant alone.
        config = cast(MSMAConfig, self.config)
        count = choose_components(
            values,
            video,
            config.components,
            self.seed,
            rows=config.selection_rows or len(values),
            folds=config.folds,
        )
        return fit_mixture(values, min(count, len(values)), self.seed)

    def _remember(self, norms: NDArray[np.float32], video: NDArray[np.integer[Any]]) -> None:
        self.norms, self.video = norms, video
        self.nearest = Nearest(norms, group=video)

    def read_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, C] scores of the norms [N, L]; a training row's nearest neighbour is itself, as in
        the original.
        """
        return self._columns(values, None)

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """What normal rows score; knn leaves out each row's own video (its own row, where there is
        one video).
        """
        fitted = getattr(self, "_normal", None)
        return self._columns(
            fitted[1] if fitted is not None and fitted[0] is train else self._values(train),
            train.video,
        )

    def _columns(
        self, values: NDArray[np.float64], left_out: NDArray[np.integer[Any]] | None
    ) -> NDArray[np.float64]:
        out = in_blocks(self._read, values, len(self.read_outs))
        if "knn" in self.config.read_outs:
            place = self.read_outs.index("knn")
            out[:, place] = self._distance(values.astype(np.float32), left_out)
        return out

    def _read(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[B, C] the columns of norms [B, L]; that of knn is left to be filled in."""
        z = (values - self.mean) / self.std
        columns = []
        for name in self.config.read_outs:
            if name == "knn":
                columns.append(np.zeros(len(values)))
            elif name in POOLS:
                columns.append(POOLS[name](z, axis=1))
            elif name == "scales":
                columns.extend(values.T)
            else:
                columns.append(nll(self.mixtures[name], values, self.config.device))
        return np.stack(columns, 1)

    def _distance(
        self, norms: NDArray[np.float32], left_out: NDArray[np.integer[Any]] | None
    ) -> NDArray[np.float64]:
        """[N] distances to the k-th nearest training norms, or to the farthest of those that
        exist.
        """
        k = cast(MSMAConfig, self.config).neighbours
        if left_out is not None and len(np.unique(self.video)) > 1:
            return kth_distance(self.nearest.squares(norms, k, left_out))
        if left_out is not None:
            return kth_distance(self.nearest.squares(norms, k + 1))  # the first is the row's own, 0
        return kth_distance(self.nearest.squares(norms, k))

    def read_out_arrays(self) -> dict[str, NDArray[Any]]:
        """Each scale's statistics, the mixtures and the remembered norms."""
        mixtures = {
            f"{name}.{key}": values
            for name, mixture in self.mixtures.items()
            for key, values in mixture.arrays().items()
        }
        remembered = (
            {"norms": self.norms, "video": self.video} if "knn" in self.config.read_outs else {}
        )
        return {"mean": self.mean, "std": self.std, **mixtures, **remembered}

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
        if "knn" in self.config.read_outs:
            self._remember(arrays["norms"], arrays["video"])


class MSMAInMULDE(MSMA):
    """MSMA as MULDE's authors compare with it: 16 linear scales, the unweighted squared norm, a
    mixture on the raw vectors.
    """

    Config = MSMAInMULDEConfig
    info = DetectorInfo(
        name="msma-mulde",
        title="MSMA (MULDE's variant)",
        paper="Micorek et al., MULDE, CVPR 2024, Sec. 4",
        deterministic=False,
    )

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the defaults with the stream's learning rate.

        `fast`: two layers of 256 units, 2000 optimiser steps, as MULDE's.
        """
        if name == "fast":
            return {"units": (256, 256), "max_steps": fast_steps(nature), "mixture_rows": 50_000}
        return {"lr": 1e-4 if nature.windows else 5e-4}


class ScoreMLP(nn.Module):
    """s: R^D x R -> R^D, hidden layers of exact GELU units; the noise scale sigma is the last input
    column, as it is.
    """

    def __init__(self, dim: int, units: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            nn.Linear(wide, narrow) for wide, narrow in pairwise((dim + 1, *units))
        )
        self.last = nn.Linear(units[-1], dim)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """[B, D] scores at x [B, D], sigma [B, 1]."""
        h = torch.cat([x, sigma], 1)
        for layer in self.hidden:
            h = gelu(layer(h))
        return cast(Tensor, self.last(h))

    def at_scales(self, x: Tensor, scales: Tensor) -> Tensor:
        """[B, L, D] scores of x [B, D] at every one of scales [L]; the first layer's product with x
        is made once for all scales.
        """
        first, *others = cast(list[nn.Linear], self.hidden)
        a = functional.linear(x, first.weight[:, :-1], first.bias)  # [B, H]
        h = gelu(a.unsqueeze(1) + scales[:, None] * first.weight[:, -1]).flatten(0, 1)  # [B L, H]
        for layer in others:
            h = gelu(layer(h))
        return cast(Tensor, self.last(h).view(len(x), len(scales), -1))


def noise_ladder(ladder: Ladder, low: float, high: float, count: int) -> NDArray[np.float64]:
    """[count] noise scales: geometric from high down to low, or evenly spaced from low up to high,
    each as its authors order them.
    """
    return (
        np.geomspace(high, low, count) if ladder == "geometric" else np.linspace(low, high, count)
    )


def name_norm(sigma: float) -> str:
    """The column of the norm at a noise scale."""
    return f"norm@{sigma:.4g}"


def dsm_loss(score: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
    """Denoising score matching with lambda = sigma^2: half the mean of |sigma s + eps|^2 for s [B,
    D] at x + sigma eps; never divided by sigma.
    """
    return (sigma * score + eps).square().sum(1).mean() / 2


def score_norms(score: Tensor, scales: Tensor, norm: Norm) -> Tensor:
    """[B, L] norms of score [B, L, D]: sigma |s|, or |s|^2."""
    squares = score.square().sum(2)
    return squares if norm == "squared" else scales * squares.sqrt()


def kth_distance(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] distances from squared ones [N, k], ascending: the last that is finite, because fewer
    than k rows may be left.
    """
    last = np.isfinite(squared).sum(1) - 1
    return cast(NDArray[np.float64], np.sqrt(squared[np.arange(len(squared)), last]))
