"""Bits per dimension: how improbable a flow on maps finds normal and anomalous frames.

Source: Figures 5 and 8 of ITAE+NF (Cho et al., Pattern Recognition 2022).
"""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frames
from vadbench.evaluation.scores import Scores
from vadbench.features.store import read_manifest
from vadbench.locations import cache_root
from vadbench.report.figures.histogram import draw_classes
from vadbench.report.figures.scored import all_labels_of
from vadbench.report.figures.style import picture
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord

ARCHITECTURE = "glow-maps"


@dataclass(frozen=True)
class Bits:
    """What one flow of a record says of the test.

    Attributes:
        stream: its features.
        shape: of their maps: (maps, rows, columns).
        values: [T] bits per dimension of every frame of every test video.
    """

    stream: str
    shape: tuple[int, ...]
    values: Scores


def bits_per_dimension(nll: Scores, shape: Sequence[int]) -> Scores:
    """Negative log-likelihoods in nats of maps of a shape as bits a cell: NLL / (D ln 2).

    >>> import numpy as np
    >>> bits_per_dimension(np.array([6 * math.log(2)]), (3, 1, 2)).tolist()
    [1.0]
    """
    bits: Scores = nll / (math.prod(shape) * math.log(2))
    return bits


def read_bits(results: Results, text: str) -> tuple[ResultRecord, list[Bits]]:
    """The record that the text names, as `vadbench compare` names it, and what each of its flows on
    maps says.

    Raises:
        BadInput: if the text names no record or several, if none of its parts is a flow on maps, or
            if the frame scores or the features, which say how large a map is, are not here.
    """
    own, record = locate(results, text)
    found = []
    for place, part in enumerate(record.result.parts):
        if part.config.get("architecture") != ARCHITECTURE:
            continue
        run = own.run_of(record, place)
        frames = None if run is None else read_frames(run, own)
        if run is None or frames is None:
            raise BadInput(
                f"{record.name}: its frame scores are not here; vadbench run --existing rerun makes"
                " them"
            )
        shape = read_shape(run)
        nll = frames.filled(part.empty)[:, 0]
        found.append(Bits(part.stream, shape, bits_per_dimension(nll, shape)))
    if not found:
        raise BadInput(
            f"{record.name}: none of its parts is a flow on maps (architecture {ARCHITECTURE});"
            " choose a record of flow on itae.static, or of itae-nf"
        )
    return record, found


def read_shape(run: RunRecord) -> tuple[int, ...]:
    """The shape of the maps that a run scored, from the manifest of its features.

    Raises:
        BadInput: if they are not on this machine, or say of no maps.
    """
    job = run.job
    name = f"{job['stream']}@{job['fingerprint']}"
    manifests = sorted(cache_root().glob(f"{glob.escape(job['dataset'])}@*/{name}/*/manifest.json"))
    if not manifests:
        raise BadInput(
            f"{cache_root()}: no features {job['dataset']}/{name}, which say how large a map is;"
            f" vadbench features extract --datasets {job['dataset']} --features {job['stream']}"
            " makes them"
        )
    shape = read_manifest(manifests[0].parent).get("shape")
    if not shape:
        raise BadInput(f"{manifests[0]}: says of no maps; vadbench features verify")
    return tuple(int(size) for size in shape)


def draw_bits(
    record: ResultRecord, found: Sequence[Bits], out: Path, *, below: bool = False
) -> str:
    """Write the histograms of a record's bits per dimension by class, a panel a flow; returns the
    caption.

    Raises:
        BadInput: if the data set's labels are not on this machine.
    """
    labels = all_labels_of(record)
    anomalous = labels.kept.flat().astype(bool)
    sizes = "; ".join(
        f"{one.stream}: {math.prod(one.shape)} ({' x '.join(map(str, one.shape))})" for one in found
    )
    caption = (
        f"{record.dataset}, {record.result.title}, seed {record.seed}: bits per dimension, NLL /"
        f" (D ln 2), of the standardised maps of each test frame, unsmoothed; D of {sizes}. Each"
        " class's bars add up to 100 %; the last bin holds what lies above it."
    )
    with picture(out, 5.2, 2.4 * len(found), caption, below=below) as figure:
        for axis, one in zip(figure.subplots(len(found), squeeze=False)[:, 0], found, strict=True):
            draw_classes(axis, labels.cut(one.values), anomalous)
            axis.set(
                xlabel=f"bits per dimension, flow on {one.stream}",
                ylabel="share of the class's\nframes, percent",
            )
            axis.legend(frameon=False)
    return caption
