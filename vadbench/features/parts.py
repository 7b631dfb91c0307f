"""What is finished of an extraction, clip by clip, so that one that is interrupted goes on where it
stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.store import explain_disk_errors
from vadbench.files.atomic import remove_folder, replace_file
from vadbench.files.npz import open_npz

Arrays = dict[str, NDArray[np.generic]]


class Parts:
    """A folder with one .npz a finished clip (its index in the split), beside the stage they will
    make up; the caller holds the stage's lock.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = Parts(Path(folder) / "parts")
    ...     parts.write(0, {"x": np.arange(3)})
    ...     parts.load(0)["x"].tolist(), parts.read(1)
    ([0, 1, 2], None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has_some(self) -> bool:
        """Whether a clip is finished."""
        return any(self.folder.glob("*.npz"))

    def read(self, clip: int) -> Arrays | None:
        """The clip's arrays, their checksums verified; None where there are none or they are
        damaged (then they are made again).
        """
        try:
            with open_npz(self._path(clip)) as arrays:
                return dict(arrays.items())
        except (OSError, ValueError):
            return None

    def load(self, clip: int) -> Arrays:
        """The arrays of a clip that was written.

        Raises:
            BadInput: if they were damaged since.
        """
        arrays = self.read(clip)
        if arrays is None:
            raise BadInput(
                f"{self._path(clip)}: damaged after it was written; run `vadbench features extract`"
                " again, it makes this clip anew"
            )
        return arrays

    def write(self, clip: int, arrays: Arrays) -> None:
        """Keep a finished clip: written aside, flushed, renamed.

        Raises:
            BadInput: if the disk is full.
        """
        path = self._path(clip)
        with explain_disk_errors(path), replace_file(path) as aside, aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes allow_pickle for one

    def keep_those_of(self, made_of: str) -> None:
        """Forget all parts unless they are made of what has this digest."""
        said = self.folder / "contents"
        before = said.read_text(encoding="utf-8") if said.is_file() else ""
        if before != made_of and self.folder.exists():
            self.remove()
        if not said.is_file():
            with explain_disk_errors(said), replace_file(said) as aside:
                aside.write_text(made_of, encoding="utf-8")

    def remove(self) -> None:
        """Forget all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, clip: int) -> Path:
        return self.folder / f"{clip:05d}.npz"


def parts_of(folder: Path) -> Parts:
    """What is finished of a stage, beside it."""
    return Parts(folder.with_name(f".parts-{folder.name}"))


@contextmanager
def lock_stage(
    folder: Path, is_there: Callable[[], bool], made_of: str, wait: Callable[[], None]
) -> Iterator[Parts | None]:
    """Hold a stage's lock and give its finished parts, or None if the stage is there, perhaps since
    another process made it just now. At the end of the block they are removed.

    Parts that are made of something else are removed first.

    Args:
        folder: of the stage.
        is_there: whether it is there, whole.
        made_of: digest of all that decides a part: clips, files, boxes, weights.
        wait: called where another process holds the lock, before it is waited for.

    Raises:
        BadInput: as `is_there`, or if the disk may not be written.
    """
    from filelock import FileLock, Timeout

    parts = parts_of(folder)
    if is_there() and not parts.folder.exists():  # a kill may have left them
        yield None
        return
    with explain_disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".lock-{folder.name}"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            wait()
            lock.acquire()
    try:
        if is_there():
            yield None
        else:
            parts.keep_those_of(made_of)
            yield parts
        parts.remove()
    finally:
        lock.release()


def remove_stage(folder: Path, is_outdated: Callable[[], bool]) -> bool:
    """Remove a stage that is outdated; whether it was removed.

    Another process may remove it too, or make it anew: it is looked at again under its lock.
    """
    from filelock import FileLock

    if not (folder.is_dir() and is_outdated()):
        return False
    with FileLock(folder.with_name(f".lock-{folder.name}")):
        if not (folder.is_dir() and is_outdated()):
            return False
        remove_folder(folder)
    return True
