"""Data sets of which only clips and frame counts matter, and what the tests of the importers
share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput
from vadbench.features.importers import Layout, read_features


class Toy(Dataset):
    """Three training and two test clips of which only names and frame counts matter."""

    name = "toy"
    revision = "1"
    clips: dict[Split, dict[str, int]] = {
        "train": {"b": 3, "a": 2, "c": 4},
        "test": {"y": 2, "z": 3},
    }

    def videos(self, split: Split) -> tuple[Video, ...]:
        return tuple(Video(name, split, frames) for name, frames in self.clips[split].items())

    def read(self, video: Video) -> Any:
        raise AssertionError("an import reads no video")

    def labels(self) -> Labels:
        raise NotImplementedError

    def check(self) -> list[Check]:
        return []


class Long(Toy):
    """Clips of some snippets."""

    clips = {"train": {"01": 40, "02": 16}, "test": {"03": 100, "04": 7}}


def ragged(counts: list[int], dim: int = 3, dtype: str = "f8") -> list[Any]:
    """One array [n, dim] a frame, all numbers different."""
    values = np.arange(sum(counts) * dim, dtype=dtype).reshape(-1, dim)
    return np.split(values, np.cumsum(counts)[:-1])


def save_objects(path: Path, entries: list[Any]) -> Path:
    array = np.empty(len(entries), object)
    array[:] = entries
    np.save(path, array)
    return path


def refusal(
    path: Path, format: str, dataset: Dataset, split: Split = "train", **layout: Any
) -> str:
    with pytest.raises(BadInput) as told:
        read_features(path, format, dataset, split, Layout(**layout))
    assert "\n" not in str(told.value)
    return str(told.value)
