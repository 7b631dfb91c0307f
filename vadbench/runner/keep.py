"""Models: what the jobs of a plan learnt, kept for new videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.open import open_dataset
from vadbench.detector import Detector
from vadbench.errors import BadInput
from vadbench.evaluation.frames import training_statistics
from vadbench.features.extract import ensure
from vadbench.features.store import Stream, read_manifest
from vadbench.files.atomic import sweep
from vadbench.locations import cache_root
from vadbench.models.describe import describe_thresholds
from vadbench.models.fits import read_fit, remove_fits, write_fit
from vadbench.models.held_out import NormalScores
from vadbench.models.manifest import SHORT, KeptFit, KeptStatistics, describe_plan
from vadbench.models.store import Kept, change_rate, models_folder, read_model, write_model
from vadbench.plans.jobs import Job
from vadbench.plans.needs import find_unable, group_reasons
from vadbench.plans.plan import Plan, Planned
from vadbench.results.identity import identity_of
from vadbench.runner.held_out import score_held_out
from vadbench.runner.job import fit_alone
from vadbench.runner.per_scene import PerScene

Say = Callable[[str], None]


@dataclass(frozen=True)
class Keeper:
    """Writes what a job learnt where a model is made of it; a value that another process can be
    given.

    Attributes:
        root: the results folder.
    """

    root: Path

    def __call__(
        self,
        job: Job,
        detector: Detector | PerScene,
        train: Stream,
        normal: NDArray[np.float64],
    ) -> None:
        """Keep a fitted detector and the statistics of what its calibrating rows score."""
        detectors = detector.detectors if isinstance(detector, PerScene) else {"": detector}
        features, manifest = train.features, train.manifest
        row, frame = training_statistics(normal, features.video, features.frame)
        fit = KeptFit(
            identity=job.identity,
            stream=describe_plan(job.streams["train"]),
            code=job.code,
            read_outs=detector.read_outs,
            detectors={scene: f"detector-{place}" for place, scene in enumerate(detectors)},
            row=KeptStatistics.of(row),
            frame=KeptStatistics.of(frame),
            windows=manifest.get("unit") == "window",
            columns=features.x.shape[1],
            shape=features.shape,
            train_rows=len(features),
            frame_shape=_read_frame_shape(job),
            contents=_read_contents(job),
        )
        write_fit(self.root, fit, detectors)


def _read_contents(job: Job) -> str | None:
    """The digest of the files that the job's training features were made from; None: of none, or
    they are not here.
    """
    try:
        contents = read_manifest(job.streams["train"].folder(cache_root(), "train")).get("contents")
    except BadInput:
        return None
    return None if contents is None else str(contents)


def has_fit(job: Job, root: Path) -> bool:
    """Whether a fit of the job waits, of the files that its features are of now."""
    waiting = read_fit(root, job.identity)
    return waiting is not None and _is_current(waiting[0], job)


def _is_current(fit: KeptFit, job: Job) -> bool:
    now = _read_contents(job)
    return now is None or now == fit.contents


def _read_frame_shape(job: Job) -> tuple[int, ...] | None:
    """Of the first training frame; None where it is not here."""
    dataset = open_dataset(job.dataset if job.source is None else job.source.dataset)
    try:
        first = next(iter(dataset.read(dataset.videos("train")[0])), None)
        return None if first is None else first.shape
    except (BadInput, OSError, IndexError):
        return None


def train_models(
    plan: Plan,
    root: Path,
    *,
    quiet: bool = False,
    threads: int | None = None,
    say: Say = lambda line: None,
    alarms: float | None = None,
) -> list[Kept]:
    """Fit the jobs of a plan on their training videos, and keep a model of each result; one that
    is kept already, and whole, stays.

    Args:
        plan: what to train; tested is nothing.
        root: the results folder.
        quiet: no progress.
        threads: of each job; None: as its method says.
        say: receives one line an event.
        alarms: an hour on normal video, whose threshold is set from held-out training videos
            (`vadbench.runner.held_out`), at the cost of as many more fits as there are folds; None:
            none. A model that is kept without a threshold is made again.

    Raises:
        BadInput: on features that cannot be extracted, rows that cannot be learnt from, or what a
            method needs and is not here; the last before anything is done.
    """
    sweep(models_folder(root).glob(".*~*"))
    missing = [one for one in plan.planned if not is_kept(one, root, alarms)]
    jobs = {job.identity: job for one in missing for job in one.jobs}.values()
    unable = find_unable(jobs)
    if unable:
        raise BadInput(f"cannot be trained here: {'; '.join(group_reasons(unable))}")
    for job in jobs:
        if not has_fit(job, root):
            _extract_training(job, quiet)
            say(f"fitting {job.method} on {job.dataset} {job.stream.name}, seed {job.seed}")
            for note in fit_alone(job, cache_root(), Keeper(root), quiet=quiet, threads=threads):
                say(note)
    normal = {
        folder_identity(one): _score_normal(one, alarms, root, quiet, threads, say)
        for one in missing
        if alarms is not None
    }
    kept = keep_results(plan.planned, root, say, normal)
    if alarms is None:
        return kept
    changed = [change_rate(one, alarms) for one in kept]
    for one in changed:
        for line in describe_thresholds(one.manifest):
            say(line)
    return changed


def _score_normal(
    planned: Planned, alarms: float, root: Path, quiet: bool, threads: int | None, say: Say
) -> NormalScores | str:
    """What held-out normal videos score; a text: why there are none."""
    try:
        held_out, scores = score_held_out(planned, root, quiet=quiet, threads=threads, say=say)
    except BadInput as error:
        say(f"{planned.result.name}: no threshold: {error}")
        return str(error)
    return NormalScores(held_out, scores, alarms)


def choose_seed(plan: Plan, seed: int) -> Plan:
    """The plan's results of one seed."""
    planned = tuple(one for one in plan.planned if one.result.training.seed == seed)
    jobs = {job.identity: job for one in planned for job in one.jobs}
    return replace(plan, jobs=tuple(jobs.values()), planned=planned)


def keep_results(
    planned: Iterable[Planned],
    root: Path,
    say: Say,
    normal: Mapping[str, NormalScores | str] | None = None,
) -> list[Kept]:
    """Make the models of results whose fits wait, and forget the fits; others stay as they are.

    Args:
        planned: the results.
        root: the results folder.
        say: receives a line a model.
        normal: identity -> what held-out normal videos score, or why there are none.
    """
    kept, used = [], set()
    for one in planned:
        used |= set(one.runs)
        folder = _folder_of(one, root)
        if not _is_outdone(one, root, normal):
            say(f"kept already: {one.result.name} in {folder}")
            kept.append(read_model(folder))
            continue
        identity = folder_identity(one)
        known = (normal or {}).get(identity)
        networks = [_network(job) for job in one.jobs]
        scored, bare = (None, known) if isinstance(known, str) else (known, "")
        model = write_model(root, identity, one.result, one.runs, networks, scored, bare)
        say(f"kept {one.result.name} in {folder}")
        kept.append(model)
    remove_fits(root, used)
    return kept


def _is_outdone(
    planned: Planned, root: Path, normal: Mapping[str, NormalScores | str] | None
) -> bool:
    """Whether what waits makes a model that is not kept yet, or knows more."""
    if not is_kept(planned, root):
        return True
    if normal and folder_identity(planned) in normal:
        return True
    waiting = all(has_fit(job, root) for job in planned.jobs)
    return waiting and read_model(_folder_of(planned, root)).manifest.threshold is None


def folder_identity(planned: Planned) -> str:
    """The identity of a result's model, which is that of its record."""
    return identity_of(planned.result, planned.runs)


def is_kept(planned: Planned, root: Path, alarms: float | None = None) -> bool:
    """Whether the model of a result is there, whole, and of the files that there are now; with
    held-out videos, where a threshold is asked for.
    """
    try:
        manifest = read_model(_folder_of(planned, root)).manifest
    except BadInput:
        return False
    if alarms is not None and manifest.held_out is None and not manifest.bare:
        return False
    return all(map(_is_current, manifest.fits, planned.jobs))


def _folder_of(planned: Planned, root: Path) -> Path:
    return models_folder(root) / folder_identity(planned)[:SHORT]


def _network(job: Job) -> Path | None:
    stream = job.streams["train"]
    return stream.network_folder(cache_root()) if stream.network else None


def _extract_training(job: Job, quiet: bool) -> None:
    """The features that are learnt from."""
    stream = job.streams["train"]
    dataset = open_dataset(job.dataset if job.source is None else job.source.dataset)
    splits = ("train",) if job.resplit is None else job.resplit.splits
    ensure(dataset, stream, cache_root(), quiet, splits=splits)
