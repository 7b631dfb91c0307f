"""The denoiser of Tur et al. (2023) in the preconditioned form of Karras et al.
(2022, Table 1), and its likelihood.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

Conditioning = Literal["fourier", "concatenated", "film"]

Layer = tuple[Tensor, Tensor]  # W [out, in] and bias [out]

EMBEDDING = 256  # columns of the noise embedding of `film`
RK4_STEPS = 64


class Denoiser(nn.Module):
    """D(x; sigma) = c_skip x + c_out F(c_in x; sigma): the expected clean vector of a noisy x; F is
    the network.

    With s^2 = sigma^2 + sigma_data^2: c_skip = sigma_data^2 / s^2, c_out = sigma sigma_data / s,
    c_in = 1 / s. The loss and the slope are written in terms of F, so that nothing is divided by a
    small sigma and nearly equal numbers are never subtracted.

    A sigma is [B, 1], one a row, or a single number [] for all rows, which is then embedded once.

    Attributes:
        sigma_data: [] standard deviation of the data, all features together.
    """

    sigma_data: Tensor

    def __init__(
        self, dim: int, units: tuple[int, ...], conditioning: Conditioning, sigma_data: float = 1.0
    ) -> None:
        super().__init__()
        self.network = (
            FilmNetwork(dim, units)
            if conditioning == "film"
            else TwoPlaceNetwork(dim, units, conditioning)
        )
        self.register_buffer("sigma_data", torch.tensor(sigma_data))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x; sigma) [B, D]."""
        spread = self.spread(sigma)
        return (
            self.sigma_data / spread
        ).square() * x + sigma * self.sigma_data / spread * self.network_at(x / spread, sigma)

    def loss(self, x: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
        """[B] mean over features of (F - target)^2 at x + sigma eps, with F's target (x - c_skip (x
        + sigma eps)) / c_out.

        This equals lambda(sigma) (D - x)^2 with the weight lambda = 1 / c_out^2 of Karras et al.
        """
        spread = self.spread(sigma)
        target = (sigma / self.sigma_data * x - self.sigma_data * eps) / spread
        return (self.network_at((x + sigma * eps) / spread, sigma) - target).square().mean(1)

    def slope(self, x: Tensor, sigma: Tensor) -> Tensor:
        """dx/dsigma = (x - D(x; sigma)) / sigma [B, D] of the probability flow."""
        spread = self.spread(sigma)
        return (sigma / spread.square()) * x - (self.sigma_data / spread) * self.network_at(
            x / spread, sigma
        )

    def spread(self, sigma: Tensor) -> Tensor:
        """Standard deviation s of noisy data."""
        return torch.hypot(sigma, self.sigma_data.to(sigma))

    def network_at(self, scaled: Tensor, sigma: Tensor) -> Tensor:
        """F [B, D] in scaled's dtype; the network itself keeps its own, usually float32."""
        own = next(self.network.parameters()).dtype
        log_noise = (sigma.log() / 4).to(own)  # c_noise
        return cast(Tensor, self.network(scaled.to(own), log_noise).to(scaled))

    def log_likelihood(self, x: Tensor, low: float, high: float, probes: Tensor) -> Tensor:
        """[B] log p(x) by the probability flow from noise level `low` to `high`, where the data are
        taken as N(0, s^2).

        In y = x / s and u = ln sigma the flow is dy/du = -w F(y; sigma), w = sigma sigma_data /
        s^2: the linear part is solved exactly, and ln p(x) = ln N(y_high; 0, 1) - D ln s_low -
        (integral of w tr dF/dy du), by the classical Runge-Kutta method in steps of equal du.

        Args:
            x: [B, D].
            low: the noise level at which the density is meant, near 0.
            high: the noise level where the flow ends.
            probes: [P, D] vectors v with mean v v^T = 1: the trace is the mean of v^T (dF/dy) v
                (Hutchinson), exact for sqrt(D) times the unit vectors.
        """
        begin, end = math.log(low), math.log(high)
        step = (end - begin) / RK4_STEPS
        y, trace = x / self.spread(x.new_tensor(low)), x.new_zeros(len(x))
        with torch.inference_mode(False), torch.enable_grad():  # the trace needs gradients by y
            y, trace, probes = y.clone(), trace.clone(), probes.clone()
            for i in range(RK4_STEPS):
                at = [begin + (i + part) * step for part in (0.0, 0.5, 0.5, 1.0)]
                dy, dt = self._flow(y, at[0], probes)
                sum_y, sum_t = dy, dt
                for u, ahead, weight in zip(at[1:], (0.5, 0.5, 1.0), (2, 2, 1), strict=True):
                    dy, dt = self._flow(y + ahead * step * dy, u, probes)
                    sum_y, sum_t = sum_y + weight * dy, sum_t + weight * dt
                y, trace = y + step / 6 * sum_y, trace + step / 6 * sum_t
        normal = -0.5 * y.square().sum(1) - y.shape[1] * (
            0.5 * math.log(2 * math.pi) + float(self.spread(y.new_tensor(low)).log())
        )
        return normal + trace

    def _flow(self, y: Tensor, log_sigma: float, probes: Tensor) -> tuple[Tensor, Tensor]:
        """dy/du [B, D] and its divergence [B]."""
        sigma = y.new_tensor(math.exp(log_sigma))
        y = y.detach().requires_grad_()
        flow = -(sigma * self.sigma_data / self.spread(sigma).square()) * self.network_at(y, sigma)
        divergence = y.new_zeros(len(y))
        for probe in probes:
            (product,) = torch.autograd.grad(flow, y, probe.expand_as(flow), retain_graph=True)
            divergence = divergence + product @ probe / len(probes)
        return flow.detach(), divergence


class TwoPlaceNetwork(nn.Module):
    """The released network: linear - BatchNorm - ReLU layers to a latent vector and back; sigma
    comes in at the input and at the latent.

    `fourier`, as released: there x becomes x cos(2 pi w c) + sin(2 pi w c) with fixed random
    frequencies w ~ N(0, 1), c = ln(sigma) / 4; nothing of it is learnt. `concatenated`: there c,
    sin c and cos c are further columns (the paper's comparison, Table 2, [33]).
    """

    encoder_frequencies: Tensor
    decoder_frequencies: Tensor

    def __init__(
        self, dim: int, units: tuple[int, ...], conditioning: Literal["fourier", "concatenated"]
    ) -> None:
        super().__init__()
        self.modulate = conditioning == "fourier"
        extra = 0 if self.modulate else 3
        up = units[::-1]
        self.encoder = nn.Sequential(
            *(
                layer
                for i, pair in enumerate(pairwise((dim, *units)))
                for layer in block(*pair, extra=0 if i else extra)
            )
        )
        self.decoder = nn.Sequential(
            *(
                layer
                for i, pair in enumerate(pairwise(up))
                for layer in block(*pair, extra=0 if i else extra)
            )
        )
        self.last = nn.Linear(up[-1] + (extra if len(units) == 1 else 0), dim)
        if self.modulate:
            self.register_buffer("encoder_frequencies", torch.randn(dim))
            self.register_buffer("decoder_frequencies", torch.randn(units[-1]))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """F [B, D] of scaled rows x [B, D] at c [B, 1] or []."""
        if self.modulate:
            latent = self.encoder(modulate(x, c, self.encoder_frequencies))
            return cast(
                Tensor, self.last(self.decoder(modulate(latent, c, self.decoder_frequencies)))
            )
        return cast(
            Tensor, self.last(self.decoder(concatenate(self.encoder(concatenate(x, c)), c)))
        )

    @torch.no_grad()
    def layers_at(self, c: float, wide: torch.dtype) -> list[Layer]:
        """The network in evaluation at one c as linear layers with ReLU between them, in `wide`."""
        layers = [
            fold_batch_norm(part[i], part[i + 1], wide)  # type: ignore[arg-type]
            for part in (self.encoder, self.decoder)
            for i in range(0, len(part), 3)
        ]
        layers.append((self.last.weight.to(wide), self.last.bias.to(wide)))
        for place in (0, len(self.encoder) // 3):
            weight, bias = layers[place]
            if self.modulate:
                angle = (
                    2
                    * math.pi
                    * c
                    * (self.decoder_frequencies if place else self.encoder_frequencies).to(wide)
                )
                layers[place] = (weight * angle.cos(), bias + weight @ angle.sin())
            else:
                columns = weight.new_tensor([c, math.sin(c), math.cos(c)])
                layers[place] = (weight[:, :-3], bias + weight[:, -3:] @ columns)
        return layers


class FilmNetwork(nn.Module):
    """The network as the paper's text reads: in every hidden layer a learnt scale and shift (FiLM)
    of the normalised units, made from sigma.

    c = ln(sigma) / 4 gives cos and sin at fixed random frequencies, then one hidden layer, then (1
    + gamma) h + beta for each layer; gamma and beta begin at 0.
    """

    frequencies: Tensor

    def __init__(self, dim: int, units: tuple[int, ...]) -> None:
        super().__init__()
        widths = (dim, *units, *units[-2::-1])
        self.register_buffer("frequencies", torch.randn(EMBEDDING // 2))
        self.embed = nn.Sequential(nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU())
        self.linear = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.norm = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.film = nn.ModuleList(nn.Linear(EMBEDDING, 2 * width) for width in widths[1:])
        self.last = nn.Linear(widths[-1], dim)
        for film in self.film:
            for weights in film.parameters():
                nn.init.zeros_(weights)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """F [B, D] of scaled rows x [B, D] at c [B, 1] or []."""
        angle = 2 * math.pi * c * self.frequencies
        embedding = self.embed(torch.cat([angle.cos(), angle.sin()], -1))  # [B, E] or [E]
        for linear, norm, film in zip(self.linear, self.norm, self.film, strict=True):
            gamma, beta = film(embedding).chunk(2, -1)
            x = torch.relu(torch.addcmul(beta, norm(linear(x)), 1 + gamma))
        return cast(Tensor, self.last(x))

    @torch.no_grad()
    def layers_at(self, c: float, wide: torch.dtype) -> list[Layer]:
        """The network in evaluation at one c as linear layers with ReLU between them, in `wide`."""
        angle = 2 * math.pi * c * self.frequencies
        embedding = self.embed(torch.cat([angle.cos(), angle.sin()]))
        layers = []
        for linear, norm, film in zip(self.linear, self.norm, self.film, strict=True):
            gamma, beta = film(embedding).to(wide).chunk(2)
            weight, bias = fold_batch_norm(
                cast(nn.Linear, linear), cast(nn.BatchNorm1d, norm), wide
            )
            layers.append((weight * (1 + gamma)[:, None], bias * (1 + gamma) + beta))
        return [*layers, (self.last.weight.to(wide), self.last.bias.to(wide))]


def fold_batch_norm(linear: nn.Linear, norm: nn.BatchNorm1d, wide: torch.dtype) -> Layer:
    """W [out, in] and bias [out] of a linear layer with the BatchNorm after it, in evaluation."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.to(wide) / torch.sqrt(variance.to(wide) + norm.eps)
    return linear.weight.to(wide) * scale[:, None], (
        linear.bias.to(wide) - mean.to(wide)
    ) * scale + norm.bias.to(wide)


def block(wide: int, narrow: int, extra: int) -> list[nn.Module]:
    """Linear, BatchNorm, ReLU from `wide` + `extra` columns to `narrow`."""
    return [nn.Linear(wide + extra, narrow), nn.BatchNorm1d(narrow), nn.ReLU()]


def modulate(x: Tensor, c: Tensor, frequencies: Tensor) -> Tensor:
    """X cos(2 pi w c) + sin(2 pi w c) for rows x [B, W], c [B, 1] or [], w [W]."""
    angle = 2 * math.pi * c * frequencies
    return torch.addcmul(angle.sin(), x, angle.cos())


def concatenate(x: Tensor, c: Tensor) -> Tensor:
    """[B, W + 3]: x [B, W] and c [B, 1] or [] with its sine and cosine."""
    columns = c.expand(len(x), 1)
    return torch.cat([x, columns, columns.sin(), columns.cos()], 1)
