"""How much memory building an index takes beside its rows, and how much is told before it begins:
what does not fit is refused by what is told.

Each in a process of its own, sampled every 2 ms. The goal: never less than is taken, nor more than
1.6 times it.

Run: python benchmarks/speed/index_memory.py [ivf:600000x64 hnsw:20000x256 ...]
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
from vadbench_methods.nearest.approximate import Approximate
from vadbench_methods.nearest.rows import Rows

SIZES = ["ivf:600000x64", "ivf:200000x512", "ivf:30000x2048", "hnsw:20000x256", "hnsw:60000x16"]
GOAL = 1.6
PERIOD = 0.002  # seconds


class Peak:
    """The largest anonymous memory of this process while the block lasts, beyond that before."""

    def __enter__(self) -> Peak:
        ctypes.CDLL(None).malloc_trim(0)
        self.before = self.most = anonymous()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def bytes(self) -> int:
        """What was taken."""
        return max(self.most, anonymous()) - self.before

    def _watch(self) -> None:
        while not self.ended.wait(PERIOD):
            self.most = max(self.most, anonymous())


def anonymous() -> int:
    """Bytes of anonymous memory that are resident."""
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def make_index(kind: Any, count: int, dim: int) -> Approximate:
    """An index of noise, not yet built."""
    rng, x = np.random.default_rng(0), np.empty((count, dim), np.float32)
    for start in range(0, count, 8192):
        x[start : start + 8192] = rng.standard_normal(x[start : start + 8192].shape)
    rows = Rows(x, np.ones(dim), np.zeros(count, np.int64))
    return Approximate(rows, kind, seed=0, links=32, candidates=8, probes=1)


def measure(kind: str, count: int, dim: int, answers: Any) -> None:
    """Bytes that are told, and that are taken."""
    few, index = make_index(kind, 300, dim), make_index(kind, count, dim)
    few.squares(few.rows.x[:1], 1)  # libraries are loaded, and told of
    told = index.bytes
    with Peak() as peak:
        index.squares(index.rows.x[:1], 1)
    answers.put((told, peak.bytes))


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", default=SIZES, help="KIND:ROWSxCOLUMNS")
    context = multiprocessing.get_context("spawn")
    for size in parser.parse_args().sizes:
        kind, count, dim = re.split("[:x]", size)
        answers = context.Queue()
        process = context.Process(target=measure, args=(kind, int(count), int(dim), answers))
        process.start()
        told, taken = (value / 2**20 for value in answers.get())
        process.join()
        good = taken <= told <= GOAL * taken
        print(
            f"{size}: told {told:.1f} MiB, taken {taken:.1f} MiB, {told / taken:.2f} times"
            f"{'' if good else f': the goal is 1 to {GOAL}'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
