"""STG-NF: exact log-density of pose sequences by a normalizing flow on their graph (Hirschorn &
Avidan, ICCV 2023).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator
from torch import Tensor

from vadbench.detector import DetectorInfo, Features, Nature, Standardisation
from vadbench.errors import BadInput
from vadbench.training import ACTIVATION, Batches, LightningDetector, NeuralConfig
from vadbench_methods.stg_nf_net import (
    DIAMETER,
    JOINTS,
    Partition,
    Permutation,
    PoseFlow,
    adjacency,
    pose_flow,
)

PAPER = "Hirschorn and Avidan, Normalizing Flows for Human Pose Anomaly Detection, ICCV 2023"
MAPPED = 3.0  # activations that a step costs a number, measured; twice that where joints differ


class Config(NeuralConfig):
    """Defaults are those of the released ShanghaiTech model unless a field says otherwise."""

    layers: PositiveInt = Field(8, description="steps K of the flow")
    hidden: NonNegativeInt = Field(
        0, description="channels between two units of each coupling's network; 0: one unit alone"
    )
    partition: Partition = Field(
        "uniform",
        description=(
            "of a joint's neighbours: uniform, one average; distance, weights of their own for each"
            " number of edges"
        ),
    )
    max_hops: NonNegativeInt = Field(
        DIAMETER,
        le=DIAMETER,
        description=(
            "edges of the skeleton within which joints are neighbours; 8 is all joints: the model"
            " then knows no skeleton"
        ),
    )
    edge_importance: bool = Field(
        False, description="whether a factor is learnt for each pair of neighbours"
    )
    permutation: Permutation = Field(
        "reverse",
        description=(
            "between couplings x and y change places, or are mixed by a learnt invertible matrix"
        ),
    )
    temporal_kernel: PositiveInt | None = Field(
        None, description="poses that a convolution over time sees, odd; none: T // 2 + 1"
    )
    prior_mean: float = Field(3.0, description="mean R of every component of the latent's Gaussian")
    mirror: bool = Field(
        True, description="whether training sees every window mirrored too, x' to -x'"
    )
    epochs: PositiveInt = Field(8, description="passes over the windows, mirrored ones included")
    batch_size: int = Field(
        256, ge=2, description="windows a step, 2 at least: ActNorm starts from the first batch"
    )
    lr: PositiveFloat = Field(5e-4, description="learning rate of Adamax at the first step")
    schedule: Literal["decay", "cosine", "constant"] = Field(
        "decay",
        description=(
            "the learning rate's course: .99 an epoch from the third on, down to 0 by a cosine, or"
            " unchanged"
        ),
    )
    gradient_clip: PositiveFloat | None = Field(
        100.0, description="largest Euclidean norm of the gradient; none: not clipped"
    )

    @field_validator("temporal_kernel")
    @classmethod
    def _odd(cls, kernel: int | None) -> int | None:
        if kernel is not None and kernel % 2 == 0:
            raise ValueError(f"must be odd, got {kernel}")
        return kernel


class STGNF(LightningDetector):
    """Anomaly score = -log p(x) of the pose sequence, in nats.

    Rows are not standardised column by column, which would give each joint and each pose a scale of
    its own: ActNorm has one a coordinate. With the released adjacency (1/18 everywhere) the density
    is one of an unordered set of joints; `stg-nf-skeleton` tells them apart.

    >>> from vadbench.testing import small_config, synthetic_poses
    >>> detector = STGNF(small_config(STGNF), seed=0)
    >>> detector.fit(synthetic_poses(400, videos=4, seed=0))
    >>> detector.score(synthetic_poses(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = Config
    info = DetectorInfo(
        name="stg-nf", title="STG-NF, a flow on poses", paper=PAPER, deterministic=False
    )
    calibration: ClassVar[str] = "sqrt"  # as `flow`: it grows with the square of a distance
    takes: ClassVar[str] = "poses"
    net: PoseFlow
    shape: tuple[int, ...] = ()  # (2, T, V) of the rows trained on

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """`paper`: as released, 8 epochs at 5e-4; the windows' length is the stream's (`--set
        skeletons.window=16` on UBnormal, which the stream's own preset `paper` has).

        `fast`, for a CPU: 1500 optimiser steps at most, at a rate of 5e-3 that falls by a cosine:
        the sum of rates that the paper's 9080 steps on ShanghaiTech have. It is what brings the
        latents to their mean of 3; few windows want more epochs for it.
        """
        short = {"epochs": 100, "max_steps": 1500, "lr": 5e-3, "schedule": "cosine"}
        return short if name == "fast" else {}

    def fit(self, train: Features) -> None:
        """Train the flow; see `LightningDetector.fit`.

        Raises:
            BadInput: also if the rows are no pose sequences, or of a length or of joints that the
                settings do not fit.
        """
        self.shape = self._require_poses(train)
        super().fit(train)

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] negative log-likelihoods in nats; see `Detector.score`.

        Raises:
            BadInput: if nothing was fitted, or the rows are of another shape than those of
                training.
        """
        name = self.info.name
        if not self.shape:
            raise BadInput(f"{test.name}: {name} is not fitted; fit or load it before it scores")
        if test.shape not in (None, self.shape):
            raise BadInput(
                f"{test.name}: pose sequences of shape {test.shape}, {name} was trained on"
                f" {self.shape}; extract both with the same options"
            )
        return super().score(test)

    def without_outliers(self, train: Features) -> Features:
        """All rows: no column is standardised."""
        return train

    def standardise(self, x: NDArray[np.float32]) -> Standardisation:
        """Nothing: windows are normalised by themselves, and ActNorm does the rest."""
        return Standardisation(np.zeros(x.shape[1]), np.ones(x.shape[1]))

    def build(self, dim: int) -> PoseFlow:
        """The flow of rows of this shape."""
        config, (_, poses, joints) = self.config, self.shape
        return pose_flow(
            self.shape,
            adjacency(config.partition, config.max_hops, joints),
            layers=config.layers,
            hidden=config.hidden,
            kernel=config.temporal_kernel or poses // 2 + 1,
            permutation=config.permutation,
            prior_mean=config.prior_mean,
            edges=config.edge_importance,
        )

    def loss(self, batch: Tensor) -> Tensor:
        """Mean negative log-likelihood in bits a dimension."""
        self.net.start_once(batch)
        return -self.net.log_prob(batch).mean() / (batch.shape[1] * math.log(2))

    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, 1] negative log-likelihoods in nats."""
        return -self.net.log_prob(batch)[:, None]

    def optimiser(self) -> torch.optim.Optimizer:
        """Adamax."""
        config = self.config
        return torch.optim.Adamax(self.net.parameters(), lr=config.lr, betas=config.betas)

    def schedule(
        self, optimiser: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        """.99^max(0, e - 1) in epoch e from 0, a cosine to 0, or none."""
        schedulers, epoch = torch.optim.lr_scheduler, self._epoch
        if self.config.schedule == "cosine":
            return schedulers.CosineAnnealingLR(optimiser, steps)
        if self.config.schedule == "decay":
            decay = lambda step: 0.99 ** max(0, step // epoch - 1)  # noqa: E731
            return schedulers.LambdaLR(optimiser, decay)
        return None

    def _batches(self, train: Features) -> Batches:
        """Batches of the windows and, where asked for, their mirror images: twice the rows."""
        plain, rows = super()._batches(train), len(train)
        copies = 2 if self.config.mirror else 1
        size = min(self.config.batch_size, copies * rows)
        self._epoch = -(-copies * rows // size)
        steps = self.config.epochs * self._epoch
        half = train.x.shape[1] // 2

        def read(index: Tensor) -> Tensor:
            batch = plain.read(index % rows)
            mirrored = (index >= rows)[:, None]
            return torch.cat([torch.where(mirrored, -batch[:, :half], batch[:, :half]),
                              batch[:, half:]], 1)  # fmt: skip

        steps = min(steps, self.config.max_steps or steps)
        return replace(plain, read=read, rows=copies * rows, size=size, steps=steps)

    def _require_poses(self, train: Features) -> tuple[int, ...]:
        name, shape = self.info.name, train.shape
        if shape is None or len(shape) != 3 or shape[0] != 2:
            raise BadInput(
                f"{train.name}: its rows are no pose sequences [2, T, joints]; {name} needs a"
                " stream of them, such as skeletons"
            )
        _, poses, joints = shape
        if self.config.temporal_kernel is None and poses // 2 % 2:
            raise BadInput(
                f"{train.name}: windows of {poses} poses, whose half {poses // 2} is odd; {name}"
                " takes 12, 16 or 24 (--set skeletons.window=24), or an odd temporal_kernel"
                f" (--set {name}.temporal_kernel={poses // 2})"
            )
        everybody = self.config.partition == "uniform" and self.config.max_hops == DIAMETER
        if joints != JOINTS and not everybody:
            raise BadInput(
                f"{train.name}: {joints} joints, but the skeleton has the {JOINTS} of OpenPose;"
                f" of others {name} takes all as neighbours (--set {name}.max_hops={DIAMETER}"
                f" --set {name}.partition=uniform)"
            )
        return tuple(shape)

    def row_flops(self, dim: int) -> tuple[float, float]:
        """Forward and backward, of a window and its mirror image; forward."""
        config = self.config
        known = config.max_hops == DIAMETER and config.partition == "uniform"
        costs = MAPPED * (1 if known and not config.edge_importance else 2)
        forward = config.layers * dim * costs * ACTIVATION * (1 + config.hidden)
        return 3 * forward, forward

    def flops(self, rows: int, dim: int, test_rows: int = 0) -> float | None:
        """As of every network, with twice the rows an epoch where they are mirrored."""
        again = rows if self.config.mirror else 0  # trained on, and not scored
        return super().flops(rows + again, dim, test_rows - again)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As of every network, and the rows' shape."""
        return {**super().arrays(), "poses.shape": np.asarray(self.shape, np.int64)}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.shape = tuple(int(size) for size in arrays["poses.shape"])
        super().restore(arrays)


class SkeletonConfig(Config):
    """STG-NF's settings with a graph that sees the skeleton."""

    partition: Partition = Field(
        "distance",
        description=(
            "of a joint's neighbours: uniform, one average; distance, weights of their own for each"
            " number of edges: a joint's own motion, and its neighbours'"
        ),
    )
    max_hops: NonNegativeInt = Field(
        1, le=DIAMETER, description="edges of the skeleton within which joints are neighbours"
    )
    edge_importance: bool = Field(
        True,
        description=(
            "whether a factor is learnt for each pair of neighbours; without, joints with the same"
            " neighbourhood remain interchangeable"
        ),
    )


class SkeletonSTGNF(STGNF):
    """STG-NF with a graph that knows which joint is which: a joint and its neighbours on the
    skeleton have weights of their own, and so has every edge. Ours; no paper has it.
    """

    Config = SkeletonConfig
    info = DetectorInfo(
        name="stg-nf-skeleton",
        title="STG-NF with a graph that sees the skeleton",
        paper=f"ours, after {PAPER}",
        deterministic=False,
    )
