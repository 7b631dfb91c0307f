"""GPUs of this machine, one for each process that runs jobs.

A process sees the GPU that it has taken and no other, so that everything in it, extraction and
networks alike, computes there. Which it takes is settled by locks that end with their holder: a
process that takes the place of one that died takes its GPU too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vadbench.errors import BadInput, quote

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL = 0.2  # seconds between two looks
_folders: list[TemporaryDirectory[str]] = []  # of this process' runs; removed as it ends
_held: dict[Path, Any] = {}  # folder of a run -> the lock that this process holds


@dataclass(frozen=True)
class Devices:
    """The GPUs of a run, in the order in which they are taken.

    Attributes:
        names: as CUDA's variable has them; one that stands twice is taken by two processes.
        folder: where the locks lie while the run lasts.
    """

    names: tuple[str, ...]
    folder: Path

    def take(self) -> None:
        """Let this process see a GPU that no other has taken; it keeps it while it lives. Before
        torch has used one.
        """
        from filelock import FileLock, Timeout

        while self.folder not in _held:
            for number, name in enumerate(self.names):
                lock = FileLock(self.folder / f"{number}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                _held[self.folder] = lock
                os.environ[VISIBLE] = name
                return
            time.sleep(POLL)


def share_devices(numbers: Sequence[str], processes: int) -> Devices:
    """GPUs by their numbers, to be shared out among so many processes; this one, and those that it
    starts, see no others from now on.

    Args:
        numbers: as torch counts them, of those that CUDA_VISIBLE_DEVICES lets it see.
        processes: that run jobs; each takes one.

    Raises:
        BadInput: if one is not there, or there are fewer than processes.
    """
    names = name_devices(numbers, count_devices(), os.environ.get(VISIBLE))
    if processes > len(names):
        raise BadInput(
            f"--jobs {processes} with {len(names)} of --devices: each job at a time has one of"
            " its own; name one twice for two jobs on it"
        )
    os.environ[VISIBLE] = ",".join(dict.fromkeys(names))
    folder = TemporaryDirectory(prefix="vadbench-devices-", ignore_cleanup_errors=True)
    _folders.append(folder)
    return Devices(names, Path(folder.name))


def count_devices() -> int:
    """How many GPUs torch sees; none is used by that."""
    import torch

    return torch.cuda.device_count()


def name_devices(numbers: Sequence[str], count: int, visible: str | None) -> tuple[str, ...]:
    """What CUDA calls the devices that torch counts.

    >>> name_devices(("1", "0"), 2, "6,GPU-8932f937")
    ('GPU-8932f937', '6')

    Args:
        numbers: from 0.
        count: how many torch sees.
        visible: the value of CUDA_VISIBLE_DEVICES; None: it is not set.

    Raises:
        BadInput: if one is not there.
    """
    here = f"0 to {count - 1}" if count > 1 else "0 alone" if count else "none"
    by = "" if visible is None else f" ({VISIBLE}={quote(visible)})"
    counted = [str(number) for number in range(count)]
    for number in numbers:
        if number not in counted:
            raise BadInput(
                f"--devices: no GPU {quote(number)}; torch sees {here}{by}; vadbench doctor lists"
                " them, and without --devices jobs run on the first, or on the processor"
            )
    seen = counted
    if visible is not None:
        seen = [name.strip() for name in visible.split(",")][:count]
    return tuple(seen[int(number)] for number in numbers)
