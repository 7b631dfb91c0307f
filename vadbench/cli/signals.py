"""Ctrl-C, SIGTERM and SIGHUP: what is finished is kept, and the program ends within seconds."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
GRACE = 2.5  # seconds to end by itself; a library may be in a call that takes minutes
GOES_ON = "the same command goes on where this one stopped"
_hint = [GOES_ON]
_received: list[int] = []


def heed_signals() -> None:
    """Let each of the signals end the program as Ctrl-C does: the first raises KeyboardInterrupt,
    further ones change nothing, and after `GRACE` it ends in any case.

    One that is ignored, as `nohup` has it or a shell in the background, stays ignored.
    """
    wake, sink = os.pipe()
    os.set_blocking(sink, False)
    signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # a thread hears of a signal also while the main one is in a library's call
    threading.Thread(target=_watch, args=(wake,), daemon=True).start()


def set_hint(text: str) -> None:
    """Choose what is said of the next command if this one is interrupted."""
    _hint[:] = [text]


def describe_interruption() -> str:
    """The last line of a command that was interrupted."""
    return f"vadbench: interrupted; {_hint[0]}"


def is_interrupted() -> bool:
    """Whether one of the signals has come."""
    return bool(_received)


def end() -> NoReturn:
    """Exit as one who was interrupted does, with 128 and the signal's number: at once, since the
    interpreter takes seconds to clear up, and a further signal would kill it then.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the terminal may be gone
            stream.flush()
    os._exit(128 + (_received[0] if _received else signal.SIGINT))


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _received:
        _received.append(number)
        raise KeyboardInterrupt


def _watch(wake: int) -> None:
    while (number := ord(os.read(wake, 1))) not in SIGNALS:
        continue
    threading.Event().wait(GRACE)
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"{describe_interruption()}\n".encode())
    os._exit(128 + number)
