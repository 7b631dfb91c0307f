"""What a kept model is: `model.json`, its fields and its seal.

A digest is no signature: it finds what was damaged or edited by accident.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, ValidationError

from vadbench.detector import Nature
from vadbench.errors import BadInput, cut, quote
from vadbench.evaluation.calibration import Statistics
from vadbench.features.names import StreamName
from vadbench.features.stream import StreamPlan
from vadbench.files.canonical import canonical_hash
from vadbench.files.documents import parse_json
from vadbench.models.held_out import HeldOut, KeptThreshold
from vadbench.spec import Count, Record, Result

FORMAT = 2  # rises when a model of before cannot be read any more
MANIFEST = "model.json"
MOST_BYTES = 2**40  # that a file of a model may state
SHORT = 12  # digits of an identity that a folder is named by
DAMAGED = "damaged or edited"


def _check_place(text: str) -> str:
    """Refuse a path that leads out of a model's folder."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text or not path.name:
        raise ValueError("a path that leads out of the model")
    return text


Place = Annotated[
    str, AfterValidator(_check_place), Field(max_length=400, pattern=r"^[\w./@~+-]+$")
]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class KeptFile(Record):
    """A file of a model: its size, and the sha256 of what it holds."""

    bytes: int = Field(ge=0, le=MOST_BYTES)
    sha256: Digest


class KeptStatistics(Record):
    """Statistics of training scores, one number a read-out; fields as of `Statistics`."""

    minimum: tuple[float, ...] = Field(min_length=1)
    maximum: tuple[float, ...] = Field(min_length=1)
    p999: tuple[float, ...] = Field(min_length=1)
    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[float, ...] = Field(min_length=1)
    tail: tuple[tuple[float, ...], ...] | None = None

    @classmethod
    def of(cls, statistics: Statistics) -> KeptStatistics:
        """Those of arrays [C]; JSON keeps every bit of a number."""
        return cls(**{name: values.tolist() for name, values in statistics.arrays().items()})

    def read(self, column: int) -> Statistics:
        """The arrays [1] of one read-out."""
        numbers = self.model_dump(exclude_none=True)
        return Statistics(**{name: np.array([all_[column]]) for name, all_ in numbers.items()})


class KeptFit(Record):
    """The fitted detectors of one job.

    Attributes:
        identity: of the job.
        stream: the plan of the stream that was learnt, with options, versions and digests.
        code: version of the method, where it is not the first; of a plug-in also its source.
        read_outs: names of the score columns.
        detectors: scene -> folder of what `Detector.save` wrote; the scene is empty where one
            detector serves all.
        row, frame: statistics of the training scores, over rows and over frame maxima.
        windows: whether a row describes the frames around its own, else an object.
        columns: of a row.
        shape: of the maps that a row holds.
        train_rows: that it was fitted to.
        frame_shape: of the first training frame, [H, W] grey or [H, W, 3]; None: it was not here.
        contents: digest of the files that the training features were made from; None: of none.
        network: the folder of a learnt stream's network; None: the stream has none.
    """

    identity: Digest
    stream: dict[str, Any]
    code: dict[str, Any] = {}
    read_outs: tuple[str, ...] = Field(min_length=1)
    detectors: dict[str, Place] = Field(min_length=1)
    row: KeptStatistics
    frame: KeptStatistics
    windows: bool
    columns: Count
    shape: tuple[Count, ...] | None = None
    train_rows: Count
    frame_shape: tuple[Count, ...] | None = Field(None, min_length=2, max_length=3)
    contents: str | None = None
    network: Place | None = None

    @property
    def plan(self) -> StreamPlan:
        """The stream's plan.

        Raises:
            BadInput: if it is none.
        """
        return read_plan(self.stream)


class ModelManifest(Record):
    """`model.json`.

    Attributes:
        format: of this file and the folder.
        identity: of the result, as its record's.
        result: what was trained, in full: parts with calibration, weight and group, settings,
            training, protocol with the default smoothing.
        fits: of each part, in order.
        held_out: normal videos that thresholds are set from; None: there are none, as `bare` says.
        threshold: of the rate that was asked for, for unsmoothed scores.
        bare: why there are no held-out videos; empty where none were asked for.
        files: place in the folder -> size and digest of each file but this one.
        environment: versions and the commit of the code that trained.
    """

    format: int = FORMAT
    identity: Digest
    result: Result
    fits: tuple[KeptFit, ...] = Field(min_length=1)
    held_out: HeldOut | None = None
    threshold: KeptThreshold | None = None
    bare: str = ""
    files: dict[Place, KeptFile]
    environment: dict[str, Any]

    @property
    def name(self) -> str:
        """`dataset/method@stream:seed`."""
        return self.result.name

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values())


def describe_plan(plan: StreamPlan) -> dict[str, Any]:
    """A stream's plan as JSON; `read_plan` takes it back."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(plan), allow_nan=False))
    return document


def read_plan(document: dict[str, Any]) -> StreamPlan:
    """The plan that `describe_plan` gave.

    Raises:
        BadInput: if it is none.
    """
    try:
        nature = dict(document["nature"])
        speeds = nature["speeds"]
        nature["speeds"] = None if speeds is None else tuple(speeds)
        name = StreamName(**document["stream"])
        own = document | {"nature": Nature(**nature), "stream": name}
        return StreamPlan(**own)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"stream plan: not one that this version knows ({cut(str(error))})"
        ) from error


def write_manifest(path: Path, document: Record) -> None:
    """Write a document with its seal."""
    plain = json.loads(document.model_dump_json())
    sealed = {**plain, "sha256": canonical_hash(plain)}
    text = json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def parse_manifest(text: str, where: str, again: str) -> ModelManifest:
    """The manifest in a text.

    Args:
        text: of model.json.
        where: what an error names.
        again: what helps.

    Raises:
        BadInput: if it is none, of another format, damaged or edited.
    """
    document = unseal(text, where, again, FORMAT)
    try:
        manifest = ModelManifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        fault = error.errors()[0]
        field = cut(".".join(map(str, fault["loc"])))
        raise BadInput(f"{where}: {DAMAGED}, {field}: {cut(fault['msg'])}; {again}") from error
    if len(manifest.fits) != len(manifest.result.parts):
        raise BadInput(f"{where}: {DAMAGED}, {len(manifest.fits)} fits; {again}")
    for fit in manifest.fits:
        for folder in (*fit.detectors.values(), *([fit.network] if fit.network else [])):
            if not any(name.startswith(f"{folder}/") for name in manifest.files):
                raise BadInput(f"{where}: {DAMAGED}, no file of {quote(folder)}; {again}")
    return manifest


def unseal(text: str, where: str, again: str, format_: int | None) -> dict[str, Any]:
    """A sealed JSON document, without its seal.

    Args:
        text: JSON.
        where: what an error names.
        again: what helps.
        format_: that it has to be in; None: it states none.

    Raises:
        BadInput: if it is none, of another format, damaged or edited.
    """
    try:
        document: dict[str, Any] = parse_json(text)
        seal = document.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"{where}: {DAMAGED}, no manifest of a model; {again}") from error
    if format_ is not None and document.get("format") != format_:
        raise BadInput(
            f"{where}: a model in format {quote(document.get('format'))}, this vadbench reads"
            f" format {format_}; {again}"
        )
    if seal != canonical_hash(document):
        raise BadInput(f"{where}: {DAMAGED}, its sha256 is of something else; {again}")
    return document
