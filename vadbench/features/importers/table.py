"""Tables whose rows name their clip and frame: csv, parquet, and npz with x, video and frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.importers.clips import (
    Clips,
    Floats,
    ImportedRows,
    Layout,
    boxes,
    finite,
    in_order,
    numbers,
)
from vadbench.features.importers.columns import choose_columns
from vadbench.files.tables import column_names, read_columns

BOX = ("x0", "y0", "x1", "y1")


def read_table(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A csv or parquet file with the columns video, frame, perhaps x0, y0, x1, y1, and then the
    features, all or those of `layout.columns`.

    Raises:
        BadInput: on a broken file, a column that is no feature, or rows that do not fit the clips.
    """
    present = column_names(path)
    corners = [name for name in BOX if name in present]
    with_box = len(corners) == len(BOX) or bool(corners and not layout.columns)
    features = choose_columns(
        present, layout.columns, ("video", "frame", *(BOX if with_box else ())), path
    )
    if not features:
        raise BadInput(
            f"{path}: no column of features; expected video, frame, perhaps x0, y0, x1, y1, then"
            " the features"
        )
    absent = [name for name in BOX if name not in present]
    if with_box and absent:
        told = (
            f"{path}: no column {absent[0]} beside {', '.join(corners)}; expected a box's four"
            " corners"
        )
        raise BadInput(f"{told}, or --columns to name the features where these are some")
    needed = dict.fromkeys(("video", "frame", *(BOX if with_box else ()), *features))
    found = read_columns(path, tuple(needed))
    x = np.stack([found[name] for name in features], 1)
    box = np.stack([found[name] for name in BOX], 1) if with_box else None
    return _rows(
        x, _by_name(found["video"], path, clips), found["frame"], box, path, clips, layout, features
    )


def read_indexed(
    arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, layout: Layout
) -> ImportedRows:
    """Arrays x [N, D], video [N] (names, or indices of the split's clips from 0), frame [N] and
    perhaps box [N, 4]; others are passed over.

    Raises:
        BadInput: if they disagree with each other or do not fit the clips.
    """
    x, video, frame = arrays["x"], arrays["video"], arrays["frame"]
    if x.ndim != 2 or video.shape != x.shape[:1] or frame.shape != x.shape[:1]:
        raise BadInput(
            f"{path}: x {list(x.shape)}, video {list(video.shape)}, frame {list(frame.shape)};"
            " expected [N, D], [N] and [N]"
        )
    if video.dtype.kind in "iu":
        outside = (video < 0) | (video >= len(clips.videos))
        if outside.any():
            row = int(np.argmax(outside))
            raise BadInput(
                f"{path}: row {row}, video {video[row]}, expected an index from 0 to"
                f" {len(clips.videos) - 1} of the {clips.split} clips"
            )
    elif video.dtype.kind == "U":
        video = _by_name(video, path, clips)
    else:
        raise BadInput(f"{path}: video is {video.dtype}, expected clips' names or indices")
    return _rows(
        numbers(x, f"{path}: x"),
        video,
        numbers(frame, f"{path}: frame"),
        arrays.get("box"),
        path,
        clips,
        layout,
        (),
    )


def _by_name(names: NDArray[Any], path: Path, clips: Clips) -> NDArray[np.int64]:
    """[N] the clip of each row, -1 of the other split."""
    if not len(names):
        raise BadInput(
            f"{path}: no row; expected the features of {clips.describe(clips.videos[0])} and others"
        )
    different, code = np.unique(names.astype(str), return_inverse=True)
    number = {name: index for index, name in clips.match(different.tolist(), path, "row").items()}
    return np.array([number.get(name, -1) for name in different.tolist()])[code]


def _rows(
    x: NDArray[Any],
    video: NDArray[Any],
    frame: NDArray[Any],
    box: NDArray[Any] | None,
    path: Path,
    clips: Clips,
    layout: Layout,
    columns: Sequence[str],
) -> ImportedRows:
    """The rows of the split, checked."""
    kept = np.flatnonzero(video >= 0)
    found = finite(x, str(path), columns=columns)
    frames = np.array([clip.frames for clip in clips.videos])
    outside = (frame[kept] != np.floor(frame[kept])) | ~(
        (frame[kept] >= 0) & (frame[kept] < frames[video[kept]])
    )
    if outside.any():
        row = int(kept[np.argmax(outside)])
        clip = clips.videos[int(video[row])]
        raise BadInput(
            f"{path}: row {row}, frame {frame[row]:g} of {clips.describe(clip)}, expected a whole"
            f" number from 0 to {clip.frames - 1}"
        )
    empty = np.bincount(video[kept].astype(int), minlength=len(frames)) == 0
    if empty.any():
        raise BadInput(
            f"{path}: no row for {clips.describe(clips.videos[int(np.argmax(empty))])}; npz with"
            " count takes clips without objects"
        )
    checked: Floats | None = (
        None if box is None else boxes(numbers(box, str(path)), str(path), len(x))[kept]
    )
    windows = layout.rows == "windows" if layout.rows else box is None
    rows = in_order(found[kept], video[kept], frame[kept], checked, windows, columns)
    if windows:
        _refuse_twice(rows, path, clips)
    return rows


def _refuse_twice(rows: ImportedRows, path: Path, clips: Clips) -> None:
    again = (np.diff(rows.video) == 0) & (np.diff(rows.frame) == 0)
    if again.any():
        at = int(np.argmax(again))
        clip = clips.videos[int(rows.video[at])]
        where = f"frame {rows.frame[at]} of {clips.describe(clip)}"
        raise BadInput(
            f"{path}: two rows for {where}, expected one window a frame; --rows objects if these"
            " are objects"
        )
