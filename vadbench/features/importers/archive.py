"""Archives of named arrays, .npz and .mat, whose names say how they are laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.importers.arrays import read_mat, read_npz
from vadbench.features.importers.clips import Clips, ImportedRows, Layout, numbers
from vadbench.features.importers.columns import refuse_telling
from vadbench.features.importers.concatenated import read_counts, read_ragged
from vadbench.features.importers.flat import find_frames, split_named
from vadbench.features.importers.per_video import read_arrays
from vadbench.features.importers.table import read_indexed


def read_npz_features(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """Arrays count, x and perhaps xyxy; or x, video, frame and perhaps box; or one array of all
    frames; or one a clip, named after it.

    Raises:
        BadInput: on a file that is broken or does not fit the clips.
    """
    arrays = read_npz(path)
    if "count" in arrays:
        return read_counts(arrays, path, clips, list(enumerate(clips.videos)))
    if {"x", "video", "frame"} <= set(arrays):
        return read_indexed(arrays, path, clips, layout)
    return _of_arrays(arrays, path, clips, layout)


def read_mat_features(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """Variables named after the clips (MATLAB puts an x before a digit); or one of all frames; or
    one cell of an array a clip, or of an array a frame, in order.

    Raises:
        BadInput: on a file that is broken or does not fit the clips.
    """
    found = read_mat(path)
    if len(found) == 1 and (cell := next(iter(found.values()))).dtype.kind == "O":
        refuse_telling(next(iter(found)), path)
        return _of_cell(cell.ravel(order="F").tolist(), path, clips, layout)
    known = clips.names
    named = {
        name[1:] if name[:1] == "x" and name[1:] in known else name: value
        for name, value in found.items()
    }
    return _of_arrays(named, path, clips, layout)


def _of_arrays(
    arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, layout: Layout
) -> ImportedRows:
    """One array of all frames, or one a clip."""
    name = find_frames(arrays, clips)
    if name is not None:
        return split_named(arrays[name], name, path, clips)
    return read_arrays(arrays, path, clips, layout)


def _of_cell(entries: list[Any], path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    arrays: list[NDArray[Any]] = [
        numbers(entry, f"{path}: cell {number}") for number, entry in enumerate(entries)
    ]
    if len(arrays) == len(clips.videos):
        return read_arrays(
            {clip.name: array for clip, array in zip(clips.videos, arrays, strict=True)},
            path,
            clips,
            layout,
        )
    if len(arrays) == sum(clip.frames for clip in clips.videos):
        return read_ragged(
            [np.asarray(array) for array in arrays], path, clips, list(enumerate(clips.videos))
        )
    frames = sum(clip.frames for clip in clips.videos)
    of = f"{len(clips.videos)} {clips.split} clips and {frames} frames"
    raise BadInput(
        f"{path}: a cell of {len(arrays)} entries, {clips.dataset} has {of}; expected one entry a"
        " clip or a frame"
    )
