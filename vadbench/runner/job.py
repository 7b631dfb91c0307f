"""Jobs: fit, score, write the row scores. Imports no protocol and no metric, and sees no label."""

from __future__ import annotations

import errno
import platform
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench import registry
from vadbench.datasets.base import SPLITS, Split
from vadbench.detector import Detector, MethodConfig, Note
from vadbench.environment import read_environment
from vadbench.errors import BadInput
from vadbench.executors.claims import claim
from vadbench.executors.devices import Devices
from vadbench.features.store import Stream
from vadbench.files.npz import Arrays
from vadbench.plans.jobs import Job
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.runner.inputs import (
    digest_training,
    open_streams,
    read_digests,
    read_network,
    select_rows,
    split_held_out,
)
from vadbench.runner.per_scene import PerScene, scenes
from vadbench.runner.sweep import checkpoint_path, remove_checkpoints
from vadbench.threads import count_threads, limit_threads

NORMAL = "train_scores"  # the array of rows.npz with what the calibrating rows score
# gives the pytorch-lightning logger of a job's training, or None, while it lasts
Curves = Callable[[Job], AbstractContextManager[Any]]
# keeps what a job has learnt: its detector, the rows that calibrate and what they score
Keep = Callable[[Job, Detector | PerScene, Stream, NDArray[np.float64]], None]


@dataclass(frozen=True)
class Fit:
    """A fitted detector, the job it was fitted for and the seconds that took."""

    detector: Detector | PerScene
    identity: str
    seconds: float


def run_one_fit(
    jobs: Sequence[Job],
    results: Results,
    cache_root: Path,
    *,
    quiet: bool = False,
    curves: Curves | None = None,
    replace: frozenset[str] = frozenset(),
    threads: int | None = None,
    keep: Keep | None = None,
    begins: Callable[[Job], None] = lambda job: None,
) -> Iterator[tuple[Job, RunRecord]]:
    """Fit and score jobs with one `fit_identity`, write their records and yield each as it ends.

    The first is fitted; the others take its fit over where the method can. One that fails is
    recorded as failed and does not raise.

    Args:
        jobs: what to run.
        results: where the record goes.
        cache_root: where the features are.
        quiet: no progress.
        curves: where networks' training curves are logged; None: nowhere.
        replace: identities of the jobs whose finished record is to be replaced; of another, what
            another process has finished in the meantime is taken.
        threads: of a job; None: as the method says.
        keep: is handed what was learnt; None: only the scores are kept.
        begins: called with each job that has no record, before anything is done for it.

    Raises:
        KeyboardInterrupt: as it comes; nothing is written.
        OSError: on a full disk; nothing is left half-written.
    """
    streams: dict[Split, Stream] = {}
    data: dict[str, str] = {}
    fit: Fit | None = None
    for job in jobs:
        rows: Arrays | None = None
        again = job.identity in replace
        if not again and (finished := results.finished(job.document, job.identity)) is not None:
            yield job, finished
            continue
        begins(job)
        try:
            streams = streams or open_streams(job, cache_root)
            data = data or read_digests(job, cache_root)
            method: type[Detector] = registry.load("detectors", job.method)
            with limit_threads(threads or method.info.threads), collect_notes() as notes:
                kept = checkpoint_path(results, job, digest_training(job, cache_root))
                detector, seconds, shared = _fit(job, streams, fit, quiet, curves, kept)
                record, rows = _score(job, detector, streams, seconds, shared)
                if keep is not None:
                    keep(job, detector, split_held_out(job, streams["train"])[1], rows[NORMAL])
            fit = fit or Fit(detector, job.identity, seconds["fit"])
            network = read_network(job, cache_root)
            more = {"data": data, "notes": tuple(notes), "network": network}
            record = record.model_copy(update=more)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            record = failed_record(job, error)
        # one method's failure must not end the others' runs: it is recorded and shown
        except Exception as error:
            record = failed_record(job, error)
        written = results.write_run(record, rows, again)
        if record.status == "done":
            remove_checkpoints(results, [job])
        yield job, written


def run_claimed(
    jobs: Sequence[Job], *, results: Results, devices: Devices | None = None, **how: Any
) -> Iterator[tuple[Job, RunRecord]]:
    """As `run_one_fit`, by one process at a time: what another one trains is waited for, and its
    records are taken. Of the devices this process takes one.
    """
    if not jobs:
        return
    if devices is not None:
        devices.take()

    def tell() -> None:
        sys.stderr.write(f"waiting for another process that runs {jobs[0].fit_identity[:12]}\n")

    with claim(results.root, jobs[0].fit_identity, tell):
        yield from run_one_fit(jobs, results=results, **how)


def fit_alone(
    job: Job, cache_root: Path, keep: Keep, *, quiet: bool = False, threads: int | None = None
) -> tuple[str, ...]:
    """Fit a job and keep what it has learnt; scores no test row and writes no record. Returns what
    the method says of rows that it left out.

    Args:
        job: what to fit; of its features the training split is read, and the others only where the
            setting trains on them.
        cache_root: where the features are.
        keep: is handed what was learnt.
        quiet: no progress.
        threads: as of `run_one_fit`.
    """
    streams = open_streams(job, cache_root, ("train",) if job.resplit is None else None)
    method: type[Detector] = registry.load("detectors", job.method)
    with limit_threads(threads or method.info.threads), collect_notes() as notes:
        detector, _, _ = _fit(job, streams, None, quiet, None)
        _, normal = split_held_out(job, streams["train"])
        keep(job, detector, normal, detector.score_normal(normal.features))
    return tuple(notes)


def score_fold(
    job: Job,
    cache_root: Path,
    held: Collection[str],
    *,
    quiet: bool = False,
    threads: int | None = None,
) -> Arrays:
    """What a fit that has not seen some training videos scores on them.

    Args:
        job: what to fit.
        cache_root: where the features are.
        held: names of the training videos that are left out.
        quiet: no progress.
        threads: as of `run_one_fit`.

    Returns:
        Rows as of rows.npz, the `test` ones being those of the held-out videos, numbered in the
        order of the training videos.

    Raises:
        BadInput: if one side has no row, or the method refuses what is left to fit.
    """
    train = open_streams(job, cache_root, ("train",))["train"]
    places = np.flatnonzero([name in held for name in train.lengths])
    inside = np.isin(train.features.video, places)
    if inside.all() or not inside.any():
        raise BadInput(
            f"{train.features.name}: {int(inside.sum())} of {len(inside)} training rows are of"
            " held-out videos; some of both are needed"
        )
    method: type[Detector] = registry.load("detectors", job.method)
    left, test = select_rows(train, ~inside), select_rows(train, inside)
    # a network kept from videos calibrates by them, as `split_held_out` does for a run
    normal = test if train.manifest.get("held_out") else left
    config = silence(job.config) if quiet else job.config
    with limit_threads(threads or method.info.threads), collect_notes():
        detector = make_detector(job, config, {"train": train}, None)
        detector.fit(left.features)
        calibrating = detector.score_normal(normal.features)
        scores = detector.score(test.features)
    rows = {**_name_rows("train", normal, calibrating), **_name_rows("test", test, scores)}
    rows["test_video"] = np.searchsorted(places, rows["test_video"])
    return rows


@contextmanager
def collect_notes() -> Iterator[list[str]]:
    """What methods say of their training, each once; other warnings are passed on."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.simplefilter("always", Note)
        yield notes
    for each in caught:
        if issubclass(each.category, Note):
            notes += [text] if (text := str(each.message)) not in notes else []
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def make_detector(
    job: Job,
    config: Any,
    streams: dict[Split, Stream],
    logger: Any = None,
    checkpoint: Path | None = None,
) -> Detector | PerScene:
    """The job's detector, not yet fitted.

    Args:
        job: whose.
        config: of the method.
        streams: as `open_streams` gives them.
        logger: receives a network's training curves; None: nothing does.
        checkpoint: where a network's training is kept; None: nowhere.
    """
    method: type[Detector] = registry.load("detectors", job.method)

    def make() -> Detector:
        detector = method(config, seed=job.seed)
        if logger is not None:
            detector.logger = logger  # type: ignore[attr-defined]  # `_open_logger` has seen it
        if job.scope == "pooled" and hasattr(detector, "checkpoint"):
            detector.checkpoint = checkpoint
        return detector

    if job.scope == "pooled":
        return make()
    train, test = (scenes(streams.get(split, streams["train"])) for split in SPLITS)
    return PerScene(make, train, test, checkpoint)


def silence(config: MethodConfig) -> MethodConfig:
    """The config with no progress, where a method has any."""
    if "progress" not in type(config).model_fields:
        return config
    return config.model_copy(update={"progress": "off"})


def _open_logger(job: Job, curves: Curves | None) -> AbstractContextManager[Any]:
    """The logger of the job's training; None where the method trains no network, or nothing is
    logged.
    """
    return (
        nullcontext()
        if curves is None or not hasattr(registry.load("detectors", job.method), "logger")
        else curves(job)
    )


def _fit(
    job: Job,
    streams: dict[Split, Stream],
    fit: Fit | None,
    quiet: bool,
    curves: Curves | None,
    checkpoint: Path | None = None,
) -> tuple[Detector | PerScene, dict[str, float], str | None]:
    """The job's detector, the seconds it took, and the identity of the run whose fit it has taken
    over, if any.
    """
    train, _ = split_held_out(job, streams["train"])
    config = silence(job.config) if quiet else job.config
    seconds: dict[str, float] = {}
    if fit is not None:
        shared: Detector | PerScene | None = _time(
            seconds, "read_outs", lambda: fit.detector.reconfigured(config, train.features)
        )
        if shared is not None:
            return shared, {"fit": fit.seconds, **seconds}, fit.identity
    seconds = {}
    with _open_logger(job, curves) as logger:
        detector = make_detector(job, config, streams, logger, checkpoint)
        _time(seconds, "fit", lambda: detector.fit(train.features))
        # of a training that was ended, all of its time
        seconds["fit"] = round(seconds["fit"] + getattr(detector, "seconds_before", 0.0), 3)
    return detector, seconds, None


def _score(
    job: Job,
    detector: Detector | PerScene,
    streams: dict[Split, Stream],
    seconds: dict[str, float],
    shared: str | None,
) -> tuple[RunRecord, Arrays]:
    test = streams["test"]
    fitted, train = split_held_out(job, streams["train"])
    normal = _time(seconds, "score_normal", lambda: detector.score_normal(train.features))
    scores = _time(seconds, "score", lambda: detector.score(test.features))
    for what, values in (("training", normal), ("test", scores)):
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"{job.method}: {int((~np.isfinite(values)).sum())} {what} scores are not finite"
            )
    record = RunRecord(
        status="done",
        identity=job.identity,
        fit_identity=job.fit_identity,
        job=job.document,
        asked=job.asked,
        runtime=_runtime(job),
        read_outs=detector.read_outs,
        test_videos=tuple(test.lengths.items()),
        train_rows=len(fitted.features),
        test_rows=len(test.features),
        seconds=seconds,
        fit_shared_with=shared,
        peak_memory_mib=read_peak_memory(),
        parameters=detector.parameter_count(),
        environment=read_environment(),
    )
    return record, {**_name_rows("train", train, normal), **_name_rows("test", test, scores)}


def _name_rows(split: str, stream: Stream, scores: np.ndarray[Any, Any]) -> Arrays:
    features = stream.features
    rows = {
        "scores": scores,
        "video": features.video,
        "frame": features.frame,
        "object_id": stream.object_id,
    }
    if features.box is not None:
        rows["box"] = features.box
    if stream.manifest.get("unit") == "window":
        # a row scores the frame at the centre of its window, and the frames nearer to it than to
        # others
        rows["windows"] = np.ones(1, bool)
    return {f"{split}_{name}": np.asarray(values) for name, values in rows.items()}


def _time(seconds: dict[str, float], stage: str, call: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    answer = call()
    seconds[stage] = round(time.perf_counter() - started, 3)
    return answer


def read_peak_memory() -> float:
    """This process' largest resident size so far, MiB.

    On Linux from /proc: getrusage's figure is inherited from the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return round(int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024, 1)
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def failed_record(job: Job, error: BaseException) -> RunRecord:
    """The record of a job that did not end; it says why, and is tried again by the next run."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
    return RunRecord(
        status="failed",
        error=message,
        identity=job.identity,
        fit_identity=job.fit_identity,
        job=job.document,
        asked=job.asked,
        runtime=_runtime(job),
        environment=read_environment(),
    )


def _runtime(job: Job) -> dict[str, Any]:
    """What changes no identity but may change the last bit: device, threads and the config's
    runtime fields.
    """
    return {
        "threads": count_threads(),
        "cpu": platform.processor() or platform.machine(),
        **_name_gpu(job),
        **job.config.settings("runtime"),
    }


def _name_gpu(job: Job) -> dict[str, str]:
    """The GPU that the job's network runs on, if it does."""
    torch = sys.modules.get("torch")
    asked = getattr(job.config, "device", "cpu")
    if torch is None or asked not in ("auto", "cuda") or not torch.cuda.is_available():
        return {}
    return {"gpu": torch.cuda.get_device_name()}
