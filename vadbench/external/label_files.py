"""Ground truth a frame from every kind of file that data sets come with.

All that `frame_files` reads, with 0 and 1; lines of intervals in a txt; the intervals of UCSD's m
files; and a folder of masks, a folder of pictures, an npy [T, H, W] or a mat file with a cell a
frame (Avenue's) a video, where a frame is anomalous if its mask is not empty.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.folders import image_paths
from vadbench.datasets.masks import mark, read_mask
from vadbench.datasets.matching import match_names
from vadbench.datasets.ucsd import parse_intervals
from vadbench.errors import BadInput, cut
from vadbench.external.align import match_numbers
from vadbench.external.frame_files import read_frame_file, read_lines
from vadbench.external.lengths import Known
from vadbench.files.mat import read_mat
from vadbench.files.npy import load_npy
from vadbench.files.tables import FrameTable

Intervals = dict[str, list[tuple[int, int]]]
SUFFIX = re.compile(r"(\.(mp4|avi|mkv|mov|webm))$", re.IGNORECASE)
MASKS = re.compile(r"(_gt|_mask|_masks|_label)$", re.IGNORECASE)
OVERRUN = 2  # frames by which a release's intervals end after their video at most
MOST_MASKS = 1 << 30  # bytes of a video's masks
UNKNOWN = (
    "intervals do not say how many frames a video has; give scores that name their videos, or"
    " --dataset"
)
NEITHER = "expected `video start end`, or UCF-Crime's `video class start end start end`"


def read_labels(path: Path, known: Known | None = None, first: int = 0) -> FrameTable:
    """Labels a frame, 0 (normal) or 1 (anomalous).

    Args:
        path: a file or folder, as the module says.
        known: the videos they are of, in their order; None: the file names them.
        first: the number of a video's first frame in the file; in UCF-Crime's lines it is 1.

    Raises:
        BadInput: if the file cannot be read, or holds something else.
    """
    if path.is_dir() and _has_masks(path):
        return _read_masks(path)
    if path.suffix == ".m" and path.is_file():
        return _read_clips(path, known)
    if path.suffix.lower() == ".txt" and path.is_file():
        rows = _split_lines(path)
        if not all(word in ("0", "1", "0.0", "1.0") for _, row in rows for word in row):
            return _read_intervals(rows, path, known, first)
    return read_frame_file(path, "label", known, first)


def _read_clips(path: Path, known: Known | None) -> FrameTable:
    """The intervals of UCSD's m file, a line a clip in the order of the clips."""
    if known is None:
        raise BadInput(f"{path}: {UNKNOWN}")
    clips = parse_intervals(path)
    if len(clips) != len(known.lengths):
        raise BadInput(
            f"{path}: intervals of {len(clips)} clips where {known.source} has {len(known.lengths)}"
        )
    parts = [
        _mark_intervals([(low - 1, high - 1) for low, high in spans], frames, f"{path}: {video}")
        for (video, frames), spans in zip(known.lengths.items(), clips, strict=True)
    ]
    return FrameTable(path, dict(known.lengths), np.concatenate(parts))


def _split_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Number and words of each line that is not empty."""
    lines = (line.replace(",", " ").split() for line in read_lines(path))
    return [(number, words) for number, words in enumerate(lines, 1) if words]


def _read_intervals(
    rows: list[tuple[int, list[str]]], path: Path, known: Known | None, first: int
) -> FrameTable:
    """Anomalous from the first to the last frame of each interval, both inclusive; a video without
    a line is normal.
    """
    if known is None:
        raise BadInput(f"{path}: {UNKNOWN}")
    intervals: Intervals = {}
    for number, words in rows:
        name, spans = _parse_line(words, f"{path}: line {number}", first)
        intervals.setdefault(name, []).extend(spans)
    matched = match_names(intervals, known.lengths)
    numbered = match_numbers(intervals, known.lengths) if matched.extra else {}
    partner = numbered or matched.partner
    if matched.extra and not numbered:
        raise BadInput(
            f"{path}: video {matched.extra[0]} is none of {known.source}, which has"
            f" {', '.join(list(known.lengths)[:3])}, …; is it another split's?"
        )
    of = {video: name for name, video in partner.items()}
    parts = [
        _mark_intervals(intervals.get(of.get(video, ""), []), frames, f"{path}: video {video}")
        for video, frames in known.lengths.items()
    ]
    return FrameTable(path, dict(known.lengths), np.concatenate(parts))


def _parse_line(words: list[str], where: str, first: int) -> tuple[str, list[tuple[int, int]]]:
    """The video of a line and its intervals, counted from 0."""
    released = len(words) > 1 and not _is_number(words[1])  # UCF-Crime names the class
    numbers = words[2:] if released else words[1:]
    if not all(map(_is_number, numbers)) or len(numbers) % 2:
        raise BadInput(f"{where} is {' '.join(words)[:60]!r}; {NEITHER}")
    start = 1 if released else first
    pairs = zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True)
    spans = [(low - start, high - start) for low, high in pairs if (low, high) != (-1, -1)]
    for low, high in spans:
        if not 0 <= low <= high:
            raise BadInput(
                f"{where}: interval {low + start} {high + start}; expected a first and a last frame"
                f" from {start}"
            )
    return SUFFIX.sub("", words[0]), spans


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-1|\d{1,9}", word) is not None


def _mark_intervals(spans: list[tuple[int, int]], frames: int, where: str) -> NDArray[np.float64]:
    labels = np.zeros(frames)
    for low, high in spans:
        if low >= frames or high >= frames + OVERRUN:
            raise BadInput(
                f"{where} has {frames} frames, an interval ends after {high + 1}; do its frames"
                " count from 1 (--first-label 1), or is it of another frame rate?"
            )
        labels[low : high + 1] = 1
    return labels


def _has_masks(path: Path) -> bool:
    """Whether a folder has folders, or arrays of more than one number a frame."""
    if any(one.is_dir() and not one.name.startswith(".") for one in path.iterdir()):
        return True
    if any(path.glob("*.mat")):
        return True
    arrays = sorted(path.glob("*.npy"))
    return bool(arrays) and load_npy(arrays[0], "write it again").ndim == 3


def _read_masks(path: Path) -> FrameTable:
    """1 where a mask is not empty; folders may end in `_gt`."""
    there = [one for one in sorted(path.iterdir()) if not one.name.startswith(".")]
    parts: dict[str, NDArray[np.float64]] = {}
    for one in there:
        name = MASKS.sub("", one.stem if one.is_file() else one.name)
        if name in parts:
            raise BadInput(f"{one}: video {name} is there twice; remove one")
        if one.is_dir():
            marked = [bool(read_mask(picture).any()) for picture in image_paths(one)]
        elif one.suffix == ".npy":
            marked = _read_volume(one)
        elif one.suffix == ".mat":
            marked = _read_cells(one)
        else:
            continue
        parts[name] = np.array(marked, np.float64)
    if not parts or not all(map(len, parts.values())):
        raise BadInput(f"{path}: no masks; expected a folder of pictures, or an npy, a video")
    lengths = {name: len(values) for name, values in parts.items()}
    return FrameTable(path, lengths, np.concatenate(list(parts.values())))


def _read_volume(path: Path) -> list[bool]:
    masks = load_npy(path, "write it again")
    if masks.ndim != 3:
        raise BadInput(f"{path}: shape {list(masks.shape)}; expected masks [frames, H, W]")
    return [bool(frame.any()) for frame in mark(masks, str(path))]


def _read_cells(path: Path) -> list[bool]:
    """Whether the mask in each cell of the file's only cell array is not empty."""
    try:
        cells = [own for own in read_mat(path, MOST_MASKS).values() if own.dtype == object]
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as mat ({cut(str(error))})") from error
    if len(cells) != 1 or not cells[0].size:
        raise BadInput(f"{path}: {len(cells)} cell arrays; expected one, a mask a frame")
    return [bool(mark(cell, str(path)).any()) for cell in cells[0].ravel()]
