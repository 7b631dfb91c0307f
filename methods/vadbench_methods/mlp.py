"""A scalar network f(x, sigma) with GELU layers and its input gradient in closed form: no double
backward through autograd.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

gelu = functional.gelu  # exact, with the error function: the tanh form is another network


class NoiseConditionedMLP(nn.Module):
    """f: R^D x R -> R, hidden layers of GELU units; the noise scale sigma is the last input column,
    as it is (as in MULDE's released code).

    With W_i and a_i the weights and pre-activations of hidden layer i, and w the last layer's
    weights, the input gradient of two hidden layers is W_1^T (G'(a_1) * W_2^T (G'(a_2) * w)); more
    layers continue the pattern.
    """

    def __init__(self, dim: int, units: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            nn.Linear(wide, narrow) for wide, narrow in pairwise((dim + 1, *units))
        )
        self.last = nn.Linear(units[-1], 1)

    @property
    def layers(self) -> list[nn.Linear]:
        """The hidden layers, the first of which takes sigma."""
        return cast(list[nn.Linear], list(self.hidden))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """[B] values at x [B, D], sigma [B, 1]."""
        h = torch.cat([x, sigma], 1)
        for layer in self.layers:
            h = gelu(layer(h))
        return cast(Tensor, self.last(h).squeeze(1))

    def input_gradient(self, x: Tensor, sigma: Tensor) -> Tensor:
        """[B, D], the gradient of f by x; differentiable once by the weights."""
        h = torch.cat([x, sigma], 1)
        activations: list[Tensor] = []
        for layer in self.layers:
            h = gelu(activations[-1]) if activations else h
            activations.append(layer(h))
        g: Tensor = self.last.weight  # [1, H]
        for layer, a in zip(reversed(self.layers), reversed(activations), strict=True):
            g = times_slope(g, a) @ layer.weight
        return g[:, :-1]  # without the column of sigma

    def at_scales(self, x: Tensor, scales: Tensor) -> Tensor:
        """[B, L] values of x [B, D] at every one of scales [L], in one pass; the first layer's
        product with x is made once for all scales.
        """
        first, *others = self.layers
        a = functional.linear(x, first.weight[:, :-1], first.bias)  # [B, H]
        h = gelu(a.unsqueeze(1) + scales[:, None] * first.weight[:, -1]).flatten(0, 1)  # [B L, H]
        for layer in others:
            h = gelu(layer(h))
        return cast(Tensor, self.last(h).view(len(x), len(scales)))


class RegularisedMLP(nn.Module):
    """The same f with LayerNorm before and dropout after each GELU, flags of the released code; its
    input gradient is a double backward.

    Args:
        dim: D.
        units: width of each hidden layer.
        layer_norm: whether to normalise.
        dropout: probability of dropping a unit in training; a loss draws new units for each call.
    """

    def __init__(self, dim: int, units: tuple[int, ...], layer_norm: bool, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide, narrow in pairwise((dim + 1, *units)):
            layers += [
                nn.Linear(wide, narrow),
                nn.LayerNorm(narrow) if layer_norm else nn.Identity(),
                nn.GELU(),
                nn.Dropout(dropout),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(units[-1], 1))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """[B] values at x [B, D], sigma [B, 1]."""
        return cast(Tensor, self.layers(torch.cat([x, sigma], 1)).squeeze(1))

    def input_gradient(self, x: Tensor, sigma: Tensor) -> Tensor:
        """[B, D], the gradient of f by x; differentiable by the weights."""
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self(x, sigma).sum(), x, create_graph=True)[0]

    def at_scales(self, x: Tensor, scales: Tensor) -> Tensor:
        """[B, L] values of x [B, D] at every one of scales [L], in one pass."""
        rows = x.repeat_interleave(len(scales), 0)
        return cast(Tensor, self(rows, scales.repeat(len(x))[:, None]).view(len(x), len(scales)))


def times_slope(u: Tensor, a: Tensor) -> Tensor:
    """u [B or 1, H] times the slope of GELU at a [B, H]; differentiable once by both."""
    return cast(Tensor, TimesSlope.apply(u, a))  # type: ignore[no-untyped-call]


class TimesSlope(torch.autograd.Function):
    """u * G'(a), with G'(a) = Phi(a) + a phi(a) and G''(a) = phi(a) (2 - a^2); only u and a are
    kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, a: Tensor) -> Tensor:
        """See `times_slope`: u [B or 1, H] times the slope of GELU at a [B, H]."""
        ctx.save_for_backward(u, a)
        return torch.ops.aten.gelu_backward(u.expand_as(a), a)  # type: ignore[no-any-return]  # one pass, u G'(a)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients by u and by a."""
        u, a = ctx.saved_tensors
        by_u = torch.ops.aten.gelu_backward(grad, a)
        return (by_u if len(u) == len(a) else by_u.sum(0, keepdim=True)), times_curvature(
            grad, u.expand_as(a), a
        )


def times_curvature(grad: Tensor, u: Tensor, a: Tensor) -> Tensor:
    """Product grad * u * G''(a), all [B, H]; in blocks that stay in the cache: half the time of
    whole passes, and one new tensor.
    """
    out, rows, constant = (
        torch.empty_like(a),
        max(1, 2**16 // a.shape[1]),
        1 / math.sqrt(2 * math.pi),
    )
    for block, *factors in zip(
        *(torch.split(values, rows) for values in (out, a, grad, u)), strict=True
    ):
        square = factors[0].square()
        torch.mul(square, -0.5, out=block).exp_()
        block.mul_(square.mul_(-constant).add_(2 * constant))  # phi(a) (2 - a^2)
        block.mul_(factors[1]).mul_(factors[2])
    return out
