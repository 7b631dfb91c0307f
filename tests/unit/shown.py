"""Arrays shown to extractors and providers as the footage of a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.features.footage import Footage


class Shown(Dataset):
    """One clip whose frames are an array."""

    name = "shown"
    revision = "1"

    def __init__(self, clip: np.ndarray) -> None:
        super().__init__(Path())
        self.clip = clip

    def videos(self, split: Split) -> tuple[Video, ...]:
        return (Video("clip", split, len(self.clip)),)

    def read(self, video: Video) -> Iterator[np.ndarray]:
        return iter(self.clip)

    def labels(self) -> Labels:
        return Labels("none", "nothing is anomalous", {"clip": np.zeros(len(self.clip), np.uint8)})

    def check(self) -> list[Check]:
        return []


def footage(clip: np.ndarray, held: int = 2**30) -> Footage:
    """The array [T, H, W] or [T, H, W, 3] as a training clip named `clip`."""
    return Footage(Shown(clip), Video("clip", "train", len(clip)), held)
