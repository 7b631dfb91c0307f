"""Small well-formed records for the leaderboard's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.evaluation.intervals import UNSMOOTHED, jackknife_arrays
from vadbench.evaluation.metrics.uncertainty import Jackknife
from vadbench.evaluation.protocol import Protocol
from vadbench.files.canonical import canonical_hash
from vadbench.results.records import ResultRecord, Results, RunRecord

VIDEOS = ("Test001", "Test002", "Test003")  # the last has one class
LENGTH = 40


def write_record(
    results: Results,
    dataset: str,
    method: str,
    micro: float | None,
    *,
    stream: str = "velocity",
    seed: int = 0,
    config: dict[str, Any] | None = None,
    protocol: dict[str, Any] | None = None,
    part: dict[str, Any] | None = None,
    read_outs: tuple[str, ...] = ("score",),
    sha256: str = "0" * 64,
    seconds: float = 2.0,
    moves: NDArray[np.float64] | None = None,
) -> ResultRecord:
    """A record whose micro AUC is `micro` (None: undefined), smoothed and unsmoothed; other metrics
    follow from it.

    `part` has more fields of the recipe's part: scope, train_dataset, resplit, read_out,
    fingerprint; `moves` [V] is what each video does to every metric but EER.
    """
    config, part = config or {}, {"fingerprint": "f" * 12, **(part or {})}
    job = {
        "dataset": dataset,
        "method": method,
        "stream": stream,
        "seed": seed,
        "config": config,
        **part,
    }
    run = RunRecord(
        status="done",
        identity=canonical_hash(job),
        fit_identity=canonical_hash(job),
        job=job,
        runtime={"threads": 1},
        read_outs=read_outs,
        seconds={"fit": seconds, "score": 1.0},
        train_rows=10,
        test_rows=20,
        parameters=7,
        peak_memory_mib=100.0,
        environment={
            "python": "3.11",
            "packages": {"numpy": "2"},
            "git": {"commit": "c" * 40, "dirty": False},
        },
    )
    results.write_run(run, None)
    common = {
        "method": method,
        "config": config,
        "calibration": "none",
        "empty": "train-min",
        **part,
    }
    shown = part.get("read_out") or read_outs[0]
    rows = [
        row
        for read_out in ((shown,) if "read_out" in part else read_outs)
        for row in _rows(micro, read_out)
    ]
    record = ResultRecord(
        identity=canonical_hash([run.identity, protocol, part]),
        dataset=dataset,
        recipe=f"{method}@{stream}",
        seed=seed,
        parts=tuple({"stream": one, **common} for one in stream.split("+")),
        runs=(run.identity,),
        protocol=Protocol(**{"smoothing": 3.0, **(protocol or {})}).model_dump(mode="json"),
        labels={
            "name": "official",
            "source": "a file",
            "videos": 3,
            "frames": 3 * LENGTH,
            "anomalous": 30,
            "sha256": sha256,
            "tracks": None,
        },
        read_outs=read_outs,
        rows=tuple(rows),
    )
    scores = np.random.default_rng(seed).normal(size=(3 * LENGTH, 1))
    keys = [
        ("micro_auc", None),
        (UNSMOOTHED, None),
        ("macro_auc", "skip"),
        ("macro_auc", "pad-rank"),
        ("average_precision", None),
    ]
    moved = {} if moves is None else {key: Jackknife.of_left_out(-moves) for key in keys}
    frames = {"scores": scores, "lengths": np.full(3, LENGTH), "videos": np.array(VIDEOS)}
    results.write_recipe(record, {**frames, **jackknife_arrays(moved)})
    return record


def write_failure(results: Results, dataset: str, method: str, error: str, seed: int = 0) -> None:
    """A job that failed."""
    job = {
        "dataset": dataset,
        "method": method,
        "stream": "velocity",
        "seed": seed,
        "config": {},
        "fingerprint": "f" * 12,
    }
    job |= {"setting": "one-class", "scope": "pooled", "train_dataset": f"{dataset}@1"}
    identity = canonical_hash(job)
    failed = RunRecord(
        status="failed",
        error=error,
        identity=identity,
        fit_identity=identity,
        job=job,
        runtime={},
        environment={},
    )
    results.write_run(failed, None)


def _rows(micro: float | None, read_out: str) -> list[dict[str, Any]]:
    rows = []
    reason = None if micro is not None else "one class only"
    for smoothing in ("none", "gaussian-3"):
        common = {"smoothing": smoothing, "read_out": read_out, "n": 10}
        ends = (
            {"low": None, "high": None}
            if micro is None
            else {"low": micro - 0.1, "high": micro + 0.05}
        )
        ends |= {"videos": 3, "interval_reason": None}
        for metric, convention in (
            ("micro_auc", None),
            ("macro_auc", "skip"),
            ("macro_auc", "pad-rank"),
            ("average_precision", None),
        ):
            rows.append(
                {
                    "metric": metric,
                    "convention": convention,
                    "video": None,
                    "value": micro,
                    "reason": reason,
                    **ends,
                    **common,
                }
            )
        rows.append(
            {
                "metric": "eer",
                "convention": None,
                "video": None,
                "value": None if micro is None else 1 - micro,
                "reason": reason,
                **common,
            }
        )
        for number, video in enumerate(VIDEOS):
            value = None if number == 2 or micro is None else micro - 0.1 * number
            why = "one class only" if value is None else None
            rows.append(
                {
                    "metric": "micro_auc",
                    "convention": None,
                    "video": video,
                    "value": value,
                    "reason": why,
                    **common,
                    "n": LENGTH,
                }
            )
    region = {
        "video": None,
        "smoothing": "none",
        "read_out": read_out,
        "n": 0,
        "value": None,
        "reason": "no region annotations",
    }
    return [
        *rows,
        {"metric": "rbdc", "convention": "average", **region},
        {"metric": "tbdc", "convention": "average", **region},
    ]
