"""The one tidy frame of all results, a row a value, that every view reads.

`load_results` gives it as a data frame, `look_up` takes a metric of every result from it;
`export.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import (
    COSTS,
    NOT_COMPUTED,
    REGIONS,
    Cost,
    Count,
    Metric,
    Result,
    ScoredPart,
    Value,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "dataset": "the tested data set",
    "method": "detector or recipe",
    "features": "its streams, joined by `+`",
    "seed": "seed of the run; 0 for deterministic methods",
    "setting": "`one-class`, or `unsupervised`",
    "split": "the re-split of an unsupervised setting; missing: the data set's own",
    "scope": "`pooled`, or `scene`: one training a camera",
    "train_dataset": "what was trained on",
    "preset": "`fast`, `paper`, or `default` where both are one; missing: not recorded",
    "settings": "the preset, and the settings that differ from it, in words",
    "options": "the extractors' settings that are not their defaults, in words",
    "chosen": "JSON: what was chosen of the protocol; missing: nothing",
    "given": "of whom the scores are, where they were not computed here",
    "apart": "why given scores are ranked in a list of their own; missing: among the others",
    "metric": (
        "`micro_auc`, `macro_auc`, `eer`, `average_precision`, `fpr_at_95_tpr`, `prevalence`,"
        " `rbdc` or `tbdc`"
    ),
    "convention": (
        "of macro AUC, or how ties are counted (RBDC, TBDC); missing: there is one way only"
    ),
    "smoothing": "`none`, or the Gaussian's sigma in frames: `gaussian-3`",
    "read_out": "which score column of the method",
    "ranked": (
        "whether it is the read-out that a table shows: the method's default, or the one that the"
        " table's row names; nothing of an edited record is"
    ),
    "video": "video, or `scene:<id>`; missing: the whole test set",
    "value": "a fraction between 0 and 1; missing: undefined, see `reason`",
    "low": (
        "lower end of the 95 % interval over the test videos; missing: see `interval_reason`"
        " (single videos and other read-outs have none)"
    ),
    "high": "its upper end",
    "videos": "how many test videos the interval rests on",
    "interval_reason": "why a value has no interval",
    "n": "what the metric counts: frames, videos, regions or tracks",
    "reason": "why the value is undefined",
    "left_out": "streams of a fusion without boxes, which RBDC and TBDC leave out, joined by `+`",
    "labels": "name of the frame labels",
    "labels_sha256": "their hash: figures under other labels are not comparable",
    "regions": "what the region tracks are: derived, exact or published; missing: there are none",
    "regions_sha256": "their hash, likewise",
    **{name: str(Cost.model_fields[name].description) for name in COSTS},
    "config": "JSON list: method, stream and settings of each part",
    "calibrations": "of each part, joined by `+`",
    "weights": "of each part, joined by `+`; missing: all 1",
    "code": (
        "JSON: versions of the code of each part, and of plug-ins their package and source;"
        " missing: version 1 of all"
    ),
    "extraction": (
        "JSON: the extractors' settings that are not their defaults, of each part; missing: none"
    ),
    "fingerprints": (
        "of the streams' features, joined by `+`: which files and options they were extracted with"
    ),
    "protocol": "JSON: the protocol",
    "sigma": "of the protocol's smoothing, in frames; missing: none",
    "commit": "git commit of the code that ran, `+` where it was changed; of the last job",
    "key": "equal for results that differ in their seed and in the files they were made from alone",
    "identity": "hash of the recipe's record",
    "runs": "identities of its jobs, joined by `,`",
    "edited": "what of the record was edited after it was written; missing: nothing is seen",
    "sealed": "whether the record carries digests; older versions' did not",
}
VALUES = tuple(Value.__dataclass_fields__)
COUNTS = tuple(
    name
    for name, field in Cost.model_fields.items()
    if field.annotation in (int | None, Count | None)
)
FLOATS = ("value", "low", "high", "sigma", *(name for name in COSTS if name not in COUNTS))
INTEGERS = ("seed", "n", "videos", *COUNTS)
TYPES: dict[str, str] = {  # of the columns that are no text; Int64 may be missing
    **dict.fromkeys(FLOATS, "float64"),
    **dict.fromkeys(INTEGERS, "Int64"),
    "ranked": "bool",
    "sealed": "bool",
}


class Frame:
    """Results of a folder, read once: the records, and their values as one tidy data frame.

    Args:
        results: the folder.
        of: results whose recipes' records alone are read, in place of all there are.

    Attributes:
        results: the folder.
        records: by identity.
        runs: by identity.
    """

    def __init__(self, results: Results, of: Sequence[Result] | None = None) -> None:
        self.results = results
        found = results.all_records() if of is None else results.records_of(of)
        # of two of one identity the one that was not edited
        records = sorted(found, key=lambda record: record.edited is None)
        self.records = {record.identity: record for record in records}
        runs = results.all_runs() if of is None else results.runs_of(of)
        self.runs = {run.identity: run for run in runs}
        self._by_metric: dict[Metric, dict[str, Value]] = {}

    @cached_property
    def values(self) -> pd.DataFrame:
        """A row a value of whole test sets; `COLUMNS` says what each column holds."""
        return make_frame(self.records.values(), self.runs.values())

    @cached_property
    def by_key(self) -> dict[str, list[ResultRecord]]:
        """The records by the key of their result."""
        found: dict[str, list[ResultRecord]] = {}
        for record in self.records.values():
            found.setdefault(record.result.key, []).append(record)
        return found

    def look_up(self, metric: Metric, records: Iterable[ResultRecord]) -> list[Value]:
        """The value of a metric of each record, as `look_up`."""
        if metric not in self._by_metric:
            self._by_metric[metric] = _read_values(select(self.values, metric))
        values = self._by_metric[metric]
        return [values.get(one.identity, _missing(metric)) for one in records]


def load_results(results: str | Path = "results", *, videos: bool = False) -> pd.DataFrame:
    """The records under a results folder as a data frame, one row a value; `COLUMNS` says what each
    column holds.

    What has not run, or failed, has no row. A missing text is None, a missing number NaN or NA.
    Records that are damaged are named on stderr and left out; those that were edited after they
    were written have their rows, with `edited` saying what was found, and `ranked` false.

    Args:
        results: folder of the records, as `vadbench run --results` wrote it.
        videos: also the rows of single videos and scenes.

    Raises:
        BadInput: if there is no such folder.
    """
    store = Results(Path(results))
    store.require_records()
    return make_frame(store.all_records(), store.all_runs(), videos=videos)


def make_frame(
    records: Iterable[ResultRecord], runs: Iterable[RunRecord] = (), *, videos: bool = False
) -> pd.DataFrame:
    """The data frame of records, with what their runs cost."""
    import pandas as pd

    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for block in make_blocks(records, runs, videos=videos):
        for name, cells in columns.items():
            cells += block.cells(name)
    made = {name: pd.Series(columns.pop(name), dtype=TYPES.get(name, object)) for name in COLUMNS}
    return pd.DataFrame(made)


def list_results(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a result, indexed by its identity: what all its values share."""
    return frame.drop_duplicates("identity").set_index("identity", drop=False)


def look_up(frame: pd.DataFrame, metric: Metric, identities: Iterable[str]) -> list[Value]:
    """The one look-up of a metric: the value of each result, of the whole test set and the read-out
    that tables show.

    One that is not there is undefined, with the reason `NOT_COMPUTED`.
    """
    values = _read_values(select(frame, metric))
    return [values.get(identity, _missing(metric)) for identity in identities]


def _missing(metric: Metric) -> Value:
    return Value(metric.metric, metric.convention, reason=NOT_COMPUTED)


def select(frame: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The rows of a metric, indexed by the results' identities: as `look_up`."""
    rows = frame[frame["video"].isna() & frame["ranked"] & (frame["metric"] == metric.metric)]
    smoothed = rows["smoothing"] != "none"
    rows = rows[smoothed == (rows["sigma"].notna() & metric.smoothed)]
    if metric.metric not in REGIONS:
        convention = rows["convention"]
        same = convention.isna() if metric.convention is None else convention == metric.convention
        rows = rows[same]
    return rows.drop_duplicates("identity").set_index("identity", drop=False)


def value_of(record: ResultRecord, metric: Metric) -> Value:
    """The value of a metric of one record, as `look_up`."""
    any_convention = metric.metric in REGIONS
    for value in _shown_values(record, metric):
        if value.video is None and (any_convention or value.convention == metric.convention):
            return value
    return _missing(metric)


def video_values(record: ResultRecord, metric: Metric) -> dict[str, Value]:
    """Video -> its value of a metric of one record; those of scenes are left out."""
    return {
        value.video: value
        for value in _shown_values(record, metric)
        if value.video is not None and not value.video.startswith("scene:")
    }


def _shown_values(record: ResultRecord, metric: Metric) -> Iterator[Value]:
    """Those of the shown read-out that are a metric, whatever its convention; of an edited record
    none.
    """
    if record.edited is not None:
        return
    smoothed = record.result.protocol.smoothing is not None and metric.smoothed
    for value in record.values:
        own = (value.metric, value.smoothing != "none") == (metric.metric, smoothed)
        if own and value.read_out == record.shown:
            yield value


def _read_values(rows: pd.DataFrame) -> dict[str, Value]:
    """The values of a frame's rows, by their index."""
    columns = rows[list(VALUES)].astype(object)
    columns = columns.where(columns.notna(), None)
    values = {}
    for index, row in zip(rows.index, columns.itertuples(index=False), strict=True):
        value = Value(*row)
        left_out = tuple(str(value.left_out).split("+")) if value.left_out else ()
        values[str(index)] = replace(value, left_out=left_out)
    return values


@dataclass(frozen=True)
class Block:
    """The rows of one record: what they share, and by column what differs.

    Attributes:
        shared: column -> the value of every row; a column that is nowhere has none.
        own: column -> a value a row.
        rows: how many there are.
    """

    shared: dict[str, Any]
    own: dict[str, list[Any]]
    rows: int

    def cells(self, name: str) -> list[Any]:
        """A column, None where a value is missing."""
        return self.own[name] if name in self.own else [self.shared.get(name)] * self.rows


def make_blocks(
    records: Iterable[ResultRecord], runs: Iterable[RunRecord] = (), *, videos: bool = False
) -> Iterator[Block]:
    """The rows of the frame, a record at a time: no more than one is held, and of runs their
    cost.
    """
    costs = {run.identity: (run.cost, run.commit) for run in runs}
    for record in records:
        values = [one for one in record.values if videos or one.video is None]
        own = {name: [getattr(one, name) for one in values] for name in VALUES}
        own["left_out"] = ["+".join(one.left_out) or None for one in values]
        whole = record.edited is None
        own["ranked"] = [whole and one.read_out == record.shown for one in values]
        shared = {**_describe(record), **_describe_cost([costs.get(run) for run in record.runs])}
        yield Block(shared, own, len(values))


def _describe(record: ResultRecord) -> dict[str, Any]:
    """What all rows of a record share, cost apart."""
    result, training = record.result, record.result.training
    parts = result.parts
    split = training.split
    return {
        "dataset": result.dataset,
        "method": result.method,
        "features": result.features,
        "seed": training.seed,
        "setting": training.setting,
        "split": None if split is None else split.name,
        "scope": training.scope,
        "train_dataset": training.source or result.dataset,
        "preset": result.preset,
        "settings": result.settings_label,
        "options": ", ".join(result.extraction_words) or None,
        "chosen": json.dumps(result.chosen) if result.chosen else None,
        "given": result.given,
        "apart": result.apart,
        "labels": record.labels["name"],
        "labels_sha256": record.labels.get("sha256"),
        "regions": record.labels.get("tracks"),
        "regions_sha256": record.labels.get("regions_sha256"),
        "config": json.dumps(
            [{"method": part.method, "stream": part.stream, **part.config} for part in parts]
        ),
        "calibrations": "+".join(part.calibration for part in parts),
        "weights": _write_weights(parts),
        "code": _write_any([part.code or None for part in parts]),
        "extraction": _write_any([part.extraction or None for part in parts]),
        "fingerprints": "+".join(part.fingerprint for part in parts),
        "protocol": json.dumps(result.protocol.model_dump(mode="json"), sort_keys=True),
        "sigma": result.protocol.smoothing,
        "key": result.key,
        "identity": record.identity,
        "runs": ",".join(record.runs),
        "edited": record.edited,
        "sealed": record.sealed,
    }


def _write_weights(parts: Sequence[ScoredPart]) -> str | None:
    weighted = any(part.weight != 1 for part in parts)
    return "+".join(f"{part.weight:g}" for part in parts) if weighted else None


def _write_any(values: list[Any]) -> str | None:
    return json.dumps(values) if any(values) else None


def _describe_cost(jobs: list[tuple[Cost, str | None] | None]) -> dict[str, Any]:
    """What a result's jobs cost together; nothing where the record of a job is not there."""
    known = [job for job in jobs if job is not None]
    if len(known) < len(jobs) or not known:
        return {}
    cost = Cost.over_jobs([of_job for of_job, _ in known])
    return {**{name: getattr(cost, name) for name in COSTS}, "commit": known[-1][1]}
