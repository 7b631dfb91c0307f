"""An array or a file a clip, or a file a crop of it, of rows that cover the clip's frames: I3D
snippets, C3D segments, windows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.importers.arrays import read_npy, read_txt
from vadbench.features.importers.clips import Clips, Floats, ImportedRows, Layout, finite, numbers
from vadbench.features.importers.crops import Crops, choose_crops, join_crops, match_crops
from vadbench.features.importers.placement import SEGMENTS, Windows, middle, place_rows, shares

Read = Callable[[int], Crops]  # the clip's array, or those of its crops


def read_npy_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.npy` each, in subfolders or not: [rows, D], or [rows, crops, D]
    as RTFM's ten-crop I3D.

    Or a file a crop, `<clip>__0.npy` and so on, [rows, D] each.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or of other frames.
    """
    files = clip_files(path, clips, layout, ".npy")
    return _in_windows(clips, lambda number: _read_files(files[number], read_npy), layout)


def read_c3d_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.txt` each, in subfolders or not: 32 lines of D numbers, of
    equal shares of the clip's frames.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or not of 32 lines.
    """
    files = clip_files(path, clips, layout, ".txt")

    def read(number: int) -> Crops:
        crops = _read_files(files[number], read_txt)
        for where, x in crops.values():
            if len(x) != SEGMENTS:
                raise BadInput(
                    f"{where}: {len(x)} lines for {clips.describe(clips.videos[number])}, expected"
                    f" {SEGMENTS}, one a segment"
                )
        return crops

    middles = [middle(*shares(clip.frames, SEGMENTS)) for clip in clips.videos]
    return _of_clips(clips, read, layout, lambda rows, where: middles)


def read_arrays(
    arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, layout: Layout
) -> ImportedRows:
    """Arrays named after the clips, each [rows, D] or [rows, crops, D]; or one a crop, `<clip>__0`
    and so on.

    Raises:
        BadInput: naming the first clip whose array is missing or of other frames.
    """
    of = match_crops(arrays, path, clips, "array")

    def read(number: int) -> Crops:
        named = of[number].items()
        return {crop: (f"{path}: array {name}", arrays[name]) for crop, name in named}

    return _in_windows(clips, read, layout)


def clip_files(
    path: Path, clips: Clips, layout: Layout, extension: str
) -> dict[int, dict[int | None, Path]]:
    """Clip -> its file under the folder `path` as None, or its crops' files by their numbers, in
    order.

    Raises:
        BadInput: if a clip has none or two, or lacks a crop that others have, or a file belongs to
            no clip.
    """
    if not path.is_dir():
        raise BadInput(f"{path}: no such folder; expected one with a {extension} file a clip")
    files: dict[str, Path] = {}
    for file in sorted(path.rglob(f"*{extension}")):
        name = file.stem.removesuffix(layout.suffix)
        if name in files:
            raise BadInput(
                f"{path}: two files for clip {name}: {files[name].relative_to(path)} and"
                f" {file.relative_to(path)}; take one out"
            )
        files[name] = file
    matched = match_crops(files, path, clips, "file", layout.suffix)
    return {
        number: {crop: files[name] for crop, name in names.items()}
        for number, names in matched.items()
    }


def _read_files(files: dict[int | None, Path], read: Callable[[Path], NDArray[Any]]) -> Crops:
    return {crop: (str(file), read(file)) for crop, file in files.items()}


def _in_windows(clips: Clips, read: Read, layout: Layout) -> ImportedRows:
    """All clips' rows, at the frames that the layout says."""

    def place(rows: list[int], where: list[str]) -> list[Windows]:
        def name(number: int) -> str:
            clip = clips.videos[number]
            return (
                f"{where[number]}: {rows[number]} rows for {clips.describe(clip)}, which has"
                f" {clip.frames} frames"
            )

        return place_rows(rows, clips.videos, layout, name)

    return _of_clips(clips, read, layout, place)


def _of_clips(
    clips: Clips, read: Read, layout: Layout, place: Callable[[list[int], list[str]], list[Windows]]
) -> ImportedRows:
    """All clips' rows in order, each checked as soon as it is read; `place` says which frames they
    score.
    """
    x: list[Floats] = []
    counts, seen, per_row, places = [], [], [], []
    for number, clip in enumerate(clips.videos):
        values, where, first = join_crops(read(number))
        values = _straighten(numbers(values, where), clip, layout)
        rows = choose_crops(values, where, layout, first)
        x.append(
            finite(
                rows.reshape(-1, rows.shape[2]),
                where,
                lambda row, each=rows.shape[1]: f"row {row // each}",  # type: ignore[misc]
            )
        )
        if x[-1].shape[1] != x[0].shape[1]:
            raise BadInput(
                f"{where}: rows of {x[-1].shape[1]} numbers for {clips.describe(clip)}, the clips"
                f" before it have {x[0].shape[1]}"
            )
        counts.append(len(rows))
        seen.append(values.shape[1] if values.ndim == 3 else 1)
        if seen[-1] != seen[0]:
            raise BadInput(
                f"{where}: {seen[-1]} crops a row for {clips.describe(clip)}, the clips before it"
                f" have {seen[0]}"
            )
        per_row.append(rows.shape[1])
        places.append(where)
    frame = [
        np.repeat(of_clip, each)
        for of_clip, each in zip(place(counts, places), per_row, strict=True)
    ]
    video = np.repeat(np.arange(len(x)), [len(rows) for rows in x])
    return ImportedRows(
        np.concatenate(x),
        video.astype(np.int32),
        np.concatenate(frame).astype(np.int32),
        None,
        windows=True,
    )


def _straighten(values: NDArray[Any], clip: Video, layout: Layout) -> NDArray[Any]:
    """[frames] of a number a frame as MATLAB has it, [frames, 1] or [1, frames]."""
    vectors = (clip.frames, 1), (1, clip.frames)
    return values.ravel() if layout.snippet == 1 and values.shape in vectors else values
