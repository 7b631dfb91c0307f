"""Scores a frame from every kind of file that other code writes.

A file with columns (csv, parquet, npz) and a folder with a txt or npy a video name their videos.
So do npz and mat files with an array a video. An array of all frames (npy, npz or mat with one
array, txt) and a mat file with a cell a video do not: they follow the videos that are known, in
their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.facts import facts_names
from vadbench.errors import BadInput, cut
from vadbench.external.lengths import Known
from vadbench.files.mat import NewerMat, read_mat
from vadbench.files.npz import open_npz
from vadbench.files.tables import FrameTable, check_values, flatten, read_frames, read_values
from vadbench.files.text import read_text

KINDS = ".csv, .parquet, .npz, .npy, .mat, .txt, or a folder with a txt or npy a video"
Arrays = Mapping[str, NDArray[Any]]


def read_frame_file(
    path: Path, column: str, known: Known | None = None, first: int = 0
) -> FrameTable:
    """A value a frame.

    Args:
        path: a file or folder, as the module says.
        column: `score` (higher = more anomalous) or `label` (0 or 1).
        known: the videos they are of, in their order; None: the file names them.
        first: the number of a video's first frame, in files with a column `frame`.

    Raises:
        BadInput: if the file cannot be read, or holds something else.
    """
    kind = path.suffix.lower()
    if path.is_dir() or kind in (".csv", ".parquet"):
        return read_frames(path, column, first)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected {KINDS}")
    if kind == ".npz":
        return _read_npz(path, column, known, first)
    if kind == ".mat":
        return _of_arrays(_read_mat(path), path, column, known)
    if kind == ".txt":
        return _of_all(read_numbers(path), path, column, known)
    if kind == ".npy":
        return _of_all(read_values(path, column), path, column, known)
    raise BadInput(f"{path}: an unknown kind of file; expected {KINDS}")


def names_videos(path: Path) -> bool:
    """Whether a file of values a frame says which video each is of.

    Raises:
        BadInput: if it cannot be read.
    """
    kind = path.suffix.lower()
    if kind not in (".npz", ".mat"):
        return kind not in (".npy", ".txt") or path.is_dir()
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected {KINDS}")
    return len(_open_npz(path) if kind == ".npz" else _read_mat(path)) > 1


def read_numbers(path: Path) -> NDArray[np.float64]:
    """[T] the numbers of a text file, apart by blanks, commas or line ends.

    Raises:
        BadInput: naming the line that holds something else.
    """
    numbers: list[float] = []
    for row, line in enumerate(read_lines(path), 1):
        try:
            numbers += map(float, line.replace(",", " ").split())
        except ValueError:
            raise BadInput(
                f"{path}: line {row} is {line.strip()[:40]!r}; expected numbers, a value a frame"
            ) from None
    return np.array(numbers, np.float64)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        BadInput: if it cannot be read.
    """
    try:
        return read_text(path).split("\n")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_npz(path: Path, column: str, known: Known | None, first: int) -> FrameTable:
    found = _open_npz(path)
    if {"video", "frame"} <= set(found):
        return read_frames(path, column, first)
    return _of_arrays(found, path, column, known)


def _open_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with open_npz(path) as arrays:
            return dict(arrays.items())
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read as npz ({cut(str(error))}); write the file again"
        ) from error


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_mat(path)
    except NewerMat as error:
        raise BadInput(f"{path}: a MATLAB 7.3 file; save it again with `save -v7`") from error
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read as mat ({cut(str(error))}); write the file again"
        ) from error


def _of_arrays(arrays: Arrays, path: Path, column: str, known: Known | None) -> FrameTable:
    """One array of all frames, a cell with an array a video, or named arrays, a video each."""
    if not arrays:
        raise BadInput(f"{path}: no array in it; expected a {column} a frame")
    if len(arrays) > 1 or (known is not None and set(arrays) == set(known.lengths)):
        parts = {name: _flatten(arrays[name], path, column, name) for name in sorted(arrays)}
        return _join(parts, path)
    (only,) = arrays.values()
    if only.dtype == object:
        return _of_cells(only.ravel(), path, column, _require_known(known, path))
    return _of_all(_flatten(only, path, column, next(iter(arrays))), path, column, known)


def _of_cells(cells: NDArray[Any], path: Path, column: str, known: Known) -> FrameTable:
    """A cell a video, in their order."""
    if len(cells) != len(known.lengths):
        raise BadInput(
            f"{path}: {len(cells)} cells where {known.source} has {len(known.lengths)} videos;"
            " expected an array a video"
        )
    parts = {
        name: _flatten(cell, path, column, f"the cell of video {name}")
        for name, cell in zip(known.lengths, cells, strict=True)
    }
    return _join(parts, path)


def _of_all(
    values: NDArray[np.float64], path: Path, column: str, known: Known | None
) -> FrameTable:
    """An array of all frames of all videos, in their order."""
    checked = check_values(values, path, column)
    return _join(_require_known(known, path).split(checked, path), path)


def _require_known(known: Known | None, path: Path) -> Known:
    if known is None:
        raise BadInput(
            f"{path}: an array of all frames names no video; say whose they are with --dataset (of"
            f" {', '.join(facts_names())} the frames are known), or give the other file with names"
        )
    return known


def _flatten(values: NDArray[Any], path: Path, column: str, name: str) -> NDArray[np.float64]:
    return flatten(values, path, column, f"expected a {column} a frame, an array [frames], {name}")


def _join(parts: Mapping[str, NDArray[np.float64]], path: Path) -> FrameTable:
    lengths = {name: len(values) for name, values in parts.items()}
    return FrameTable(path, lengths, np.concatenate(list(parts.values())))
