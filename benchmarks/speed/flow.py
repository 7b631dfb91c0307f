"""The flow's training step against normflows' own vector blocks, and scoring of both: ratios within
one run.

normflows' way: AffineCouplingBlock, InvertibleAffine (W assembled from P, L and U), ActNorm, loss
by `forward_kld`. Both use fused Adam and the same clipping, so that the blocks alone differ.
`--maps` adds normflows' GlowBlock on (B, d, 1, 1): what vectors must not go through.

Run: python benchmarks/speed/flow.py [--repeats 5] [--dim 512] [--batch 256] [--layers 8] [--hidden
512] [--maps]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import normflows as nf
import torch
from torch import Tensor, nn
from vadbench_methods.flow import DensityFlow
from vadbench_methods.flow_blocks import glow


def normflows_glow(dim: int, layers: int, hidden: int) -> nn.Module:
    steps = []
    for _ in range(layers):
        net = nf.nets.MLP([(dim + 1) // 2, hidden, hidden, 2 * (dim // 2)], init_zeros=True)
        steps += [
            nf.flows.AffineCouplingBlock(net, scale_map="sigmoid"),
            nf.flows.InvertibleAffine(dim),
            nf.flows.ActNorm(dim),
        ]
    return nf.NormalizingFlow(nf.distributions.DiagGaussian(dim, trainable=False), steps)


def normflows_maps(dim: int, layers: int, hidden: int) -> nn.Module:
    base = nf.distributions.DiagGaussian((dim, 1, 1), trainable=False)
    return nf.NormalizingFlow(base, [nf.flows.GlowBlock(dim, hidden) for _ in range(layers)])


def training_step(
    net: nn.Module, loss: Callable[[Tensor], Tensor], x: Tensor
) -> Callable[[], None]:
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        loss(x).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 100.0)
        optimiser.step()

    return step


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each work, taken in turn so that a busy machine slows all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.process_time()
            work()
            taken[name].append(time.process_time() - began)
    return taken


def report(title: str, works: dict[str, Callable[[], object]], repeats: int, rows: int) -> None:
    interleaved(works, 1)  # the first pass makes Adam's state and warms the caches
    taken = interleaved(works, repeats)
    print(f"{title}, one thread, CPU seconds, median of {repeats}")
    for name, values in taken.items():
        pairwise = statistics.median(
            theirs / mine for theirs, mine in zip(values, taken["ours"], strict=True)
        )
        middle = statistics.median(values)
        print(
            f"  {name:10s} {middle:.3f} s, {rows / middle:.0f} rows/s"
            + ("" if name == "ours" else f": ours is {pairwise:.2f}x as fast")
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (
        ("repeats", 5),
        ("dim", 512),
        ("batch", 256),
        ("layers", 8),
        ("hidden", 512),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--maps", action="store_true", help="also GlowBlock on 1x1 maps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # normflows calls the deprecated torch.lu
    dim, layers, hidden, rows = options.dim, options.layers, options.hidden, options.batch
    x = torch.randn(rows, dim)

    mine, theirs = (
        DensityFlow(glow(dim, layers, hidden), torch.ones(dim, dtype=torch.bool)),
        normflows_glow(dim, layers, hidden),
    )
    mine.start(x)
    theirs.log_prob(x)  # ActNorm starts itself
    steps = {
        "ours": training_step(mine, lambda x: -mine.log_prob(x).mean(), x),
        "normflows": training_step(theirs, theirs.forward_kld, x),
    }
    scores = {
        "ours": torch.inference_mode()(lambda: mine.log_prob(x)),
        "normflows": torch.inference_mode()(lambda: theirs.log_prob(x)),
    }
    if options.maps:
        maps, pixels = normflows_maps(dim, layers, hidden), x[:, :, None, None]
        maps.log_prob(pixels)
        steps["GlowBlock"] = training_step(maps, maps.forward_kld, pixels)
    report(
        f"training step, d={dim}, batch {rows}, {layers} layers, hidden {hidden}",
        steps,
        options.repeats,
        rows,
    )
    report("log_prob", scores, options.repeats, rows)


if __name__ == "__main__":
    main()
