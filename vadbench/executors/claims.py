"""One process a training: whoever is first claims it, on a shared disk too, and others wait.

A claim is a file under the results folder that its holder refreshes. It ends with the block, with
a holder of this machine that has died, or after `EXPIRES` seconds without a refresh, which also
frees what a dead machine held; clocks of machines need not agree. Where two processes train the
same all the same, each writes a whole record, and one of two equal ones counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EXPIRES = 120.0  # seconds without a refresh
FOLDER = ".claims"


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
    path.parent.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(path, lease_duration=EXPIRES)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        waits()
        lease.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lease.release()
