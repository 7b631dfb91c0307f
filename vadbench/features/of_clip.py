"""The work of one clip of an extraction: its boxes, its vectors, or both in one pass over its
frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset, Video
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.boxes.provider import Objects, Provider
from vadbench.features.extractors.extractor import Advance
from vadbench.features.footage import Footage
from vadbench.features.parts import Arrays
from vadbench.features.stream import StreamPlan, make_extractor, make_provider, trained_extractor


@dataclass(frozen=True)
class BoxesOfClip:
    """Finds the objects of a clip; a value that another process can be given."""

    dataset: Dataset
    plan: StreamPlan

    @cached_property
    def provider(self) -> Provider:
        """One for all clips, so that files and weights are read once."""
        return make_provider(self.plan, self.dataset)

    def __call__(self, number: int, video: Video, advance: Advance) -> Arrays:
        """Arrays box, count a frame, and track where the provider tracks."""
        arrays = self.find(Footage(self.dataset, video))
        advance(video.frames)
        return arrays

    def find(self, footage: Footage) -> Arrays:
        """The arrays of a clip's objects."""
        from vadbench.features.extractors.optical_flow import one_opencv_thread

        video = footage.video
        with one_opencv_thread():
            objects = self.provider.objects(footage)
        frames = len(objects.boxes)
        if frames != video.frames:
            raise BadInput(
                f"{self.dataset.name}: boxes {self.plan.stream.provider} has {frames} frames of"
                f" clip {video.name}, expected {video.frames}; {self.dataset.check_hint}"
            )
        arrays: Arrays = {
            "box": np.concatenate(objects.boxes),
            "count": np.array([len(of_frame) for of_frame in objects.boxes], np.int64),
        }
        return arrays if objects.track is None else {**arrays, "track": objects.track}


@dataclass(frozen=True)
class VectorsOfClip:
    """Makes the vectors of a clip; a value that another process can be given.

    Attributes:
        boxes: the folder of the split's boxes, None for extractors of whole frames.
        network: the folder of a learnt extractor's network.
    """

    dataset: Dataset
    plan: StreamPlan
    boxes: Path | None
    network: Path | None = None

    def __call__(self, number: int, video: Video, advance: Advance) -> Arrays:
        """Arrays x and, where not every object has a row, of."""
        if self.boxes is None:
            objects = Objects([np.zeros((0, 4), np.float32)] * video.frames)
        else:
            objects = read_boxes_index(self.boxes).of_clip(number, video.frames)
        return self.describe(Footage(self.dataset, video), objects, advance)

    def describe(self, footage: Footage, objects: Objects, advance: Advance) -> Arrays:
        """The arrays of a clip's objects, or of its windows."""
        extractor = (
            make_extractor(self.plan)
            if self.network is None
            else trained_extractor(self.plan, self.network)
        )
        rows, video = extractor.extract(footage, objects, advance), footage.video
        where = f"{self.dataset.name} {video.split} clip {video.name}: {self.plan.name}"
        _refuse_not_finite(rows.x, extractor.columns(), where)
        return {"x": rows.x} if rows.of is None else {"x": rows.x, "of": rows.of}


@dataclass(frozen=True)
class BothOfClip:
    """Finds the objects of a clip and makes their vectors while its frames are at hand; a value
    that another process can be given.
    """

    boxes: BoxesOfClip
    vectors: VectorsOfClip

    def __call__(self, number: int, video: Video, advance: Advance) -> Arrays:
        """The arrays of both."""
        footage = Footage(self.boxes.dataset, video)
        found = self.boxes.find(footage)
        objects = index_of_boxes([found]).of_clip(0, video.frames)
        return found | self.vectors.describe(footage, objects, advance)


def index_of_boxes(parts: list[Arrays]) -> store.Index:
    """The objects of a split, of its clips' arrays."""
    box = np.concatenate([part["box"] for part in parts]).astype(np.float32)
    track = (
        np.concatenate([part["track"] for part in parts]).astype(np.int64)
        if all("track" in part for part in parts)
        else None
    )
    return store.Index.of_counts(box, [part["count"].astype(np.int64) for part in parts], track)


def read_boxes_index(folder: Path) -> store.Index:
    """The objects of a split, read once for all its clips."""
    return _read_index(folder, (folder / store.MANIFEST).stat().st_mtime_ns)


@cache
def _read_index(folder: Path, _written: int) -> store.Index:
    return store.read_index(folder, store.read_manifest(folder))


def _refuse_not_finite(x: NDArray[np.float32], columns: tuple[str, ...], where: str) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise BadInput(
            f"{where} column {columns[column]} is {x[row, column]} in row {row}; features must be"
            " finite, look at that clip's frames"
        )
