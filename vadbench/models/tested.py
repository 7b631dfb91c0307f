"""What the thresholds of a model give on the tested videos of its data set: false alarms, events
found and when. They were set without these videos; nothing is chosen by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.metrics.events import EventMetrics, event_metrics
from vadbench.models.model import Model
from vadbench.report.events import Truths
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord


@dataclass(frozen=True)
class TestedRate:
    """What the threshold of a rate gives.

    Attributes:
        rate: alarms an hour that normal video may raise.
        metrics: of the tested videos, by unsmoothed scores; None: a scene has no threshold.
    """

    __test__ = False  # no test case

    rate: float
    metrics: EventMetrics | None


def find_tested(model: Model, results: Results) -> ResultRecord:
    """The record of the same training and settings, with the scores of the tested videos.

    Raises:
        BadInput: if there is none that holds, or it is of other training files.
    """
    identity = model.manifest.identity
    for record in results.all_records():
        if record.identity == identity:
            _require_same_training(model, record, results)
            return record
    result = model.manifest.result
    raise BadInput(
        f"{model.name}: no record of it in {results.root}; vadbench run --methods"
        f" {result.method} --datasets {result.dataset}, with the settings of the model, makes one"
    )


def _require_same_training(model: Model, record: ResultRecord, results: Results) -> None:
    """Refuse a record that was edited, or whose runs have learnt from other files."""
    if record.edited is not None:
        raise BadInput(
            f"{record.name}: edited after it was written ({record.edited}); vadbench evaluate"
            " computes it again"
        )
    for place, fit in enumerate(model.manifest.fits):
        run = results.run_of(record, place)
        learnt = None if run is None else run.data.get("train")
        if None not in (learnt, fit.contents) and learnt != fit.contents:
            raise BadInput(
                f"{model.name}: a model of other training files than {record.name} is of now;"
                " vadbench train makes it again"
            )


def measure_alarms(model: Model, results: Results, rates: Sequence[float]) -> list[TestedRate]:
    """Each rate's threshold on the tested videos of the model's data set, of a model with several
    scenes each scene's own.

    Args:
        model: with held-out normal videos.
        results: where the record of the same result is.
        rates: alarms an hour.

    Raises:
        BadInput: if there is no such record, or no label.
    """
    record = find_tested(model, results)
    frames = read_frame_scores(record, results)
    if frames is None:
        raise BadInput(f"{record.name}: its frame scores are not here; vadbench run makes them")
    truth = Truths().of(record)
    scenes = {video.name: video.scene for video in open_dataset(record.dataset).videos("test")}
    apart = set(model.manifest.fits[0].detectors) != {""}
    of_video = {name: scenes[name] if apart else "" for name in frames.videos}
    split = np.split(frames.scores, np.cumsum(frames.lengths)[:-1])
    tested = []
    for rate in rates:
        limits = {
            scene: model.threshold(rate, scene=scene).value for scene in set(of_video.values())
        }
        known = {scene: value for scene, value in limits.items() if value is not None}
        if len(known) < len(limits):
            tested.append(TestedRate(rate, None))
            continue
        above = {
            name: scores - known[of_video[name]]
            for name, scores in zip(frames.videos, split, strict=True)
            if name in truth.labels.videos
        }
        found = event_metrics(above, truth.events, truth.labels.videos, 0.0, truth.fps)
        tested.append(TestedRate(rate, found))
    return tested
