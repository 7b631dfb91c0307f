"""What a record says of regions: RBDC and TBDC with their intervals, or why there are none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from vadbench.datasets.base import Dataset, Labels, Resplit
from vadbench.datasets.resplit import tracks_tested
from vadbench.evaluation.detections import detections, why_no_regions, with_boxes
from vadbench.evaluation.frames import PartFrames
from vadbench.evaluation.intervals import NO_ROWS, add_intervals, read_jackknife
from vadbench.evaluation.metrics.regions import match, region_metrics
from vadbench.evaluation.metrics.uncertainty import Jackknife, Key, region_jackknives
from vadbench.features.names import describes_frames
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.files.npz import Arrays
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.results.seals import digest_of_regions
from vadbench.spec import METRICS, OFFICIAL, REGIONS, Protocol, Result, Value

OF_OFFICIAL = "region tracks are those of the official labels, not of `{}`"
# values of a record, and what each video does to them
Measured = tuple[list[Value], dict[Key, Jackknife]]


def region_values(
    result: Result,
    rows: list[Arrays | None],
    frames: list[PartFrames],
    dataset: Dataset,
    resplit: Resplit | None,
    labels: Labels,
    kept: ResultRecord | None,
    results: Results,
) -> Measured:
    """RBDC and TBDC of the ranked read-out, with intervals; undefined, with the reason, where there
    are no boxes or no regions.
    """
    if labels.unknown:
        return no_regions(result.protocol, labels.lacking)
    if result.protocol.labels != OFFICIAL:
        return no_regions(result.protocol, OF_OFFICIAL.format(result.protocol.labels))
    tracks = _read_tracks(dataset, resplit)
    if tracks is None:
        return no_regions(result.protocol, "no region annotations")
    if all(describes_frames(part.stream) for part in result.parts):
        return no_regions(result.protocol, "no boxes")
    if any(own is None for own in rows):
        if kept is not None:
            return keep_regions(kept, results)
        return no_regions(result.protocol, "row scores (rows.npz) are not here")
    streams = [own for own in rows if own is not None]
    reason = why_no_regions(streams, [part.calibration for part in result.parts])
    if reason is not None:
        return no_regions(result.protocol, reason)
    return _measure_regions(result, streams, frames, tracks, labels)


def _measure_regions(
    result: Result,
    streams: list[Arrays],
    frames: list[PartFrames],
    tracks: pd.DataFrame,
    labels: Labels,
) -> Measured:
    lengths = {video: len(values) for video, values in labels.videos.items()}
    boxed = with_boxes(streams)
    scored = detections(
        [streams[place] for place in boxed],
        [result.parts[place].calibration for place in boxed],
        [frames[place].only(0).row for place in boxed],
        list(lengths),
        [result.parts[place].weight for place in boxed],
    )
    values, jackknives = measure_detections(scored, tracks, lengths, result.protocol)
    left_out = [part.stream for place, part in enumerate(result.parts) if place not in boxed]
    return [replace(value, left_out=tuple(left_out)) for value in values], jackknives


def measure_detections(
    scored: Arrays, tracks: pd.DataFrame, lengths: dict[str, int], protocol: Protocol
) -> Measured:
    """RBDC and TBDC of scored boxes with their intervals, and what each video does to them.

    Args:
        scored: columns video, frame, x0, y0, x1, y1, score.
        tracks: the data set's anomalous regions.
        lengths: test video -> frames.
        protocol: alpha, beta and ties.

    Raises:
        BadInput: as `vadbench.evaluation.metrics.region_metrics`.
    """
    regions_of = {str(name): tracks[name].to_numpy() for name in tracks}
    settings: dict[str, Any] = {
        "alpha": protocol.alpha,
        "beta": protocol.beta,
        "ties": protocol.ties,
    }
    measured = region_metrics(scored, regions_of, lengths, **settings)
    boxes = read_boxes(scored, "detections")
    regions = read_boxes(regions_of, "ground_truth")
    matched = match(boxes, read_scores(scored), regions, videos=lengths, **settings)
    jackknives = region_jackknives(matched, list(lengths.values()), protocol.ties)
    values = [Value(**row) for row in measured.rows()]
    return add_intervals(values, jackknives), jackknives


def no_regions(protocol: Protocol, reason: str) -> Measured:
    """RBDC and TBDC undefined, with the reason."""
    return [Value(metric, protocol.ties, reason=reason) for metric in REGIONS], {}


def has_regions(record: ResultRecord | None, result: Result, truth: dict[str, Any]) -> bool:
    """Whether what a record says of regions holds for a result of the same runs: smoothing and the
    conventions of macro AUC are of frames alone.
    """
    if record is None or record.labels.get("regions_sha256") != truth["regions_sha256"]:
        return False
    if record.edited is not None and not _regions_are_whole(record):
        return False
    alone: dict[str, Any] = {"smoothing": None, "macro": ("skip",)}
    one, other = (each.protocol.model_copy(update=alone) for each in (record.result, result))
    parts = [[part.part for part in each.parts] for each in (record.result, result)]
    return one == other and parts[0] == parts[1] and record.result.read_out == result.read_out


def _regions_are_whole(record: ResultRecord) -> bool:
    """Whether what an edited record says of regions is what was written."""
    return record.digests is not None and record.digests.regions == digest_of_regions(record)


def keep_regions(before: ResultRecord, results: Results) -> Measured:
    """What was measured of regions when the row scores were here."""
    arrays, protocol = results.jackknife(before), before.result.protocol
    jackknives: dict[Key, Jackknife] = {}
    for title in ("RBDC", "TBDC"):
        one = read_jackknife(arrays, METRICS[title], protocol)
        if one is not None:
            jackknives[METRICS[title].metric, protocol.ties] = one
    kept = [value for value in before.values if value.metric in REGIONS]
    bare = [
        replace(value, low=None, high=None, videos=None, interval_reason=None) for value in kept
    ]
    return add_intervals(bare, jackknives, NO_ROWS), jackknives


@cache
def _read_tracks(dataset: Dataset, resplit: Resplit | None) -> pd.DataFrame | None:
    """The tested videos' tracks, read or derived once for all results."""
    return tracks_tested(dataset, resplit)
