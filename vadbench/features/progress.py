"""Progress of an extraction: a bar with frames per second on a terminal, plain lines elsewhere,
nothing when quiet.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vadbench.files.printable import visible

SECONDS_BETWEEN_LINES = 10.0


class Speed(ProgressColumn):
    """The recent speed, in units a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The column's text."""
        return Text(f"{_few(task.speed)} {self.unit}/s" if task.speed else "")


class Frames:
    """Counts the frames of one stage of one split, or the clips of a training, as a context."""

    def __init__(self, what: str, total: int, quiet: bool, unit: str = "frames") -> None:
        self.what = what
        self.unit = unit
        self.total = total
        self.quiet = quiet
        self.done = 0
        self.reused = 0
        self._note = ""
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Speed(unit),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns,
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task(visible(what), total=total, note="")
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if kind is None:
            kept = f", {self.reused} of them kept from an interrupted run" if self.reused else ""
            self.say(f"{self.what}: {self.done} {self.unit}{kept}, {self._speed()}{self._note}")

    def advance(self, frames: int, note: str = "") -> None:
        """So many more frames are computed; `note` says something of the last ones."""
        self.done += frames
        self._note = f", {note}" if note else ""
        self._bar.update(self._task, advance=frames, note=note)
        if (
            not self.console.is_terminal
            and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES
        ):
            self._last_line = time.monotonic()
            self.say(
                f"{self.what}: {self.done} of {self.total} {self.unit}, {self._speed()}{self._note}"
            )

    def reuse(self, frames: int) -> None:
        """So many more frames were there already."""
        self.done += frames
        self.reused += frames
        self._bar.update(self._task, completed=self.done)

    def say(self, line: str) -> None:
        """Print a line, unless quiet."""
        if not self.quiet:
            self.console.print(visible(line), markup=False, emoji=False)

    def _speed(self) -> str:
        speed = (self.done - self.reused) / max(time.monotonic() - self._started, 1e-9)
        return f"{_few(speed)} {self.unit}/s"


def _few(speed: float) -> str:
    """A speed in two digits at least."""
    return f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
