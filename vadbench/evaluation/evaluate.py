"""Row scores -> protocol -> values: recomputes everything from what the runs stored, and never
trains.

A result's record is keyed by its runs and its protocol. Where rows.npz is absent (it stays out of
git) the stored frame maxima of the runs serve instead, and what the record says of regions is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np

from vadbench.datasets.base import Dataset, Labels, Resplit
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import labels_tested, resplit_for, scenes_tested
from vadbench.datasets.truth import truth_of
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames, column_of, read_frames, sum_frames
from vadbench.evaluation.intervals import UNSMOOTHED, add_intervals, jackknife_arrays
from vadbench.evaluation.metrics.frame import frame_metrics
from vadbench.evaluation.metrics.uncertainty import Jackknife, Key, frame_jackknives
from vadbench.evaluation.outdated import is_outdated
from vadbench.evaluation.protocol import OF_PARTS, check_weights, make_protocol
from vadbench.evaluation.region_values import (
    OF_OFFICIAL,
    Measured,
    has_regions,
    keep_regions,
    no_regions,
    region_values,
)
from vadbench.evaluation.scores import Scores
from vadbench.evaluation.smoothing import smooth
from vadbench.files.npz import Arrays
from vadbench.locations import cache_root
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord, same_record
from vadbench.results.seals import digest_of_result
from vadbench.spec import OFFICIAL, Protocol, Result, Value, write_duration

# rises with every change of what is computed from the same scores, labels and protocol
EVALUATION = 2
NO_DETECTIONS = "frame scores were given, without boxes"
GONE_DETECTIONS = "the boxes that were given are not kept; vadbench submit measures them again"
SAY_EVERY = 5.0  # seconds between two lines of progress


def changes_since(record: ResultRecord, dataset: Dataset, results: Results) -> str:
    """Why a record does not hold any more, in a few words; empty where it does.

    Args:
        record: of a result whose runs are here.
        dataset: with the labels as they are now.
        results: where its runs lie.

    Raises:
        BadInput: if labels or tracks cannot be read.
    """
    truth = read_truth(dataset, *find_tested(record.result, dataset))
    differs = {name for name, value in truth.items() if record.labels.get(name, value) != value}
    changes = []
    runs = [results.run_of(record, place) for place in range(len(record.runs))]
    if results.has_other_scores(record, runs):
        changes.append("their scores have changed")
    elif record.edited is not None:
        changes.append("edited since they were written")
    if differs & {"sha256", "name", "videos", "frames", "anomalous"}:
        changes.append("labels have changed")
    if differs & {"tracks", "regions_sha256"}:
        changes.append("region tracks have changed")
    if record.evaluation != EVALUATION or "regions_sha256" not in record.labels:
        changes.append("evaluated by an earlier version")
    return " and ".join(changes)


def evaluate_all(
    results: Results,
    protocol: dict[str, Any],
    refuse: Callable[[str], None],
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Recompute the values of every record from stored scores; trains nothing, writes no table.

    Args:
        results: the records.
        protocol: fields that differ from those that a record was evaluated under; such values are
            stored beside the old.
        refuse: receives a line for each reason why records cannot be evaluated.
        say: receives a line of progress every few seconds.

    Returns:
        How many were evaluated.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    make_protocol(protocol)
    results.sweep_temporary()
    evaluated: set[str] = set()
    refused: dict[tuple[str, str], list[str]] = {}
    records = list(results.all_records())
    progress = _Progress(len(records), say)
    for record in records:
        progress.step()
        try:
            _require_known(record)
            result = change_protocol(record.result, protocol)
            _refuse_outdated(record, results)
            own = open_dataset(record.dataset)
            again = evaluate(result, record.runs, own, results, measured=record)
            evaluated.add(again.identity)
        except BadInput as error:
            where = record.dataset, str(error)
            refused.setdefault(where, []).append(f"{record.recipe} seed {record.seed}")
    for (dataset, reason), names in refused.items():
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        refuse(f"{dataset} {names[0]}{others}: not evaluated: {reason}")
    return len(evaluated)


def _require_known(record: ResultRecord) -> None:
    """Refuse an edited record that does not say any more what it is of."""
    own = identity_of(record.result, record.runs) == record.identity
    digests = record.digests
    if record.edited is not None and not (
        own and digests is not None and digests.result == digest_of_result(record)
    ):
        raise BadInput(
            f"{record.identity[:12]} was edited ({record.edited}) and does not say what it is of;"
            " remove its folder, vadbench run makes it again"
        )


class _Progress:
    """Says every few seconds how many records are evaluated, and how long the others take."""

    def __init__(self, whole: int, say: Callable[[str], None]) -> None:
        self.whole, self.say = whole, say
        self.begun = 0
        self.began = self.said = time.monotonic()

    def step(self) -> None:
        """Take note that another record begins."""
        self.begun += 1
        now, done = time.monotonic(), self.begun - 1
        if done <= 1:  # the first one also reads labels and tracks, and tells nothing of the others
            self.began = now
        elif now - self.said > SAY_EVERY:
            self.said = now
            left = (now - self.began) / (done - 1) * (self.whole - done)
            self.say(f"[{done}/{self.whole}] evaluated; about {write_duration(left)} left")


def _refuse_outdated(record: ResultRecord, results: Results) -> None:
    for place in range(len(record.runs)):
        run = results.run_of(record, place)
        if run is not None and is_outdated(run):
            raise BadInput(
                f"the files of {record.dataset} have changed since its runs; vadbench run makes"
                " them anew"
            )


def change_protocol(result: Result, fields: dict[str, Any]) -> Result:
    """The result under a protocol of which these fields are others, `calibration` and `weights` of
    its parts.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    if not fields:
        return result
    unknown = [name for name in OF_PARTS if name in fields and result.given is not None]
    if unknown:
        raise BadInput(
            f"protocol.{unknown[0]}: {result.method} has one stream of given scores, and what"
            " training rows scored is not known"
        )
    protocol = make_protocol(result.protocol.model_dump() | fields)
    calibration = {"calibration": fields["calibration"]} if "calibration" in fields else {}
    parts = tuple(part.model_copy(update=calibration) for part in result.parts)
    if "weights" in fields:
        weights = check_weights(fields["weights"], len(parts))
        parts = tuple(
            part.model_copy(update={"weight": weight})
            for part, weight in zip(parts, weights, strict=True)
        )
    chosen = result.chosen | fields
    changed = result.model_copy(update={"protocol": protocol, "parts": parts, "chosen": chosen})
    changed.__dict__.pop("key", None)  # the copy's would be that of the result
    return changed


def evaluate(
    result: Result,
    runs: Sequence[str],
    dataset: Dataset,
    results: Results,
    measured: ResultRecord | None = None,
) -> ResultRecord:
    """Compute and store the values of a result whose jobs have all been run, with 95 % intervals
    over the test videos.

    Args:
        result: what the values are of.
        runs: identities of the jobs, one a part.
        dataset: with the labels.
        results: where runs lie and the record goes.
        measured: a record of the same runs under another protocol: where row scores are not here,
            what it says of regions is kept if that depends on nothing that differs.

    Raises:
        BadInput: if a job's record is absent or failed, or if labels and scores disagree about the
            videos.
    """
    resplit, label_set = find_tested(result, dataset)
    labels = labels_tested(dataset, resplit, label_set)
    truth = read_truth(dataset, resplit, label_set)
    scenes = scenes_tested(dataset, labels)
    if result.given is not None:
        return evaluate_given(result, runs[0], labels, truth, scenes, results, measured=measured)
    identity = identity_of(result, runs)
    before = results.record(dataset.name, result.recipe, identity)
    done = [_find_run(result, place, run, labels, results) for place, run in enumerate(runs)]
    rows = [results.rows(run) for run in done]
    known = measured or before
    if known is not None:
        lacking = [place for place, own in enumerate(rows) if own is None]
        results.require_own_frames(known, lacking)
    whole = [_find_frames(run, own, labels, results) for run, own in zip(done, rows, strict=True)]
    read_outs = (result.read_out,) if result.read_out else _share_read_outs(done)
    columns = [column_of(run, result.read_out) for run in done]
    # parts with different read-outs meet in their defaults
    frames = (
        [own.only(column) for own, column in zip(whole, columns, strict=True)]
        if len(read_outs) == 1
        else whole
    )
    final = sum_frames(frames, result.parts, result.protocol.calibration_level, labels.lengths())
    framed, jackknives = _frame_values(final, read_outs, labels, scenes, result.protocol)
    cut = [
        None if own is None else _take_column(own, column)
        for own, column in zip(rows, columns, strict=True)
    ]
    kept = next(
        (
            one
            for one in (before, measured)
            if one is not None
            and has_regions(one, result, truth)
            and not results.has_other_scores(one, done)
        ),
        None,
    )
    located, of_regions = region_values(
        result, cut, frames, dataset, resplit, labels, kept, results
    )
    record = ResultRecord(
        identity=identity,
        result=_keep_asked(result, before),
        runs=tuple(runs),
        labels=truth,
        evaluation=EVALUATION,
        read_outs=read_outs,
        values=(*framed, *(replace(value, read_out=read_outs[0]) for value in located)),
    )
    return _store(record, jackknife_arrays(jackknives | of_regions), before, done, results)


def evaluate_given(
    result: Result,
    run: str,
    labels: Labels,
    truth: dict[str, Any],
    scenes: dict[str, str],
    results: Results,
    *,
    regions: Measured | None = None,
    measured: ResultRecord | None = None,
) -> ResultRecord:
    """As `evaluate`, of frame scores that were given; the data set need not be here.

    Args:
        result: what the values are of.
        run: the identity of its only run, whose frame scores are stored.
        labels: of the tested videos.
        truth: what a record keeps of them, as `vadbench.datasets.truth.truth_of` gives it.
        scenes: video -> its scene.
        results: where the run lies and the record goes.
        regions: as `measure_detections` gives it, of boxes that were given too; None: what a record
            says of them is kept, where it holds.
        measured: such a record, under another protocol.

    Raises:
        BadInput: as `evaluate`.
    """
    identity = identity_of(result, (run,))
    before = results.record(result.dataset, result.recipe, identity)
    done = _find_run(result, 0, run, labels, results)
    if before is not None:
        results.require_own_frames(before, [0])
    protocol, frames = result.protocol, _find_frames(done, None, labels, results)
    final = sum_frames([frames], result.parts, protocol.calibration_level, labels.lengths())
    framed, jackknives = _frame_values(final, done.read_outs, labels, scenes, protocol)
    kept = next((one for one in (before, measured) if has_regions(one, result, truth)), None)
    if protocol.labels != OFFICIAL:
        regions = no_regions(protocol, OF_OFFICIAL.format(protocol.labels))
    if regions is None and kept is not None:
        regions = keep_regions(kept, results)
    if regions is None:
        given = "detections_sha256" in done.job
        regions = no_regions(protocol, GONE_DETECTIONS if given else NO_DETECTIONS)
    located, of_regions = regions
    record = ResultRecord(
        identity=identity,
        result=result,
        runs=(run,),
        labels=truth,
        evaluation=EVALUATION,
        read_outs=done.read_outs,
        values=(*framed, *located),
    )
    return _store(record, jackknife_arrays(jackknives | of_regions), before, [done], results)


def _store(
    record: ResultRecord,
    arrays: Arrays,
    before: ResultRecord | None,
    runs: Sequence[RunRecord],
    results: Results,
) -> ResultRecord:
    """The record, written if another is there or none."""
    if before is None or not _holds(before, record, arrays, results):
        return results.write_record(record, arrays, tuple(run.rows_sha256 for run in runs))
    return record


def _holds(before: ResultRecord, record: ResultRecord, arrays: Arrays, results: Results) -> bool:
    """Whether a record that is there says what was computed now, of what lies here now."""
    return (
        before.edited is None
        and before.digests is not None
        and before.digests.frames == results.frames_digests(record)
        and same_record(record, arrays, before, results.jackknife(before))
    )


def read_rows(record: ResultRecord, results: Results) -> list[Arrays]:
    """The row scores of each part of a record, of the read-out it shows alone;
    `vadbench.evaluation.detections` makes boxes of them.

    Raises:
        BadInput: if a part's rows.npz is not here, with the command that makes it.
    """
    rows = []
    for place, part in enumerate(record.result.parts):
        run = results.run_of(record, place)
        own = None if run is None else results.rows(run)
        if own is None and record.result.given is not None:
            raise BadInput(f"{record.name}: frame scores were given; there are no row scores")
        if run is None or own is None:
            job = {"dataset": record.dataset, "stream": part.stream, "method": part.method}
            missing = results.run_folder(job, record.runs[place]) / "rows.npz"
            raise BadInput(
                f"{missing}: not there (it stays out of git); vadbench run --methods {part.method}"
                f" --datasets {record.dataset} --features {part.stream} --seeds {record.seed + 1}"
                f" --existing rerun --results {results.root} makes it"
            )
        read_out = record.result.read_out
        rows.append(own if read_out is None else _take_column(own, column_of(run, read_out)))
    return rows


def find_tested(result: Result, dataset: Dataset) -> tuple[Resplit | None, str]:
    """The videos trained on and tested, where they are not the data set's own splits, and the name
    of the labels.

    Raises:
        BadInput: if there are no such labels, or it was trained on another split than theirs.
    """
    labels, split = result.protocol.labels, result.training.split
    resplit = resplit_for(dataset, result.training.setting, labels)
    own, trained = (None if one is None else one.name for one in (resplit, split))
    if own != trained and "one-class" in (result.training.setting, resplit and resplit.setting):
        raise BadInput(
            f"{result.name}: trained on {_name_split(trained)}, and labels {labels} are of"
            f" {_name_split(own)}; vadbench run --labels {labels} trains on it"
        )
    return resplit, labels


def find_unlabelled(results: Iterable[Result]) -> tuple[str, ...]:
    """Why results cannot be evaluated on this machine, a line a reason: labels that are not here or
    cannot be read.
    """
    reasons = {}
    for result in results:
        asked = result.dataset, result.training.setting, result.protocol.labels
        if result.given is not None or asked in reasons:
            continue
        try:
            dataset = open_dataset(result.dataset)
            labels_tested(dataset, *find_tested(result, dataset))
            reasons[asked] = ""
        except BadInput as error:
            reasons[asked] = str(error)
    return tuple(dict.fromkeys(filter(None, reasons.values())))


def _name_split(name: str | None) -> str:
    return "the released split" if name is None else f"split {name}"


@cache
def read_truth(
    dataset: Dataset, resplit: Resplit | None, label_set: str = OFFICIAL
) -> dict[str, Any]:
    """What the tested videos are held against, read once for all results."""
    return truth_of(dataset, resplit, cache_root(), label_set)


def _find_run(
    result: Result, place: int, identity: str, labels: Labels, results: Results
) -> RunRecord:
    """The finished run of a part, over the videos that the labels have."""
    part = result.parts[place]
    job = {"dataset": result.dataset, "stream": part.stream, "method": part.method}
    run = results.run(job, identity)
    if run is None or run.status != "done":
        raise BadInput(f"{result.recipe}: no finished run {identity[:12]}; vadbench run makes it")
    expected = [(video, len(values)) for video, values in labels.videos.items()]
    for have, want in zip_longest(run.test_videos, expected, fillvalue=("no video", 0)):
        if have != want:
            raise BadInput(
                f"{result.recipe}: scores of video {have[0]} ({have[1]} frames) where the labels"
                f" have {want[0]} ({want[1]} frames); vadbench run --existing rerun"
            )
    return run


def _find_frames(
    run: RunRecord, rows: Arrays | None, labels: Labels, results: Results
) -> PartFrames:
    """A run's frame maxima: of its row scores, which are kept for where these are not, or kept
    before.
    """
    if rows is not None:
        frames = PartFrames.of_rows(rows, labels.lengths())
        results.write_frames(run, frames.arrays(labels.lengths()))
        return frames
    kept = read_frames(run, results)
    if kept is None:
        folder = results.run_folder(run.job, run.identity)
        raise BadInput(
            f"{folder}: rows.npz is not there (it stays out of git) and its frame maxima were not"
            " kept; vadbench run --existing rerun makes it"
        )
    return kept


def _take_column(rows: Arrays, column: int) -> Arrays:
    """The row scores with one read-out alone."""
    return {
        name: values[:, [column]] if name.endswith("_scores") else values
        for name, values in rows.items()
    }


def _share_read_outs(runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """The read-outs all parts share, else the parts' defaults joined."""
    first = runs[0].read_outs
    if all(run.read_outs == first for run in runs):
        return first
    return ("+".join(run.read_outs[0] for run in runs),)


def _keep_asked(result: Result, before: ResultRecord | None) -> Result:
    """The result as it was first asked for: another command that means the same changes no file."""
    if before is None or before.edited is not None:
        return result
    parts, chosen = before.result.parts, before.result.chosen
    known = all(part.asked is not None for part in parts)
    return result.model_copy(update={"parts": parts, "chosen": chosen} if known else {})


def _frame_values(
    final: Scores,
    read_outs: tuple[str, ...],
    labels: Labels,
    scenes: dict[str, str],
    protocol: Protocol,
) -> Measured:
    """Values of every read-out, unsmoothed and smoothed; intervals for the ranked one.

    Jackknives are of the smoothed scores. Whole videos are smoothed, and what labels leave out is
    dropped after that: cut before, frames that are seconds apart would be each other's neighbours.
    """
    values: list[Value] = []
    jackknives: dict[Key, Jackknife] = {}
    lengths, cut, labels = labels.lengths(), labels.cut, labels.kept
    truth = labels.flat(), labels.lengths()
    for sigma in dict.fromkeys((None, protocol.smoothing)):
        smoothed = cut(smooth(final, lengths, sigma))
        smoothing = Protocol(smoothing=sigma).filter
        unsmoothed = jackknives.get(("micro_auc", None))
        jackknives = frame_jackknives(smoothed[:, 0], *truth)
        if unsmoothed is not None:
            jackknives[UNSMOOTHED, None] = unsmoothed
        for column, read_out in enumerate(read_outs):
            scores = smoothed[:, column]
            metrics = [
                *frame_metrics(scores, *truth, list(labels.videos)),
                *_scene_metrics(scores, labels, scenes),
            ]
            metrics = _without_labels(metrics, labels)
            own = [Value(**row, smoothing=smoothing, read_out=read_out) for row in metrics]
            if column == 0:
                values += add_intervals(own, jackknives)
            else:  # single videos of the ranked read-out alone: a record is to stay small
                values += [value for value in own if value.video is None]
    return values, {} if labels.unknown else jackknives


def _without_labels(rows: list[dict[str, Any]], labels: Labels) -> list[dict[str, Any]]:
    """The metrics, undefined where one of their videos has no labels."""
    undefined = {"value": None, "reason": labels.lacking}
    known = set(labels.videos) - set(labels.unknown)
    return [
        row if not labels.unknown or row.get("video") in known else {**row, **undefined}
        for row in rows
    ]


def _scene_metrics(scores: Scores, labels: Labels, scenes: dict[str, str]) -> list[dict[str, Any]]:
    """Micro AUC of each scene, `video` being `scene:<id>`; none where all videos show one scene."""
    scene = np.repeat([scenes[video] for video in labels.videos], labels.lengths())
    names = sorted(set(scenes.values()))
    rows = []
    for name in names if len(names) > 1 else []:
        here = scene == name
        row, *_ = frame_metrics(scores[here], labels.flat()[here], [int(here.sum())], [name])
        rows.append({**row, "video": f"scene:{name}"})
    return rows
