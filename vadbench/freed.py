"""Memory that a training step frees, kept for the next one."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LARGEST = 2**25  # bytes; glibc gives what is larger back to the system as soon as it is freed
# malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
MOST_MAPPED = 65536  # glibc's own


@contextmanager
def keep_freed() -> Iterator[None]:
    """Let glibc keep freed memory in the block, and give it back afterwards; elsewhere nothing
    changes.

    Each new block of more than `LARGEST` bytes is otherwise one that the system clears page by
    page: twice the time of adding two tensors into it. No number depends on it.
    """
    libc = _find_libc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        # what glibc's thresholds grow to by themselves where such blocks are freed
        libc.mallopt(MMAP_MAX, MOST_MAPPED)
        libc.mallopt(MMAP_THRESHOLD, LARGEST)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST)
        libc.malloc_trim(0)


def _find_libc() -> Any:
    """The C library of this process, where it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
