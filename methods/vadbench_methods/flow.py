"""Flow: exact log-density by a normalizing flow (ITAE+NF, Cho et al., Pattern Recognition 2022, on
vectors instead of maps).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from vadbench.detector import DetectorInfo, Nature
from vadbench.errors import BadInput
from vadbench.training import ACTIVATION, LightningDetector, NeuralConfig, dense_flops, fast_steps
from vadbench_methods.flow_blocks import ScaleMap, autoregressive, glow, initialise

# activations that making a transform of one of the network's numbers costs, measured for splines
SPLINE = 14
BACKENDS = {"glow": "normflows", "realnvp": "normflows", "nsf": "zuko", "maf": "zuko"}


class Config(NeuralConfig):
    """Defaults are those of ITAE+NF (Cho et al.) unless a field says otherwise; the paper states
    neither epochs nor gradient clipping.
    """

    backend: Literal["normflows", "zuko"] = Field(
        "normflows", description="library; follows from the architecture where that is given alone"
    )
    architecture: Literal["glow", "realnvp", "nsf", "maf"] | None = Field(
        None,
        description=(
            "normflows: glow or realnvp; zuko: nsf (neural splines) or maf (masked autoregressive);"
            " none: the first of them"
        ),
    )
    layers: PositiveInt = Field(32, description="steps K of the flow")
    hidden: PositiveInt = Field(
        512, description="width of the two hidden layers of each step's network"
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

    Columns that are constant in training take no part: their density has no bound. ActNorm starts
    from the first training batch.

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
    net: DensityFlow

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: the defaults with the data set's learning rate.

        `fast`, for a CPU: 8 steps of 128 units, and 1500 optimiser
        steps at most (1000 on image embeddings), of 512 rows and from a higher learning rate, which
        a short cosine wants. On image embeddings fixed permutations mix the columns: a matrix of
        1280 x 1280 in each step costs a dozen times the coupling itself.
        """
        if name == "fast":
            short = {"layers": 8, "hidden": 128, "batch_size": 512, "max_steps": 1500, "lr": 2e-3}
            return short | (
                {"max_steps": fast_steps(nature), "mixing": "permutation"}
                if nature.embedding
                else {}
            )
        return {"lr": 1e-4} if dataset in ("shanghaitech", "ucf_crime") else {}

    def build(self, dim: int) -> DensityFlow:
        """The flow of the columns that vary in training.

        Raises:
            BadInput: if none does, or if the backend's package is not installed.
        """
        # exactly 1 is what `Standardisation` gives a constant column
        varies = torch.from_numpy(self.standardisation.scale != 1.0)
        if not varies.any():
            raise BadInput(
                f"flow: all {dim} feature columns are constant in training; a density needs one"
                " that varies (vadbench features verify)"
            )
        return DensityFlow(self._flow(int(varies.sum())), varies)

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
        map.
        """
        config = self.config
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
        if not self.net.started:
            self.net.start(batch)
        return -self.net.log_prob(batch).mean()

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, 1] negative log-likelihoods."""
        return -self.net.log_prob(batch)[:, None]


class DensityFlow(nn.Module):
    """log p(x) under a flow of either library, over the columns that vary.

    Args:
        flow: from `flow_blocks`.
        varies: [D] booleans, which columns take part; saved with the weights.
    """

    varies: Tensor

    def __init__(self, flow: nn.Module, varies: Tensor) -> None:
        super().__init__()
        self.flow: Any = flow
        self.register_buffer("varies", varies)
        self.dropped = not bool(varies.all())
        self.started = False

    def start(self, first: Tensor) -> None:
        """Let the ActNorms begin from the first training batch [B, D]; nothing else ever moves them
        but the optimiser.
        """
        self.started = True
        if hasattr(self.flow, "flows"):
            initialise(self.flow, self._columns(first))

    def log_prob(self, x: Tensor) -> Tensor:
        """[B] float64 log-densities in nats of rows [B, D]: every block's log-determinant is added
        up in float64, unlike in normflows.
        """
        z, total = self.latent(x)
        wide = total.dtype
        return total - 0.5 * (z.to(wide).square() + math.log(2 * math.pi)).sum(1)

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
        return x[:, self.varies] if self.dropped else x
