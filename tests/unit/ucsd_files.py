"""Miniatures of UCSD Ped1 and Ped2 in their official layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from vadbench.datasets.ped1 import Ped1
from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.ucsd import RELEASE

SIZE = (24, 36)


class TinyPed1(Ped1):
    """Frames 2-3 of Test001 and all of Test003 anomalous; masks of Test003 alone."""

    clips = {"train": (4, 4), "test": (4, 4, 4)}
    size = SIZE
    masked = 1
    odd = {1: (2, 3), 2: (), 3: (1, 2, 3, 4)}
    masks_of = (3,)


class TinyPed2(Ped2):
    """Frames 2-3 of Test001 and all of Test002 anomalous, with masks."""

    clips = {"train": (3, 2), "test": (4, 3)}
    size = SIZE
    masked = 2
    anomalous = 5
    odd = {1: (2, 3), 2: (1, 2, 3)}
    masks_of = (1, 2)


Tiny = TinyPed1 | TinyPed2


def write_masks(folder: Path, frames: int, anomalous: Iterable[int]) -> None:
    """A square in the anomalous frames."""
    folder.mkdir()
    for frame in range(1, frames + 1):
        mask = np.zeros(SIZE, np.uint8)
        mask[5:15, 8:16] = 255 * (frame in anomalous)
        cv2.imwrite(str(folder / f"{frame:03d}.bmp"), mask)


def write_ucsd(root: Path, kind: type[Tiny]) -> Tiny:
    """The miniature under `root`, as the archive unpacks there."""
    base, random = root / RELEASE / f"UCSD{kind.name}", np.random.default_rng(0)
    for split, counts in kind.clips.items():
        for clip, frames in enumerate(counts, 1):
            folder = base / split.title() / f"{split.title()}{clip:03d}"
            folder.mkdir(parents=True)
            for frame in range(1, frames + 1):
                picture = random.integers(0, 256, SIZE).astype(np.uint8)
                cv2.imwrite(str(folder / f"{frame:03d}.tif"), picture)
    for clip in kind.masks_of:
        folder = base / "Test" / f"Test{clip:03d}_gt"
        write_masks(folder, kind.clips["test"][clip - 1], kind.odd[clip])
    intervals = [f"{min(frames)}:{max(frames)}" if frames else "" for frames in kind.odd.values()]
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{interval}];" for interval in intervals]
    (base / "Test" / f"UCSD{kind.name}.m").write_text(
        "\n".join(["TestVideoFile = {};", *lines, ""])
    )
    return kind(root)
