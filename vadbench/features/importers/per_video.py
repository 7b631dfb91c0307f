"""An array or a file a clip, or a file a crop of it, of rows that cover the clip's frames: I3D
snippets, C3D segments, windows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.importers.arrays import read_npy, read_txt
from vadbench.features.importers.clips import Clips, Floats, ImportedRows, Layout, finite, numbers
from vadbench.features.importers.placement import SEGMENTS, Windows, middle, place_rows, shares

CROP = re.compile(r"(?P<clip>.+)__(?P<crop>\d{1,2})")  # UR-DMU's, XD-Violence's, VadCLIP's
Read = Callable[[int], tuple[NDArray[Any], str]]  # the clip's array, and where it was read


def read_npy_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.npy` each, in subfolders or not: [rows, D], or [rows, crops, D]
    as RTFM's ten-crop I3D.

    Or a file a crop, `<clip>__0.npy` and so on, [rows, D] each.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or of other frames.
    """
    files = clip_files(path, clips, layout, ".npy")
    return _in_windows(clips, lambda number: _read_crops(files[number], read_npy), layout)


def read_c3d_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.txt` each, in subfolders or not: 32 lines of D numbers, of
    equal shares of the clip's frames.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or not of 32 lines.
    """
    files = clip_files(path, clips, layout, ".txt")

    def read(number: int) -> tuple[NDArray[Any], str]:
        x, where = _read_crops(files[number], read_txt)
        if len(x) != SEGMENTS:
            raise BadInput(
                f"{where}: {len(x)} lines for {clips.describe(clips.videos[number])}, expected"
                f" {SEGMENTS}, one a segment"
            )
        return x, where

    middles = [middle(*shares(clip.frames, SEGMENTS)) for clip in clips.videos]
    return _of_clips(clips, read, layout.crops, lambda rows, where: middles)


def read_arrays(
    arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, layout: Layout
) -> ImportedRows:
    """Arrays named after the clips, each [rows, D] or [rows, crops, D]; or one a crop, `<clip>__0`
    and so on.

    Raises:
        BadInput: naming the first clip whose array is missing or of other frames.
    """
    of = _match_crops(arrays, path, clips, "array")

    def read(number: int) -> tuple[NDArray[Any], str]:
        named = {f"{path}: array {name}": arrays[name] for name in of[number]}
        return _stack(named), next(iter(named))

    return _in_windows(clips, read, layout)


def clip_files(
    path: Path, clips: Clips, layout: Layout, extension: str
) -> dict[int, tuple[Path, ...]]:
    """Clip -> its file under the folder `path`, or its crops' files in their order.

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
    matched = _match_crops(files, path, clips, "file", layout.suffix)
    return {number: tuple(files[name] for name in names) for number, names in matched.items()}


def _match_crops(
    found: Iterable[str], path: Path, clips: Clips, what: str, suffix: str = ""
) -> dict[int, list[str]]:
    """Clip -> the names of its crops in order; of its one file or array where there are no
    crops.
    """
    known, whole = clips.names, []
    crops: dict[str, dict[int, str]] = {}
    for name in found:
        parts = CROP.fullmatch(name)
        if parts and name.rpartition("/")[2] not in known:
            crops.setdefault(parts["clip"].removesuffix(suffix), {})[int(parts["crop"])] = name
        else:
            whole.append(name)
    both = next((name for name in whole if name in crops), None)
    if both is not None:
        other = next(iter(crops[both].values()))
        raise BadInput(
            f"{path}: {what} {both}{suffix} beside {other}, a crop of the same clip; leave --suffix"
            " out, or take one out"
        )
    if not crops:
        return {number: [name] for number, name in clips.match(whole, path, what).items()}
    of = clips.match([*whole, *crops], path, what)
    ordered = {number: dict(sorted(crops.get(name, {}).items())) for number, name in of.items()}
    _require_all_crops(ordered, of, path, clips, what)
    return {number: list(names.values()) for number, names in ordered.items()}


def _require_all_crops(
    of: dict[int, dict[int, str]], named: dict[int, str], path: Path, clips: Clips, what: str
) -> None:
    """Refuse a clip that lacks a crop: its average would be another one."""
    known = sorted({crop for crops in of.values() for crop in crops})
    if not known:  # they are the other splits'
        return
    expected = range(min(known[0], 1), known[-1] + 1)
    for number, crops in of.items():
        missing = next((crop for crop in expected if crop not in crops), None)
        if missing is not None:
            told = (
                f"{path}: no {what} {named[number]}__{missing} for"
                f" {clips.describe(clips.videos[number])}"
            )
            raise BadInput(
                f"{told}, expected the crops {expected[0]} to {expected[-1]} of every clip"
            )


def _read_crops(
    files: tuple[Path, ...], read: Callable[[Path], NDArray[Any]]
) -> tuple[NDArray[Any], str]:
    return _stack({str(file): read(file) for file in files}), str(files[0])


def _stack(crops: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """[rows, D] or [rows, crops, D] of one array, [rows, crops, D] of one a crop."""
    (first, values), *others = crops.items()
    if not others:
        return values
    for where, crop in crops.items():
        if crop.ndim != 2 or crop.shape != values.shape:
            told = (
                f"{where}: an array of shape {list(crop.shape)} beside {list(values.shape)} in"
                f" {first}"
            )
            raise BadInput(f"{told}; expected crops of equal [rows, features]")
    return np.stack(list(crops.values()), 1)


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

    return _of_clips(clips, read, layout.crops, place)


def _of_clips(
    clips: Clips, read: Read, crops: str, place: Callable[[list[int], list[str]], list[Windows]]
) -> ImportedRows:
    """All clips' rows in order, each checked as soon as it is read; `place` says which frames they
    score.
    """
    x: list[Floats] = []
    counts, seen, per_row, places = [], [], [], []
    for number, clip in enumerate(clips.videos):
        values, where = read(number)
        rows = _crops(numbers(values, where), where, crops)
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


def _crops(values: NDArray[Any], where: str, crops: str) -> NDArray[Any]:
    """[rows, crops or 1, D]."""
    if values.ndim not in (2, 3) or not values.size:
        raise BadInput(
            f"{where}: an array of shape {list(values.shape)}, expected [rows, features] or [rows,"
            " crops, features]"
        )
    if values.ndim == 2:
        return values[:, None]
    return values.mean(1, np.float64, keepdims=True) if crops == "average" else values
