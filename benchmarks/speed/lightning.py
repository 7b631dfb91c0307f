"""What pytorch-lightning costs: `LightningDetector.fit` against a bare loop over the same network,
loss, batches and optimiser, in one run.

The work is MULDE's training step at d = 34, 2 x 256 units, batches of 2048 rows. Both runs see the
same permutations and the same noise, so their weights end equal to the bit, which is checked.
Between the two stand the check that the loss is finite and Lightning itself (its loop, its
profiler's contexts, its callbacks' hooks, its tracking of the optimiser): the table adds them one
by one.

On a machine that others use, ratios of equal work scatter by a tenth themselves. So all is timed a
second time on 2 rows and 2 units, where nearly nothing is computed: what Lightning adds there, in
ms, it adds to every step, and set against the bare step it is the steadier figure.

Run: python benchmarks/speed/lightning.py [--repeats 5] [--steps 200] [--threads 1]; CPU seconds.
Exits with 1 where that figure is above a tenth.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from vadbench_methods.mulde import MULDE

from vadbench.detector import Features, Standardisation

# Lightning's import (5 s, once a process) is not part of the loop
from vadbench.trainer import train_network
from vadbench.training import reproducible

DIM, ROWS, TARGET = 34, 20_000, 0.10
CPU = torch.device("cpu")


def rows() -> Features:
    x = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
    return Features(x, np.arange(ROWS) // 1000, np.arange(ROWS) % 1000)


@dataclass(frozen=True)
class Size:
    """Of a network and of its batches."""

    units: int
    batch: int


FULL, EMPTY = Size(256, 2048), Size(2, 2)


def untrained(steps: int, train: Features, size: Size) -> MULDE:
    config = MULDE.Config(
        units=(size.units, size.units),
        max_steps=steps,
        batch_size=size.batch,
        progress="off",
        report_lines=0,
    )
    detector = MULDE(config, seed=0)
    detector.standardisation = Standardisation.fit(train.x)
    detector.net = detector.build(DIM)
    return detector


def by_lightning(detector: MULDE, train: Features) -> None:
    train_network(detector, detector._batches(train), CPU)


def bare(detector: MULDE, train: Features, *, check: bool) -> None:
    optimiser = detector.optimiser()
    detector.net.train()
    for batch in detector._batches(train):
        optimiser.zero_grad()
        loss = detector.loss(batch)
        if check and not math.isfinite(float(loss.detach())):
            raise FloatingPointError
        loss.backward()
        optimiser.step()


Work = Callable[[MULDE, Features], None]
WORKS: dict[str, Work] = {
    "bare loop": lambda detector, train: bare(detector, train, check=False),
    "and finite loss": lambda detector, train: bare(detector, train, check=True),
    "Lightning": by_lightning,
}


def timed(work: Work, steps: int, train: Features, size: Size) -> tuple[float, list[torch.Tensor]]:
    with reproducible(0, CPU):
        detector = untrained(steps, train, size)
        began = time.process_time()
        work(detector, train)
        taken = time.process_time() - began
    return taken, [weights.detach().clone() for weights in detector.net.parameters()]


def a_step(train: Features, size: Size, steps: int, repeats: int) -> dict[str, list[float]]:
    """CPU ms a step of every loop, taken in turn: of many steps less those of a few, without what
    every training costs once.
    """
    taken: dict[str, list[float]] = {name: [] for name in WORKS}
    for _ in range(repeats):
        for name, work in WORKS.items():
            few, many = (timed(work, count, train, size)[0] for count in (5, 5 + steps))
            taken[name].append(1e3 * (many - few) / steps)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("repeats", 5), ("steps", 200), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train = rows()
    # warms up, too
    weights = {name: timed(work, 5, train, FULL)[1] for name, work in WORKS.items()}
    for name, values in weights.items():
        assert all(torch.equal(*pair) for pair in zip(values, weights["bare loop"], strict=True)), (
            f"{name}: other weights"
        )
    full, empty = (
        a_step(train, FULL, options.steps, options.repeats),
        a_step(train, EMPTY, 10 * options.steps, options.repeats),
    )
    print(
        f"MULDE's step, d={DIM}, 2 x 256 units, batch 2048, {options.threads} thread(s),"
        f" {options.steps} steps, median of {options.repeats}\n"
    )
    print(
        "| loop | CPU ms a step | over the bare loop | ms a step of 2 rows, 2 units"
        " |\n|---|---|---|---|"
    )
    for name in WORKS:
        ratio = statistics.median(
            own / plain for own, plain in zip(full[name], full["bare loop"], strict=True)
        )
        print(
            f"| {name} | {statistics.median(full[name]):.2f} | {ratio - 1:+.1%} |"
            f" {statistics.median(empty[name]):.2f} |"
        )
    own = statistics.median(empty["Lightning"]) - statistics.median(empty["bare loop"])
    share = own / statistics.median(full["bare loop"])
    print(
        f"\nLightning adds {own:.2f} ms a step, {share:.1%} of the work (target: less than"
        f" {TARGET:.0%}): {'met' if share < TARGET else 'MISSED'}"
    )
    return 0 if share < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
