"""What a job will cost, before it is run: from a finished run that differs in its seed alone, else
from the method's count of operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from vadbench import registry
from vadbench.datasets.base import SPLITS
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.files.canonical import canonical_hash
from vadbench.plans.jobs import Job
from vadbench.plans.plan import Plan
from vadbench.results.records import Results


def are_cached(job: Job, cache: Path) -> bool:
    """Whether the job's features are extracted."""
    return all((job.stream.folder(cache, split) / store.MANIFEST).is_file() for split in SPLITS)


def expected_seconds(plan: Plan, results: Results, cache: Path) -> dict[str, float | None]:
    """Seconds that each job of the plan will take, by identity; None where nothing is known of it.

    Known are the recorded times of runs that differ in the seed alone, and for neural methods on
    extracted features the operations that their config asks for at the rate that a matrix product
    reaches on this machine: to a factor of about two.
    """
    recorded = {
        _but_seed(run.job): sum(run.seconds.values())
        for run in results.all_runs()
        if run.status == "done"
    }
    return {
        job.identity: recorded.get(_but_seed(job.document)) or _counted(job, cache)
        for job in plan.jobs
    }


def _but_seed(document: dict[str, object]) -> str:
    return canonical_hash({name: value for name, value in document.items() if name != "seed"})


def _counted(job: Job, cache: Path) -> float | None:
    train = (
        job.source.stream.folder(cache, "train")
        if job.source is not None
        else job.stream.folder(cache, "train")
    )
    try:
        rows, dim = _shape(train)
        test_rows, _ = _shape(job.stream.folder(cache, "test"))
    except BadInput:
        return None
    operations: float | None = registry.load("detectors", job.method)(
        job.config, seed=job.seed
    ).flops(rows, dim, test_rows)
    return None if operations is None else operations / rate()


@cache
def _shape(folder: Path) -> tuple[int, int]:
    rows, dim = store.read_manifest(folder)["files"][store.VECTORS]["shape"]
    return rows, dim


@cache
def rate() -> float:
    """Floating-point operations a second of float32 matrix products on this machine: the best of
    five samples of 40 ms, the least disturbed one.
    """
    import torch

    a, b = torch.ones(2048, 256), torch.ones(256, 256)
    a @ b  # the first one also starts threads
    return 2.0 * 2048 * 256 * 256 * max(_products_a_second(lambda: a @ b) for _ in range(5))


def _products_a_second(product: Callable[[], object]) -> float:
    products, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.04:
        product()
        products += 1
    return products / (time.perf_counter() - began)


def told(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
