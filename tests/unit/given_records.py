"""Records of made-up submissions, without the data set that they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
from record_builder import make_result, make_run, write_record

from vadbench.evaluation.frames import PartFrames
from vadbench.files.canonical import canonical_hash
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord

LENGTH = 40


def write_given(
    results: Results,
    scores: str = "a",
    *,
    name: str = "foo",
    paper: str = "Doe, 2026",
    value: float = 0.5,
    **training: Any,
) -> ResultRecord:
    """A record of scores that `scores` stands for, with their run and frame scores; `training` as
    of `make_result`.
    """
    fields = {"config": {"paper": paper}, "part": {"fingerprint": ""}, **training}
    result = make_result(f"{name}@given", **{"dataset": "street", **fields})
    result = result.model_copy(update={"given": paper})
    job = {**make_run(result).job, "scores_sha256": scores}
    identity = canonical_hash(job)
    videos = (("Test001", LENGTH),)
    run = make_run(result, job=job, identity=identity, fit_identity=identity, test_videos=videos)
    frames = PartFrames.of_given(np.random.default_rng(ord(scores)).normal(size=LENGTH))
    results.write_frames(run, frames.arrays(np.array([LENGTH])))
    return write_record(results, value=value, result=result, runs=[run])
