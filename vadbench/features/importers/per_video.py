"""An array or a file a clip, of rows that cover the clip's frames one after the other: I3D snippets, C3D segments."""

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

SEGMENTS = 32  # of a clip, in the C3D features released with UCF-Crime (Sultani et al. 2018)
Windows = NDArray[np.int64]


def read_npy_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.npy` each, in subfolders or not: [rows, D], or [rows, crops, D] as RTFM's ten-crop I3D.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or of other frames.
    """
    files = clip_files(path, clips, layout, ".npy")
    return _windows(clips, lambda number: (read_npy(files[number]), str(files[number])), layout.snippet, layout.crops)


def read_c3d_folder(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """A folder with `<clip><suffix>.txt` each, in subfolders or not: 32 lines of D numbers, of equal shares of the clip's frames.

    Raises:
        BadInput: naming the first clip whose file is missing, broken, or not of 32 lines.
    """
    files = clip_files(path, clips, layout, ".txt")

    def read(number: int) -> tuple[NDArray[Any], str]:
        x = read_txt(files[number])
        if len(x) != SEGMENTS:
            raise BadInput(f"{files[number]}: {len(x)} lines for {clips.named(clips.videos[number])}, expected {SEGMENTS}, one a segment")
        return x, str(files[number])

    return _windows(clips, read, 0, "keep")


def read_arrays(arrays: dict[str, NDArray[Any]], path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """Arrays named after the clips, each [rows, D] or [rows, crops, D].

    Raises:
        BadInput: naming the first clip whose array is missing or of other frames.
    """
    of = clips.match(arrays, path, "array")
    return _windows(clips, lambda number: (arrays[of[number]], f"{path}: array {of[number]}"), layout.snippet, layout.crops)


def clip_files(path: Path, clips: Clips, layout: Layout, extension: str) -> dict[int, Path]:
    """Clip -> its file under the folder `path`.

    Raises:
        BadInput: if a clip has none or two, or a file belongs to no clip.
    """
    if not path.is_dir():
        raise BadInput(f"{path}: no such folder; expected one with a {extension} file a clip")
    files: dict[str, Path] = {}
    for file in sorted(path.rglob(f"*{extension}")):
        name = file.stem.removesuffix(layout.suffix)
        if name in files:
            raise BadInput(f"{path}: two files for clip {name}: {files[name].relative_to(path)} and {file.relative_to(path)}; take one out")
        files[name] = file
    return {number: files[name] for number, name in clips.match(files, path, "file").items()}


def shares(frames: int, rows: int) -> tuple[Windows, Windows]:
    """First frame and end (exclusive) of each of `rows` equal shares of a clip: row k has floor(k T / rows) to floor((k + 1) T / rows)."""
    edges = np.arange(rows + 1) * frames // rows
    return edges[:-1], edges[1:]


def middle(start: Windows, end: Windows) -> Windows:
    """The middle frame of each share, the earlier of two.

    Evaluation gives a frame the score of the nearest row, the earlier of two: with these middles, exactly the frames of each row's share.
    """
    found: Windows = start + np.maximum(end - start - 1, 0) // 2
    return found


def _windows(clips: Clips, read: Callable[[int], tuple[NDArray[Any], str]], snippet: int, crops: str) -> ImportedRows:
    """All clips' rows in order, each checked as soon as it is read."""
    x: list[Floats] = []
    video, frame = [], []
    for number, clip in enumerate(clips.videos):
        values, where = read(number)
        rows = _crops(numbers(values, where), where, crops)
        middles = np.repeat(_middles(len(rows), clip, clips, snippet, where), rows.shape[1])
        x.append(finite(rows.reshape(-1, rows.shape[2]), where, lambda row, each=rows.shape[1]: f"row {row // each}"))  # type: ignore[misc]
        if x[-1].shape[1] != x[0].shape[1]:
            raise BadInput(f"{where}: rows of {x[-1].shape[1]} numbers for {clips.named(clip)}, the clips before it have {x[0].shape[1]}")
        video.append(np.full(len(middles), number))
        frame.append(middles)
    return ImportedRows(np.concatenate(x), np.concatenate(video).astype(np.int32), np.concatenate(frame).astype(np.int32), None, windows=True)


def _crops(values: NDArray[Any], where: str, crops: str) -> NDArray[Any]:
    """[rows, crops or 1, D]."""
    if values.ndim not in (2, 3) or not values.size:
        raise BadInput(f"{where}: an array of shape {list(values.shape)}, expected [rows, features] or [rows, crops, features]")
    if values.ndim == 2:
        return values[:, None]
    return values.mean(1, np.float64, keepdims=True) if crops == "average" else values


def _middles(rows: int, clip: Video, clips: Clips, snippet: int, where: str) -> Windows:
    """[rows] the frame that each row scores."""
    if not snippet:
        return middle(*shares(clip.frames, rows))
    least, most = max(1, clip.frames // snippet), -(-clip.frames // snippet)  # the last frames may have made a row or not
    if not least <= rows <= most:
        expected = f"{least}" if least == most else f"{least} or {most}"
        raise BadInput(
            f"{where}: {rows} rows for {clips.named(clip)}, which has {clip.frames} frames, expected {expected}, one per {snippet} frames; "
            "--snippet says how many frames a row covers (0: the rows share the clip equally)"
        )
    start = np.arange(rows) * snippet
    return middle(start, np.minimum(start + snippet, clip.frames))
