"""What jobs will cost, before they are run: from finished runs, else from the method's count of
operations.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.networks.store import read_manifest
from vadbench.features.stream import StreamPlan, make_extractor
from vadbench.files.canonical import canonical_hash
from vadbench.locations import reference_results
from vadbench.plans.jobs import Job
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord

OF_TRAINING = ("fit", "score_normal", "read_outs")  # stages that read the training rows
COLUMNS = 64  # of vectors that are not extracted yet: a wide network's layers decide, not these
ROUGH = 4.0  # how many times the rows may differ before a count of operations is trusted more


def read_runs(results: Results, jobs: Iterable[Job]) -> list[RunRecord]:
    """The runs that tell what jobs cost: those of a folder, then the repository's own."""
    methods, datasets = {job.method for job in jobs}, {job.dataset for job in jobs}
    folders = results, Results(reference_results())
    return [run for folder in folders for run in folder.runs_like(methods, datasets)]


def expected_seconds(
    jobs: Iterable[Job], runs: Iterable[RunRecord], cache: Path
) -> dict[str, float | None]:
    """Seconds that each job will take, by identity; None where nothing is known of it.

    In this order: what a finished run took that differs in its seed alone; a run of the same method
    with the same settings on vectors of the same kind, scaled to the rows; the operations that the
    config asks for, at the rate that a matrix product reaches on this machine; the run of the
    method that is most alike, its training scaled to the operations, where the method counts them,
    all else to the rows. All but the last are right to a factor of about two, on an idle machine.
    """
    known = _Runs.of(runs)
    return {job.identity: _expect(job, known, cache) for job in jobs}


def expected_training(plan: StreamPlan, cache: Path) -> float | None:
    """Seconds that the network of a learnt stream will take; None where nothing is known of it.

    What one took that differs in its seed alone; else the operations that its options ask for, at
    the rate of a matrix product.
    """
    others = {**plan.network, "seed": None}
    for folder in plan.network_folder(cache).parent.glob(f"{plan.network['name']}@*"):
        try:
            known = read_manifest(folder)
        except BadInput:
            continue
        if {**known.network, "seed": None} == others:
            return known.seconds
    count = getattr(make_extractor(plan), "training_flops", None)
    operations = None if count is None else count()
    return None if operations is None or math.isnan(operations) else operations / rate()


@dataclass(frozen=True)
class _Runs:
    """Finished runs: by all but their seed, by method, and the rows of streams."""

    exact: dict[str, RunRecord]
    of_method: dict[str, list[RunRecord]]
    rows: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, runs: Iterable[RunRecord]) -> _Runs:
        exact: dict[str, RunRecord] = {}
        of_method: dict[str, list[RunRecord]] = {}
        rows: dict[str, tuple[int, int]] = {}
        for run in runs:
            if run.status == "done":
                exact.setdefault(_but_seed(run.job), run)
                of_method.setdefault(run.job["method"], []).append(run)
                rows.setdefault(_rows_key(run.job), (run.train_rows or 0, run.test_rows or 0))
        return cls(exact, of_method, rows)


def _but_seed(document: dict[str, Any]) -> str:
    seeded = {"seed"}
    if "network" in document:  # its seed is in the fingerprints
        seeded |= {"network", "fingerprint", "train_fingerprint"}
    return canonical_hash({name: value for name, value in document.items() if name not in seeded})


def _rows_key(job: dict[str, Any]) -> str:
    """Equal for jobs that read the same rows: those of one extractor on the same boxes, whatever
    its variant and the files that its features are made of.
    """
    names = ("dataset", "train_dataset", "setting", "resplit")
    vectors, _, boxes = str(job["stream"]).partition("@")
    rows = vectors.partition(".")[0], boxes
    return canonical_hash([rows, *(job.get(name) for name in names)])


def _expect(job: Job, runs: _Runs, cache: Path) -> float | None:
    same = runs.exact.get(_but_seed(job.document))
    if same is not None:
        return sum(same.seconds.values())
    rows = runs.rows.get(_rows_key(job.document)) or _stored_rows(job, cache)
    if rows is None:
        return None
    near = _find_nearest(job, rows, runs.of_method.get(job.method, ()))
    if near is not None and _is_alike(job, rows, near):
        return _scale(near, rows)
    counted = _count(job, rows, cache)
    if counted is not None or near is None:
        return counted
    return _scale(near, rows, _count_times(job, rows, near))


def _find_nearest(job: Job, rows: tuple[int, int], runs: Iterable[RunRecord]) -> RunRecord | None:
    """The run that is most alike: in its vectors, in its settings, in its rows."""

    def distance(run: RunRecord) -> tuple[bool, bool, float]:
        return _vectors(run.job) != _vectors(job.document), *_apart(job, rows, run)

    return min((run for run in runs if run.train_rows), key=distance, default=None)


def _is_alike(job: Job, rows: tuple[int, int], run: RunRecord) -> bool:
    """Whether a run's time can be scaled to the job's."""
    other, times = _apart(job, rows, run)
    return _vectors(run.job) == _vectors(job.document) and not other and times < math.log(ROUGH)


def _apart(job: Job, rows: tuple[int, int], run: RunRecord) -> tuple[bool, float]:
    """Whether the settings differ, and how many times the training rows, as a logarithm."""
    names = ("config", "scope", "code")
    other = any(run.job.get(name) != job.document.get(name) for name in names)
    return other, abs(math.log(max(rows[0], 1) / (run.train_rows or 1)))


def _vectors(job: dict[str, Any]) -> str:
    """`velocity.hof8` of `velocity.hof8@grid`: vectors of one kind, whatever boxes they are of."""
    return str(job["stream"]).partition("@")[0]


def _scale(run: RunRecord, rows: tuple[int, int], fit: float | None = None) -> float:
    """What a run took, stage by stage, for other training and test rows, and for a training that
    takes `fit` times as long; None: as the training rows say.
    """
    train, test = rows[0] / (run.train_rows or 1), rows[1] / max(run.test_rows or 1, 1)
    times = dict.fromkeys(OF_TRAINING, train) | {"fit": train if fit is None else fit}
    return sum(seconds * times.get(stage, test) for stage, seconds in run.seconds.items())


def _count_times(job: Job, rows: tuple[int, int], run: RunRecord) -> float | None:
    """How many times the operations of a run's training a job's are, on vectors of a usual size;
    None where the method does not count them, or has changed its settings since.
    """
    method = registry.load("detectors", job.method)
    try:
        config = method.Config.model_validate(run.job["config"])
    except ValidationError:
        return None
    asked, known = (
        method(one, seed=0).flops(count, COLUMNS)
        for one, count in ((job.config, rows[0]), (config, run.train_rows or 1))
    )
    return asked / known if asked and known else None


def _stored_rows(job: Job, cache: Path) -> tuple[int, int] | None:
    """Training and test rows of features in the cache; None where they are not there."""
    try:
        return _shape(_training_folder(job, cache))[0], _shape(job.stream.folder(cache, "test"))[0]
    except BadInput:
        return None


def _count(job: Job, rows: tuple[int, int], cache: Path) -> float | None:
    """The seconds of the operations that the config asks for, on features in the cache."""
    try:
        _, dim = _shape(_training_folder(job, cache))
    except BadInput:
        return None
    detector = registry.load("detectors", job.method)(job.config, seed=job.seed)
    operations: float | None = detector.flops(rows[0], dim, rows[1])
    return None if operations is None else operations / rate()


def _training_folder(job: Job, cache: Path) -> Path:
    return job.streams["train"].folder(cache, "train")


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
