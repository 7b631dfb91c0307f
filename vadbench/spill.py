"""Arrays beside a memory map that may be as large as it is: in memory where they are small, else in
a file without a name on the cache's disk, whose pages the system may drop and read again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vadbench.errors import BadInput
from vadbench.locations import cache_root

IN_MEMORY = 2**28  # bytes: larger arrays lie on disk
BLOCK = 2**24  # bytes copied at a time
SPARE = 1.05  # times its bytes an array may take on disk


def make_array(shape: tuple[int, ...], dtype: DTypeLike, what: str) -> NDArray[Any]:
    """An array to be filled, on disk where it is large. Its file goes with it.

    Args:
        shape: of the array.
        dtype: of its numbers.
        what: it is for, should there be no room.

    Raises:
        BadInput: if neither the disk nor the memory has room.

    >>> make_array((2, 3), np.float32, "an example").shape
    (2, 3)
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    for folder in _find_room(size):
        try:
            with tempfile.TemporaryFile(dir=folder, prefix="vadbench-") as file:
                if hasattr(os, "posix_fallocate"):
                    # a disk that fills up says so here, and not by a signal when a page is written
                    os.posix_fallocate(file.fileno(), 0, size)
                return np.memmap(file, dtype, "r+", shape=shape)
        except OSError:  # a quota, a limit on a file's size, or a disk that has filled up since
            continue
    require_memory(size, what, f"free {size / 2**30:.1f} GiB where VADBENCH_CACHE lies")
    return np.empty(shape, dtype)


def take_rows(x: NDArray[Any], index: NDArray[Any] | slice, what: str) -> NDArray[Any]:
    """The rows x[index] of x [N, D]: a view where they lie together, else a copy, on disk where
    that is large.

    Raises:
        BadInput: if there is no room for a copy.
    """
    if isinstance(index, slice):
        return np.asarray(x[index])
    rows = np.flatnonzero(index) if index.dtype == bool else index
    size = rows.size * x[:1].nbytes
    if size <= IN_MEMORY:
        return np.asarray(x[rows])
    if rows.size and rows[0] >= 0 and (np.diff(rows) == 1).all():
        return np.asarray(x[rows[0] : rows[-1] + 1])
    out = make_array((len(rows), *x.shape[1:]), x.dtype, what)
    step = max(1, BLOCK // max(1, x[:1].nbytes))
    for start in range(0, len(rows), step):
        out[start : start + step] = x[rows[start : start + step]]
    return out


def require_memory(size: int, what: str, help_: str) -> None:
    """Refuse to begin what does not fit into the memory that is free.

    Args:
        size: bytes that it needs.
        what: needs them.
        help_: what the user can do about it.

    Raises:
        BadInput: in one line, with both figures and the help.
    """
    import psutil

    free = psutil.virtual_memory().available
    if size > free:
        raise BadInput(
            f"{what} needs {size / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free;"
            f" {help_}"
        )


def _find_room(size: int) -> Iterator[Path]:
    """Folders whose disks seem to have room for so many bytes, the best first."""
    for folder in (cache_root(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if shutil.disk_usage(folder).free > SPARE * size and not _is_memory(folder):
                yield folder
        except OSError:  # read-only
            continue


def _is_memory(folder: Path) -> bool:
    """Whether a folder's disk is memory."""
    import psutil

    place = folder.resolve()
    disks = [
        disk for disk in psutil.disk_partitions(all=True) if place.is_relative_to(disk.mountpoint)
    ]
    deepest = max(disks, key=lambda disk: len(disk.mountpoint), default=None)
    return deepest is not None and deepest.fstype in ("tmpfs", "ramfs")
