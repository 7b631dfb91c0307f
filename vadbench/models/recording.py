"""Watched frames written while they come: lines, and an annotated video; a kill, an interruption
or a video that breaks off leaves what was scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from vadbench.errors import BadInput
from vadbench.models.lines import Format, make_writer
from vadbench.models.watching import Watched


@dataclass(frozen=True)
class Recording:
    """Where the frames go.

    Attributes:
        out: file of the lines; None: `echo`.
        format: of the lines.
        smoothed: whether they have a smoothed score.
        film: the annotated video; None: none.
        scale: the scores at the ends of its colours.
        fps: its frames a second; None: as the frames' times say.
        echo: receives each line where there is no file.
    """

    out: Path | None
    format: Format
    smoothed: bool
    film: Path | None
    scale: tuple[float, float]
    fps: float | None
    echo: Callable[[str], None]

    def write(self, frames: Iterator[Watched]) -> bool:
        """Write every frame; returns whether it was interrupted. Files are begun with the first
        frame, lines are flushed one by one.

        Raises:
            BadInput: if the frames cannot be read on, after what came before is written.
            OSError: if a file cannot be written.
        """
        first = next(frames, None)
        if first is None:
            return False
        broken: BadInput | None = None
        interrupted = False
        with ExitStack() as files:
            sinks = self._open(files)
            try:
                for one in _chain(first, frames):
                    for sink in sinks:
                        sink(one)
            except KeyboardInterrupt:
                interrupted = True
            except BadInput as error:
                broken = error
        if broken is not None:
            raise broken
        return interrupted

    def _open(self, files: ExitStack) -> list[Callable[[Watched], None]]:
        write = self.echo
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            file = files.enter_context(self.out.open("w", encoding="utf-8"))
            write = _line_writer(file)
        sinks = [make_writer(self.format, self.smoothed, write)]
        if self.film is not None:
            from vadbench.models.film import open_film

            sinks.append(files.enter_context(open_film(self.film, self.scale, self.fps)))
        return sinks


def _line_writer(file: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        file.write(f"{line}\n")
        file.flush()

    return write


def _chain(first: Watched, rest: Iterator[Watched]) -> Iterator[Watched]:
    yield first
    yield from rest
