"""What pytorch-lightning costs: `LightningDetector.fit` against a bare loop over the same network, loss, batches and optimiser, in one run.

The work is MULDE's training step at d = 34, 2 x 256 units, batches of 2048 rows. Both runs see the same permutations and the same noise, so their
weights end equal to the bit, which is checked. The table then adds, one by one, what stands between the two: the check that the loss is finite,
and Lightning itself (its loop, its profiler's contexts, its callbacks' hooks, its tracking of the optimiser).

Run: python benchmarks/speed/lightning.py [--repeats 5] [--steps 200] [--threads 1]; CPU seconds, since other work would disturb the clock on the
wall. Exits with 1 where Lightning adds more than a tenth.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from vadbench_methods.mulde import MULDE

from vadbench.detector import Features, Standardisation
from vadbench.trainer import train_network  # Lightning's import (5 s, once a process) is not part of the loop
from vadbench.training import reproducible

DIM, ROWS, TARGET = 34, 20_000, 0.10
CPU = torch.device("cpu")


def rows() -> Features:
    x = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
    return Features(x, np.arange(ROWS) // 1000, np.arange(ROWS) % 1000)


def untrained(steps: int, train: Features) -> MULDE:
    config = MULDE.Config(units=(256, 256), max_steps=steps, batch_size=2048, progress="off", report_lines=0)
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


def timed(work: Callable[[MULDE, Features], None], steps: int, train: Features) -> tuple[float, list[torch.Tensor]]:
    with reproducible(0, CPU):
        detector = untrained(steps, train)
        began = time.process_time()
        work(detector, train)
        taken = time.process_time() - began
    return taken, [weights.detach().clone() for weights in detector.net.parameters()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("repeats", 5), ("steps", 200), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train = rows()
    works: dict[str, Callable[[MULDE, Features], None]] = {
        "bare loop": lambda detector, train: bare(detector, train, check=False),
        "and finite loss": lambda detector, train: bare(detector, train, check=True),
        "Lightning": by_lightning,
    }
    weights = {name: timed(work, 5, train)[1] for name, work in works.items()}  # warms up, too
    for name, values in weights.items():
        assert all(torch.equal(*pair) for pair in zip(values, weights["bare loop"], strict=True)), f"{name}: other weights"
    # two lengths: the difference is the steps' own time, without what every training costs once
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(options.repeats):
        for name, work in works.items():
            few, many = (timed(work, steps, train)[0] for steps in (10, 10 + options.steps))
            taken[name].append(((many - few) / options.steps, few))
    print(f"MULDE's step, d={DIM}, 2 x 256 units, batch 2048, {options.threads} thread(s), {options.steps} steps, median of {options.repeats}\n")
    print("| loop | CPU ms a step | over the bare loop | once a training, s |\n|---|---|---|---|")
    ratio = 1.0
    for name, values in taken.items():
        step, few = (statistics.median(column) for column in zip(*values, strict=True))
        ratio = statistics.median(own[0] / plain[0] for own, plain in zip(values, taken["bare loop"], strict=True))
        print(f"| {name} | {1e3 * step:.2f} | {ratio - 1:+.1%} | {max(0.0, few - 10 * step):.2f} |")
    print(f"\ntarget: Lightning adds less than {TARGET:.0%}: {'met' if ratio < 1 + TARGET else 'MISSED'}")
    return 0 if ratio < 1 + TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
