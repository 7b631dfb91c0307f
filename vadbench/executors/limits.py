"""How long a job may take, and how much memory: what the user says, and what a process holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from vadbench.errors import BadInput, quote

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
IN_SECONDS = 86400, 3600, 60, 1
SIZE = re.compile(r"(\d+(?:\.\d+)?)(?P<unit>[KMGT])(?:i?B)?", re.IGNORECASE)
IN_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# of /proc/PID/status: what the system cannot read again from a file, as it can a memory map
HELD = "RssAnon:", "RssShmem:", "VmSwap:"


class TimeLimitReached(Exception):
    """A job took longer than it was allowed to."""


class MemoryLimitReached(Exception):
    """A job held more memory than it was allowed to."""


@dataclass(frozen=True)
class Limits:
    """Of a job; they are no part of what it is, and change no score.

    Attributes:
        seconds: that it may take, what it waits for another process not counted; None: any time.
        memory: bytes that its process and those which that has started may hold for themselves,
            memory maps of files not counted; None: any.
    """

    seconds: float | None = None
    memory: int | None = None

    def __bool__(self) -> bool:
        return self.seconds is not None or self.memory is not None

    def exceeded(self, seconds: float, process: int) -> Exception | None:
        """What a job that has taken so long, in this process, is to be ended for; None: nothing."""
        if self.seconds is not None and seconds > self.seconds:
            limit = write_duration(self.seconds)
            return TimeLimitReached(f"ended after {seconds:.0f} s, --time-limit is {limit}")
        held = None if self.memory is None else read_held(process)
        if self.memory is not None and held is not None and held > self.memory:
            limit = write_size(self.memory)
            return MemoryLimitReached(f"ended at {write_size(held)}, --memory-limit is {limit}")
        return None


def read_duration(text: str) -> float:
    """Seconds of `90s`, `30m`, `2h`, `1h30m`, `1d`.

    Raises:
        BadInput: on anything else, and on none at all.

    >>> read_duration("1h30m")
    5400.0
    """
    found = DURATION.fullmatch(text.strip().lower())
    parts = [int(part or 0) for part in found.groups()] if found and len(text) < 40 else []
    seconds = sum(part * unit for part, unit in zip(parts, IN_SECONDS, strict=False))
    if not seconds:
        raise BadInput(f"--time-limit {quote(text)}: expected a time such as 90s, 30m, 2h or 1h30m")
    return float(seconds)


def read_size(text: str) -> int:
    """Bytes of `8G`, `512M`, `1.5GiB`; all of them powers of 1024.

    Raises:
        BadInput: on anything else, and on less than a mebibyte.

    >>> read_size("1.5G")
    1610612736
    """
    found = SIZE.fullmatch(text.strip()) if len(text) < 40 else None
    size = int(float(found[1]) * IN_BYTES[found["unit"].upper()]) if found else 0
    if size < 2**20:
        raise BadInput(f"--memory-limit {quote(text)}: expected a size such as 512M, 8G or 1.5G")
    return size


def write_duration(seconds: float) -> str:
    """As `read_duration` takes it.

    >>> write_duration(5400.0)
    '1h30m'
    """
    left, words = int(seconds), ""
    for unit, name in zip(IN_SECONDS, "dhms", strict=True):
        number, left = divmod(left, unit)
        words += f"{number}{name}" if number else ""
    return words


def write_size(size: int) -> str:
    """As people say it.

    >>> write_size(1610612736), write_size(700 * 2**20)
    ('1.5 GiB', '700 MiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def read_held(process: int) -> int | None:
    """Bytes that a process and those which it has started hold for themselves; None: it is gone."""
    try:
        own = psutil.Process(process)
        every = [own, *own.children(recursive=True)]
    except psutil.Error:
        return None
    return sum(_read_held(one) for one in every)


def _read_held(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    try:
        if status.exists():
            lines = [line.split() for line in status.read_text().splitlines()]
            return sum(int(line[1]) * 1024 for line in lines if line[0] in HELD)
        return int(process.memory_info().rss)
    except (OSError, psutil.Error, ValueError, IndexError):  # it has ended
        return 0
