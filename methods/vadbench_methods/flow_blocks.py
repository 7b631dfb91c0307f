"""What `flow` builds its networks of: Glow and RealNVP on vectors, Glow on maps (all on normflows),
and zuko's autoregressive flows.

normflows lists its blocks from latent to data and walks the list backwards, calling `inverse`, to
find the latents of data. A Glow step reads ActNorm, linear map, coupling from data to latent, so it
stands here as [coupling, linear map, ActNorm].
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vadbench.errors import BadInput

Mixing = Literal["linear", "permutation", "swap"]
ScaleMap = Literal["sigmoid", "exp"]
# an ActNorm column whose spread in the first batch is below this carries no scale to learn from
FLAT = math.log(1e-3)


def library(name: str) -> ModuleType:
    """The optional package `name`.

    Raises:
        BadInput: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        raise BadInput(
            f"flow: the package {name} is not installed; run pip install 'vadbench[flow]'"
        ) from None


class InvertibleLinear(nn.Module):
    """Glow's invertible linear map z W of vectors, W = P L U, started as a random rotation.

    Equal to normflows' InvertibleAffine, which needs the deprecated torch.lu; the factors are
    applied one after the other, so that no D x D x D product is made (256 rows of 512 columns: half
    of the multiplications).

    Args:
        dim: number of columns D.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(dim, dim)).Q
        P, L, U = torch.linalg.lu(rotation)
        self.register_buffer("permutation", P.argmax(0))  # z P = z[:, permutation]; stays fixed
        self.register_buffer("sign", U.diagonal().sign())  # stays fixed, so that W stays invertible
        self.log_scale = nn.Parameter(U.diagonal().abs().log())
        self.L = nn.Parameter(L.tril(-1))
        self.U = nn.Parameter(U.triu(1))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent: x W [B, D], and log |det W|, a scalar."""
        x = x[:, self.permutation]
        x = x + x @ self.L.tril(-1)
        return x * (self.sign * self.log_scale.exp()) + x @ self.U.triu(1), self.log_scale.sum()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latent to data: z W^-1 [B, D], and its log-determinant, a scalar."""
        upper = self.U.triu(1) + torch.diag(self.sign * self.log_scale.exp())
        z = torch.linalg.solve_triangular(upper, z, upper=True, left=False)
        z = torch.linalg.solve_triangular(self.L, z, upper=False, left=False, unitriangular=True)
        return z[:, self.permutation.argsort()], -self.log_scale.sum()


class ActNorm(nn.Module):
    """A scale and a shift a column (of maps: a channel) that begin from a batch, as in Glow.

    Equal to normflows', whose `data_dep_init_done` is a number on the device: it is read in every
    call, for which a GPU stands still. Here `initialise` says when to begin. The number is kept
    for models that were saved with it.

    Args:
        shape: of what is scaled: (D,), or (channels, 1, 1).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(1, *shape))
        self.t = nn.Parameter(torch.zeros(1, *shape))
        self.register_buffer("data_dep_init_done", torch.ones(()))
        self.over = [axis for axis, size in enumerate(self.s.shape) if size == 1]
        self.starting = False

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Data to latent, and log |det|, a scalar."""
        if self.starting:
            self.s.data = torch.log(z.std(self.over, keepdim=True) + 1e-6).data
            self.t.data = z.mean(self.over, keepdim=True).data
            self.starting = False
        return (z - self.t) * torch.exp(-self.s), -self._positions(z) * self.s.sum()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Latent to data."""
        return z * torch.exp(self.s) + self.t, self._positions(z) * self.s.sum()

    def _positions(self, z: Tensor) -> int:
        return math.prod(z.shape[axis] for axis in self.over[1:])


class SigmoidCoupling(nn.Module):
    """The heart of Glow's affine coupling with scale s = sigmoid(raw + 2), between 0 and 1: z2 =
    (x2 - shift) s.

    Equal to normflows' AffineCoupling with the map 'sigmoid', which takes log(sigmoid) and so is
    infinite once raw is below -105, as an outlier can make it; log s is finite here.

    Args:
        param_map: network of the first part, 2 outputs a column (of maps: a channel) of the second:
            shift and raw in turn.
    """

    def __init__(self, param_map: nn.Module) -> None:
        super().__init__()
        self.param_map = param_map

    def inverse(self, parts: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Data to latent: the two parts, the second changed, and log |det| [B]."""
        fixed, changed = parts
        parameters = self.param_map(fixed)
        log_scale = functional.logsigmoid(parameters[:, 1::2] + 2)
        return [fixed, (changed - parameters[:, 0::2]) * log_scale.exp()], log_scale.flatten(1).sum(
            1
        )

    def forward(self, parts: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Latent to data."""
        fixed, changed = parts
        parameters = self.param_map(fixed)
        log_scale = functional.logsigmoid(parameters[:, 1::2] + 2)
        return [fixed, changed * (-log_scale).exp() + parameters[:, 0::2]], -log_scale.flatten(
            1
        ).sum(1)


def glow(
    dim: int, layers: int, hidden: int, mixing: Mixing = "linear", scale_map: ScaleMap = "sigmoid"
) -> nn.Module:
    """A normflows NormalizingFlow of vectors [B, dim] on a fixed unit Gaussian; one column has
    nothing to couple and gets an ActNorm alone.

    Args:
        dim: number of columns.
        layers: steps K.
        hidden: width of the two hidden layers of each coupling network.
        mixing: what stands between couplings: a learnt linear map or a fixed random permutation
            (Glow), or the halves swapped (RealNVP).
        scale_map: scale of a coupling: sigmoid(raw + 2), bounded, as Glow's code; exp(raw),
            unbounded, diverges in deep stacks.
    """
    nf = library("normflows")
    steps: list[nn.Module] = []
    for _ in range(layers if dim > 1 else 0):
        steps += [
            _coupling(nf, dim, hidden, scale_map),
            _mixing(nf, dim, mixing),
            ActNorm((dim,)),
        ]
    flow: nn.Module = nf.NormalizingFlow(
        nf.distributions.DiagGaussian(dim, trainable=False), steps or [ActNorm((dim,))]
    )
    return flow


def _coupling(nf: Any, dim: int, hidden: int, scale_map: ScaleMap) -> nn.Module:
    kept, changed = (dim + 1) // 2, dim // 2
    net = nf.nets.MLP([kept, hidden, hidden, 2 * changed], init_zeros=True)
    block = nf.flows.AffineCouplingBlock(net, scale_map=scale_map)
    if scale_map == "sigmoid":
        block.flows[1] = SigmoidCoupling(net)
    coupling: nn.Module = block
    return coupling


def _mixing(nf: Any, dim: int, mixing: Mixing) -> nn.Module:
    mixed: nn.Module = (
        InvertibleLinear(dim)
        if mixing == "linear"
        else nf.flows.Permute(dim, "swap" if mixing == "swap" else "shuffle")
    )
    return mixed


def glow_maps(
    channels: int, height: int, width: int, levels: int, layers: int, hidden: int
) -> nn.Module:
    """Glow on maps [B, channels, height, width], as ITAE+NF has it: per level a squeeze and K
    steps, then half of the channels leave.

    Its `log_prob` wants a second argument, None, where there are several levels (normflows 1.7.3).

    Args:
        channels: channels C of the maps; ITAE: 2 (maximum and mean over an encoder's channels) or
            3.
        height: rows, a multiple of 2^levels.
        width: columns, a multiple of 2^levels.
        levels: L; ITAE: 1 on Ped2, else 3.
        layers: steps K a level; ITAE: 32.
        hidden: channels of the coupling networks; 512 gives the parameter counts that ITAE prints.
    """
    nf = library("normflows")
    bases, flows = [], []
    for level in range(1, levels + 1):
        channels, height, width = 4 * channels, height // 2, width // 2
        flows.append(
            [*(_map_step(nf, channels, hidden) for _ in range(layers)), nf.flows.Squeeze()]
        )
        if level < levels:
            channels //= 2
        bases.append(nf.distributions.DiagGaussian((channels, height, width), trainable=False))
    merges = [nf.flows.Merge() for _ in range(levels - 1)]
    flow: nn.Module = (
        nf.MultiscaleFlow(bases[::-1], flows[::-1], merges, class_cond=False)
        if levels > 1
        else nf.NormalizingFlow(bases[0], flows[0])
    )
    return flow


def _map_step(nf: Any, channels: int, hidden: int) -> nn.Module:
    """A step of normflows, but with our coupling, which stays finite, and our ActNorm."""
    with warnings.catch_warnings():  # it calls torch.lu, which is deprecated
        warnings.simplefilter("ignore")
        step: Any = nf.flows.GlowBlock(channels, hidden)
    coupling = step.flows[0].flows
    coupling[1] = SigmoidCoupling(coupling[1].param_map)
    step.flows[-1] = ActNorm((channels, 1, 1))
    mended: nn.Module = step
    return mended


def initialise(flow: nn.Module, first: Tensor) -> None:
    """Set every ActNorm of a normflows flow from training data, so that each one's output has mean
    0 and variance 1 there.

    A column that is constant in `first` keeps the scale 1: normflows would multiply it by a
    million.

    Args:
        flow: from `glow` or `glow_maps`.
        first: a batch of two rows or more, from the training set.

    Raises:
        ValueError: if there are fewer than two rows; a standard deviation would be NaN.
    """
    if len(first) < 2:
        raise ValueError(f"ActNorm needs two rows or more to start from, got {len(first)}")
    for norm in _act_norms(flow):
        norm.starting = True
    with torch.no_grad():
        flow.inverse_and_log_det(first)  # type: ignore[operator]
        for norm in _act_norms(flow):
            norm.s.masked_fill_(norm.s < FLAT, 0)


def _act_norms(flow: nn.Module) -> Iterator[ActNorm]:
    return (module for module in flow.modules() if isinstance(module, ActNorm))


def autoregressive(
    architecture: Literal["nsf", "maf"], dim: int, layers: int, hidden: int
) -> nn.Module:
    """A zuko flow of vectors [B, dim] on a fixed unit Gaussian: neural splines on [-5, 5], the
    identity beyond, or affine maps (MAF).
    """
    zuko = library("zuko")
    kind = {"nsf": zuko.flows.NSF, "maf": zuko.flows.MAF}[architecture]
    flow: nn.Module = kind(dim, transforms=layers, hidden_features=(hidden, hidden))
    return flow
