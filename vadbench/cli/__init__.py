"""The command line: parses, calls the API, prints.

The commands are imported when the program runs, after it heeds signals: that takes long enough for
a Ctrl-C.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vadbench.cli.signals import describe_interruption, end, heed_signals

if TYPE_CHECKING:
    from vadbench.cli.program import app as app


def main() -> None:
    """Run the command line; exit 0 good, 1 a job failed, 2 bad input, 128 and its number after a
    signal.
    """
    heed_signals()
    try:
        from vadbench.cli.program import run

        run()
    except KeyboardInterrupt:  # before the commands are there to answer it
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"{describe_interruption()}\n")
        end()


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'vadbench.cli' has no attribute {name!r}")
    from vadbench.cli.program import app

    return app
