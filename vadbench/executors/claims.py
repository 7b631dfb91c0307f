"""One process a training: whoever is first claims it, on a shared disk too, and others wait.

A claim is a file under the results folder that its holder refreshes. It ends with the block, with
a holder of this machine that has died, or after `EXPIRES` seconds without a refresh, which also
frees what a dead machine held; clocks of machines need not agree. What lies in its place and is no
claim (empty after a power cut, damaged, of another version) ends like one. Where two processes
train the same all the same, each writes a whole record, and one of two equal ones counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import SoftFileLease

EXPIRES = 120.0  # seconds without a refresh
DAY = 86400.0  # seconds after which a claim is nobody's, however far clocks of machines disagree
FOLDER = ".claims"
POLL = 0.2  # seconds between two looks


@contextmanager
def claim(
    root: Path, fit_identity: str, waits: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the claim of a training while the block lasts.

    Args:
        root: the results folder.
        fit_identity: of the training.
        waits: called once, where another process holds it and is waited for.
    """
    path = root / FOLDER / f"{fit_identity[:32]}.lock"
    lease, watch = _lease(path), _Watch(path)
    told = False
    while not _take(lease):
        if not told:
            waits()
            told = True
        if watch.seconds_unchanged() >= EXPIRES:
            # filelock has not taken it over: it is no claim of ours, or the disk cannot exchange
            path.unlink(missing_ok=True)
        time.sleep(POLL)
    try:
        yield
    finally:
        lease.release()
        _tidy(path.parent)


def sweep_claims(root: Path) -> None:
    """Remove the claims of processes of this machine that were killed, what is no claim, and what
    was refreshed more than a day ago.
    """
    folder = root / FOLDER
    for path in folder.glob("*.lock"):
        lease = _lease(path)
        age = EXPIRES if lease.owner is None else DAY
        if _take(lease):
            lease.release()
        else:
            _remove_older(path, age)
    for path in folder.glob("*.lock.*"):  # of processes that were killed while they took one over
        _remove_older(path, DAY)
    _tidy(folder)


def _lease(path: Path) -> SoftFileLease:
    from filelock import SoftFileLease

    return SoftFileLease(path, lease_duration=EXPIRES)


def _take(lease: SoftFileLease) -> bool:
    """Take a claim, if nobody holds it."""
    from filelock import LeaseSettingsMismatch, Timeout

    while True:
        try:
            Path(lease.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lease.acquire(timeout=0)
        except FileNotFoundError:  # another process was the last one, and has removed the folder
            continue
        except (Timeout, LeaseSettingsMismatch):  # the latter: of another version, or damaged
            return False
        return True


@dataclass
class _Watch:
    """How long a file has been as it is, by this process's own clock."""

    path: Path
    seen: tuple[int, ...] | None = None
    since: float = 0.0

    def seconds_unchanged(self) -> float:
        """Since the first look at it as it is now; 0 where there is none."""
        seen, now = _look(self.path), time.monotonic()
        if seen is None or seen != self.seen:
            self.seen, self.since = seen, now
        return now - self.since


def _look(path: Path) -> tuple[int, ...] | None:
    """What a refresh, or another file in its place, changes."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _remove_older(path: Path, seconds: float) -> None:
    with suppress(OSError):  # another process was quicker
        if time.time() - os.lstat(path).st_mtime > seconds:
            path.unlink()


def _tidy(folder: Path) -> None:
    with suppress(OSError):  # it is not empty, or was removed
        folder.rmdir()
