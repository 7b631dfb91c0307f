"""Records of made-up methods and streets for the leaderboard's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from record_builder import make_result, make_run, write_record

from vadbench.evaluation.frames import PartFrames
from vadbench.report.leaderboard.entries import Entry, make_entries
from vadbench.report.leaderboard.failures import add_failures
from vadbench.results.frame import load_results
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import METRICS, USUAL

VIDEOS = ("Test001", "Test002", "Test003")  # the last has one class
LENGTH = 40
MICRO, EER, RBDC = (list(METRICS).index(name) for name in ("micro AUC", "EER", "RBDC"))


def write_row(
    results: Results,
    method: str,
    micro: float | None,
    *,
    dataset: str = "street",
    stream: str = "velocity",
    **fields: Any,
) -> ResultRecord:
    """A record whose metrics all are `micro` and whose EER is 1 - micro; `fields` as of
    `write_record`.
    """
    values = dict.fromkeys(USUAL, micro) | {"EER": None if micro is None else 1 - micro}
    clips = {name: None if micro is None else micro - 0.1 * i for i, name in enumerate(VIDEOS)}
    labels = {"source": "a file", "tracks": None, **fields.pop("labels", {})}
    usual = {"reason": "one class only", "videos": clips | {VIDEOS[-1]: None}, "labels": labels}
    return write_record(
        results, f"{method}@{stream}", values, dataset=dataset, **{**usual, **fields}
    )


def write_scored_row(results: Results, method: str, micro: float, **fields: Any) -> ResultRecord:
    """Likewise, with random frame scores."""
    result = make_result(f"{method}@velocity", dataset="street")
    frame = np.tile(np.arange(LENGTH), 3)
    video = np.repeat(np.arange(3), LENGTH)
    scores = np.random.default_rng(0).normal(size=(3 * LENGTH, 1))
    rows = {
        f"{split}_{name}": values
        for split in ("train", "test")
        for name, values in (("scores", scores), ("video", video), ("frame", frame))
    }
    run = make_run(result, test_videos=tuple((name, LENGTH) for name in VIDEOS))
    frames = PartFrames.of_rows(rows, np.full(3, LENGTH))
    results.write_frames(run, frames.arrays(np.full(3, LENGTH)))
    return write_row(results, method, micro, result=result, runs=[run], **fields)


def read_entries(results: Results) -> list[Entry]:
    """All rows, without places."""
    runs = list(results.all_runs())
    return add_failures(make_entries(load_results(results.root), runs), runs)


def read_entry(results: Results, method: str) -> Entry:
    """The only row of a method."""
    (entry,) = (one for one in read_entries(results) if one.method == method)
    return entry
