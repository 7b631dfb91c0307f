"""What jobs cost on this machine: training, scoring a frame and in batches, size, memory.

A job is trained in one fresh process, which saves it, and loaded and scored in another: no method
has the memory, or the warm libraries, of the one before.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench import registry
from vadbench.detector import Detector, Features
from vadbench.environment import read_cpu, read_versions
from vadbench.errors import BadInput
from vadbench.features.store import Stream
from vadbench.models.describe import check_method
from vadbench.models.scoring import score_frame
from vadbench.models.store import Kept, list_models, read_model
from vadbench.plans.jobs import Job
from vadbench.report.timings import Timing
from vadbench.runner.inputs import open_streams, split_held_out
from vadbench.runner.job import (
    collect_notes,
    make_detector,
    read_peak_memory,
    silence,
)
from vadbench.runner.per_scene import PerScene, scenes
from vadbench.threads import count_threads, limit_threads
from vadbench.workers import open_workers

LONG = 10.0  # seconds: a shorter fit is made twice, the first may have loaded libraries
WARM = 20  # frames that are scored before the first counts
PASSES = 3  # of all test rows; the median counts


@dataclass(frozen=True)
class Fitted:
    """A job's detectors on disk, by scene, and what they took; None: not measured."""

    folders: dict[str, Path]
    train_rows: int
    seconds: float | None = None
    peak_mib: float | None = None


@dataclass(frozen=True)
class Scored:
    """What scoring took, as `Timing` has it."""

    frame_ms: float
    frame_ms_p99: float
    batch_ms: float
    batch_rows_a_second: float
    parameters: int
    score_peak_mib: float
    test_rows: int
    columns: int
    frames: int
    device: str
    threads: int


def measure_cost(
    job: Job,
    cache_root: Path,
    *,
    frames: int,
    threads: int | None = None,
    kept: Path | None = None,
) -> Timing:
    """Train, save, load and score one job, and say what that took.

    Args:
        job: what to measure; its features are in the cache.
        cache_root: where they are.
        frames: how many test frames are scored one at a time, evenly spaced.
        threads: of the job; None: as its method says.
        kept: a results folder: a model of the job that is kept there is not trained again.

    Raises:
        BadInput: on rows that cannot be learnt from or scored, or a kept model that cannot be used.
        BrokenProcessPool: if a process was killed, mostly for lack of memory.
        Exception: whatever the method raises.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="vadbench-cost-") as folder:
        fitted = None if kept is None else _find_kept(job, kept)
        if fitted is None:
            with open_workers(1) as workers:
                fit = workers.submit(_fit_and_save, job, cache_root, Path(folder), threads)
                fitted = fit.result()
        with open_workers(1) as workers:
            score = workers.submit(
                _load_and_score, job, cache_root, fitted.folders, frames, threads
            )
            scored: Scored = score.result()
        size = sum(map(_count_bytes, fitted.folders.values())) / 1024
    return Timing(
        method=job.method,
        dataset=job.dataset,
        features=job.stream.name,
        seed=job.seed,
        settings="" if job.asked is None else ", ".join((job.asked.preset, *job.asked.words)),
        identity=job.identity,
        fit_seconds=fitted.seconds,
        fit_peak_mib=fitted.peak_mib,
        size_kib=size,
        train_rows=fitted.train_rows,
        cpu=read_cpu(),
        cores=os.cpu_count() or 1,
        load=round(load, 1),
        platform=platform.platform(terse=True),
        python=platform.python_version(),
        torch=read_versions().get("torch"),
        **vars(scored),
    )


def measure_costs(
    jobs: Sequence[Job],
    cache_root: Path,
    *,
    frames: int,
    threads: int | None = None,
    kept: Path | None = None,
) -> Iterator[tuple[Job, Timing | str]]:
    """What each job costs, one after the other, or why that could not be measured; arguments as of
    `measure_cost`.
    """
    measure = partial(measure_cost, frames=frames, threads=threads, kept=kept)
    for job in jobs:
        try:
            yield job, measure(job, cache_root)
        except BadInput as error:
            yield job, str(error)
        except BrokenProcessPool:
            yield job, "its process was killed, mostly for lack of memory"
        # one method's failure must not end the others' measurements
        except Exception as error:
            yield job, f"{type(error).__name__}: {' '.join(str(error).split())}"


def _find_kept(job: Job, root: Path) -> Fitted | None:
    """What is kept of the job under a results folder; None: nothing.

    Raises:
        BadInput: if it is damaged, or of another version of the method.
    """
    models = [one for one in list_models(root) if isinstance(one, Kept)]
    for model, fit in ((one, fit) for one in models for fit in one.manifest.fits):
        if fit.identity == job.identity:
            check_method(job.method, fit)
            folder = read_model(model.folder).folder
            folders = {scene: folder / own for scene, own in fit.detectors.items()}
            return Fitted(folders, fit.train_rows)
    return None


def _fit_and_save(job: Job, cache_root: Path, folder: Path, threads: int | None) -> Fitted:
    method: type[Detector] = registry.load("detectors", job.method)
    _load_trainer(method)
    with limit_threads(threads or method.info.threads), collect_notes():
        streams = open_streams(job, cache_root, ("train",) if job.resplit is None else None)
        train = split_held_out(job, streams["train"])[0].features
        seconds = 0.0
        for _ in range(2):
            if seconds < LONG:
                detector = make_detector(job, silence(job.config), streams)
                began = time.perf_counter()
                detector.fit(train)
                seconds = time.perf_counter() - began
        peak = read_peak_memory()
    detectors = detector.detectors if isinstance(detector, PerScene) else {"": detector}
    folders = {scene: folder / f"detector-{place}" for place, scene in enumerate(detectors)}
    for scene, own in folders.items():
        detectors[scene].save(own)
    return Fitted(folders, len(train), seconds, peak)


def _load_trainer(method: type[Detector]) -> None:
    """Load what a network's first training would load, seconds that are not the training's."""
    training = sys.modules.get("vadbench.training")
    if training is not None and issubclass(method, training.LightningDetector):
        import vadbench.trainer  # noqa: F401


def _load_and_score(
    job: Job, cache_root: Path, folders: dict[str, Path], frames: int, threads: int | None
) -> Scored:
    method: type[Detector] = registry.load("detectors", job.method)
    with limit_threads(threads or method.info.threads):
        streams = open_streams(job, cache_root, ("test",) if job.resplit is None else None)
        detectors = {scene: method.load(folder) for scene, folder in folders.items()}
        groups = _group_rows(detectors, streams["test"])
        alone = [
            (detector, rows, index) for detector, rows in groups for index in split_frames(rows)
        ]
        if not alone:
            raise BadInput(f"{streams['test'].features.name}: no test row, nothing can be scored")
        chosen = np.unique(np.linspace(0, len(alone) - 1, min(frames, len(alone))).round())
        timed = [alone[int(place)] for place in chosen]
        for each in timed[:WARM]:
            _time_frame(*each)
        seconds = np.array([_time_frame(*each) for each in timed])
        batch = float(np.median([_time_all(groups) for _ in range(PASSES)]))
        rows = sum(len(features) for _, features in groups)
        return Scored(
            frame_ms=1000 * float(np.median(seconds)),
            frame_ms_p99=1000 * float(np.percentile(seconds, 99)),
            batch_ms=1000 * batch / len(alone),
            batch_rows_a_second=rows / batch,
            parameters=sum(one.parameter_count() for one in detectors.values()),
            score_peak_mib=read_peak_memory(),
            test_rows=rows,
            columns=streams["test"].features.x.shape[1],
            frames=len(timed),
            device=_name_device(job),
            threads=count_threads(),
        )


def _group_rows(detectors: dict[str, Detector], test: Stream) -> list[tuple[Detector, Features]]:
    """Each detector with the test rows that it scores: all, or those of its scene."""
    if set(detectors) == {""}:
        return [(detectors[""], test.features)]
    scene = np.asarray(scenes(test))[test.features.video]
    return [
        (detector, test.features.rows(np.flatnonzero(scene == name)))
        for name, detector in detectors.items()
    ]


def split_frames(rows: Features) -> list[NDArray[np.int64]]:
    """The rows of each frame that has any, by video and frame.

    >>> x = np.zeros((4, 1), np.float32)
    >>> rows = Features(x, video=np.array([0, 1, 0, 0]), frame=np.array([5, 5, 2, 5]))
    >>> [index.tolist() for index in split_frames(rows)]
    [[2], [0, 3], [1]]
    """
    order = np.lexsort((rows.frame, rows.video))
    video, frame = rows.video[order], rows.frame[order]
    begins = np.flatnonzero((np.diff(video) != 0) | (np.diff(frame) != 0)) + 1
    return np.split(order, begins) if len(order) else []


def _time_frame(detector: Detector, rows: Features, index: NDArray[np.int64]) -> float:
    """Seconds to score a frame's rows, which are read before."""
    one = rows.rows(index)
    began = time.perf_counter()
    score_frame(detector, one.x, one.box, one.nature, one.shape)
    return time.perf_counter() - began


def _time_all(groups: Sequence[tuple[Detector, Features]]) -> float:
    began = time.perf_counter()
    for detector, rows in groups:
        detector.score(rows)
    return time.perf_counter() - began


def _name_device(job: Job) -> str:
    """Where the job's network runs; `cpu` where it has none."""
    asked = getattr(job.config, "device", None)
    if asked is None:
        return "cpu"
    import torch

    from vadbench.training import resolve_device

    device = resolve_device(asked)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _count_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
