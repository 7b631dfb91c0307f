"""The denoiser as it scores: everything that depends on the noise level alone is folded into the
weights, once for all rows.

In scoring, BatchNorm is a fixed scale and shift, and so is the modulation by a noise level; between
two ReLUs they all are one linear map. The released network has no learnt sigma branch: what a loop
over rows with their own sigma can lose there is the elementwise work beside the matrix products,
about a quarter of the time (benchmarks/speed/diffusion.py).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vadbench_methods.denoiser import Denoiser, Layer


class FoldedDenoiser:
    """dx/dsigma of a denoiser in evaluation; equal to `Denoiser.slope` but for the last digits.

    A noise level is folded where it is first asked for, in float64; the products keep the network's
    own type.

    Args:
        denoiser: fitted; its weights stay as they are from now on.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        weights = next(denoiser.network.parameters())
        self.own = weights.dtype
        # Apple's GPUs have no float64
        self.wide = torch.float32 if weights.device.type == "mps" else torch.float64
        self.at: dict[float, tuple[list[Layer], float]] = {}

    def _folded(self, sigma: float) -> tuple[list[Layer], float]:
        """Weights and bias of every layer, and the share of x itself in the slope.

        The last layer's are not transposed: of products with as few columns as x has, the last
        digits would depend, on some processors, on where in a batch a row stands.
        """
        data = float(self.denoiser.sigma_data)
        spread = math.hypot(sigma, data)
        layers = self.denoiser.network.layers_at(math.log(sigma) / 4, self.wide)
        layers[0] = (layers[0][0] / spread, layers[0][1])  # c_in
        layers[-1] = (layers[-1][0] * (-data / spread), layers[-1][1] * (-data / spread))
        folded = [
            (weight.T.to(self.own).contiguous(), bias.to(self.own)) for weight, bias in layers
        ]
        folded[-1] = (folded[-1][0].T.contiguous(), folded[-1][1])
        return folded, sigma / spread**2

    def slope(self, x: Tensor, sigma: float) -> Tensor:
        """[B, D] in x's dtype, of rows x [B, D] at noise level sigma, above 0."""
        if sigma not in self.at:
            self.at[sigma] = self._folded(sigma)
        layers, share = self.at[sigma]
        h = x.to(self.own)
        for weight, bias in layers[:-1]:
            h = torch.addmm(bias, h, weight).relu_()
        weight, bias = layers[-1]
        return functional.linear(h, weight, bias).to(x.dtype).add_(x, alpha=share)
