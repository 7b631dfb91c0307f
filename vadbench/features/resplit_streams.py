"""A stream's rows in the splits of the unsupervised setting, taken from the cached splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Resplit, Split
from vadbench.datasets.resplit import record_name
from vadbench.detector import Features
from vadbench.features.store import Stream
from vadbench.spill import make_array, take_rows

# what is added to a split's object ids: no stream's rows decide it, for streams on the same boxes
# lack other objects, and an object has one id in all of them
FIRST_ID: dict[Split, int] = {"test": 0, "train": 1 << 40, "unlabelled": 2 << 40}


def resplit_streams(streams: dict[Split, Stream], resplit: Resplit) -> dict[Split, Stream]:
    """Both splits with the videos that `resplit` names, in its order; the vectors are copied, many
    of them to disk and not into memory.

    Objects released for training are numbered after those released for testing, and unlabelled ones
    after these, so that no two share an id (`FIRST_ID`).
    """
    return {"train": _gather(streams, resplit.train), "test": _gather(streams, resplit.test)}


def _gather(streams: dict[Split, Stream], videos: Sequence[str]) -> Stream:
    lengths: dict[str, int] = {}
    parts: list[tuple[Stream, NDArray[np.intp]]] = []
    ids: list[NDArray[np.int64]] = []
    scenes: list[str | None] = []
    for qualified in videos:
        split, name = _split_name(qualified)
        stream = streams[split]
        rows = np.flatnonzero(stream.features.video == list(stream.lengths).index(name))
        parts.append((stream, rows))
        ids.append(stream.object_id[rows] + FIRST_ID[split])
        lengths[record_name(qualified)] = stream.lengths[name]
        scenes.append(_scene_of(stream, name))
    name = f"{streams['train'].features.name} (re-split)"
    features = Features(
        _gather_vectors(parts, name),
        np.repeat(np.arange(len(videos), dtype=np.int32), [len(rows) for _, rows in parts]),
        np.concatenate([stream.features.frame[rows] for stream, rows in parts]),
        _gather_boxes(parts),
        name,
        shape=streams["train"].features.shape,
        nature=streams["train"].features.nature,
    )
    manifest = dict(streams["train"].manifest)
    manifest.pop("scenes", None)
    manifest |= {} if None in scenes else {"scenes": scenes}
    return Stream(features, np.concatenate(ids), lengths, manifest)


def _gather_vectors(
    parts: Sequence[tuple[Stream, NDArray[np.intp]]], name: str
) -> NDArray[np.float32]:
    """[N, D] the vectors of each stream's rows, one after the other."""
    columns = parts[0][0].features.x.shape[1]
    shape = sum(len(rows) for _, rows in parts), columns
    x: NDArray[np.float32] = make_array(shape, np.float32, f"{name}: {shape[0]} rows")
    end = 0
    for stream, rows in parts:
        begin, end = end, end + len(rows)
        x[begin:end] = take_rows(stream.features.x, rows, name)
    return x


def _gather_boxes(parts: Sequence[tuple[Stream, NDArray[np.intp]]]) -> NDArray[np.float32] | None:
    """[N, 4] likewise; None where a stream has none."""
    boxes = [stream.features.box[rows] for stream, rows in parts if stream.features.box is not None]
    return np.concatenate(boxes) if len(boxes) == len(parts) else None


def _scene_of(stream: Stream, video: str) -> str | None:
    """The scene of a video; None of features that were cached before scenes were."""
    scenes = stream.manifest.get("scenes")
    return None if scenes is None else str(scenes[list(stream.lengths).index(video)])


def _split_name(qualified: str) -> tuple[Split, str]:
    """`train/01` -> `train`, `01`; the name may have slashes of its own."""
    split, _, name = qualified.partition("/")
    return cast(Split, split), name
