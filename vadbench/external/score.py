"""Metrics of anyone's output files, without a run: frame scores against labels, scored boxes
against tracks, with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.intervals import add_intervals
from vadbench.evaluation.metrics.agreement import check_same_frames, match_videos
from vadbench.evaluation.metrics.frame import frame_metrics
from vadbench.evaluation.metrics.regions import Ties, match, region_metrics
from vadbench.evaluation.metrics.uncertainty import frame_jackknives, region_jackknives
from vadbench.evaluation.smoothing import smooth
from vadbench.external.align import align
from vadbench.external.frame_files import names_videos, read_frame_file
from vadbench.external.label_files import read_labels
from vadbench.external.lengths import Known
from vadbench.external.truth import find_truth
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.files.tables import (
    FrameTable,
    doubts,
    read_detections,
    read_lengths,
    read_tracks,
)
from vadbench.report.tables.layout import UNSURE, unsure
from vadbench.report.tables.table import Cell
from vadbench.spec import MOST_SMOOTHING, OFFICIAL, Value

Result = dict[str, Any]
NO_LENGTHS = (
    "the frames of each video are not known; give --frames a file with the columns video, frames"
)
ENDS = ("low", "high", "videos", "interval_reason")
WHOLE = ("metric", "convention", "value", "n", "reason", *ENDS)  # what a line says of a metric
SINGLE = ("metric", "video", "value", "n", "reason")  # likewise of a video


def score_frames(
    scores_path: str | Path,
    labels_path: str | Path | None = None,
    *,
    smoothing: float | None = None,
    dataset: str | None = None,
    first_frame: int = 0,
    first_label: int | None = None,
) -> Result:
    """Every frame metric of a file of scores, with 95 % intervals over the videos.

    Args:
        scores_path: a score a frame, higher = more anomalous, in any form that
            `vadbench.external.frame_files` reads.
        labels_path: a label a frame, 0 (normal) or 1 (anomalous), in any form that
            `vadbench.external.label_files` reads, or the name of one of the data set's label sets.
            Names of videos in both are matched as `vadbench.datasets.matching.match_names` does.
            None: those of the data set.
        smoothing: sigma in frames of a Gaussian filter (reflect, per video); None for the data
            set's, and without one for none; 0 for none. Never tune it on test labels.
        dataset: whose labels, videos in their order and smoothing are taken.
        first_frame: the number of a video's first frame in the file of scores, 0 or 1.
        first_label: likewise in the labels; None: as in the scores.

    Returns:
        JSON-ready: `rows` of {"metric", "convention", "value", "n", "reason", "low", "high",
        "videos", "interval_reason"} (fractions; None where undefined; `videos` that the interval
        rests on), `per_video` of {"video", "metric", "value", "n", "reason"}, counts and settings,
        and `notes` of what in the files may be damage (`doubts`).

    Raises:
        BadInput: if a file cannot be used, or the two do not cover the same frames, each once.
    """
    if smoothing is not None and not 0 <= smoothing <= MOST_SMOOTHING:
        raise BadInput(f"--smoothing {smoothing}; expected 0 to {MOST_SMOOTHING} frames")
    path = Path(scores_path)
    labels_from = None if labels_path is None else Path(labels_path)
    firsts = first_frame, first_frame if first_label is None else first_label
    cut: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray
    if dataset is None:
        scores, labels = _read_both(path, labels_from, *firsts)
    else:
        label_set, labels_from = _choose_labels(dataset, labels_from)
        truth = find_truth(dataset, labels_from, firsts[1], label_set=label_set)
        smoothing = truth.smoothing if smoothing is None else smoothing
        scores = align(read_frame_file(path, "score", truth.known, first_frame), truth.known)
        kept, cut = truth.labels.kept, truth.labels.cut
        known = {name: len(values) for name, values in kept.videos.items()}
        labels = FrameTable(path, known, kept.flat().astype(np.float64))
    if smoothing and not np.isfinite(scores.values).all():
        raise BadInput(
            f"{scores.path}: infinite scores cannot be smoothed; expected finite ones, or leave"
            " --smoothing out"
        )
    names, lengths = list(labels.lengths), list(labels.lengths.values())
    # whole videos are smoothed, and what labels leave out is dropped after that
    values = cut(smooth(scores.values, list(scores.lengths.values()), smoothing))
    jackknives = frame_jackknives(values, labels.values, lengths)
    metrics = frame_metrics(values, labels.values, lengths, names)
    found = add_intervals([Value(**row) for row in metrics], jackknives)
    return {
        "rows": [_describe(value, WHOLE) for value in found if value.video is None],
        "per_video": [_describe(value, SINGLE) for value in found if value.video is not None],
        "videos": len(names),
        "frames": len(values),
        "smoothing": smoothing or None,
        "notes": doubts(*filter(None, (path, labels_from))),
    }


def _choose_labels(dataset: str, labels: Path | None) -> tuple[str, Path | None]:
    """The label set of the data set that is named, or the official one and a file of labels."""
    sets = [one.name for one in open_dataset(dataset).label_sets()]
    if labels is not None and str(labels) in (OFFICIAL, *sets) and not labels.exists():
        return str(labels), None
    return OFFICIAL, labels


def _read_both(
    path: Path, labels_path: Path | None, first_frame: int, first_label: int
) -> tuple[FrameTable, FrameTable]:
    """Scores and labels of two files, of which one at least names its videos."""
    if labels_path is None:
        raise BadInput("give --labels, or --dataset whose labels are taken")
    if names_videos(path):
        scores = read_frame_file(path, "score", None, first_frame)
        labels = read_labels(labels_path, Known(scores.lengths, str(path)), first_label)
    else:
        labels = read_labels(labels_path, None, first_label)
        known = Known(labels.lengths, str(labels_path))
        scores = read_frame_file(path, "score", known, first_frame)
    return align(scores, Known(labels.lengths, str(labels_path))), labels


def score_regions(
    detections_path: str | Path,
    tracks_path: str | Path,
    frames: int | str | Path,
    *,
    alpha: float = 0.1,
    beta: float = 0.1,
    ties: Ties = "average",
) -> Result:
    """RBDC and TBDC of a file of scored boxes, with 95 % intervals over the videos.

    Args:
        detections_path: csv, parquet or npz with the columns video, frame, x0, y0, x1, y1, score,
            or a folder of txt, one a video.
        tracks_path: the same with video, track, frame, x0, y0, x1, y1.
        frames: how many frames ALL test videos have together, or a file with video, frames or
            video, frame, label (counted). Only a file tells the frames of each video, without which
            there are no intervals.
        alpha: part of a track's regions that has to be detected, in (0, 1].
        beta: least IoU of a detection with a region, in (0, 1].
        ties: `average`, or `order` as the published script does: then the order of rows counts, and
            files of a folder come by name.

    Returns:
        JSON-ready: `RegionMetrics.summary()` with `rbdc_interval` and `tbdc_interval` ([low, high],
        or None with the reason in `rbdc_interval_reason` and `tbdc_interval_reason`), `videos`,
        over which they are, and `notes` as `score_frames`.

    Raises:
        BadInput: if a file cannot be used, or as `vadbench.evaluation.metrics.region_metrics`.
    """
    n_frames = _frame_counts(frames)
    detections, tracks = read_detections(Path(detections_path)), read_tracks(Path(tracks_path))
    paths = {"detections": str(detections_path), "ground_truth": str(tracks_path)}
    detections, tracks = match_videos(detections, tracks, n_frames, paths, str(frames))
    check_same_frames(detections, tracks, beta, paths)
    try:
        measured = region_metrics(detections, tracks, n_frames, alpha, beta, ties)
    # what is wrong only between the files: a frame past a video's end, an unknown video, a track
    # twice in a frame
    except BadInput as error:
        table, _, trouble = str(error).partition(": ")
        path = paths.get(table)
        raise BadInput(f"{path}: {trouble}" if path else str(error)) from error
    jackknives = {}
    if isinstance(n_frames, Mapping):
        boxes, regions = read_boxes(detections, "detections"), read_boxes(tracks, "ground_truth")
        matched = match(boxes, read_scores(detections), regions, alpha, beta, ties, n_frames)
        jackknives = region_jackknives(matched, list(n_frames.values()), ties)
    result = {
        **measured.summary(),
        "videos": len(n_frames) if isinstance(n_frames, Mapping) else None,
        "notes": doubts(Path(detections_path), Path(tracks_path), Path(str(frames))),
    }
    values = [Value(**row) for row in measured.rows()]
    for value in add_intervals(values, jackknives, NO_LENGTHS):
        ends = None if value.low is None else [value.low, value.high]
        result[f"{value.metric}_interval"] = ends
        result[f"{value.metric}_interval_reason"] = value.interval_reason
    return result


def render(result: Result) -> str:
    """A result of `score_frames` or `score_regions` as lines of text, values in %."""
    lines = _frame_lines(result) if "rows" in result else _region_lines(result)
    return "\n".join([*lines, *(f"Note: {note}." for note in result.get("notes", ()))])


def _frame_lines(result: Result) -> list[str]:
    filtered = (
        "no smoothing"
        if result["smoothing"] is None
        else f"Gaussian smoothing sigma {result['smoothing']:g}"
    )
    lines = [
        (
            f"{_count(result['videos'], 'video')}, {_count(result['frames'], 'frame')}; {filtered};"
            " values in %"
        ),
        _line("metric", "", "95 % interval", "videos"),
    ]
    cells = []
    for row in result["rows"]:
        name = (
            row["metric"] if row["convention"] is None else f"{row['metric']} ({row['convention']})"
        )
        ends = None if row.get("low") is None else [row["low"], row["high"]]
        averaged = (
            f"mean over {_count(row['n'], 'video')}"
            if row["metric"] == "macro_auc" and row["value"] is not None
            else ""
        )
        cells.append((name, row["value"], ends, row.get("videos"), row.get("interval_reason")))
        lines.append(
            _line(
                name,
                _percent(row["value"]),
                _span(ends),
                _number(ends, row.get("videos")),
                row["reason"] or averaged,
            )
        )
    return lines + _notes(cells)


def _region_lines(result: Result) -> list[str]:
    counts = ", ".join(
        _count(result[what], what.removesuffix("s").replace("_", " "))
        for what in ("detections", "regions", "tracks")
    )
    where = f"{_count(result['n_frames'], 'frame')}" + (
        f" of {_count(result['videos'], 'video')}" if result["videos"] else ""
    )
    lines = [
        (
            f"{counts}, {where}; alpha {result['alpha']:g}, beta {result['beta']:g}, ties"
            f" {result['ties']}; values in %"
        ),
        _line("metric", "", "95 % interval", "videos"),
    ]
    cells = []
    for metric in ("rbdc", "tbdc"):
        bracket, ends = result[f"{metric}_bracket"], result[f"{metric}_interval"]
        tied = (
            f"orders of equal scores: {_span(bracket)}"
            if bracket and bracket[1] - bracket[0] > 0.01
            else ""
        )
        cells.append(
            (metric, result[metric], ends, result["videos"], result[f"{metric}_interval_reason"])
        )
        lines.append(
            _line(
                metric,
                _percent(result[metric]),
                _span(ends),
                _number(ends, result["videos"]),
                result["reason"] or tied,
            )
        )
    return lines + _notes(cells)


def _notes(cells: list[tuple[str, Any, Any, Any, Any]]) -> list[str]:
    """Which values have no interval and why, and where an interval covers less than it says."""
    reasons: dict[str, list[str]] = {}
    for name, _, _, _, reason in cells:
        if reason:
            reasons.setdefault(reason, []).append(name)
    doubtful = any(
        unsure(Cell(value, low=ends[0], high=ends[1], videos=videos))
        for _, value, ends, videos, _ in cells
        if ends
    )
    return [
        f"No interval for {', '.join(names)}: {reason}." for reason, names in reasons.items()
    ] + ([UNSURE.strip()] if doubtful else [])


def _line(name: str, value: str, span: str, videos: str, note: str = "") -> str:
    return f"{name:24} {value:>7}  {span:16} {videos:>6}  {note}".rstrip()


def _number(ends: Any, videos: int | None) -> str:
    return "" if ends is None else str(videos)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _span(ends: Any) -> str:
    return "–" if ends is None else f"[{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _describe(value: Value, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _frame_counts(frames: int | str | Path) -> int | dict[str, int]:
    """The frames of all videos together, or of each in the order of their names."""
    try:
        total = int(str(frames))
    except ValueError:
        path = Path(str(frames))
        if not path.exists():
            expected = (
                "the number of frames of all test videos, or a file with the columns video, frames"
            )
            raise BadInput(
                f"frames: {frames} is neither a number nor a file; expected {expected}"
            ) from None
        return read_lengths(path)
    return total
