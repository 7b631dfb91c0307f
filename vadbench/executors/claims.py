"""One process a training: whoever is first claims it, on a shared disk too, and others wait.

A claim is a file under the results folder that its holder refreshes. It ends with the block, with
a holder of this machine that has died, or after `EXPIRES` seconds without a refresh, which also
frees what a dead machine held; clocks of machines need not agree. Where two processes train the
same all the same, each writes a whole record, and one of two equal ones counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EXPIRES = 120.0  # seconds without a refresh
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
    from filelock import SoftFileLease, Timeout

    path = root / FOLDER / f"{fit_identity[:32]}.lock"
    lease = SoftFileLease(path, lease_duration=EXPIRES)
    while not lease.is_locked:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lease.acquire(timeout=0)
        except Timeout:
            waits()
            with suppress(FileNotFoundError):
                lease.acquire(poll_interval=POLL)
        except FileNotFoundError:  # another process was the last one, and has removed the folder
            continue
    try:
        yield
    finally:
        lease.release()
        _tidy(path.parent)


def sweep_claims(root: Path) -> None:
    """Remove the claims of processes of this machine that were killed."""
    from filelock import SoftFileLease, Timeout

    folder = root / FOLDER
    for path in folder.glob("*.lock"):
        lease = SoftFileLease(path, lease_duration=EXPIRES)
        with suppress(Timeout, FileNotFoundError):
            lease.acquire(timeout=0)
            lease.release()
    _tidy(folder)


def _tidy(folder: Path) -> None:
    with suppress(OSError):  # it is not empty, or was removed
        folder.rmdir()
