"""The video files of a folder, and how many frames they have: counted by decoding once, then
remembered in the cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from vadbench.datasets.video import READER, SUFFIXES, count_frames
from vadbench.errors import BadInput
from vadbench.files.documents import parse_json
from vadbench.locations import cache_root

MEMORY = "frame_counts.jsonl"


def video_paths(folder: Path) -> dict[str, Path]:
    """Name without suffix -> video file, in the order of the names; suffixes in any case.

    Hidden files (`.DS_Store`, `._01_001.avi`), folders and files that are no videos are passed
    over; nothing is opened.

    Raises:
        BadInput: if the folder cannot be listed, or two files share a name.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise BadInput(
            f"{folder}: cannot be listed ({error.strerror}); unpack the data set again"
        ) from error
    found: dict[str, Path] = {}
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            continue
        if path.stem in found:
            raise BadInput(
                f"{path}: {found[path.stem].name} has the same name; expected one file a video,"
                " remove one"
            )
        found[path.stem] = path
    return found


def frame_counts(paths: Iterable[Path], what: str) -> list[int]:
    """Frames of each video file, as decoded: headers are not trusted.

    A count is remembered in `$VADBENCH_CACHE/frame_counts.jsonl` under the reader's version, the
    file's path, size and time of change, a line a file as soon as it is known, so that an
    interrupted count goes on and a changed file is counted again.

    Args:
        paths: the files.
        what: whose they are, for the progress shown on a terminal.

    Raises:
        BadInput: naming the first file that is missing or cannot be decoded.
    """
    paths = list(paths)
    keys = [_key(path) for path in paths]
    known = _read_counts()
    unknown = [(key, path) for key, path in zip(keys, paths, strict=True) if key not in known]
    if unknown:
        known |= _count(unknown, what)
    return [known[key] for key in keys]


def _count(unknown: list[tuple[str, Path]], what: str) -> dict[str, int]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    counted = {}
    shown = track(
        unknown,
        f"{what}: counting frames",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for key, path in shown:
        counted[key] = count_frames(path)
        _remember(key, counted[key])
    return counted


def _key(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); expected a video file, unpack the data set"
            " again"
        ) from error
    return f"{READER} {path.absolute()} {status.st_size} {status.st_mtime_ns}"


def _read_counts() -> dict[str, int]:
    path = cache_root() / MEMORY
    if not path.is_file():
        return {}
    known: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            key, frames = parse_json(line)
        # the last line of a process that was killed: that file is counted again
        except (ValueError, TypeError):
            continue
        if isinstance(key, str) and type(frames) is int and frames > 0:
            known[key] = frames
    return known


def _remember(key: str, frames: int) -> None:
    path = cache_root() / MEMORY
    path.parent.mkdir(parents=True, exist_ok=True)
    # a line is one write: two processes do not mix theirs
    with path.open("a", encoding="utf-8") as memory:
        memory.write(json.dumps([key, frames]) + "\n")
