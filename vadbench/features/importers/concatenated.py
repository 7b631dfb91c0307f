"""Files of one entry a frame over all clips: AccI-VAD's object arrays, and the same as numbers and
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.importers.arrays import read_npz
from vadbench.features.importers.clips import (
    Clips,
    ImportedRows,
    Layout,
    boxes,
    finite,
    in_order,
    numbers,
)
from vadbench.features.importers.columns import refuse_telling
from vadbench.features.importers.unpickle import read_entries

Numbered = list[tuple[int, Video]]  # clips in the order of a file, with their index in the split
BOXES = ("xyxy", "box")


def read_accivad(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """AccI-VAD's released features: clips in the lexicographic order of their names, per frame an
    array [objects, D], perhaps empty.

    Args:
        path: .npy with an object array, or .npz as `read_counts` takes.
        clips: what it has to fit.
        layout: not looked at.

    Raises:
        BadInput: on a file that is broken, hostile, or of other frames.
    """
    order = sorted(enumerate(clips.videos), key=lambda clip: clip[1].name)
    if path.suffix.lower() == ".npz":
        return read_counts(read_npz(path), path, clips, order)
    return read_ragged(read_entries(path), path, clips, order)


def read_ragged(
    entries: Sequence[NDArray[Any]], path: Path, clips: Clips, order: Numbered
) -> ImportedRows:
    """Rows of one array [objects, D] a frame, as objects without boxes.

    Raises:
        BadInput: if an array has another shape, or there are more or fewer than frames.
    """
    _require_frames(len(entries), path, clips, order)
    count = np.array([len(entry) if entry.size else 0 for entry in entries], np.int64)
    filled = [(number, entry) for number, entry in enumerate(entries) if entry.size]
    for number, entry in filled:
        if entry.ndim != 2 or entry.shape[1] != filled[0][1].shape[-1]:
            wanted = filled[0][1].shape[-1] if filled[0][1].ndim == 2 else "features"
            raise BadInput(
                f"{path}: entry {place_entry(number, order)} has shape {list(entry.shape)},"
                f" expected [objects, {wanted}]"
            )
    if not filled:
        raise BadInput(f"{path}: no object in all {len(entries)} frames; get the file anew")
    return by_count(
        numbers(np.concatenate([entry for _, entry in filled]), str(path)),
        count,
        None,
        path,
        clips,
        order,
    )


def read_counts(
    arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, order: Numbered
) -> ImportedRows:
    """Rows of `count` [frames] and one array of features [N, D] (`x`, or whatever its name),
    perhaps with boxes (`xyxy` or `box`).

    Raises:
        BadInput: if there is no such array or more than one, or they disagree with each other or
            with the clips.
    """
    names = [name for name in arrays if name not in ("count", *BOXES)]
    if "count" not in arrays or not names or (len(names) > 1 and "x" not in names):
        raise BadInput(
            f"{path}: arrays {', '.join(arrays) or 'none'}; expected count, x, and perhaps xyxy"
        )
    name = "x" if "x" in names else names[0]
    refuse_telling(name, path)
    x, count = arrays[name], arrays["count"]
    if count.ndim != 1 or count.dtype.kind not in "iu" or (count < 0).any():
        raise BadInput(
            f"{path}: count is {count.dtype} {list(count.shape)}, expected whole numbers of at"
            " least 0, one a frame"
        )
    box = next((arrays[name] for name in BOXES if name in arrays), None)
    return by_count(numbers(x, f"{path}: x"), count.astype(np.int64), box, path, clips, order)


def by_count(
    x: NDArray[Any],
    count: NDArray[np.int64],
    box: NDArray[Any] | None,
    path: Path,
    clips: Clips,
    order: Numbered,
) -> ImportedRows:
    """Rows [N, D] of objects, given how many of them each frame has.

    Raises:
        BadInput: if the frames are not those of the clips, the rows not those of the counts, or a
            number is not finite.
    """
    _require_frames(len(count), path, clips, order)
    if count.sum() != len(x):
        raise BadInput(
            f"{path}: count adds up to {count.sum()} rows, x has {len(x)}; get the file anew"
        )
    entry = np.repeat(np.arange(len(count)), count)
    found = finite(x, str(path), lambda row: f"row {row} ({place_entry(int(entry[row]), order)})")
    video = np.concatenate([np.full(clip.frames, number) for number, clip in order])
    frame = np.concatenate([np.arange(clip.frames) for _, clip in order])
    return in_order(
        found,
        video[entry],
        frame[entry],
        None if box is None else boxes(box, str(path), len(x)),
        windows=False,
    )


def _require_frames(found: int, path: Path, clips: Clips, order: Numbered) -> None:
    """Refuse a file of more or fewer frames than the clips have."""
    ends = np.cumsum([clip.frames for _, clip in order])
    if found == ends[-1]:
        return
    first = int(np.searchsorted(ends, found, side="right"))
    clip = order[min(first, len(order) - 1)][1]
    where = f"goes on after {clip.name}"
    if found < ends[-1]:
        where = (
            f"ends in {clip.name} after {found - (ends[first] - clip.frames)} of its {clip.frames}"
        )
    raise BadInput(
        f"{path}: {found} frames, the {clips.split} clips of {clips.dataset} have {ends[-1]}: it"
        f" {where}; is it the other split's?"
    )


def place_entry(entry: int, order: Numbered) -> str:
    """The frame and clip that an entry is of."""
    for _, clip in order:
        if entry < clip.frames:
            return f"frame {entry} of clip {clip.name}"
        entry -= clip.frames
    raise AssertionError("entries are counted before")
