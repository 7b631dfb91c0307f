"""Flow: exact log-density by a normalizing flow, of vectors or, as in ITAE+NF (Cho et al., Pattern
Recognition 2022), of maps.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from vadbench.detector import DetectorInfo, Features, Nature, Standardisation
from vadbench.errors import BadInput
from vadbench.training import ACTIVATION, LightningDetector, NeuralConfig, dense_flops, fast_steps
from vadbench_methods.data_start import DataStart
from vadbench_methods.flow_blocks import (
    ScaleMap,
    autoregressive,
    glow,
    glow_maps,
    initialise,
)
from vadbench_methods.flow_maps import (
    MapFlow,
    leave_out_maps,
    map_flops,
    require_maps,
    standardise_maps,
    varying_maps,
)

# activations that making a transform of one of the network's numbers costs, measured for splines
SPLINE = 14
BACKENDS = {
    "glow": "normflows",
    "realnvp": "normflows",
    "glow-maps": "normflows",
    "nsf": "zuko",
    "maf": "zuko",
}
MAPS = 2.5  # of a stream of maps, where only its columns are known: ITAE has 2 and 3
# of the paper's second training step; levels L, rate and batch by data set, others as ShanghaiTech
PAPER = {
    "ped1": {"levels": 1, "lr": 5e-4, "batch_size": 8},
    "ped2": {"levels": 1, "lr": 5e-4, "batch_size": 8},
    "avenue": {"levels": 3, "lr": 5e-4, "batch_size": 5},
}


class Config(NeuralConfig):
    """Defaults are those of ITAE+NF (Cho et al.) unless a field says otherwise; the paper states
    neither epochs nor gradient clipping.
    """

    backend: Literal["normflows", "zuko"] = Field(
        "normflows", description="library; follows from the architecture where that is given alone"
    )
    architecture: Literal["glow", "realnvp", "glow-maps", "nsf", "maf"] | None = Field(
        None,
        description=(
            "normflows: glow, realnvp or glow-maps (convolutions, on streams of maps alone); zuko:"
            " nsf (neural splines) or maf (masked autoregressive); none: the first of them"
        ),
    )
    layers: PositiveInt = Field(32, description="steps K of the flow; glow-maps: of each level")
    hidden: PositiveInt = Field(
        512, description="width of the two hidden layers of each step's network"
    )
    levels: PositiveInt = Field(
        1,
        description=(
            "glow-maps only: levels L, each of which squeezes 2 x 2 positions into channels and"
            " lets half of them leave; the paper has 1 on UCSD, else 3"
        ),
        json_schema_extra={"where": {"architecture": "glow-maps"}},
    )
    mixing: Literal["linear", "permutation"] = Field(
        "linear",
        description=(
            "glow only: between couplings a learnt invertible linear map (D^2 weights a step) or a"
            " fixed random permutation"
        ),
    )
    scale_map: ScaleMap = Field(
        "sigmoid",
        description=(
            "glow and realnvp: scale of a coupling, sigmoid(raw + 2) as in Glow's code, or"
            " exp(raw), unbounded, which may diverge"
        ),
    )
    epochs: PositiveInt = Field(
        100, description="passes over the training rows; the paper states none"
    )
    batch_size: int = Field(
        256,
        ge=2,
        description=(
            "rows a step, 2 at least: ActNorm starts from the first batch; the paper has 8 maps"
        ),
    )
    lr: PositiveFloat = Field(
        5e-4,
        description="learning rate of Adam at the first step; the paper has 1e-4 on ShanghaiTech",
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="the learning rate's course: down to 0 at the last step, or unchanged"
    )
    gradient_clip: PositiveFloat | None = Field(
        100.0, description="largest Euclidean norm of the gradient, as in STG-NF; none: not clipped"
    )

    @model_validator(mode="before")
    @classmethod
    def _backend_of(cls, given: Any) -> Any:
        known = (
            isinstance(given, dict)
            and "backend" not in given
            and given.get("architecture") in BACKENDS
        )
        return {**given, "backend": BACKENDS[given["architecture"]]} if known else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        choices = [name for name, backend in BACKENDS.items() if backend == self.backend]
        if self.architecture not in (None, *choices):
            raise ValueError(
                f"architecture must be {' or '.join(choices)} with backend {self.backend}, got"
                f" {self.architecture}"
            )
        return self


class Flow(LightningDetector):
    """Anomaly score = -log p(x) of the standardised row, in nats; that of the raw row differs by a
    constant, the sum of the log scales.

    Columns that are constant in training take no part: their density has no bound; of maps, a map
    all of whose columns are. ActNorm starts from the first training batch. Maps are standardised
    each with one mean and one deviation, over rows and positions.

    >>> from vadbench.testing import small_config, synthetic_rows
    >>> detector = Flow(small_config(Flow), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    >>> detector.read_outs
    ('score',)
    """

    Config = Config
    info = DetectorInfo(
        name="flow",
        title="Normalizing flow",
        paper=(
            "Cho et al., Unsupervised Video Anomaly Detection via Normalizing Flows with Implicit"
            " Latent Features, Pattern Recognition 2022"
        ),
        deterministic=False,
    )
    # a negative log-density grows with the square of a distance: its root is what may be added to
    # others
    calibration: ClassVar[str] = "sqrt"
    net: DensityFlow | MapFlow
    shape: tuple[int, ...] | None = None  # of the maps trained on

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the defaults with the data set's learning rate.

        `fast`, for a CPU: 8 steps of 128 units, and 1500 optimiser
        steps at most (1000 on image embeddings), of 512 rows and from a higher learning rate, which
        a short cosine wants. On image embeddings fixed permutations mix the columns: a matrix of
        1280 x 1280 in each step costs a dozen times the coupling itself.

        On streams of maps both are `glow-maps`. `paper`: K = 32 steps a level, 512 channels, L = 1
        level, rate 5e-4 and batch 8 on UCSD; 3, 5e-4 and 5 on Avenue; 3, 1e-4 and 8 elsewhere.
        `fast`: one level of 8 steps of 128 channels, and 1000 optimiser steps of 32 rows at most,
        from a higher rate: three maps of 16 x 24 take 0.13 s a step on one core.
        """
        if nature.maps:
            return _preset_of_maps(name, dataset)
        if name == "fast":
            short = {"layers": 8, "hidden": 128, "batch_size": 512, "max_steps": 1500, "lr": 2e-3}
            return short | (
                {"max_steps": fast_steps(nature), "mixing": "permutation"}
                if nature.embedding
                else {}
            )
        return {"lr": 1e-4} if dataset in ("shanghaitech", "ucf_crime") else {}

    @property
    def of_maps(self) -> bool:
        """Whether rows are maps to it."""
        return bool(self.config.architecture == "glow-maps")

    def fit(self, train: Features) -> None:
        """Train the flow; see `LightningDetector.fit`.

        Raises:
            BadInput: also if the rows are no maps, or maps that cannot be halved `levels` times,
                where the architecture is `glow-maps`.
        """
        if self.of_maps:
            self.shape = require_maps(train, self.config.levels)
        super().fit(train)

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] negative log-likelihoods; see `Detector.score`.

        Raises:
            BadInput: if the rows are of another shape than those of training.
        """
        if self.shape is not None and test.shape not in (None, self.shape):
            raise BadInput(
                f"{test.name}: maps of shape {test.shape}, flow was trained on {self.shape};"
                " extract both with the same options"
            )
        return super().score(test)

    def without_outliers(self, train: Features) -> Features:
        """Of maps, without the rows whose means decide that of a map alone: a cell that seldom
        changes is no glitch.
        """
        return leave_out_maps(train) if self.of_maps else super().without_outliers(train)

    def standardise(self, x: NDArray[np.float32]) -> Standardisation:
        """Column by column, or map by map."""
        return super().standardise(x) if self.shape is None else standardise_maps(x, self.shape)

    def build(self, dim: int) -> DensityFlow | MapFlow:
        """The flow of the columns, or of the maps, that vary in training.

        Raises:
            BadInput: if none does, or if the backend's package is not installed.
        """
        if self.shape is not None:
            return self._build_maps(self.shape)
        # exactly 1 is what `Standardisation` gives a constant column
        varies = torch.from_numpy(self.standardisation.scale != 1.0)
        if not varies.any():
            raise BadInput(
                f"flow: all {dim} feature columns are constant in training; a density needs one"
                " that varies (vadbench features verify)"
            )
        return DensityFlow(self._flow(int(varies.sum())), varies)

    def _build_maps(self, shape: tuple[int, ...]) -> MapFlow:
        maps, height, width = shape
        varies = torch.from_numpy(varying_maps(self.standardisation, maps))
        if not varies.any():
            raise BadInput(
                f"flow: all {maps} maps are constant in training; a density needs one that varies"
                " (vadbench features verify)"
            )
        config, count = self.config, int(varies.sum())
        flow = glow_maps(count, height, width, config.levels, config.layers, config.hidden)
        return MapFlow(flow, varies, shape)

    def _flow(self, dim: int) -> nn.Module:
        config = self.config
        if config.backend == "zuko":
            return autoregressive(config.architecture or "nsf", dim, config.layers, config.hidden)
        return glow(
            dim,
            config.layers,
            config.hidden,
            "swap" if config.architecture == "realnvp" else config.mixing,
            config.scale_map,
        )

    def row_flops(self, dim: int) -> tuple[float, float]:
        """Forward and backward; forward.

        An autoregressive network gives 23 numbers a column for a spline (8 bins), 2 for an affine
        map. Of maps only the columns are known here: they are taken for 2.5 maps, between the two
        and three that ITAE has.
        """
        config = self.config
        if self.of_maps:
            forward = map_flops(dim, MAPS, config.levels, config.layers, config.hidden)
            return 3 * forward, forward
        hidden, changed = config.hidden, dim // 2
        if config.backend == "zuko":
            numbers = dim * (2 if config.architecture == "maf" else 23)
            step = dense_flops((dim, hidden, hidden, numbers)) + SPLINE * ACTIVATION * numbers
        else:
            linear = config.architecture != "realnvp" and config.mixing == "linear"
            step = (
                dense_flops((dim - changed, hidden, hidden, 2 * changed))
                + (4.0 * dim**2 if linear else 0.0)
                + 3 * ACTIVATION * dim
            )
        return 3 * config.layers * step, config.layers * step

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As of every network, and the shape of maps."""
        shape = {} if self.shape is None else {"maps.shape": np.asarray(self.shape, np.int64)}
        return {**super().arrays(), **shape}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        if "maps.shape" in arrays:
            self.shape = tuple(int(size) for size in arrays["maps.shape"])
        super().restore(arrays)

    def schedule(
        self, optimiser: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        """The cosine of the paper, to 0 at the last step, or a constant rate."""
        return (
            torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
            if self.config.schedule == "cosine"
            else None
        )

    def loss(self, batch: Tensor) -> Tensor:
        """Mean negative log-likelihood, in nats."""
        self.net.start_once(batch)
        return -self.net.log_prob(batch).mean()

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, 1] negative log-likelihoods."""
        return -self.net.log_prob(batch)[:, None]


def _preset_of_maps(name: str, dataset: str) -> dict[str, Any]:
    """What a preset changes for a stream of maps."""
    maps = {"architecture": "glow-maps", "score_batch": 64}
    if name == "paper":
        return maps | PAPER.get(dataset, {"levels": 3, "lr": 1e-4, "batch_size": 8})
    return maps | {"layers": 8, "hidden": 128, "batch_size": 32, "max_steps": 1000, "lr": 2e-3}


class DensityFlow(DataStart):
    """log p(x) under a flow of either library, over the columns that vary.

    Args:
        flow: from `flow_blocks`.
        varies: [D] booleans, which columns take part; saved with the weights.
    """

    varies: Tensor
    columns: Tensor  # [D'] numbers of those that vary: a mask would be counted in every step

    def __init__(self, flow: nn.Module, varies: Tensor) -> None:
        super().__init__()
        self.flow: Any = flow
        self.register_buffer("varies", varies)
        self.register_buffer("columns", varies.nonzero().squeeze(1), persistent=False)
        self.dropped = not bool(varies.all())

    def start(self, first: Tensor) -> None:
        """Let the ActNorms begin from the first training batch [B, D]; nothing else ever moves them
        but the optimiser.
        """
        if hasattr(self.flow, "flows"):
            initialise(self.flow, self._columns(first))

    def log_prob(self, x: Tensor) -> Tensor:
        """[B] float64 log-densities in nats of rows [B, D]: every block's log-determinant is added
        up in float64, unlike in normflows.
        """
        z, total = self.latent(x)
        return total - 0.5 * (z.to(total.dtype).square() + math.log(2 * math.pi)).sum(1)

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [B, D'] of rows [B, D] and float64 log |det dz/dx| [B]."""
        # Apple's GPUs have no float64
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        z = self._columns(x)
        total = torch.zeros(len(x), dtype=wide, device=x.device)
        if not hasattr(self.flow, "flows"):  # zuko
            z, log_det = self.flow.transform().call_and_ladj(z)
            return z, total + log_det
        for block in reversed(self.flow.flows):
            z, log_det = block.inverse(z)
            total = total + log_det
        return z, total

    def _columns(self, x: Tensor) -> Tensor:
        return x[:, self.columns] if self.dropped else x
