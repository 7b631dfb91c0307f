"""The one builder of records for tests: small, well-formed, of today's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.evaluation.intervals import UNSMOOTHED, jackknife_arrays
from vadbench.evaluation.metrics.uncertainty import Jackknife, Key
from vadbench.files.canonical import canonical_hash
from vadbench.plans.plan import Plan
from vadbench.report.tables.make import make_table
from vadbench.report.tables.table import Table
from vadbench.results.frame import Frame
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import (
    METRICS,
    REGIONS,
    USUAL,
    Asked,
    Metric,
    Protocol,
    Result,
    ScoredPart,
    Training,
    Value,
)

Numbers = float | None | Mapping[str, float | None]  # of all metrics, or one a title
Moves = NDArray[np.float64] | Mapping[str, NDArray[np.float64]]  # [V], likewise
LABELS = {"name": "official", "sha256": "0" * 64, "videos": 3, "frames": 120, "anomalous": 30}
ENVIRONMENT = {
    "python": "3.11",
    "packages": {"numpy": "2"},
    "git": {"commit": "c" * 40, "dirty": False},
}


def make_result(
    recipe: str = "knn@velocity",
    *,
    dataset: str = "ped2",
    config: dict[str, Any] | None = None,
    presets: tuple[str, ...] = ("fast",),
    settings: dict[str, Any] | None = None,
    protocol: dict[str, Any] | None = None,
    chosen: dict[str, Any] | None = None,
    part: dict[str, Any] | None = None,
    read_out: str | None = None,
    **training: Any,
) -> Result:
    """A result of `method@stream+stream`, `config` with `settings` on top; `part` are further
    fields of each part, `training` of the training.
    """
    method, _, streams = recipe.partition("@")
    asked = Asked(presets=presets, settings=settings or {})
    fields = {"calibration": "none", "fingerprint": "f" * 12, "asked": asked, **(part or {})}
    resolved = {**(config or {}), **(settings or {})}
    parts = tuple(
        ScoredPart(**{"method": method, "stream": stream, "config": resolved, **fields})
        for stream in streams.split("+")
    )
    return Result(
        dataset=dataset,
        method=method,
        parts=parts,
        training=Training(**training),
        protocol=Protocol(**{"smoothing": 3.0, **(protocol or {})}),
        chosen=chosen if chosen is not None else protocol or {},
        read_out=read_out,
    )


def make_run(result: Result, place: int = 0, **fields: Any) -> RunRecord:
    """The run of one of a result's parts."""
    part, training = result.parts[place], result.training
    job = {
        "dataset": result.dataset,
        "method": part.method,
        "stream": part.stream,
        "seed": training.seed,
        "config": part.config,
        "fingerprint": part.fingerprint,
        "setting": training.setting,
        "scope": training.scope,
        "train_dataset": f"{training.source or result.dataset}@1",
        "code": part.code,
    }
    usual = {
        "status": "done",
        "asked": part.asked,
        "runtime": {"threads": 1},
        "read_outs": ("score",),
        "seconds": {"fit": 2.0, "score": 1.0},
        "train_rows": 10,
        "test_rows": 20,
        "parameters": 7,
        "peak_memory_mib": 100.0,
        "environment": ENVIRONMENT,
    }
    identity = canonical_hash(job)
    return RunRecord(
        **{**usual, "identity": identity, "fit_identity": identity, "job": job, **fields}
    )


def make_values(
    value: Numbers,
    protocol: Protocol,
    *,
    read_out: str = "score",
    titles: Sequence[str] = USUAL,
    reason: str | None = None,
    videos: Mapping[str, float | None] | None = None,
    **fields: Any,
) -> list[Value]:
    """A value of each metric of `titles`, and the micro AUC of single videos."""
    values = []
    for title in titles:
        metric = METRICS[title]
        own = value[title] if isinstance(value, Mapping) else value
        usual = {"n": 1, "reason": reason if own is None else None, **fields}
        convention = protocol.ties if metric.metric in REGIONS else metric.convention
        smoothing = metric.smoothing(protocol)
        values.append(Value(metric.metric, convention, smoothing, read_out, value=own, **usual))
    for video, auc in (videos or {}).items():
        why = "one class only" if auc is None else None
        for smoothing in dict.fromkeys(("none", protocol.filter)):
            values.append(
                Value("micro_auc", None, smoothing, read_out, video, auc, n=40, reason=why)
            )
    return values


def write_record(
    results: Results,
    recipe: str = "knn@velocity",
    value: Numbers = 0.5,
    *,
    result: Result | None = None,
    values: Sequence[Value] | None = None,
    moves: Moves | None = None,
    runs: Sequence[RunRecord] | None = None,
    read_outs: tuple[str, ...] = ("score",),
    labels: Mapping[str, Any] | None = None,
    reason: str | None = None,
    videos: Mapping[str, float | None] | None = None,
    identity: str | None = None,
    **fields: Any,
) -> ResultRecord:
    """Write a record and the runs it rests on.

    Args:
        results: where they go.
        recipe: `method@stream+stream`.
        value: of all its metrics, or one a title; None: undefined, with the `reason`.
        result: in place of what `recipe` and `fields` (as of `make_result`) say.
        values: in place of those of `value`.
        moves: what each video does to every metric but EER, or one a title.
        runs: in place of `make_run` of each part.
        read_outs: of the runs; all have the same values.
        labels: fields that differ from `LABELS`.
        videos: micro AUC of single videos.
        identity: of the record.
    """
    result = result or make_result(recipe, **fields)
    if runs is None:
        runs = [make_run(result, place, read_outs=read_outs) for place in range(len(result.parts))]
    for run in runs:
        results.write_run(run, None, replace=True)
    shown = (result.read_out,) if result.read_out else read_outs
    if values is None:
        values = [
            one
            for read_out in shown
            for one in make_values(
                value, result.protocol, read_out=read_out, reason=reason, videos=videos
            )
        ]
    identities = tuple(run.identity for run in runs)
    record = ResultRecord(
        identity=identity or identity_of(result, identities),
        result=result,
        runs=identities,
        labels={**LABELS, **(labels or {})},
        evaluation=2,
        read_outs=shown,
        values=tuple(values),
    )
    arrays = {} if moves is None else jackknife_arrays(make_jackknives(moves, result.protocol))
    return results.write_record(record, arrays)


def make_jackknives(moves: Moves, protocol: Protocol) -> dict[Key, Jackknife]:
    """What `moves` [V] say that each video does to the metrics, as evaluation stores it."""
    jackknives: dict[Key, Jackknife] = {}
    for title in USUAL:
        own = moves.get(title) if isinstance(moves, Mapping) else moves
        if own is None or (title == "EER" and not isinstance(moves, Mapping)):
            continue
        metric = METRICS[title]
        jackknives[_stored_key(metric, protocol)] = Jackknife.of_left_out(-own)
    return jackknives


def _stored_key(metric: Metric, protocol: Protocol) -> Key:
    beside = not metric.smoothed and metric.metric == "micro_auc" and protocol.smoothing is not None
    convention = protocol.ties if metric.metric in REGIONS else metric.convention
    return (UNSMOOTHED if beside else metric.metric), convention


def write_failure(
    results: Results, recipe: str, error: str, *, dataset: str = "ped2", seed: int = 0
) -> RunRecord:
    """A job that failed."""
    result = make_result(recipe, dataset=dataset, seed=seed)
    return results.write_run(make_run(result, status="failed", error=error), None)


def make_plan_table(plan: Plan, results: Results, **fields: Any) -> Table:
    """The table of a plan from the records there are."""
    return make_table(plan.suite, plan.wanted, Frame(results), **fields)
