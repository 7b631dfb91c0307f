"""What a record is: run.json of a job, metrics.json of a result; read with every field checked, and
written with the digest of itself.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SkipValidation, ValidationError

from vadbench.errors import BadInput, cut, quote
from vadbench.files.documents import read_json
from vadbench.files.npz import Arrays
from vadbench.registry import first_fault
from vadbench.results import schema1
from vadbench.results.seals import (
    SHA256,
    seal,
)
from vadbench.results.values import is_count, read_table, tabulate, write_table
from vadbench.spec import Asked, Cost, Count, Measured, Record, Result, Value

SCHEMA_VERSION = 3
BEFORE_DIGESTS = (1, 2)  # schema versions whose records carry none
# two fractions closer than this are one number that two machines computed
TOLERANCE = 1e-6
AnyRecord = TypeVar("AnyRecord", "RunRecord", "ResultRecord")


# what views read of the free fields of a record: field -> its types, and whether it must be there
JOB: dict[str, tuple[Any, bool]] = {
    **dict.fromkeys(("dataset", "stream", "method"), (str, True)),
    "seed": (int, True),
    **dict.fromkeys(("fingerprint", "scope", "setting", "train_dataset"), (str, False)),
    **dict.fromkeys(("config", "code", "resplit"), (dict, False)),
}
LABELS: dict[str, tuple[Any, bool]] = {
    **dict.fromkeys(("name", "sha256"), (str, True)),
    "videos": (int, True),
    **dict.fromkeys(("tracks", "regions_sha256", "source"), (str | None, False)),
    **dict.fromkeys(("frames", "anomalous", "changed", "dropped"), (int, False)),
}


class NewerRecord(BadInput):
    """A record that a later vadbench wrote: it is not to be replaced."""


class NetworkCost(Record):
    """The network of a learnt stream.

    Attributes:
        fingerprint: of the recipe of its training.
        sha256: of its weights.
        seconds: of its training; None: not known any more.
        parameters: how many numbers were learnt.
    """

    fingerprint: str
    sha256: str
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    parameters: Count | None = None


class RunRecord(Measured):
    """run.json: what one job was, what it cost and what its rows.npz holds.

    `job` is the document whose hash is `identity`; times are seconds, memory is MiB of the whole
    process at its peak. `asked` is how its settings were asked for. `data` is, by split, the digest
    of the files that the features were extracted from, where they were read. `notes` is what the
    method said of its training, such as rows that it left out. `network` is that of a learnt
    stream. `fit_shared_with` is the identity of
    the run whose fit this one took over: `fit` is then that fit's time, and `read_outs` what this
    run added.
    """

    schema_version: int = SCHEMA_VERSION
    status: Literal["done", "failed"]
    error: str | None = None
    identity: str
    fit_identity: str
    job: dict[str, Any]
    asked: Asked | None = None
    runtime: dict[str, Any]
    data: dict[str, str] = {}
    read_outs: tuple[str, ...] = ()
    test_videos: tuple[tuple[str, Count], ...] = ()
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    network: NetworkCost | None = None
    fit_shared_with: str | None = None
    rows_sha256: str | None = None
    environment: dict[str, Any]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[V] frames of the test videos."""
        return np.array([frames for _, frames in self.test_videos], np.int64)

    @property
    def cost(self) -> Cost:
        """What the job cost."""
        measured = {name: getattr(self, name) for name in Measured.model_fields}
        times = {f"{stage}_seconds": self.seconds.get(stage) for stage in ("fit", "score")}
        network = self.network
        networks = {} if network is None else {network.fingerprint: network.seconds}
        return Cost(**measured, **times).with_networks(networks)

    @property
    def commit(self) -> str | None:
        """Git commit of the code that ran, `+` where it was changed; None outside a checkout."""
        git = self.environment.get("git")
        return None if git is None else git["commit"] + ("+" if git["dirty"] else "")


class Digests(Record):
    """What a record was written with and computed from, each by its sha256.

    Attributes:
        result: of what its values are of, and its runs.
        regions: of what it says of regions, which needs row scores to be computed again.
        jackknife: of its jackknife.npz; None: there was none.
        frames: of the frame maxima of each run; None where they were not kept.
        rows: of the row scores of each run, as the run says; None in older records.
    """

    result: str
    regions: str
    jackknife: str | None = None
    frames: tuple[str | None, ...]
    rows: tuple[str | None, ...] | None = None


class ResultRecord(Record):
    """metrics.json: the values of a result, one stream or several fused.

    `runs` are the identities of its jobs, `labels` what it was held against. `evaluation` is the
    version of the code that computed the values (`evaluate.EVALUATION`). `edited` is what of it is
    not as it was written, found when it is read; such a record is shown without its values and
    ranked nowhere. `sealed`: whether it carries digests at all.
    """

    schema_version: int = SCHEMA_VERSION
    identity: str
    result: Result
    runs: tuple[str, ...]
    labels: dict[str, Any]
    evaluation: int = 1
    read_outs: tuple[str, ...] = Field(min_length=1)
    values: Annotated[tuple[Value, ...], SkipValidation]
    digests: Digests | None = None
    edited: str | None = Field(None, exclude=True)
    sealed: bool = Field(True, exclude=True)

    @property
    def dataset(self) -> str:
        """The tested data set."""
        return self.result.dataset

    @property
    def recipe(self) -> str:
        """`method@stream+stream`."""
        return self.result.recipe

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.result.training.seed

    @property
    def shown(self) -> str:
        """The read-out that tables show, the only one that is ranked."""
        return self.result.read_out or self.read_outs[0]

    @property
    def name(self) -> str:
        """`dataset/recipe:seed identity`."""
        return f"{self.result.name} {self.identity[:12]}"


def same_record(record: ResultRecord, arrays: Arrays, other: ResultRecord, others: Arrays) -> bool:
    """Whether two records say the same, but for the last digits that another machine computes, or
    that frame maxima of 32 bits give.
    """
    own = {"digests", "schema_version"}  # of the files, and of who wrote them
    one, two = (each.model_dump(mode="json", exclude=own) for each in (record, other))
    names_alike = arrays.keys() == others.keys()
    return (
        names_alike
        and all(same_values(arrays[name], others[name]) for name in arrays)
        and _same(one, two)
    )


def _same(one: Any, two: Any) -> bool:
    """Whether two JSON documents are the same, numbers with a fraction within `TOLERANCE`."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == two)


def same_values(one: NDArray[Any], two: NDArray[Any]) -> bool:
    """Whether two arrays are the same, numbers with a fraction within `TOLERANCE`."""
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, two))
    return np.allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def same_scores(one: NDArray[Any], two: NDArray[Any]) -> bool:
    """Whether two arrays hold the same scores, of whatever scale: within `TOLERANCE` of their
    spread.
    """
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, two))
    finite = two[np.isfinite(two)]
    spread = float(np.ptp(finite)) if finite.size else 0.0
    return np.allclose(one, two, rtol=0.0, atol=TOLERANCE * spread, equal_nan=True)


def read_record(path: Path, model: type[AnyRecord]) -> tuple[AnyRecord, bool] | None:
    """A record, and whether its digest is its own; None where there is none.

    Raises:
        BadInput: if it is damaged.
        OSError: if it cannot be read.
    """
    if not path.is_file():
        return None
    document = read_json(path)
    try:
        version = document["schema_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"schema_version {quote(version)}")
        if version > SCHEMA_VERSION:
            raise NewerRecord(
                f"{path}: schema version {quote(version)}, this vadbench reads {SCHEMA_VERSION} at"
                " most; use the version that wrote it"
            )
        sealed = version not in BEFORE_DIGESTS
        whole = not sealed or seal(document) == document.get(SHA256)
        if version == 1:
            document = schema1.upgrade(document)
        document = {name: value for name, value in document.items() if name != SHA256}
        document["schema_version"] = SCHEMA_VERSION
        return _validate(document, model, sealed), whole
    except NewerRecord:
        raise
    except ValidationError as error:
        raise BadInput(f"{path}: not a record ({first_fault(error, model)})") from error
    except KeyError as error:
        raise BadInput(f"{path}: not a record ({error} is missing)") from error
    except (ValueError, AttributeError, TypeError, IndexError, RecursionError) as error:
        raise BadInput(f"{path}: not a record ({cut(str(error))})") from error


def _validate(document: dict[str, Any], model: type[AnyRecord], sealed: bool) -> AnyRecord:
    if model is RunRecord:
        _check_job(document["job"])
        _check_environment(document["environment"])
        return model.model_validate(document)
    document["values"] = read_table(document["values"])
    record = model.model_validate(document | {"edited": None, "sealed": sealed})
    assert isinstance(record, ResultRecord)
    if len(record.runs) != len(record.result.parts):
        raise ValueError(f"{len(record.runs)} runs of {len(record.result.parts)} parts")
    if sealed and record.digests is None:
        raise KeyError("digests")
    if record.digests is not None:
        for name in ("frames", "rows"):
            known = getattr(record.digests, name)
            if known is not None and len(known) != len(record.runs):
                raise ValueError(f"digests.{name} of {len(known)} runs")
    _check_fields("labels", record.labels, LABELS)
    return record


def _check_job(job: Any) -> None:
    _check_fields("job", job, JOB)
    resplit = dict.fromkeys(("name", "sha256"), (str, False))
    _check_fields("job.resplit", job.get("resplit", {}), resplit)


def _check_environment(environment: Any) -> None:
    if not isinstance(environment, dict):
        raise ValueError(f"environment {quote(environment)}; expected a table")
    if environment.get("git") is not None:
        _check_fields("git", environment["git"], {"commit": (str, True), "dirty": (bool, True)})


def _check_fields(name: str, table: Any, fields: dict[str, tuple[Any, bool]]) -> None:
    """Refuse a table whose fields are not of these types.

    Raises:
        ValueError, KeyError: naming the field.
    """
    if not isinstance(table, dict):
        raise ValueError(f"{name} {quote(table)}; expected a table")
    for field, (type_, required) in fields.items():
        if field not in table:
            if required:
                raise KeyError(f"{name}.{field}")
        elif not isinstance(table[field], type_) or (type_ is int and not is_count(table[field])):
            raise ValueError(f"{name}.{field} is {quote(table[field])}")


def write_json(path: Path, record: Record) -> None:
    """Write run.json or metrics.json, with the digest of itself."""
    document = record.model_dump(mode="json") | {"schema_version": SCHEMA_VERSION}
    values = document.pop("values", None)
    table = None if values is None else tabulate(values)
    path.write_text(write_document(document, table), encoding="utf-8")


def write_document(document: dict[str, Any], table: dict[str, Any] | None) -> str:
    """The text of run.json, or of metrics.json with its table of values, sealed.

    Raises:
        ValueError: if it holds what JSON has not.
    """
    whole = document if table is None else document | {"values": table}
    written = json.loads(json.dumps(whole, allow_nan=False))
    document = document | {SHA256: seal(written)}
    text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
    if table is not None:
        text = text.removesuffix("\n}") + f',\n "values": {write_table(table)}\n}}'
    return text + "\n"
