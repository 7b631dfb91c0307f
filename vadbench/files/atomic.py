"""Files and folders that are whole or absent: written aside, flushed, and put in place by one
rename, so that a kill at any moment leaves what was there before, or what was to be written.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DAY = 86400.0  # seconds; what another machine has not touched for so long is left over
_HOST = re.sub(r"[^A-Za-z0-9.]", "_", platform.node())
_WRITER = re.compile(r"~(?P<host>[A-Za-z0-9._]*)-(?P<pid>\d+)-[0-9a-f]{6}$")
# of renameat2(2) on Linux, and of renamex_np(2) on macOS
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


def aside_name(name: str) -> str:
    """A hidden name that no other process has, of any machine; `sweep` knows whose it is."""
    return f".{name[:40]}~{_HOST}-{os.getpid()}-{secrets.token_hex(3)}"


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Where to write `path`: aside, and renamed when the block ends well; else nothing is left.

    Folders above it are made, what a killed process left of it is removed, and all is flushed to
    the disk. A link stays, and what it leads to is written; what was there hands on its
    permissions. What is there and is no regular file (a pipe, /dev/stdout) is written directly.

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
    sweep(target.parent.glob(f".{glob.escape(target.name[:40])}~*"))
    aside = target.with_name(aside_name(target.name))
    try:
        # nobody else's file, nor a link to one
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield aside
        _keep_mode(target, aside)
        flush(aside)
        aside.replace(target)
        flush(target.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replace_folder(
    folder: Path, aside: Path | None = None, stays: Callable[[], bool] = lambda: False
) -> Iterator[Path]:
    """Where to write a folder: aside, and renamed when the block ends well; else nothing is left.

    What was there before is removed once the new one is in its place, and all is flushed to the
    disk.

    Args:
        folder: what is to be there.
        aside: where it is written, on the same disk; None: beside the folder, where what a killed
            process left of it is removed. A caller that names a place holds a lock, or gives each
            process a place of its own.
        stays: asked where something is there, another process' perhaps: whether that stays.
    """
    if aside is None:
        sweep(folder.parent.glob(f".{glob.escape(folder.name[:40])}~*"))
        restore(folder.parent.glob(f".old-{glob.escape(folder.name)}"))
        aside = folder.with_name(aside_name(folder.name))
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        _keep_mode(folder, aside)
        for path in aside.rglob("*"):
            flush(path)
        flush(aside)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _put(aside, folder, stays)
        flush(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder at once: a kill leaves it whole, or none."""
    sweep(folder.parent.glob(f".{glob.escape(folder.name[:40])}~*"))
    aside = folder.with_name(aside_name(folder.name))
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def flush(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(paths: Iterable[Path]) -> None:
    """Remove what killed processes left aside, of these paths: of this machine where the process is
    gone, of another one where nothing has happened for a day.
    """
    for path in paths:
        writer = _WRITER.search(path.name)
        if writer is not None and _is_left_over(path, writer["host"], int(writer["pid"])):
            shutil.rmtree(path, ignore_errors=True)
            if path.is_file():
                path.unlink(missing_ok=True)


def restore(olds: Iterable[Path]) -> None:
    """Put back folders that a killed process had set aside (`.old-<name>`) and not replaced; this
    happens on disks alone that cannot exchange two folders.
    """
    for old in olds:
        folder = old.with_name(old.name.removeprefix(".old-"))
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(folder)


def _is_left_over(path: Path, host: str, pid: int) -> bool:
    if host == _HOST:
        import psutil

        return not psutil.pid_exists(pid)
    try:
        return time.time() - path.lstat().st_mtime > DAY
    except FileNotFoundError:
        return False


def _keep_mode(before: Path, after: Path) -> None:
    if before.exists():
        after.chmod(before.stat().st_mode & 0o777)


def _put(aside: Path, folder: Path, stays: Callable[[], bool]) -> None:
    """Rename `aside` to `folder`, which then holds the one or the other at every moment."""
    old = folder.with_name(f".old-{folder.name}")
    while True:
        try:
            aside.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if stays():
            return
        try:
            _exchange(aside, folder)
            return
        except FileNotFoundError:  # removed by another process just now
            continue
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
                raise
            _set_aside(folder, old)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change their names at once.

    Raises:
        OSError: if the disk (NFS) or the system cannot.
    """
    names = os.fsencode(one), os.fsencode(other)
    system = ctypes.CDLL(None, use_errno=True)
    try:
        failed = (
            system.renamex_np(*names, _RENAME_SWAP)
            if sys.platform == "darwin"
            else system.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
        )
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(other)) from error
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one), None, str(other))


def _set_aside(folder: Path, old: Path) -> None:
    """Make way for a folder; `restore` puts it back where nothing comes."""
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        folder.rename(old)
