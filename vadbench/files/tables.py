"""Files of anyone's scores, labels and boxes, as arrays: csv, parquet, npz, and folders with a file
a video, named after it.

A csv, parquet or npz file has the named columns (an npz one array each); others are passed over. A
folder of boxes has comma-separated txt without a header, as the published RBDC/TBDC script:
`frame,x0,y0,x1,y1,score` for detections, `track,frame,x0,y0,x1,y1` for tracks. A folder of scores
or labels has txt of a number a line, or npy, a value a frame. Frames are numbered from 0. Names of
videos and tracks are text in every format, kept as they are spelt.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.files.npy import read_npy
from vadbench.files.npz import open_npz
from vadbench.files.parquet import parquet_names, read_parquet

Columns = dict[str, NDArray[Any]]
NAMES = ("video", "track")  # columns of text; all others hold numbers
LONGEST_NAME = 1000  # characters
BOX = ("x0", "y0", "x1", "y1")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")  # not `1_0`, which Python takes for 10
DETECTIONS = ("video", "frame", *BOX, "score")
OTHER_BOX = ("x1", "y1", "x2", "y2")  # what others call these columns
TRACKS = ("video", "track", "frame", *BOX)


@dataclass(frozen=True)
class FrameTable:
    """One value for every frame of every video, in the order of the videos' names.

    Attributes:
        path: where it was read.
        lengths: video -> frames T_v.
        values: [T] float64, T = sum of the lengths; frame 0 to T_v - 1 of each video.
    """

    path: Path
    lengths: dict[str, int]
    values: NDArray[np.float64]


def read_frames(path: Path, column: str, first: int = 0) -> FrameTable:
    """The `column` (score or label) of a file with `video,frame,<column>`, its rows in any order;
    or of a folder with a txt or npy a video.

    Args:
        path: the file or folder.
        column: its name, `score` or `label`.
        first: the number of a video's first frame in the file.

    Raises:
        BadInput: if the file cannot be read, or unless each video has every frame from the first
            once, with a number (score) or 0 or 1 (label).
    """
    if path.is_dir():
        return _read_frame_folder(path, column)
    found = read_columns(path, ("video", "frame", column))
    values, names = check_values(found[column], path, column), found["video"]
    frame = _whole(found["frame"], path, "frame", first) - first
    if not len(frame):
        raise BadInput(
            f"{path}: no row; expected one a frame, with the columns video, frame, {column}"
        )
    videos, code, lengths = np.unique(names, return_inverse=True, return_counts=True)
    order = np.lexsort((frame, code))
    expected = np.arange(len(order)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    wrong = frame[order] != expected
    if wrong.any():
        place = int(np.argmax(wrong))
        video, at = videos[code[order[place]]], int(frame[order[place]])
        if at < expected[place]:
            raise BadInput(
                f"{path}: frame {at + first} of video {video} has two rows or more; expected one a"
                " frame"
            )
        from_one = not first and all(frame[code == one].min() == 1 for one in range(len(videos)))
        raise BadInput(
            f"{path}: frame {expected[place] + first} of video {video} is missing; expected every"
            f" frame once, numbered from {first}"
            + ("; if they count from 1, say so with --first-frame 1" if from_one else "")
        )
    return FrameTable(
        path, dict(zip(videos.tolist(), lengths.tolist(), strict=True)), values[order]
    )


def read_lengths(path: Path) -> dict[str, int]:
    """Video -> number of frames in the order of the names, from a file with `video,frames`, or
    counted in labels (`read_frames`).

    Raises:
        BadInput: if the file cannot be read, has neither form, or names a video twice.
    """
    if path.is_dir() or "frames" not in column_names(path):
        return read_frames(path, "label").lengths
    found = read_columns(path, ("video", "frames"))
    frames = _whole(found["frames"], path, "frames", 1)
    videos, first, rows = np.unique(found["video"], return_index=True, return_counts=True)
    if not len(videos):
        raise BadInput(f"{path}: no row; expected one a test video, with the columns video, frames")
    if (rows > 1).any():
        raise BadInput(
            f"{path}: video {videos[np.argmax(rows > 1)]} has two rows or more; expected one a"
            " video"
        )
    return dict(zip(videos.tolist(), frames[first].tolist(), strict=True))


def read_detections(path: Path) -> Columns:
    """Columns video, frame, x0, y0, x1, y1, score [D] of a file, or of a folder of txt; as
    `vadbench.evaluation.metrics.region_metrics` takes them.

    Raises:
        BadInput: if the file cannot be read, or on NaN scores, boxes that are not finite or
            inverted, frames that are no whole numbers.
    """
    return _read_boxes(path, "detections", DETECTIONS)


def read_tracks(path: Path) -> Columns:
    """Columns video, track, frame, x0, y0, x1, y1 [G] of a file, or of a folder of txt; a file may
    call the corners x1, y1, x2, y2.

    Raises as `read_detections`.
    """
    if path.is_file():
        names = column_names(path)
        if "x2" in names and "x0" not in names:
            corners = dict(zip(OTHER_BOX, BOX, strict=True))
            found = read_columns(path, (*TRACKS[:3], *corners))
            named = {corners.get(name, name): values for name, values in found.items()}
            return _checked(named, "ground_truth", path)
    return _read_boxes(path, "ground_truth", TRACKS)


def doubts(*paths: Path) -> list[str]:
    """What may be damage, though it can be read: a line for each of these files and folders.

    Files of a folder without a row are whole where a video has none, and a last line without its
    end where somebody wrote it by hand.
    """
    found = []
    for path in paths:
        texts = [path] if path.suffix.lower() == ".csv" else sorted(path.glob("*.txt"))
        texts = [file for file in texts if file.is_file() and not file.name.startswith(".")]
        empty = [file.name for file in texts if not file.stat().st_size]
        open_ended = [file.name for file in texts if file.stat().st_size and not _ends(file)]
        if empty:
            found.append(f"{path}: {_some(empty)} {_are(empty)} empty, of no row")
        if open_ended:
            found.append(
                f"{path}: {_some(open_ended)} {_are(open_ended)} without the end of the last line,"
                " perhaps cut off"
            )
    return found


def _ends(path: Path) -> bool:
    """Whether the last line has its end."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() in b"\r\n"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} others" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def column_names(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        BadInput: if there is no such file, it cannot be read, or its suffix is not csv, parquet or
            npz.
    """
    names: list[str] = _attempt(path, _format(path).names)
    return names


def read_columns(path: Path, needed: Sequence[str]) -> Columns:
    """The needed columns [N] of a file: video and track as text, the others as float64 (missing
    numbers as NaN).

    Raises:
        BadInput: if there is no such file, it cannot be read, lacks a column, or a column does not
            hold one name or number a row.
    """
    present = column_names(path)
    for column in needed:
        if present.count(column) != 1:
            trouble = "no column" if column not in present else "more than one column"
            raise BadInput(
                f"{path}: {trouble} {column}; expected {', '.join(needed)}, found"
                f" {', '.join(present[:12]) or 'none'}"
            )
    found = _attempt(path, lambda there: _format(there).read(there, needed))
    columns = {
        name: (
            _names(found[name], path, name) if name in NAMES else _numbers(found[name], path, name)
        )
        for name in needed
    }
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise BadInput(f"{path}: columns of different length {lengths}; expected one value a row")
    return columns


@dataclass(frozen=True)
class _Format:
    """How to read one kind of file: the names of its columns, and some columns of it."""

    names: Callable[[Path], list[str]]
    read: Callable[[Path, Sequence[str]], Mapping[str, Any]]


def _format(path: Path) -> _Format:
    formats = {
        ".csv": _Format(_csv_names, _read_csv),
        ".parquet": _Format(parquet_names, read_parquet),
        ".npz": _Format(_npz_names, _read_npz),
    }
    if path.suffix.lower() not in formats or path.is_dir():
        raise BadInput(
            f"{path}: {'a folder' if path.is_dir() else 'an unknown kind of file'}; expected a file"
            " named *.csv, *.parquet or *.npz"
        )
    return formats[path.suffix.lower()]


def _attempt(path: Path, read: Callable[[Path], Any]) -> Any:
    """What `read` gives; what the libraries raise on a missing or broken file becomes one line."""
    try:
        return read(path)
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; expected a csv, parquet or npz file") from error
    # pyarrow's errors are among them; MemoryError, OverflowError: cells that no file of ours has
    except (OSError, ValueError, KeyError, csv.Error, MemoryError, OverflowError) as error:
        raise BadInput(
            f"{path}: cannot be read as {path.suffix[1:]} ({' '.join(str(error).split())}); write"
            " the file again"
        ) from error


def _csv_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _read_csv(path: Path, needed: Sequence[str]) -> Mapping[str, Any]:
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ReadOptions, read_csv

    types = {name: pa.string() if name in NAMES else pa.float64() for name in needed}
    with path.open("rb") as file:
        header = file.readline()
        if not file.read(1 << 16).strip():  # pyarrow refuses a file without rows
            return {name: np.zeros(0, str if name in NAMES else float) for name in needed}
        file.seek(len(header))
        table = read_csv(
            file,
            ReadOptions(column_names=_csv_names(path)),
            None,
            ConvertOptions(column_types=types, include_columns=list(needed)),
        )
    return {name: table[name].to_numpy() for name in needed}


def _npz_names(path: Path) -> list[str]:
    with open_npz(path) as arrays:
        return list(arrays)


def _read_npz(path: Path, needed: Sequence[str]) -> Mapping[str, Any]:
    with open_npz(path) as arrays:
        return {name: arrays[name] for name in needed}


def _names(values: Any, path: Path, column: str) -> NDArray[Any]:
    """[N] text; whole numbers become their digits."""
    names = np.asarray(values)
    if names.ndim == 1 and names.dtype.kind in "iu":
        return names.astype(str)
    if names.ndim == 1 and names.dtype.kind in "SU" and names.dtype.itemsize <= 4 * LONGEST_NAME:
        return _plain_names(names, path, column)
    texts = (
        names.tolist() if names.ndim == 1 and (names.dtype.kind in "UO" or not len(names)) else None
    )
    if texts is None:
        raise BadInput(
            f"{path}: column {column} is of type {names.dtype}, shape {names.shape}; expected one"
            " name or whole number a row"
        )
    odd = next(
        (row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()),
        None,
    )
    if odd is not None:
        raise BadInput(f"{path}: row {odd} has {column} {texts[odd]!r}; expected a name")
    # before there is an array of so many characters a row
    long = next((row for row, text in enumerate(texts) if len(text) > LONGEST_NAME), None)
    if long is not None:
        raise BadInput(
            f"{path}: row {long} has a {column} of {len(texts[long])} characters; expected a name"
        )
    return np.array([text.strip() for text in texts], str)


def _plain_names(names: NDArray[Any], path: Path, column: str) -> NDArray[Any]:
    """[N] the names of an array of texts."""
    try:
        names = np.char.decode(names, "utf-8") if names.dtype.kind == "S" else names
        names = np.char.strip(names)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: column {column} holds bytes that are no text ({error})") from error
    if len(empty := np.flatnonzero(names == "")):
        raise BadInput(f"{path}: row {empty[0]} has {column} ''; expected a name")
    return names if len(names) else np.zeros(0, str)


def _numbers(values: Any, path: Path, column: str) -> NDArray[np.float64]:
    try:
        found = np.asarray(values)
        if found.dtype.kind in "mMcV":  # dates, whose numbers are none, and pairs of numbers
            raise TypeError(f"values of type {found.dtype}")
        with np.errstate(invalid="ignore"):  # a NaN that warns of itself
            numbers = found.astype(np.float64, casting="unsafe")
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(
            f"{path}: column {column} holds something other than numbers ({error})"
        ) from error
    if numbers.ndim != 1:
        raise BadInput(
            f"{path}: column {column} has shape {numbers.shape}; expected one number a row"
        )
    return numbers


def _whole(values: NDArray[np.float64], path: Path, column: str, least: int) -> NDArray[np.int64]:
    good = (
        np.isfinite(values) & (values >= least) & (values == np.floor(values)) & (values < 1 << 53)
    )
    _require(good, values, path, column, f"a whole number from {least}")
    return values.astype(np.int64)


def _require(
    good: NDArray[np.bool_], values: NDArray[np.float64], path: Path, column: str, expected: str
) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise BadInput(f"{path}: row {row} has {column} {values[row]:g}; expected {expected}")


def _read_boxes(path: Path, table: str, needed: Sequence[str]) -> Columns:
    if not path.is_dir():
        return _checked(read_columns(path, needed), table, path)
    files = sorted(file for file in path.glob("*.txt") if not file.name.startswith("."))
    if not files:
        raise BadInput(
            f"{path}: no txt file in the folder; expected one a video, rows {','.join(needed[1:])},"
            " or give a csv, parquet or npz file"
        )
    parts = [_checked(_read_txt(file, needed), table, file) for file in files]
    return {name: _join([part[name] for part in parts]) for name in needed}


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """All videos' values; numbers of tracks become text where another video's tracks have names."""
    kinds = {part.dtype.kind == "U" for part in parts}
    if len(kinds) > 1:
        parts = [
            part if part.dtype.kind == "U" else np.array([f"{number:.17g}" for number in part], str)
            for part in parts
        ]
    return np.concatenate(parts)


def _read_txt(path: Path, needed: Sequence[str]) -> Columns:
    """One video's rows in the published script's form; no row and one row are as good as many."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        cells = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read ({' '.join(str(error).split())}); expected rows"
            f" {','.join(needed[1:])}"
        ) from error
    odd = next((row for row, of_row in enumerate(cells) if len(of_row) != len(needed) - 1), None)
    if odd is not None:
        raise BadInput(
            f"{path}: {len(cells[odd])} numbers a row; expected {','.join(needed[1:])} (row {odd})"
        )
    columns = (
        dict(zip(needed[1:], zip(*cells, strict=True), strict=True))
        if cells
        else dict.fromkeys(needed[1:], ())
    )
    read = {
        name: _track_names(column) if name in NAMES else _txt_numbers(column, path, name)
        for name, column in columns.items()
    }
    return {"video": np.full(len(cells), path.stem), **read}


def _track_names(cells: Sequence[str]) -> NDArray[Any]:
    """[N] numbers where all are, however they are written (`1`, `1.0`), else text."""
    return np.array(cells, np.float64 if all(map(NUMBER.fullmatch, cells)) else str)


def _txt_numbers(cells: Sequence[str], path: Path, column: str) -> NDArray[np.float64]:
    try:
        return np.array(cells, np.float64)
    except ValueError as error:
        raise BadInput(f"{path}: not a table of numbers: column {column} ({error})") from error


def check_values(values: NDArray[np.float64], path: Path, column: str) -> NDArray[np.float64]:
    """The scores or labels of a file, if they are some.

    Raises:
        BadInput: naming the first that is none.
    """
    known = np.isin(values, (0, 1)) if column == "label" else ~np.isnan(values)
    _require(
        known,
        values,
        path,
        column,
        "0 (normal) or 1 (anomalous)" if column == "label" else "a number",
    )
    return values


def _read_frame_folder(path: Path, column: str) -> FrameTable:
    """A value a frame from `<video>.txt`, a number a line, or `<video>.npy`, an array [T]."""
    found = {
        kind: [file for file in sorted(path.glob(f"*.{kind}")) if not file.name.startswith(".")]
        for kind in ("txt", "npy")
    }
    files = found["txt"] or found["npy"]
    if not files or all(found.values()):
        trouble = "both txt and npy files" if files else "no txt and no npy file"
        raise BadInput(
            f"{path}: {trouble} in the folder; expected one a video, a {column} a frame, or give a"
            " csv, parquet or npz file"
        )
    parts = {file.stem: read_values(file, column) for file in files}
    order = sorted(parts)  # as the names of a file are
    return FrameTable(
        path,
        {name: len(parts[name]) for name in order},
        np.concatenate([parts[name] for name in order]),
    )


def read_values(path: Path, column: str) -> NDArray[np.float64]:
    """[T] the numbers of a txt, one a line, or of an npy with one array.

    Raises:
        BadInput: if the file cannot be read, or holds something else.
    """
    expected = (
        f"expected a {column} a frame,"
        f" {'an array [frames]' if path.suffix == '.npy' else 'one a line'}"
    )
    try:
        if path.suffix == ".npy":
            values = read_npy(path)
        else:
            values = np.array(
                [
                    float(line)
                    for line in path.read_text(encoding="utf-8-sig").split("\n")
                    if line.strip()
                ]
            )
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read ({' '.join(str(error).split())}); {expected}"
        ) from error
    return flatten(values, path, column, expected)


def flatten(values: NDArray[Any], path: Path, column: str, expected: str) -> NDArray[np.float64]:
    """[T] an array of one dimension but for sides of 1, its numbers checked as `column`.

    Raises:
        BadInput: with what was `expected`, if it is another.
    """
    if (
        values.dtype.kind not in "biuf"
        or not values.size
        or values.size != max(values.shape, default=0)
    ):
        raise BadInput(f"{path}: {values.dtype} of shape {list(values.shape)}; {expected}")
    return check_values(values.ravel().astype(np.float64), path, column)


def _checked(columns: Columns, table: str, path: Path) -> Columns:
    """The columns, if the region metrics take them; here, so that messages name the file and its
    row.
    """
    try:
        read_boxes(columns, table)
        if table == "detections":
            read_scores(columns)
    except BadInput as error:
        raise BadInput(f"{path}: {str(error).removeprefix(f'{table}: ')}") from error
    return columns
