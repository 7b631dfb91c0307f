"""Row scores -> protocol -> metrics: recomputes everything from what the runs stored, and never
trains.

A recipe's record is keyed by its runs and its protocol. Where rows.npz is absent (it stays out of
git) the stored frame maxima serve instead, and what was measured of regions is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from vadbench.datasets.base import SPLITS, Dataset, Labels, Resplit, Split
from vadbench.datasets.resplit import labels_tested, tracks_tested
from vadbench.datasets.truth import truth_of
from vadbench.detector import Part
from vadbench.errors import BadInput
from vadbench.evaluation import protocol as rules
from vadbench.evaluation.detections import detections, why_no_regions, with_boxes
from vadbench.evaluation.frames import PartFrames, frame_scores
from vadbench.evaluation.intervals import (
    FIELDS,
    NO_ROWS,
    REGIONS,
    UNSMOOTHED,
    jackknife_arrays,
    read_jackknife,
    with_intervals,
)
from vadbench.evaluation.metrics.box_arrays import read_boxes, read_scores
from vadbench.evaluation.metrics.frame import frame_metrics
from vadbench.evaluation.metrics.regions import match, region_metrics
from vadbench.evaluation.metrics.uncertainty import (
    Jackknife,
    Key,
    frame_jackknives,
    region_jackknives,
)
from vadbench.files.canonical import canonical_hash
from vadbench.files.npz import Arrays
from vadbench.locations import cache_root
from vadbench.plans.plan import PlannedPart, PlannedRecipe
from vadbench.registry import first_fault, unknown
from vadbench.results.records import RecipeRecord, Results, RunRecord, same_record

# rises with every change of what is computed from the same scores, labels and protocol
EVALUATION = 2
# rows of a record, and what each video does to their values
Measured = tuple[list[dict[str, Any]], dict[Key, Jackknife]]


def protocol_of(recipe: PlannedRecipe, dataset: Dataset | type[Dataset]) -> rules.Protocol:
    """The protocol of a recipe on a data set: its calibrations and empty rules, the data set's
    smoothing, and what the user chose otherwise.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    return make_protocol(
        {"smoothing": dataset.smoothing, **dict(recipe.protocol)},
        tuple(planned.part for planned in recipe.parts),
    )


def make_protocol(fields: dict[str, Any], parts: tuple[Part, ...] = ()) -> rules.Protocol:
    """A validated protocol.

    Args:
        fields: what the user chose; `calibration`, which belongs to the parts, is checked alone.
        parts: the streams that are summed.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    if "parts" in fields:
        raise BadInput(
            "protocol.parts: cannot be set, the parts are the methods' streams; name them with"
            " --methods method@stream+stream"
        )
    calibrations = [
        *([fields["calibration"]] if "calibration" in fields else []),
        *(part.calibration for part in parts),
    ]
    for calibration in calibrations:
        if calibration not in rules.CALIBRATIONS:
            raise unknown("protocol.calibration", str(calibration), rules.CALIBRATIONS)
    known = {name: value for name, value in fields.items() if name != "calibration"}
    try:
        return rules.Protocol(**known, parts=parts)
    except ValidationError as error:
        raise BadInput(f"protocol: {first_fault(error, rules.Protocol)}") from error


def recipe_identity(recipe: PlannedRecipe, protocol: rules.Protocol) -> str:
    """The key of a recipe's record: its runs, its protocol, and the read-out where only one that is
    no default is evaluated.
    """
    document = {
        "runs": [planned.job.identity for planned in recipe.parts],
        "protocol": protocol.model_dump(mode="json") | rules.RETIRED,
    }
    return canonical_hash(
        document if recipe.read_out is None else {**document, "read_out": recipe.read_out}
    )


def changes_since(record: RecipeRecord, recipe: PlannedRecipe, dataset: Dataset) -> str:
    """Why a record does not hold any more, in a few words; empty where it does.

    Raises:
        BadInput: if labels or tracks cannot be read.
    """
    truth = _truth(dataset, recipe.resplit)
    differs = {name for name, value in truth.items() if record.labels.get(name, value) != value}
    found = []
    if differs & {"sha256", "name", "videos", "frames", "anomalous"}:
        found.append("labels have changed")
    if differs & {"tracks", "regions_sha256"}:
        found.append("region tracks have changed")
    if record.evaluation != EVALUATION or "regions_sha256" not in record.labels:
        found.append("evaluated by an earlier version")
    return " and ".join(found)


def evaluate(
    recipe: PlannedRecipe, dataset: Dataset, results: Results, protocol: rules.Protocol
) -> RecipeRecord:
    """Compute and store the metrics of a recipe whose jobs have all been run, with 95 % intervals
    over the test videos.

    Raises:
        BadInput: if a job's record is absent or failed, or if labels and scores disagree about the
            videos.
    """
    identity, labels = recipe_identity(recipe, protocol), labels_tested(dataset, recipe.resplit)
    truth = _truth(dataset, recipe.resplit)
    before = results.recipe(recipe.dataset, recipe.name, identity)
    stored = None if before is None else results.frames(before)
    runs = [_finished(planned, recipe.name, labels, results) for planned in recipe.parts]
    rows = [_read_out_rows(results.rows(run), run, recipe.read_out) for run in runs]
    parts = [
        (
            _part_of(recipe.parts[position], stored, position, run, recipe.read_out, results)
            if row is None
            else PartFrames.of_rows(row, labels.lengths())
        )
        for position, (run, row) in enumerate(zip(runs, rows, strict=True))
    ]
    read_outs = (recipe.read_out,) if recipe.read_out else _read_outs(runs)
    # parts with different read-outs meet in their defaults
    final = frame_scores(
        [part.only(0) for part in parts] if len(read_outs) == 1 else parts, protocol
    )
    framed, jackknives = _frame_rows(final, read_outs, labels, _scenes(dataset, labels), protocol)
    source = (
        _measured_before(recipe, protocol, truth, results)
        if any(row is None for row in rows)
        else None
    )
    regional = (
        _region_rows(recipe, rows, parts, dataset, labels, protocol)
        if source is None
        else _kept_regions(source, results)
    )
    record = RecipeRecord(
        identity=identity,
        dataset=dataset.name,
        recipe=recipe.name,
        seed=recipe.seed,
        parts=tuple(described(recipe)),
        runs=tuple(planned.job.identity for planned in recipe.parts),
        protocol=protocol.model_dump(mode="json"),
        labels=truth,
        evaluation=EVALUATION,
        read_outs=read_outs,
        rows=(
            *framed,
            *({**row, "smoothing": "none", "read_out": read_outs[0]} for row in regional[0]),
        ),
    )
    own = [
        i
        for i, planned in enumerate(recipe.parts)
        if len(parts) == 1 or _has_part(stored, i) or _kept_alone(planned, results) is None
    ]
    kept = {f"part{i}.{name}": values for i in own for name, values in parts[i].arrays().items()}
    sampled = jackknife_arrays(jackknives | regional[1])
    frames = {
        **kept,
        **sampled,
        "scores": final[:, :1],
        "lengths": labels.lengths(),
        "videos": np.array(list(labels.videos)),
    }
    if before is None or stored is None or not same_record(record, frames, before, stored):
        results.write_recipe(record, frames)
    return record


def stored_rows(record: RecipeRecord, results: Results) -> list[Arrays]:
    """The row scores of each part of an evaluated recipe, of the read-out it shows alone;
    `vadbench.evaluation.detections` makes boxes of them.

    Raises:
        BadInput: if a part's rows.npz is not here, with the command that makes it.
    """
    rows = []
    for part, identity in zip(record.parts, record.runs, strict=True):
        place = {"dataset": record.dataset, "stream": part["stream"], "method": part["method"]}
        run = results.run(place, identity)
        found = (
            None if run is None else _read_out_rows(results.rows(run), run, part.get("read_out"))
        )
        if found is None:
            again = (
                f"vadbench run --methods {part['method']} --datasets {record.dataset} --features"
                f" {part['stream']} --seeds {record.seed + 1}"
            )
            missing = results.run_folder(place, identity) / "rows.npz"
            raise BadInput(
                f"{missing}: not there (it stays out of git); {again} --existing rerun --results"
                f" {results.root} makes it"
            )
        rows.append(found)
    return rows


def _finished(planned: PlannedPart, name: str, labels: Labels, results: Results) -> RunRecord:
    run = results.run(planned.job.document, planned.job.identity)
    if run is None or run.status != "done":
        raise BadInput(
            f"{name}: no finished run {planned.job.identity[:12]}; vadbench run makes it"
        )
    expected = [(video, len(values)) for video, values in labels.videos.items()]
    for have, want in zip_longest(run.test_videos, expected, fillvalue=("no video", 0)):
        if have != want:
            found, expects = f"{have[0]} ({have[1]} frames)", f"{want[0]} ({want[1]} frames)"
            raise BadInput(
                f"{name}: scores of video {found} where the labels have {expects}; vadbench run"
                " --existing rerun"
            )
    return run


def _read_out_rows(rows: Arrays | None, run: RunRecord, read_out: str | None) -> Arrays | None:
    """The row scores with only the column `read_out`; None: with all."""
    if rows is None or read_out is None:
        return rows
    column = [run.read_outs.index(read_out)]
    return {
        name: values[:, column] if name.endswith("_scores") else values
        for name, values in rows.items()
    }


def _part_of(
    planned: PlannedPart,
    stored: Arrays | None,
    position: int,
    run: RunRecord,
    read_out: str | None,
    results: Results,
) -> PartFrames:
    """A part from this recipe's own frames.npz, or from any recipe that used the run and kept the
    read-out (None: all).
    """
    if stored is not None and _has_part(stored, position):
        return _unpacked(stored, position)
    for other in (*filter(None, [_kept_alone(planned, results)]), *results.all_recipes()):
        frames = results.frames(other) if run.identity in other.runs else None
        place = other.runs.index(run.identity) if frames is not None else 0
        if (
            frames is None
            or f"part{place}.maxima" not in frames
            or other.parts[place].get("read_out") not in (None, read_out)
        ):
            continue
        part = _unpacked(frames, place)
        whole = other.parts[place].get("read_out") is None
        return part.only(run.read_outs.index(read_out)) if whole and read_out is not None else part
    folder = results.run_folder(run.job, run.identity)
    raise BadInput(
        f"{folder}: rows.npz is not there (it stays out of git) and no recipe kept its frames;"
        " vadbench run --existing rerun makes it"
    )


def _has_part(frames: Arrays | None, position: int) -> bool:
    return frames is not None and f"part{position}.maxima" in frames


def _unpacked(frames: Arrays, position: int) -> PartFrames:
    prefix = f"part{position}."
    return PartFrames.from_arrays(
        {
            name.removeprefix(prefix): values
            for name, values in frames.items()
            if name.startswith(prefix)
        }
    )


def _kept_alone(planned: PlannedPart, results: Results) -> RecipeRecord | None:
    """The record of the part's stream by itself, with all read-outs: a fusion need not keep the
    same frames again.
    """
    alone = results.all_recipes(
        planned.job.dataset, f"{planned.job.method}@{planned.job.stream.name}"
    )
    return next(
        (
            record
            for record in alone
            if record.runs == (planned.job.identity,) and record.parts[0].get("read_out") is None
        ),
        None,
    )


def _read_outs(runs: list[RunRecord]) -> tuple[str, ...]:
    """The read-outs all parts share, else the parts' defaults joined."""
    first = runs[0].read_outs
    if all(run.read_outs == first for run in runs):
        return first
    return ("+".join(run.read_outs[0] for run in runs),)


def _frame_rows(
    final: rules.Scores,
    read_outs: tuple[str, ...],
    labels: Labels,
    scenes: dict[str, str],
    protocol: rules.Protocol,
) -> Measured:
    """Rows of every read-out, unsmoothed and smoothed; intervals for the ranked one.

    Jackknives are of the smoothed scores.
    """
    rows: list[dict[str, Any]] = []
    jackknives: dict[Key, Jackknife] = {}
    truth = labels.flat(), labels.lengths()
    for smoothing in dict.fromkeys((None, protocol.smoothing)):
        smoothed = rules.smooth(final, labels.lengths(), smoothing)
        named = "none" if smoothing is None else f"gaussian-{smoothing:g}"
        unsmoothed = jackknives.get(("micro_auc", None))
        jackknives = frame_jackknives(smoothed[:, 0], *truth)
        if unsmoothed is not None:
            jackknives[UNSMOOTHED, None] = unsmoothed
        for column, read_out in enumerate(read_outs):
            found = [
                *frame_metrics(smoothed[:, column], *truth, list(labels.videos)),
                *_scene_rows(smoothed[:, column], labels, scenes),
            ]
            told = with_intervals(found, jackknives) if column == 0 else found
            rows += [{**row, "smoothing": named, "read_out": read_out} for row in told]
    return rows, jackknives


def _scenes(dataset: Dataset, labels: Labels) -> dict[str, str]:
    """Scene of every tested video; of a re-split, whose videos are named `split/name`, by the name
    alone.
    """
    splits: tuple[Split, ...] = (
        SPLITS if any("/" in video for video in labels.videos) else ("test",)
    )  # counting training videos may mean to decode them
    known = {video.name: video.scene for split in splits for video in dataset.videos(split)}
    return {
        video: known.get(video, known.get(video.rpartition("/")[2], "0")) for video in labels.videos
    }


def _scene_rows(
    scores: rules.Scores, labels: Labels, scenes: dict[str, str]
) -> list[dict[str, Any]]:
    """Micro AUC of each scene, `video` being `scene:<id>`; none where all videos show one scene."""
    scene = np.repeat([scenes[video] for video in labels.videos], labels.lengths())
    rows = []
    for name in sorted(set(scenes.values())) if len(set(scenes.values())) > 1 else []:
        here = scene == name
        row, *_ = frame_metrics(scores[here], labels.flat()[here], [int(here.sum())], [name])
        rows.append({**row, "video": f"scene:{name}"})
    return rows


def _region_rows(
    recipe: PlannedRecipe,
    rows: list[Arrays | None],
    parts: list[PartFrames],
    dataset: Dataset,
    labels: Labels,
    protocol: rules.Protocol,
) -> Measured:
    """RBDC and TBDC of the ranked read-out, with intervals; undefined, with the reason, where there
    are no boxes or no regions.
    """
    truth = _tracks(dataset, recipe.resplit)
    reason = (
        "no region annotations"
        if truth is None
        else why_no_regions(
            rows, [planned.job.stream.boxes_fingerprint for planned in recipe.parts]
        )
    )
    if truth is None or reason is not None:
        empty = {
            "convention": protocol.ties,
            "video": None,
            "value": None,
            "n": 0,
            "reason": reason,
        }
        return with_intervals([{"metric": metric, **empty} for metric in REGIONS], {}), {}
    frames = {video: len(values) for video, values in labels.videos.items()}
    streams = [row for row in rows if row is not None]
    boxed = with_boxes(streams)
    statistics = [parts[place].only(0).row for place in boxed]
    found = detections(
        [streams[place] for place in boxed],
        [protocol.parts[place] for place in boxed],
        statistics,
        list(frames),
    )
    settings = {"alpha": protocol.alpha, "beta": protocol.beta, "ties": protocol.ties}
    measured = region_metrics(found, truth, frames, **settings)  # type: ignore[arg-type]
    boxes, regions = (
        read_boxes(found, "detections"),
        read_boxes({str(name): truth[name].to_numpy() for name in truth}, "ground_truth"),
    )
    matched = match(boxes, read_scores(found), regions, videos=frames, **settings)  # type: ignore[arg-type]
    jackknives = region_jackknives(matched, list(frames.values()), protocol.ties)
    left_out = [
        planned.job.stream.name for place, planned in enumerate(recipe.parts) if place not in boxed
    ]
    told = {"left_out": left_out} if left_out else {}
    return with_intervals([{**row, **told} for row in measured.rows()], jackknives), jackknives


@cache
def _truth(dataset: Dataset, resplit: Resplit | None) -> dict[str, Any]:
    """What the tested videos are held against, read once for all recipes."""
    return truth_of(dataset, resplit, cache_root())


@cache
def _tracks(dataset: Dataset, resplit: Resplit | None) -> pd.DataFrame | None:
    """The tested videos' tracks, read or derived once for all recipes."""
    return tracks_tested(dataset, resplit)


def _measured_before(
    recipe: PlannedRecipe, protocol: rules.Protocol, truth: dict[str, Any], results: Results
) -> RecipeRecord | None:
    """The record of the same scores, against the same regions, under a protocol that differs in
    what regions do not depend on.

    Smoothing and the conventions of macro AUC are of frames alone.
    """
    runs = tuple(planned.job.identity for planned in recipe.parts)
    frames_alone = {"smoothing": None, "macro": ("skip",)}
    found = []
    for record in results.all_recipes(recipe.dataset, recipe.name):
        known = rules.read_protocol(record.protocol).model_copy(update=frames_alone)
        alike = record.runs == runs and {part.get("read_out") for part in record.parts} == {
            recipe.read_out
        }
        same = all(
            record.labels.get(name) == truth[name]
            for name in ("videos", "frames", "tracks", "regions_sha256")
        )
        if alike and same and known == protocol.model_copy(update=frames_alone):
            found.append(record)
    return next((record for record in found if _has_regions(record)), found[0] if found else None)


def _has_regions(record: RecipeRecord) -> bool:
    return any(row["metric"] in REGIONS and row["value"] is not None for row in record.rows)


def _kept_regions(before: RecipeRecord, results: Results) -> Measured:
    """What was measured of regions when the row scores were here."""
    stored = results.frames(before)
    added = ("smoothing", "read_out", *FIELDS)
    rows = [
        {name: value for name, value in row.items() if name not in added}
        for row in before.rows
        if row["metric"] in REGIONS
    ]
    found = {
        (metric, before.protocol["ties"]): read_jackknife(stored, metric, before.protocol["ties"])
        for metric in REGIONS
    }
    jackknives = {key: one for key, one in found.items() if one is not None}
    return with_intervals(rows, jackknives, NO_ROWS), jackknives


def _code_of(planned: PlannedPart) -> dict[str, Any]:
    """What tells apart the code that decided a part: of version 1 of ours, nothing."""
    job = planned.job
    components = {"extractor": job.stream.extractor, "boxes": job.stream.boxes}
    found: dict[str, Any] = {"method": job.code} if job.code else {}
    for what, component in components.items():
        own: dict[str, Any] = {
            name: component[name] for name in ("code", "reader") if name in component
        }
        own |= {"version": component["version"]} if component.get("version", 1) != 1 else {}
        found |= {what: own} if own else {}
    return found


def described(recipe: PlannedRecipe) -> Iterator[dict[str, Any]]:
    """What a recipe's record says of each part, and a table finds it by; the whole job is in its
    run.json.
    """
    for planned in recipe.parts:
        told = {
            **asdict(planned.part),
            "fingerprint": planned.job.stream.fingerprint,
            "config": planned.job.document["config"],
        }
        if code := _code_of(planned):
            told["code"] = code
        if planned.job.stream.changed:
            told["extraction"] = planned.job.stream.changed
        if recipe.read_out is not None:
            told["read_out"] = recipe.read_out
        if planned.job.scope != "pooled":
            told["scope"] = planned.job.scope
        if planned.job.source is not None:
            told["train_dataset"] = planned.job.source.dataset
        if planned.job.resplit is not None:
            split = planned.job.resplit
            told["resplit"] = {
                **split.document,
                "train_videos": len(split.train),
                "test_videos": len(split.test),
            }
        yield told
