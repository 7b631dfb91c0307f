"""Row scores -> protocol -> metrics: recomputes everything from what the runs stored, and never trains.

A recipe's record is keyed by its runs and its protocol. Where rows.npz is absent (it stays out of git) the stored frame maxima serve instead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vadbench import protocol as rules
from vadbench.datasets.base import Dataset, Labels
from vadbench.errors import BadInput
from vadbench.metrics.frame import frame_metrics
from vadbench.plan import PlannedPart, PlannedRecipe
from vadbench.records import Arrays, RecipeRecord, Results, RunRecord, canonical_hash


@dataclass(frozen=True)
class PartFrames:
    """What evaluation needs of one run.

    Attributes:
        maxima: [T, C] uncalibrated frame maxima of the test videos; NaN = no object in the frame.
        row, frame: statistics of the training scores, over rows and over frame maxima.
    """

    maxima: rules.Scores
    row: rules.Statistics
    frame: rules.Statistics

    def arrays(self) -> Arrays:
        """Named arrays; `from_arrays` takes them back."""
        levels = {"row": self.row.arrays(), "frame": self.frame.arrays()}
        return {"maxima": self.maxima, **{f"{level}.{name}": values for level, arrays in levels.items() for name, values in arrays.items()}}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> PartFrames:
        """The frames that `arrays` describes."""
        levels = {
            level: rules.Statistics(**{name.partition(".")[2]: values for name, values in arrays.items() if name.startswith(f"{level}.")})
            for level in ("row", "frame")
        }
        return cls(arrays["maxima"], **levels)

    @classmethod
    def of_rows(cls, rows: Arrays, lengths: NDArray[np.int64]) -> PartFrames:
        """Frame maxima and statistics of a run's row scores; `lengths` are the test videos' frames."""
        maxima = rules.frame_maximum(rows["test_scores"], rows["test_video"], rows["test_frame"], lengths, -np.inf)
        normal, video, frame = rows["train_scores"], rows["train_video"].astype(np.int64), rows["train_frame"].astype(np.int64)
        train_lengths = np.full(int(video.max()) + 1, int(frame.max()) + 1)
        normal_maxima = rules.frame_maximum(normal, video, frame, train_lengths, -np.inf)
        with_objects = np.isfinite(normal_maxima[:, 0])
        statistics = rules.calibration_statistics(normal), rules.calibration_statistics(normal_maxima[with_objects])
        return cls(np.where(np.isneginf(maxima), np.nan, maxima), *statistics)

    def filled(self, empty: str) -> rules.Scores:
        """[T, C] maxima with the frames that have no object filled: the least training score, or a raw 0 (`zero`)."""
        return np.where(np.isnan(self.maxima), 0.0 if empty == "zero" else self.row.minimum, self.maxima)

    def first(self) -> PartFrames:
        """Only the first read-out."""
        cut = [rules.Statistics(**{name: values[:1] for name, values in level.arrays().items()}) for level in (self.row, self.frame)]
        return PartFrames(self.maxima[:, :1], *cut)


def protocol_of(recipe: PlannedRecipe, dataset: Dataset, level: Literal["row", "frame"] = "row") -> rules.Protocol:
    """The protocol of a recipe on a data set: its calibrations, its rules for empty frames, the data set's smoothing."""
    return rules.Protocol(parts=tuple(planned.part for planned in recipe.parts), smoothing=dataset.smoothing, calibration_level=level)


def recipe_identity(recipe: PlannedRecipe, protocol: rules.Protocol) -> str:
    """The key of a recipe's record: its runs and its protocol."""
    return canonical_hash({"runs": [planned.job.identity for planned in recipe.parts], "protocol": protocol.model_dump(mode="json")})


def evaluate(recipe: PlannedRecipe, dataset: Dataset, results: Results, protocol: rules.Protocol) -> RecipeRecord:
    """Compute and store the metrics of a recipe whose jobs have all been run.

    Raises:
        BadInput: if a job's record is absent or failed, or if labels and scores disagree about the videos.
    """
    identity = recipe_identity(recipe, protocol)
    labels = dataset.labels()
    stored = _stored_frames(recipe, results, identity)
    parts: list[PartFrames] = []
    records: list[RunRecord] = []
    for position, planned in enumerate(recipe.parts):
        run = results.run(planned.job.document, planned.job.identity)
        if run is None or run.status != "done":
            raise BadInput(f"{recipe.name}: no finished run {planned.job.identity[:12]}; vadbench run makes it")
        _same_videos(recipe.name, run.test_videos, labels)
        rows = results.rows(run)
        parts.append(PartFrames.of_rows(rows, labels.lengths()) if rows is not None else _part_of(stored, position, run, results))
        records.append(run)
    read_outs = _read_outs(records)
    # parts with different read-outs meet in their defaults
    final = frame_scores([part.first() for part in parts] if len(read_outs) == 1 else parts, protocol)
    record = RecipeRecord(
        identity=identity,
        dataset=dataset.name,
        recipe=recipe.name,
        seed=recipe.seed,
        parts=tuple(_described(planned) for planned in recipe.parts),
        runs=tuple(planned.job.identity for planned in recipe.parts),
        protocol=protocol.model_dump(mode="json"),
        labels=labels.provenance(),
        read_outs=read_outs,
        rows=tuple(_metric_rows(final, read_outs, labels, protocol.smoothing)),
    )
    frames = {f"part{i}.{name}": values for i, part in enumerate(parts) for name, values in part.arrays().items()}
    results.write_recipe(record, {**frames, "scores": final, "lengths": labels.lengths(), "videos": np.array(list(labels.videos))})
    return record


def frame_scores(parts: list[PartFrames], protocol: rules.Protocol) -> rules.Scores:
    """[T, R] frame scores, one column a read-out: empty frames filled, streams calibrated and added; not yet smoothed."""
    calibrated = []
    for frames, part in zip(parts, protocol.parts, strict=True):
        statistics = frames.row if protocol.calibration_level == "row" else frames.frame
        calibrated.append(rules.calibrate(part.calibration, frames.filled(part.empty), statistics))
    return rules.fuse(calibrated)


def _stored_frames(recipe: PlannedRecipe, results: Results, identity: str) -> Arrays | None:
    record = results.recipe(recipe.dataset, recipe.name, identity)
    return None if record is None else results.frames(record)


def _part_of(stored: Arrays | None, position: int, record: RunRecord, results: Results) -> PartFrames:
    """A part from this recipe's own frames.npz, or from any recipe that used the run."""
    if stored is None:
        for other in results.all_recipes():
            if record.identity in other.runs:
                stored, position = results.frames(other), other.runs.index(record.identity)
                break
    if stored is None:
        folder = results.run_folder(record.job, record.identity)
        raise BadInput(f"{folder}: rows.npz is not there (it stays out of git) and no recipe kept its frames; vadbench run --existing rerun makes it")
    prefix = f"part{position}."
    return PartFrames.from_arrays({name.removeprefix(prefix): values for name, values in stored.items() if name.startswith(prefix)})


def _read_outs(records: list[RunRecord]) -> tuple[str, ...]:
    """The read-outs all parts share, else the parts' defaults joined."""
    first = records[0].read_outs
    if all(record.read_outs == first for record in records):
        return first
    return ("+".join(record.read_outs[0] for record in records),)


def _metric_rows(final: rules.Scores, read_outs: tuple[str, ...], labels: Labels, sigma: float | None) -> list[dict[str, Any]]:
    rows = []
    for smoothing in dict.fromkeys((None, sigma)):
        smoothed = rules.smooth(final, labels.lengths(), smoothing)
        named = "none" if smoothing is None else f"gaussian-{smoothing:g}"
        for column, read_out in enumerate(read_outs):
            for row in frame_metrics(smoothed[:, column], labels.flat(), labels.lengths(), list(labels.videos)):
                rows.append({**row, "smoothing": named, "read_out": read_out})
    return rows


def _described(planned: PlannedPart) -> dict[str, Any]:
    """What a table says of a part; the whole job is in its run.json."""
    return {**asdict(planned.part), "fingerprint": planned.job.stream.fingerprint, "config": planned.job.document["config"]}


def _same_videos(name: str, scored: tuple[tuple[str, int], ...], labels: Labels) -> None:
    expected = [(video, len(values)) for video, values in labels.videos.items()]
    for have, want in zip_longest(scored, expected, fillvalue=("no video", 0)):
        if have != want:
            found, expects = f"{have[0]} ({have[1]} frames)", f"{want[0]} ({want[1]} frames)"
            raise BadInput(f"{name}: scores of video {found} where the labels have {expects}; vadbench run --existing rerun")
