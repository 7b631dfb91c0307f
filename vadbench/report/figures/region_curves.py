"""RBDC and TBDC curves: detected regions and tracks against false positives a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.regions import match
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.report.figures.curves import (
    LEGEND_LINE,
    Curve,
    brackets,
    legend_above,
    paint,
    percent,
    region_curves,
    width_for,
)
from vadbench.report.figures.detected import read_detected
from vadbench.report.figures.scored import (
    Scored,
    labels_of,
    names,
    origin,
    require_sources,
    tracks_of,
)
from vadbench.report.figures.style import WIDTH, picture

RATES = {"rbdc": "detected regions", "tbdc": "detected tracks"}


def draw_regions(scored: Sequence[Scored], out: Path, *, below: bool = False) -> str:
    """Write the RBDC and TBDC curves of records of one data set; returns the caption.

    Raises:
        BadInput: if row scores (rows.npz), boxes or the data set's regions are not there.
    """
    first = scored[0].record
    require_sources(scored, "regions", lambda: labels_of(first))
    truth = tracks_of(first)
    protocol = scored[0].record.result.protocol
    curves = [_curves(one, truth) for one in scored]
    legend = [
        f"{name}: RBDC {percent(one.value('RBDC'))}, TBDC {percent(one.value('TBDC'))}"
        for name, one in zip(names(scored), scored, strict=True)
    ]
    caption = (
        f"{origin(scored)} Regions are scored by their own objects, unsmoothed: alpha"
        f" {protocol.alpha:g}, beta {protocol.beta:g}, region tracks"
        f" {scored[0].record.labels['tracks']}.{brackets(legend)}"
    )
    width = width_for(legend, WIDTH)
    height = width / 2 + 0.2 + LEGEND_LINE * len(scored)
    with picture(out, width, height, caption, below=below) as figure:
        axes = figure.subplots(1, 2)
        for axis, (metric, rate) in zip(axes, RATES.items(), strict=True):
            paint(axis, [of_record[metric] for of_record in curves], legend)
            axis.set(xlabel="false positives a frame", ylabel=rate)
        legend_above(figure, axes[0], "areas, percent")
    return caption


def _curves(scored: Scored, truth: pd.DataFrame) -> dict[str, Curve]:
    """Both curves of a record."""
    detected = read_detected(scored)
    if detected is None:
        raise BadInput(
            f"{scored.record.recipe}: its streams have no boxes; vadbench plot roc needs none"
        )
    protocol = scored.record.result.protocol
    boxes = read_boxes(detected.boxes, "detections")
    regions = read_boxes({str(name): truth[name].to_numpy() for name in truth}, "ground_truth")
    frames = dict(zip(scored.videos, map(int, scored.lengths), strict=True))
    matched = match(
        boxes,
        read_scores(detected.boxes),
        regions,
        protocol.alpha,
        protocol.beta,
        protocol.ties,
        frames,
    )
    return region_curves(matched, scored.lengths)
