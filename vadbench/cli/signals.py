"""Ctrl-C, SIGTERM and SIGHUP: what is finished is kept, and the program ends within seconds."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType

GRACE = 3.5  # seconds to end by itself; a library may be in a call that takes minutes
INTERRUPTED = "vadbench: interrupted; the same command goes on where this one stopped"
_received: list[int] = []


def heed_signals() -> None:
    """Let each of the signals end the program as Ctrl-C does: the first raises KeyboardInterrupt,
    further ones change nothing, and after `GRACE` it ends in any case.

    One that is ignored, as `nohup` has it or a shell in the background, stays ignored.
    """
    wake, sink = os.pipe()
    os.set_blocking(sink, False)
    signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # a thread hears of a signal also while the main one is in a library's call
    threading.Thread(target=_watch, args=(wake,), daemon=True).start()


def is_interrupted() -> bool:
    """Whether one of the signals has come."""
    return bool(_received)


def exit_code() -> int:
    """What the program exits with where it was interrupted: 128 and the signal's number."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _received:
        _received.append(number)
        raise KeyboardInterrupt


def _watch(wake: int) -> None:
    while (number := ord(os.read(wake, 1))) not in {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}:
        continue
    threading.Event().wait(GRACE)
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(128 + number)
