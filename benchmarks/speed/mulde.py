"""MULDE's training step and scoring against the published formulation: time, rate and peak memory,
as ratios within one run.

The published formulation, written out here: the input gradient by autograd with `create_graph`, the
same gradient once more on the clean branch where nobody needs it, unfused Adam; scoring in one pass
a noise scale, with gradients.

Run: python benchmarks/speed/mulde.py [--repeats 3] [--units 4096] [--dim 512] [--batch 2048]
[--threads 2] On a machine that others use, `--threads 1 --clock cpu` is steadier.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from vadbench_methods.mlp import NoiseConditionedMLP
from vadbench_methods.mulde import MULDE, log_uniform, mulde_loss

from vadbench.detector import Features, Standardisation
from vadbench.freed import keep_freed

BETA, LOW, HIGH, SCALES = 0.1, 1e-3, 1.0, 16
Step = Callable[[], None]


def released_network(dim: int, units: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim + 1, units),
        nn.GELU(),
        nn.Linear(units, units),
        nn.GELU(),
        nn.Linear(units, 1),
    )


def released_gradient(
    net: nn.Module, x: Tensor, sigma: Tensor, create_graph: bool = True
) -> tuple[Tensor, Tensor]:
    joined = torch.cat([x, sigma], 1).requires_grad_(True)
    log_density = -net(joined)
    (gradient,) = torch.autograd.grad(log_density.sum(), joined, create_graph=create_graph)
    return log_density, gradient[:, :-1]


def released_step(dim: int, units: int, x: Tensor) -> Step:
    net = released_network(dim, units)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def step() -> None:
        sigma, noise = log_uniform(LOW, HIGH, x), torch.randn_like(x)
        noise = sigma * noise
        _, score = released_gradient(net, x + noise, sigma)
        matching = (
            0.5 * (sigma.squeeze(1) ** 2 * torch.norm(score + noise / sigma**2, dim=1) ** 2).mean()
        )
        log_density, _unused = released_gradient(net, x, sigma)
        loss = matching + BETA * 0.5 * (log_density**2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def our_step(dim: int, units: int, x: Tensor) -> Step:
    net = NoiseConditionedMLP(dim, (units, units))
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4, betas=(0.5, 0.9), fused=True)

    def step() -> None:
        matching, regulariser = mulde_loss(
            net, x, log_uniform(LOW, HIGH, x), torch.randn_like(x), BETA
        )
        optimiser.zero_grad()
        (matching + regulariser).backward()
        optimiser.step()

    return step


def released_scores(net: nn.Module, x: Tensor) -> Tensor:
    scales = torch.linspace(LOW, HIGH, SCALES)
    return torch.cat(
        [
            released_gradient(net, x, sigma.expand(len(x), 1), create_graph=False)[0].detach()
            for sigma in scales
        ],
        1,
    )


def our_detector(dim: int, units: int) -> MULDE:
    """As a user has it: `score` standardises, passes the network, pools the scales; untrained,
    which costs the same.
    """
    detector = MULDE(MULDE.Config(units=(units, units), scales=SCALES, read_outs=("mean",)), seed=0)
    detector.net, detector.standardisation = (
        detector.build(dim),
        Standardisation(np.zeros(dim), np.ones(dim)),
    )
    detector.fit_read_outs(np.random.default_rng(0).normal(size=(9, SCALES)))
    return detector


def as_features(x: Tensor) -> Features:
    return Features(x.numpy(), np.zeros(len(x), int), np.arange(len(x)))


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def interleaved(
    works: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each work, taken in turn so that a busy machine slows all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = clock()
            work()
            taken[name].append(clock() - began)
    return taken


def peak_memory(kind: str, options: argparse.Namespace) -> tuple[float, float]:
    """MiB of one formulation over two steps in a process of its own: resident growth beyond the
    imports and data, and beyond its first state.
    """
    command = [
        sys.executable,
        __file__,
        "--worker",
        kind,
        "--units",
        str(options.units),
        "--dim",
        str(options.dim),
        "--batch",
        str(options.batch),
    ]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result["growth"], result["peak"]


def resident(field: str) -> float:
    """MiB of VmRSS (now) or VmHWM (the most so far); getrusage's ru_maxrss would include the
    parent's, from before the exec.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) / 1024


def worker(kind: str, options: argparse.Namespace) -> None:
    x = torch.randn(options.batch, options.dim)
    torch.mm(x.T, x)  # the library's own buffers
    before = resident("VmRSS")
    step = {"released": released_step, "ours": our_step}[kind](options.dim, options.units, x)
    step()
    step()
    peak = resident("VmHWM")
    print(json.dumps({"growth": peak - before, "peak": peak}))


def step_flops(dim: int, units: int, batch: int) -> float:
    """Of the matrix products that one step cannot do without: nine with W_2, seven with W_1."""
    return 2.0 * batch * units * (9 * units + 7 * dim)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--units", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--worker", choices=("released", "ours"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = CLOCKS[options.clock]
    if options.worker:
        worker(options.worker, options)
        return

    dim, units, batch = options.dim, options.units, options.batch
    torch.manual_seed(0)
    x, left, right = torch.randn(batch, dim), torch.randn(batch, units), torch.randn(units, units)
    product = torch.empty(batch, units)
    works = {
        "released": released_step(dim, units, x),
        "ours": our_step(dim, units, x),
        "products": lambda: [torch.mm(left, right, out=product) for _ in range(5)],
    }
    interleaved(works, 1, clock)  # the first step makes Adam's state
    taken = interleaved(works, options.repeats, clock)
    best = {name: min(values) for name, values in taken.items()}
    rate = 5 * 2.0 * batch * units * units / best["products"] / 1e9
    ours_rate = step_flops(dim, units, batch) / best["ours"] / 1e9
    pairwise = statistics.median(
        a / b for a, b in zip(taken["released"], taken["ours"], strict=True)
    )
    print(
        f"step, d={dim}, {units}-{units}, batch {batch}, beta {BETA}, {options.threads} threads,"
        f" {options.clock} seconds, best of {options.repeats}"
    )
    print(
        f"  released {best['released']:.2f} s, ours {best['ours']:.2f} s: {pairwise:.2f}x (median"
        " of pairs; target 1.15)"
    )
    print(
        f"  matrix products {rate:.0f} GFLOP/s, the step {ours_rate:.0f}:"
        f" {100 * ours_rate / rate:.0f} % (target 85)"
    )
    with keep_freed():  # as in a training by `LightningDetector`
        kept = {name: works[name] for name in ("ours", "products")}
        interleaved(kept, 1, clock)
        taken = interleaved(kept, options.repeats, clock)
    best = {name: min(values) for name, values in taken.items()}
    kept_rate = 5 * 2.0 * batch * units * units / best["products"] / 1e9
    ours_rate = step_flops(dim, units, batch) / best["ours"] / 1e9
    print(
        f"  with freed memory kept, as in a training: the step {ours_rate:.0f} of"
        f" {kept_rate:.0f}: {100 * ours_rate / kept_rate:.0f} % (target 90)"
    )

    growth = {kind: peak_memory(kind, options) for kind in ("released", "ours")}
    for label, column in (("resident growth", 0), ("peak of the process", 1)):
        theirs, mine = growth["released"][column], growth["ours"][column]
        print(
            f"  {label}: released {theirs:.0f} MiB, ours {mine:.0f} MiB: {mine / theirs:.2f}x"
            " (target 0.90)"
        )

    del works
    detector, reference = our_detector(dim, units), released_network(dim, units)
    for label, rows, repeats, target in (
        ("batches of 128", 256, options.repeats, 2.3),
        ("one at a time", 4, 2 * options.repeats, 5.0),
    ):
        features = torch.randn(rows, dim)
        chunk = 1 if rows == 4 else 128
        works = {
            "released": lambda features=features, chunk=chunk: [
                released_scores(reference, rows) for rows in features.split(chunk)
            ],
            "ours": lambda features=features, chunk=chunk: [
                detector.score(as_features(rows)) for rows in features.split(chunk)
            ],
        }
        interleaved(works, 1, clock)
        taken = interleaved(works, repeats, clock)
        pairwise = statistics.median(
            a / b for a, b in zip(taken["released"], taken["ours"], strict=True)
        )
        theirs, mine = (min(taken[kind]) / rows * 1e3 for kind in ("released", "ours"))
        print(
            f"scoring {SCALES} scales, {label}: released {theirs:.2f} ms, ours {mine:.2f} ms a"
            f" feature: {pairwise:.2f}x (target {target})"
        )


if __name__ == "__main__":
    main()
