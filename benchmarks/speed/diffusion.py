"""Diffusion's scoring against the plain loop: rows/s as ratios within one run, and how the time
falls with the steps left from t.

The plain loop, written as k-diffusion runs it: every row carries its own sigma, so the sigma branch
of the network works on the whole batch at every step; D is made and taken apart again; LMS
coefficients by adaptive quadrature at every step. Both loops use the same network class and
weights, so that ratios are of the loops. `film` has a learnt sigma branch (about 45 % of the
network's FLOPs, the case of the target). The released `fourier` has only cosines and sines there,
so that the plain loop is mostly matrix products, which no way of conditioning can save: `products`
times these alone, and is the bound (CPU seconds throughout; other work would disturb the wall's).

Run: python benchmarks/speed/diffusion.py [--repeats 5] [--dim 512] [--batch 1024] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor
from vadbench_methods.denoiser import Denoiser
from vadbench_methods.diffusion import Config, Diffusion
from vadbench_methods.folded import FoldedDenoiser
from vadbench_methods.samplers import karras_sigmas

UNITS, SIGMA_DATA, ORDER = (1024, 512, 256), 0.6206, 4
SIGMAS = karras_sigmas(-1.0, 1.5)
TARGET = {"film": 1.7, "concatenated": None, "fourier": None}


def plain_coefficient(order: int, sigmas: tuple[float, ...], i: int, j: int) -> float:
    def basis(tau: float) -> float:
        others = (k for k in range(order) if k != j)
        return float(
            np.prod([(tau - sigmas[i - k]) / (sigmas[i - j] - sigmas[i - k]) for k in others])
        )

    return float(quad(basis, sigmas[i], sigmas[i + 1], epsrel=1e-4)[0])


@torch.no_grad()
def plain_scores(net: Denoiser, x: Tensor, noise: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    state, ones, slopes = x + noise * sigmas[0], x.new_ones(len(x), 1), []
    for i in range(len(sigmas) - 1):
        denoised = net(state, sigmas[i] * ones)
        slopes.append((state - denoised) / (sigmas[i] * ones))
        order = min(i + 1, ORDER)
        coefficients = [plain_coefficient(order, sigmas, i, j) for j in range(order)]
        state = state + sum(
            c * d for c, d in zip(coefficients, reversed(slopes[-ORDER:]), strict=False)
        )
    return (state - x).square().mean(1)


def detector(net: Denoiser, noise: Tensor, **settings: object) -> Diffusion:
    made = Diffusion(Config(draws=1, **settings), seed=0)
    made.net, made.noise = net, noise.numpy()
    return made


@torch.inference_mode()
def our_scores(diffusion: Diffusion, x: Tensor) -> Tensor:
    return diffusion.anomaly(x)


@torch.inference_mode()
def products(folded: FoldedDenoiser, x: Tensor) -> None:
    """The matrix products of all steps and nothing else."""
    for layers, _ in folded.at.values():
        h = x
        for weight, _bias in layers:
            h = h @ weight


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each work, taken in turn so that a busy machine slows all alike; a first round is
    not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for counted in range(-1, repeats):
        for name, work in works.items():
            second = seconds(work)
            if counted >= 0:
                taken[name].append(second)
    return taken


def network(dim: int, conditioning: str) -> Denoiser:
    net = Denoiser(dim, UNITS, conditioning, SIGMA_DATA)
    # running statistics of something
    net.loss(torch.randn(256, dim), torch.rand(256, 1) + 0.1, torch.randn(256, dim))
    return net.eval()


def against_plain(conditioning: str, options: argparse.Namespace) -> None:
    x, noise, net = (
        torch.randn(options.batch, options.dim),
        torch.randn(1, options.dim),
        network(options.dim, conditioning),
    )
    ours = detector(net, noise, t=(0,))
    gap = (our_scores(ours, x)[:, 0] / plain_scores(net, x, noise, SIGMAS) - 1).abs().max().item()
    works = {
        "plain": lambda: plain_scores(net, x, noise, SIGMAS),
        "ours": lambda: our_scores(ours, x),
        "products": lambda: products(ours.folded(), x),
    }
    taken = interleaved(works, options.repeats)
    ratio, bound = (
        statistics.median(a / b for a, b in zip(taken["plain"], taken[name], strict=True))
        for name in ("ours", "products")
    )
    plain, mine, _ = (options.batch / min(taken[name]) for name in works)
    target = f" (target {TARGET[conditioning]})" if TARGET[conditioning] else ""
    share = f"products alone {bound:.2f}x, {ratio / bound:.0%} of our time"
    print(
        f"  {conditioning:12} plain {plain:6.0f}, ours {mine:6.0f} rows/s: {ratio:.2f}x{target};"
        f" {share}; scores differ by {gap:.1e}"
    )


def by_start(options: argparse.Namespace) -> None:
    x, noise, net = (
        torch.randn(options.batch, options.dim),
        torch.randn(1, options.dim),
        network(options.dim, "fourier"),
    )
    works = {
        f"t={t}": (lambda made: lambda: our_scores(made, x))(detector(net, noise, t=(t,)))
        for t in (0, 2, 4, 6, 8, 9)
    }
    taken = {
        name: statistics.median(values)
        for name, values in interleaved(works, options.repeats).items()
    }
    for name, time_taken in taken.items():
        left = 10 - int(name[2:])
        share = time_taken / taken["t=0"] / (left / 10)
        print(
            f"  {name}: {left:2} evaluations, {options.batch / time_taken:6.0f} rows/s, {share:.2f}"
            " of proportional"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"scoring, 10 LMS steps from t=0, d={options.dim}, batch {options.batch}, {options.threads}"
        " thread(s) (ratio: median of pairs)"
    )
    for conditioning in TARGET:
        against_plain(conditioning, options)
    print("from t, fourier (1.00 = proportional to the steps left)")
    by_start(options)


if __name__ == "__main__":
    main()
