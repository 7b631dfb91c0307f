"""A stream's rows in the splits of the unsupervised setting, taken from the cached splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vadbench.datasets.base import Resplit, Split
from vadbench.datasets.resplit import name_tested
from vadbench.detector import Features
from vadbench.features.store import Stream


def resplit_streams(streams: dict[Split, Stream], resplit: Resplit) -> dict[Split, Stream]:
    """Both splits with the videos that `resplit` names, in its order; the vectors are copied into memory.

    Objects released for training are numbered after those released for testing, so that no two share an id.
    """
    return {"train": _gather(streams, resplit.train), "test": _gather(streams, resplit.test)}


def _gather(streams: dict[Split, Stream], videos: Sequence[str]) -> Stream:
    after = int(streams["test"].object_id.max(initial=-1)) + 1
    lengths: dict[str, int] = {}
    parts: list[tuple[Features, np.ndarray]] = []
    for qualified in videos:
        released, _, name = qualified.partition("/")
        stream = streams["train" if released == "train" else "test"]
        rows = np.flatnonzero(stream.features.video == list(stream.lengths).index(name))
        parts.append((stream.features.rows(rows), stream.object_id[rows] + (after if released == "train" else 0)))
        lengths[name_tested(qualified)] = stream.lengths[name]
    of_videos = [features for features, _ in parts]
    boxes = [features.box for features in of_videos if features.box is not None]
    features = Features(
        np.concatenate([features.x for features in of_videos]),
        np.repeat(np.arange(len(videos), dtype=np.int32), [len(features) for features in of_videos]),
        np.concatenate([features.frame for features in of_videos]),
        np.concatenate(boxes) if len(boxes) == len(of_videos) else None,
        f"{streams['train'].features.name} (re-split)",
    )
    return Stream(features, np.concatenate([ids for _, ids in parts]), lengths, streams["train"].manifest)
