"""Exact 1-NN at 100,000 x 512, 2,000 queries, two threads (or OMP_NUM_THREADS): ours against
scikit-learn's brute force, and faiss where installed.

    python benchmarks/speed/knn.py [--rows N] [--dim D] [--queries Q] [--rounds R]

Each round times every contestant in turn; what counts is the median over rounds of the ratio to
scikit-learn in the same round. Peak memory is measured in a process of its own, beyond what the
rows, the queries and the imports take. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec

# on a busy machine, one thread gives the fairer ratio
THREADS = int((os.environ.get("OMP_NUM_THREADS") or "2").split(",")[0])
# before anything reads them
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Search = Callable[[], NDArray[np.float64]]
SPEED_TARGET, MEMORY_TARGET = 1.5, 1024.0  # times scikit-learn's speed; MiB


def ours(rows: NDArray[np.float32], queries: NDArray[np.float32], backend: str) -> Search:
    import torch
    from vadbench_methods.nearest import Nearest

    torch.set_num_threads(THREADS)
    # everything, also what it prepares
    return lambda: Nearest(rows, backend=backend).squares(queries, 1)


def scikit_learn(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> Search:
    from sklearn.neighbors import NearestNeighbors

    return lambda: (
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows).kneighbors(queries)[0] ** 2
    )


def contestants() -> dict[str, Callable[[NDArray[np.float32], NDArray[np.float32]], Search]]:
    named = {
        "scikit-learn brute": scikit_learn,
        "ours": lambda rows, queries: ours(rows, queries, "product"),
    }
    if find_spec("faiss"):
        named["ours by faiss"] = lambda rows, queries: ours(rows, queries, "faiss")
    return named


def data(count: int, dim: int, queries: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, dim), dtype=np.float32), rng.standard_normal(
        (queries, dim), dtype=np.float32
    )


def peak_over_data(name: str, rows: NDArray[np.float32], queries: NDArray[np.float32]) -> float:
    """MiB of resident memory that one search adds at its peak."""
    # imports and thread pools are not the search's
    contestants()[name](rows[:2000], queries[:50])()
    search = contestants()[name](rows, queries)
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    search()
    done.set()
    watcher.join()
    return (peak - before) / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("rows", 100_000), ("dim", 512), ("queries", 2000), ("rounds", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows, queries = data(arguments.rows, arguments.dim, arguments.queries)
    if arguments.peak_of:
        print(peak_over_data(arguments.peak_of, rows, queries))
        return 0

    searches = {name: make(rows, queries) for name, make in contestants().items()}
    answers = {name: search() for name, search in searches.items()}  # warms up, too
    for name, answer in answers.items():
        # scikit-learn's own rounding
        np.testing.assert_allclose(answer, answers["ours"], rtol=1e-4, err_msg=name)
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(arguments.rounds):
        for name, search in searches.items():
            start = time.perf_counter()
            search()
            seconds[name].append(time.perf_counter() - start)

    print(
        f"{arguments.rows} x {arguments.dim} float32, {arguments.queries} queries, k = 1, {THREADS}"
        f" threads, {arguments.rounds} rounds\n"
    )
    print(
        "| search | seconds (median) | times scikit-learn's speed | peak over the data, MiB"
        " |\n|---|---|---|---|"
    )
    options = [f"--{option}={getattr(arguments, option)}" for option in ("rows", "dim", "queries")]
    good = True
    for name, taken in seconds.items():
        speed = statistics.median(
            theirs / own for theirs, own in zip(seconds["scikit-learn brute"], taken, strict=True)
        )
        answer = subprocess.run(
            [sys.executable, __file__, *options, f"--peak-of={name}"],
            check=True,
            capture_output=True,
            text=True,
        )
        peak = float(answer.stdout)
        print(f"| {name} | {statistics.median(taken):.2f} | {speed:.2f} | {peak:.0f} |", flush=True)
        if name == "ours":
            good = speed >= SPEED_TARGET and peak <= MEMORY_TARGET
    print(
        f"\ntarget of ours: at least {SPEED_TARGET} times, at most {MEMORY_TARGET:.0f} MiB:"
        f" {'met' if good else 'MISSED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
