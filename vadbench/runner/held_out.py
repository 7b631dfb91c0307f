"""What a result's methods score on normal training videos that they have not seen: the whole of it,
calibration and fusion too, fitted to the other videos, a fold after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.evaluation.protocol import PER_VIDEO
from vadbench.features.store import lengths as read_lengths
from vadbench.features.store import read_manifest
from vadbench.locations import cache_root
from vadbench.models.fits import read_fit, read_fold, write_fold
from vadbench.models.held_out import HeldOut
from vadbench.plans.jobs import Job
from vadbench.plans.plan import Planned
from vadbench.runner.job import score_fold

FOLDS = 5


@dataclass(frozen=True)
class Folds:
    """The videos that are held out, a fold after the other.

    Attributes:
        names: of each fold's videos.
        videos: name -> frames and scene, of all training videos, in order.
        network_saw: whether a learnt stream's network was trained on them.
    """

    names: tuple[tuple[str, ...], ...]
    videos: dict[str, tuple[int, str]]
    network_saw: bool


def score_held_out(
    planned: Planned,
    root: Path,
    *,
    quiet: bool = False,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[HeldOut, NDArray[np.float64]]:
    """The held-out videos and [T] their frame scores, unsmoothed.

    Args:
        planned: a result whose training features are there.
        root: the results folder; what a fold scores waits there until the model is whole.
        quiet: no progress.
        threads: of each fit; None: as its method says.
        say: receives a line a fold.

    Raises:
        BadInput: if nothing can be held out, or a method refuses what is left to fit.
    """
    result, training = planned.result, planned.result.training
    dataset = open_dataset(training.source or result.dataset)
    if training.setting == "unsupervised":
        raise BadInput("trained on unlabelled videos: none is known to be normal")
    if training.split is not None:
        raise BadInput(f"trained on split {training.split.name}, of which no video is held out")
    if any(part.calibration == PER_VIDEO for part in result.parts):
        raise BadInput(f"calibration {PER_VIDEO} looks at whole videos")
    if dataset.fps is None:
        raise BadInput(f"{dataset.name} states no frames a second (fps in its dataset.toml)")
    folds = plan_folds(planned)
    scores, videos = [], []
    for number, held in enumerate(folds.names, 1):
        say(f"held-out normal videos, fold {number} of {len(folds.names)}: {len(held)} videos")
        lengths = np.array([folds.videos[name][0] for name in held], np.int64)
        parts = [
            _score_part(job, result.read_out, held, lengths, root, quiet, threads)
            for job in planned.jobs
        ]
        level = result.protocol.calibration_level
        scores.append(sum_frames(parts, result.parts, level, lengths)[:, 0])
        videos += [(name, *folds.videos[name]) for name in held]
    held_out = HeldOut(
        videos=tuple(videos),
        folds=len(folds.names),
        fps=dataset.fps,
        network_saw=folds.network_saw,
    )
    return held_out, np.concatenate(scores)


def plan_folds(planned: Planned, folds: int = FOLDS) -> Folds:
    """Which training videos are held out when.

    Of each scene's videos, in order, each fold takes a stretch: neighbours are often of one
    recording. A scene's only video stays in every training. Where a learnt stream's network was
    kept from some videos, they are the one fold; of several such streams, those that all have.

    Raises:
        BadInput: if no video can be held out.
    """
    manifests = [
        read_manifest(job.streams["train"].folder(cache_root(), "train")) for job in planned.jobs
    ]
    first = manifests[0]
    lengths = read_lengths(first)
    scenes = first.get("scenes", ["0"] * len(lengths))
    videos = {
        name: (frames, str(scene))
        for (name, frames), scene in zip(lengths.items(), scenes, strict=True)
    }
    streams = [job.streams["train"] for job in planned.jobs]
    learnt = [one for one, plan in zip(manifests, streams, strict=True) if plan.network]
    kept = [{name.partition("/")[2] for name in one.get("held_out", [])} for one in learnt]
    given = tuple(name for name in videos if kept and all(name in own for own in kept))
    if given:
        return Folds((given,), videos, network_saw=False)
    names = _take_stretches(videos, folds)
    if not names:
        raise BadInput("one training video a scene: none can be held out")
    return Folds(names, videos, network_saw=bool(learnt))


def _take_stretches(videos: dict[str, tuple[int, str]], folds: int) -> tuple[tuple[str, ...], ...]:
    of_scene: dict[str, list[str]] = {}
    for name, (_, scene) in videos.items():
        of_scene.setdefault(scene, []).append(name)
    taken: list[list[str]] = [[] for _ in range(folds)]
    for names in of_scene.values():
        if len(names) > 1:
            count = min(folds, len(names))
            for fold, stretch in zip(taken, np.array_split(names, count), strict=False):
                fold += [str(name) for name in stretch]
    order = {name: place for place, name in enumerate(videos)}
    return tuple(tuple(sorted(fold, key=order.__getitem__)) for fold in taken if fold)


def _score_part(
    job: Job,
    read_out: str | None,
    held: Sequence[str],
    lengths: NDArray[np.int64],
    root: Path,
    quiet: bool,
    threads: int | None,
) -> PartFrames:
    """The frames of a fold's videos by a job's method, fitted to the other videos."""
    arrays = read_fold(root, job.identity, held)
    if arrays is None:
        rows = score_fold(job, cache_root(), held, quiet=quiet, threads=threads)
        arrays = PartFrames.of_rows(rows, lengths).arrays(lengths)
        write_fold(root, job.identity, held, arrays)
    waiting = read_fit(root, job.identity)
    assert waiting is not None  # a model is made of its fit after this
    column = 0 if read_out is None else waiting[0].read_outs.index(read_out)
    return PartFrames.from_arrays(arrays).only(column)
