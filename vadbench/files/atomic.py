"""Files and folders that are whole or absent: written aside, flushed, renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Where to write `path`: aside, and renamed when the block ends well; else nothing is left.

    Folders above it are made, and all is flushed to the disk. A link stays, and what it leads to is
    written. What is there and is no regular file (a pipe, /dev/stdout) is written directly.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace_file(Path(folder) / "table.md") as aside:
    ...         _ = aside.write_text("| a | b |")
    ...     [path.name for path in Path(folder).iterdir()]
    ['table.md']
    """
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield aside
        flush(aside)
        aside.replace(target)
        flush(target.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replace_folder(folder: Path, aside: Path) -> Iterator[Path]:
    """Where to write a folder: `aside`, on the same disk, and renamed when the block ends well.

    What was there before is removed; else nothing is left, nor of a process that was killed: the
    caller holds a lock, or gives each process an `aside` of its own. What lies directly in the
    folder is flushed to the disk.
    """
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        for path in aside.iterdir():
            flush(path)
        flush(aside)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def flush(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
