"""Test sets for benchmarks/simulate_uncertainty.py: methods without a difference, made or of our
own stored scores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vadbench.datasets.base import Labels
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.metrics.regions import Matches, match
from vadbench.evaluation.smoothing import smooth
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord

Clips = list[tuple[NDArray[np.float64], NDArray[np.bool_]]]  # (scores, labels) of each video

BLOCK = 8  # frames that share their noise: neighbours in time depend on each other
NORMAL_ONLY = 0.2  # share of videos without an anomaly
# variances: frames' noise, how visible a video's anomaly is, its background
FRAME, VIDEO, SCENE = 1.0, 0.5, 0.15
OTHER = 0.5, 1.5  # frames' noise and visibility of the other noise; 2 FRAME + VIDEO is the same
SHARED = 0.5  # part of each variance of a video that all methods see alike
STORED = {"ped2": "mulde@velocity@file.vec", "shanghaitech": "mulde@tracks"}


def make_clips(
    rng: np.random.Generator,
    videos: int,
    methods: int,
    auc: float,
    other: bool = False,
    training: float = 0.0,
) -> list[Clips]:
    """The clips of some methods with one expected micro AUC on the same videos of 120 to 200
    frames.

    Args:
        rng: of all draws.
        videos: how many.
        methods: how many, equal in law.
        auc: the expected micro AUC of very many videos.
        other: the last method has more variance between videos and less within.
        training: deviation of how visible all anomalies are, from training to training.
    """
    gaps = ndtri(auc) * np.sqrt(2 * FRAME + VIDEO + 2 * SCENE) + training * rng.normal(size=methods)
    made: list[Clips] = [[] for _ in range(methods)]
    for _ in range(videos):
        length = int(rng.integers(120, 201))
        anomalous = _anomaly(rng, length)
        shared = rng.normal(size=2) * np.sqrt(SHARED)
        for method, clips in enumerate(made):
            frame, visible = OTHER if other and method == methods - 1 else (FRAME, VIDEO)
            own = shared + rng.normal(size=2) * np.sqrt(1 - SHARED)
            noise = np.repeat(rng.normal(size=length // BLOCK + 1), BLOCK)[:length] * np.sqrt(frame)
            level = own[0] * np.sqrt(SCENE) + noise
            clips.append(
                (level + anomalous * (gaps[method] + own[1] * np.sqrt(visible)), anomalous)
            )
    return made


def _anomaly(rng: np.random.Generator, length: int) -> NDArray[np.bool_]:
    """[length] one stretch of 20 to 80 % of the frames, or none."""
    anomalous = np.zeros(length, bool)
    if rng.random() >= NORMAL_ONLY:
        part = int(length * rng.uniform(0.2, 0.8))
        start = int(rng.integers(0, length - part + 1))
        anomalous[start : start + part] = True
    return anomalous


def make_regions(
    rng: np.random.Generator, videos: int, methods: int
) -> list[tuple[Matches, list[int]]]:
    """The matched detections of some methods, equal in law, with the videos' frames: tracks to
    detect and false alarms beside them.
    """
    lengths = rng.integers(120, 201, size=videos)
    rows = []  # video, track, frame
    for video, length in enumerate(lengths):
        for track in range(int(rng.integers(0, 4))):
            start = int(rng.integers(0, length - 30))
            rows += [(video, track, frame) for frame in range(start, start + 30)]
    video, track, frame = np.array(rows or [(0, 0, 0)]).T
    truth = {"video": video, "track": track, "frame": frame, **_boxes(30 * track)}
    names = dict(enumerate(map(int, lengths)))
    visible = rng.normal(size=videos) * np.sqrt(SHARED)
    made = []
    for _ in range(methods):
        seen = visible + rng.normal(size=videos) * np.sqrt(1 - SHARED)
        hits = rng.random(len(video)) < 0.8
        alarms = rng.poisson(0.7 * lengths)
        where = np.repeat(np.arange(videos), alarms)
        scene = rng.normal(size=videos) * np.sqrt(SCENE)
        false = rng.normal(size=len(where)) + scene[where]
        score = np.concatenate([0.7 + seen[video[hits]] + rng.normal(size=int(hits.sum())), false])
        frames = np.concatenate(
            [frame[hits], (rng.random(len(where)) * lengths[where]).astype(int)]
        )
        boxes = {"video": np.concatenate([video[hits], where]), "frame": frames, "score": score}
        boxes |= _boxes(np.concatenate([30 * track[hits], np.full(len(where), 500)]))
        found = match(
            read_boxes(boxes, "detections"),
            read_scores(boxes),
            read_boxes(truth, "ground_truth"),
            videos=names,
        )
        made.append((found, list(names.values())))
    return made


def _boxes(left: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    return {"x0": left, "y0": np.zeros_like(left), "x1": left + 20, "y1": np.full_like(left, 20)}


def read_stored(dataset: str, results: Path) -> tuple[Clips, Clips]:
    """The smoothed frame scores of seeds 0 and 1 of one method of ours, from committed records.

    Raises:
        BadInput: if the data set, and so its labels, or a record is not here.
    """
    labels = open_dataset(dataset).labels()
    store = Results(results)
    records = {
        record.seed: record
        for record in store.all_records()
        if (record.dataset, record.recipe) == (dataset, STORED[dataset])
        and record.labels["sha256"] == labels.provenance()["sha256"]
        and record.seed in (0, 1)
        and not record.result.words
    }
    if len(records) < 2:
        raise BadInput(
            f"{results}: no records of {STORED[dataset]} on {dataset} with seeds 0 and 1; vadbench"
            " run makes them"
        )
    first, second = (_read_clips(records[seed], store, labels) for seed in (0, 1))
    return first, second


def _read_clips(record: ResultRecord, results: Results, labels: Labels) -> Clips:
    frames = read_frame_scores(record, results)
    if frames is None:
        raise BadInput(f"{record.name}: its frame scores are not here; vadbench run makes them")
    scores = smooth(frames.scores, frames.lengths, record.result.protocol.smoothing)
    parts = np.split(scores, np.cumsum(frames.lengths)[:-1])
    truth = [labels.videos[name].astype(bool) for name in frames.videos]
    return list(zip(parts, truth, strict=True))


def swapped(
    stored: tuple[Clips, Clips],
) -> Callable[[np.random.Generator, int], tuple[Clips, Clips]]:
    """Draws videos again, each with the two seeds' scores in an order that chance decides: two
    methods equal in law.
    """

    def draw(rng: np.random.Generator, videos: int) -> tuple[Clips, Clips]:
        chosen = rng.integers(0, len(stored[0]), size=videos)
        order = rng.integers(0, 2, size=videos)
        first, second = (
            [stored[which][video] for video, which in zip(chosen, orders, strict=True)]
            for orders in (order, 1 - order)
        )
        return first, second

    return draw
