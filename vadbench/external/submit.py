"""Scores of a method that is not here become a record: `vadbench submit`.

The record is one of ours in all but its origin: frame scores are stored as a run's are, every
metric is computed here, and `evaluate`, tables, `compare`, the leaderboard, W&B and the export read
it. What the entrant says of the scores is kept as the settings of its only part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench import registry
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import describe_split, tracks_tested
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_given
from vadbench.evaluation.frames import PartFrames
from vadbench.evaluation.metrics.agreement import check_same_frames, match_videos
from vadbench.evaluation.region_values import Measured, measure_detections
from vadbench.external.align import align
from vadbench.external.declared import Declared, check_name
from vadbench.external.frame_files import read_frame_file
from vadbench.external.truth import Truth, find_truth
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256
from vadbench.files.tables import read_detections
from vadbench.results.given import Given
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import (
    GIVEN,
    METRICS,
    REGIONS,
    SETTINGS,
    Protocol,
    Result,
    ScoredPart,
    Setting,
    Training,
    Value,
)

MOST_SEED = 2**32 - 1
READ_OUTS = ("score",)
NOTHING = Declared()


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Attributes:
        scores: a file or folder, as `vadbench.external.frame_files` reads it.
        name: what the method is called.
        dataset: whose test videos were scored.
        seed: of the training.
        declared: what is said of the scores.
        detections: scored boxes, as `vadbench.files.tables.read_detections` reads them; None: none.
        labels: of the test videos, where the data set is not here.
        first_frame, first_label: numbers of a video's first frame in both files.
        setting: one-class, or unsupervised: trained on unlabelled videos, and tested on the others
            of the re-split that `vadbench run` has.
    """

    scores: Path
    name: str
    dataset: str
    seed: int = 0
    declared: Declared = NOTHING
    detections: Path | None = None
    labels: Path | None = None
    first_frame: int = 0
    first_label: int | None = None
    setting: Setting = "one-class"


def submit(submission: Submission, results: Results, *, replace: bool = False) -> ResultRecord:
    """Measure given scores, and write their record under `submitted/` in the results' folder.

    Args:
        submission: the scores and what is said of them.
        results: where the record goes.
        replace: whether it takes the place of a record of this name and seed.

    Raises:
        BadInput: if a name, a file or a label is none, or there is a record of this name and seed,
            or one of another seed of which something else was declared; nothing is then written.
    """
    check_name(submission.name)
    if not 0 <= submission.seed <= MOST_SEED:
        raise BadInput(f"--seed {submission.seed}; expected a whole number from 0")
    if submission.setting not in SETTINGS:
        raise registry.unknown("setting", submission.setting, SETTINGS)
    config = submission.declared.document()
    first = submission.first_frame
    first_label = first if submission.first_label is None else submission.first_label
    truth = find_truth(submission.dataset, submission.labels, first_label, submission.setting)
    scores = _read_scores(submission, truth)
    result = describe_given(submission, config, truth)
    regions = _measure_boxes(submission, result, truth)
    run = _describe_run(submission, result, truth)
    before = _find_before(result, run.identity, results, replace)
    results.require_writable()
    frames = PartFrames.of_given(scores).arrays(truth.labels.lengths())
    results.write_frames(run, frames)
    results.write_run(run, None)
    record = evaluate_given(
        result,
        run.identity,
        truth.labels,
        truth.document,
        truth.scenes,
        results,
        regions=regions,
    )
    for old in before:
        results.remove_given(old)
    return record


def describe_given(submission: Submission, config: dict[str, Any], truth: Truth) -> Result:
    """What given scores are a result of, under the data set's protocol."""
    name, said = submission.name, submission.declared
    return Result(
        dataset=truth.dataset,
        method=name,
        parts=(ScoredPart(method=name, stream=GIVEN, calibration="none", config=config),),
        training=Training(
            seed=submission.seed,
            split=None if truth.resplit is None else describe_split(truth.resplit),
        ),
        protocol=Protocol(smoothing=truth.smoothing),
        given=said.paper or said.code or name,
    )


def digest_of(path: Path) -> str:
    """sha256 of a file; of a folder, of its files' names and digests.

    Raises:
        OSError: if one cannot be read.
    """
    if path.is_file():
        return sha256(path)
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    lines = (f"{file.relative_to(path)} {sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def describe_record(record: ResultRecord) -> dict[str, Any]:
    """A record as `vadbench.external.score.render` shows it: the metrics of its protocol."""
    protocol = record.result.protocol
    values = [one for one in record.values if _is_shown(one, protocol)]
    names = ("metric", "convention", "value", "n", "reason", "low", "high", "videos")
    rows = [{name: getattr(one, name) for name in (*names, "interval_reason")} for one in values]
    labels = record.labels
    counts = {"videos": labels["videos"], "frames": labels["frames"]}
    return {"rows": rows, **counts, "smoothing": protocol.smoothing}


def _is_shown(value: Value, protocol: Protocol) -> bool:
    named = {(metric.metric, metric.convention) for metric in METRICS.values()}
    if value.video is not None:
        return False
    if value.metric in REGIONS:
        return value.value is not None
    known = (value.metric, value.convention) in named
    return known and value.smoothing == protocol.filter


def _read_scores(submission: Submission, truth: Truth) -> NDArray[np.float64]:
    """[T] scores of all frames in the order of the test videos."""
    path, known = submission.scores, truth.known
    table = align(read_frame_file(path, "score", known, submission.first_frame), known)
    if not np.isfinite(table.values).all():
        row = int(np.argmin(np.isfinite(table.values)))
        raise BadInput(
            f"{path}: value {row} of all frames is {table.values[row]:g}; expected finite scores,"
            " which can be smoothed"
        )
    return table.values


def _measure_boxes(submission: Submission, result: Result, truth: Truth) -> Measured | None:
    """RBDC and TBDC of the boxes, None without any."""
    path, name = submission.detections, truth.dataset
    if path is None:
        return None
    tracks = tracks_tested(open_dataset(name), truth.resplit)
    if tracks is None:
        raise BadInput(f"{path}: {name} has no region annotations; leave --detections out")
    lengths, protocol = truth.known.lengths, result.protocol
    regions = {str(column): tracks[column].to_numpy() for column in tracks}
    paths = {"detections": str(path), "ground_truth": f"the region tracks of {name}"}
    boxes, regions = match_videos(
        read_detections(path), regions, lengths, paths, truth.known.source
    )
    check_same_frames(boxes, regions, protocol.beta, paths)
    try:
        return measure_detections(boxes, tracks, lengths, protocol)
    except BadInput as error:  # a frame past a video's end
        raise BadInput(f"{path}: {str(error).removeprefix('detections: ')}") from error


def _describe_run(submission: Submission, result: Result, truth: Truth) -> RunRecord:
    """What stands for the job that made the scores."""
    job = {
        "dataset": result.dataset,
        "stream": GIVEN,
        "method": result.method,
        "seed": submission.seed,
        "config": result.parts[0].config,
        "train_dataset": f"{result.dataset}@{open_dataset(result.dataset).revision}",
        "scores_sha256": digest_of(submission.scores),
        "labels_sha256": truth.document["sha256"],
    }
    if truth.resplit is not None:
        job |= {"setting": submission.setting, "resplit": truth.resplit.document}
    if submission.detections is not None:
        job["detections_sha256"] = digest_of(submission.detections)
    identity = canonical_hash(job)
    lengths = truth.known.lengths
    return RunRecord(
        status="done",
        identity=identity,
        fit_identity=identity,
        job=job,
        runtime={},
        read_outs=READ_OUTS,
        test_videos=tuple(lengths.items()),
        environment={},
    )


def _find_before(result: Result, run: str, results: Results, replace: bool) -> list[ResultRecord]:
    """The records that this one takes the place of.

    Raises:
        BadInput: if there are some and it may not, or another seed has another declaration.
    """
    own = Given.of_result(result, run)
    there = list(results.records_of([result]))
    same = [one for one in there if own.displaces(Given.of(one))]
    if same and not replace:
        raise BadInput(
            f"{result.name}: there is a record of other scores or another declaration,"
            f" {results.folder_of(same[0])}; --replace takes its place, another --seed adds one"
        )
    for other in there:
        differs = own.list_differences(Given.of(other))
        if differs:
            raise BadInput(
                f"{result.name}: seed {other.seed} declares another {', '.join(differs)}; say the"
                f" same of all seeds of a method, or remove {results.folder_of(other)}"
            )
    return same
