"""What holds whatever a file holds: the right answer, or one line; and ways to damage a file."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.errors import LONGEST, BadInput

SECONDS, MEGABYTES = 60, 1024


def answer(do: Callable[[], Any]) -> tuple[str, Any]:
    """`right` and what `do` gives, or `line` and what it says; all else it raises is a failure."""
    try:
        return "right", do()
    except BadInput as error:
        said = str(error)
        assert said.isprintable(), said
        assert 0 < len(said) <= LONGEST
        return "line", said


def damages(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """So many damaged copies of a file: a bit or a byte changed, a part cut out, blanked or
    repeated, the end cut off; and an empty one.
    """
    random = np.random.default_rng(seed)
    yield b""
    for number in range(count - 1):
        copy, at = bytearray(data), int(random.integers(len(data)))
        length = int(random.integers(1, 9))
        match number % 6:
            case 0:
                copy[at] ^= 1 << int(random.integers(8))
            case 1:
                copy[at] = int(random.integers(256))
            case 2:
                del copy[at:]
            case 3:
                del copy[at : at + length]
            case 4:
                copy[at : at + length] = bytes([int(random.choice([0, 255, 127]))]) * length
            case 5:
                copy[at:at] = copy[at : at + length]
        yield bytes(copy)


def run_apart(code: str, *arguments: Path) -> list[str]:
    """What a program prints, line by line, in a process of its own: within a minute and in less
    than 1 GiB.
    """
    measured = """
    from pathlib import Path
    # getrusage's figure is the starting process' where that is larger
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
    """
    program = textwrap.dedent(code) + textwrap.dedent(measured)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        preexec_fn=_limit,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, megabytes = done.stdout.splitlines()
    assert int(megabytes) < MEGABYTES, f"{megabytes} MiB"
    return lines


def _limit() -> None:
    """What a machine in use has: a process that asks for more is refused, not the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
