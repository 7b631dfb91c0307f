"""The flow of STG-NF: ActNorm, exchange of the two coordinates, and affine couplings whose networks
are one unit of ST-GCN.

Data are [B, 2, T, V]: coordinate, pose, joint. Everything here works in float32 and in float64.
Sources: Hirschorn and Avidan (ICCV 2023); Yan et al., Spatial Temporal Graph Convolutional Networks
(AAAI 2018); Kingma and Dhariwal, Glow (NeurIPS 2018).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vadbench_methods.data_start import DataStart

# OpenPose's 18 joints: neck, arms, legs, eyes, ears; a tree of diameter 8
EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (2, 8), (8, 9), (9, 10)),
    *((5, 11), (11, 12), (12, 13), (0, 14), (14, 16), (0, 15), (15, 17)),
)
JOINTS, DIAMETER = 18, 8
LEAST_SCALE = 1e-6  # that a coupling's scale keeps

Partition = Literal["uniform", "distance"]
Permutation = Literal["reverse", "matrix"]


def hops(joints: int = JOINTS) -> Tensor:
    """[V, V] int64 edges between two joints of the skeleton."""
    near = torch.eye(joints, dtype=torch.float64)
    for one, other in EDGES:
        near[one, other] = near[other, one] = 1
    reached = [(torch.linalg.matrix_power(near, count) > 0) for count in range(DIAMETER + 1)]
    return DIAMETER + 1 - torch.stack(reached).sum(0)


def adjacency(partition: Partition, max_hops: int, joints: int = JOINTS) -> Tensor:
    """[P, V, V] float64: column j averages what lies within `max_hops` of joint j, itself included.

    `uniform`: one partition. `distance`: one for each number of hops, of one common average. With
    `max_hops` of the diameter, 8, `uniform` is 1/V everywhere: the mean over all joints, which
    knows no skeleton.

    >>> adjacency("uniform", 8).unique().tolist()
    [0.0555...]
    """
    if partition == "uniform" and max_hops >= DIAMETER:
        return torch.full((1, joints, joints), 1 / joints, dtype=torch.float64)
    apart = hops(joints)
    mean = (apart <= max_hops).to(torch.float64)
    mean = mean / mean.sum(0)
    if partition == "uniform":
        return mean[None]
    return torch.stack([torch.where(apart == count, mean, 0.0) for count in range(max_hops + 1)])


class ActNorm(nn.Module):
    """x <- (x + bias) exp(logs), two numbers a coordinate; begins from the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))
        self.logs = nn.Parameter(torch.zeros(2))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Mean 0 and deviation 1 of each coordinate over a batch, all poses and joints."""
        self.bias.copy_(-x.mean((0, 2, 3)))
        self.logs.copy_(-(x.std((0, 2, 3), correction=0) + 1e-6).log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent, and log |det|, a scalar."""
        moved = (x + self.bias[:, None, None]) * self.logs.exp()[:, None, None]
        return moved, x.shape[2] * x.shape[3] * self.logs.sum()

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        return z * (-self.logs).exp()[:, None, None] - self.bias[:, None, None]


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution; of one channel a product, which takes a fifth of the time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, a: Tensor) -> Tensor:
        """[B, inputs, T, V] to [B, outputs, T, V]."""
        if self.in_channels > 1:
            return super().forward(a)
        assert self.bias is not None
        return torch.addcmul(self.bias[:, None, None], a, self.weight[:, 0])


class OverTime(nn.Conv2d):
    """A convolution over time, padded with zeros, as one product with a banded matrix: of two
    channels it takes a sixth of the time.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, (kernel, 1))

    def forward(self, h: Tensor) -> Tensor:
        """[B, channels, T, V], as it came."""
        assert self.bias is not None
        channels, poses = h.shape[1:3]
        kernel, at = self.kernel_size[0], torch.arange(poses, device=h.device)
        lag = at[None] - at[:, None] + kernel // 2  # from the pose that is read, per pose written
        reached = (lag >= 0) & (lag < kernel)
        band = self.weight[:, :, lag.clamp(0, kernel - 1), 0] * reached
        matrix = band.transpose(1, 2).reshape(channels * poses, channels * poses)
        out = (matrix @ h.flatten(1, 2)).reshape(h.shape)
        return out + self.bias[:, None, None]


class Unit(nn.Module):
    """A unit of ST-GCN: the graph's average, a convolution over time, and a residual; its closing
    ReLU stands here too, as released.

    Args:
        inputs, outputs: channels.
        near: [P, V, V] adjacency.
        kernel: of the convolution over time.
        residual: whether there is one; absent in a flow's first step.
        edges: whether factors of the adjacency are learnt.
    """

    near: Tensor

    def __init__(
        self, inputs: int, outputs: int, near: Tensor, kernel: int, residual: bool, edges: bool
    ) -> None:
        super().__init__()
        self.register_buffer("near", near, persistent=False)
        self.parts = len(near)
        # one average of all joints: the same for every joint, and made of their mean
        self.mean = self.parts == 1 and not edges and bool((near == near[0, 0, 0]).all())
        self.graph = Pointwise(inputs, self.parts * outputs)
        self.norm_graph = nn.BatchNorm2d(outputs)
        self.time = OverTime(outputs, kernel)
        self.norm_time = nn.BatchNorm2d(outputs)
        self.edge = nn.Parameter(torch.ones_like(near)) if edges else None
        self.residual: nn.Module | None = None
        if residual:
            project = [Pointwise(inputs, outputs), nn.BatchNorm2d(outputs)]
            self.residual = nn.Identity() if inputs == outputs else nn.Sequential(*project)

    def forward(self, a: Tensor) -> Tensor:
        """[B, inputs, T, V] to [B, outputs, T, V], or [B, outputs, T, 1] where all joints get the
        same.
        """
        h = self.norm_graph(self._average(a)).relu()
        h = self.norm_time(self.time(h))
        out: Tensor = h if self.residual is None else h + self.residual(a)
        return out.relu()

    def _average(self, a: Tensor) -> Tensor:
        """Channels mixed, then joints averaged partition by partition: one product with a matrix
        of channels and joints.
        """
        if self.mean:
            pooled: Tensor = self.graph(a.mean(3, keepdim=True))
            return pooled
        near = self.near.to(a.dtype) if self.edge is None else self.near.to(a.dtype) * self.edge
        joints, weights = near.shape[1], self.graph.weight[:, :, 0, 0]
        assert self.graph.bias is not None
        mix = torch.einsum("pci,pvw->ivcw", weights.reshape(self.parts, -1, weights.shape[1]), near)
        shift = torch.einsum("pc,pvw->cw", self.graph.bias.reshape(self.parts, -1), near)
        rows = a.expand(-1, -1, -1, joints).transpose(1, 2).flatten(2)  # [B, T, inputs V]
        h = rows @ mix.reshape(rows.shape[2], -1)
        return (h.reshape(*rows.shape[:2], -1, joints) + shift).transpose(1, 2)


class Step(nn.Module):
    """One step of the flow: ActNorm, the coordinates exchanged or mixed, an affine coupling.

    Args:
        units: the coupling's network, 1 channel to 2: shift and raw scale.
        permutation: `reverse`, or a learnt invertible `matrix` of the two coordinates.
    """

    def __init__(self, units: list[nn.Module], permutation: Permutation) -> None:
        super().__init__()
        self.act_norm = ActNorm()
        rotation = torch.linalg.qr(torch.randn(2, 2)).Q if permutation == "matrix" else None
        self.matrix = None if rotation is None else nn.Parameter(rotation)
        self.network = nn.Sequential(*units)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent, and log |det| [B] in float64 where the device has it."""
        x, scaled = self.act_norm(x)
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        mixed = torch.zeros((), dtype=wide, device=x.device)
        if self.matrix is None:
            x = x.flip(1)
        else:
            x = torch.einsum("oc,bctv->botv", self.matrix, x)
            volume = torch.linalg.slogdet(self.matrix.to(wide)).logabsdet
            mixed = x.shape[2] * x.shape[3] * volume
        a, b = x[:, :1], x[:, 1:]
        shift, scale = self.coupling(a)
        log_det = scale.log().sum((1, 2, 3), dtype=wide) + scaled.to(wide) + mixed
        return torch.cat([a, (b + shift) * scale], 1), log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Latent to data."""
        a, b = z[:, :1], z[:, 1:]
        shift, scale = self.coupling(a)
        x = torch.cat([a, b / scale - shift], 1)
        if self.matrix is None:
            return self.act_norm.inverse(x.flip(1))
        back = torch.linalg.inv(self.matrix)
        return self.act_norm.inverse(torch.einsum("oc,bctv->botv", back, x))

    def coupling(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale [B, 1, T, V] of the coordinate that changes, given the other."""
        h = self.network(a).expand(-1, -1, -1, a.shape[3])
        return h[:, :1], torch.sigmoid(h[:, 1:] + 2) + LEAST_SCALE


class PoseFlow(DataStart):
    """log p(x) of pose sequences: the steps' change of variables under N(R, I).

    Args:
        steps: of the flow, from data to latent.
        prior_mean: R, of every component.
        shape: (2, T, V) of a row; rows may be flat.
    """

    def __init__(self, steps: list[Step], prior_mean: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.steps: Any = nn.ModuleList(steps)
        self.prior_mean = prior_mean
        self.shape = shape

    @torch.no_grad()
    def start(self, first: Tensor) -> None:
        """Let every ActNorm begin from a training batch [B, D]."""
        x = first.reshape(len(first), *self.shape)
        for step in self.steps:
            step.act_norm.start(x)
            x = step(x)[0]

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [B, 2, T, V] of rows [B, D], and log |det dz/dx| [B]."""
        z = x.reshape(len(x), *self.shape)
        total = torch.zeros((), dtype=torch.float64 if x.device.type != "mps" else torch.float32)
        total = total.to(x.device).expand(len(x))
        for step in self.steps:
            z, log_det = step(z)
            total = total + log_det
        return z, total

    def inverse(self, z: Tensor) -> Tensor:
        """Rows [B, D] of latents [B, 2, T, V]."""
        for step in reversed(self.steps):
            z = step.inverse(z)
        return z.flatten(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """[B] log-densities in nats of rows [B, D]; sums are taken in float64."""
        z, log_det = self.latent(x)
        apart = (z.flatten(1).to(log_det.dtype) - self.prior_mean).square()
        return log_det - 0.5 * (apart + math.log(2 * math.pi)).sum(1)


def pose_flow(
    shape: tuple[int, ...],
    near: Tensor,
    *,
    layers: int,
    hidden: int,
    kernel: int,
    permutation: Permutation,
    prior_mean: float,
    edges: bool = False,
) -> PoseFlow:
    """STG-NF, started from torch's generator.

    Args:
        shape: (2, T, V) of a row.
        near: [P, V, V] adjacency.
        layers: steps K.
        hidden: channels between two units of each coupling's network; 0: one unit alone.
        kernel: of the convolutions over time, odd.
        permutation: what exchanges the coordinates.
        prior_mean: R.
        edges: whether factors of the adjacency are learnt.
    """
    near = near.to(torch.get_default_dtype())
    widths = (1, hidden, 2) if hidden else (1, 2)
    steps = []
    for number in range(layers):
        units: list[nn.Module] = [
            Unit(inputs, outputs, near, kernel, number > 0, edges)
            for inputs, outputs in pairwise(widths)
        ]
        steps.append(Step(units, permutation))
    return PoseFlow(steps, prior_mean, tuple(shape))
