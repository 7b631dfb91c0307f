"""Imported boxes against the frames of their clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vadbench.datasets.base import Dataset, Split, Video
from vadbench.datasets.geometry import Size, check_boxes
from vadbench.errors import BadInput
from vadbench.features.importers.clips import ImportedRows


def check_frames(rows: ImportedRows, dataset: Dataset, split: Split, path: Path) -> None:
    """Refuse boxes that are not in pixels of their clip's frames; clips whose frames are not on
    this machine are passed over.

    Args:
        rows: of the split.
        dataset: whose clips they are.
        split: which of them.
        path: for messages.

    Raises:
        BadInput: naming a clip, and its box or the frames' size.
    """
    if rows.box is None or not len(rows.box):
        return
    if np.abs(rows.box).max() <= 1:  # also where no frame can be looked at
        told = f"{path}: all boxes lie within one pixel"
        raise BadInput(
            f"{told}; expected pixels of the frames, multiply fractions by the frame's size"
        )
    for number, clip in enumerate(dataset.videos(split)):
        start, end = np.searchsorted(rows.video, (number, number + 1))
        size = _size(dataset, clip) if end > start else None
        if size is not None:
            frame = rows.frame[start:end]
            check_boxes(
                rows.box[start:end],
                size,
                f"{path}: {split} clip {clip.name}",
                lambda row, at=frame: f"frame {at[row]}",  # type: ignore[misc]
            )


def _size(dataset: Dataset, clip: Video) -> Size | None:
    try:
        return dataset.frame_size(clip)
    except BadInput:  # the pixels are elsewhere: an import needs none
        return None
