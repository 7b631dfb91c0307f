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
from vadbench.models.alarms import AlarmList
from vadbench.models.lines import Format, make_writer
from vadbench.models.watching import Watched


@dataclass(frozen=True)
class Recording:
    """Where the frames go.

    Attributes:
        out: file of the lines; None: `echo`.
        format: of the lines.
        alarms: file of the alarms, csv; None: none.
        join: as of `find_alarms`.
        film: the annotated video; None: none.
        scale: the scores at the ends of its colours.
        fps: its frames a second; None: as the frames' times say.
        echo: receives each line where there is no file.
        say: receives a line when an alarm begins, and one on all of them.
    """

    out: Path | None
    format: Format
    alarms: Path | None
    join: int
    film: Path | None
    scale: tuple[float, float]
    fps: float | None
    echo: Callable[[str], None]
    say: Callable[[str], None]

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
            sinks = self._open(files, first)
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

    def _open(self, files: ExitStack, first: Watched) -> list[Callable[[Watched], None]]:
        known = {"smoothed": first.smoothed, "threshold": first.threshold}
        columns = [name for name, value in known.items() if value is not None]
        sinks = [make_writer(self.format, columns, _open_lines(files, self.out) or self.echo)]
        if first.threshold is not None:
            write = _open_lines(files, self.alarms) or (lambda line: None)
            alarms = AlarmList(self.join, write, self.say)
            files.callback(self._end_alarms, alarms)
            sinks.append(alarms)
        if self.film is not None:
            from vadbench.models.film import open_film, widen

            scale = widen(self.scale, first.threshold)
            sinks.append(files.enter_context(open_film(self.film, scale, self.fps)))
        return sinks

    def _end_alarms(self, alarms: AlarmList) -> None:
        alarms.end()
        self.say(f"{alarms.count} alarm{'' if alarms.count == 1 else 's'}")


def check_places(source: str, out: Path | None, alarms: Path | None, film: Path | None) -> None:
    """Refuse to write over what is watched, two things to one file, or a file that is a folder.

    Raises:
        BadInput: naming the option.
    """
    watched = Path(source).resolve()
    taken: dict[Path, str] = {}
    for option, path in (("--out", out), ("--alarm-list", alarms), ("--video", film)):
        if path is None:
            continue
        place = path.resolve()
        over = taken.get(place, "")
        if watched in (place, *place.parents) and watched.exists():
            over = "what is watched"
        if over or path.is_dir():
            raise BadInput(f"{option} {path}: it is {over or 'a folder'}; name another file")
        taken[place] = f"that of {option}"
    if alarms is not None and alarms.suffix != ".csv":
        raise BadInput(f"--alarm-list {alarms}: expected a name that ends in .csv")


def _open_lines(files: ExitStack, path: Path | None) -> Callable[[str], None] | None:
    """What writes lines to a file, flushed one by one; None: there is no file."""
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return _line_writer(files.enter_context(path.open("w", encoding="utf-8")))


def _line_writer(file: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        file.write(f"{line}\n")
        file.flush()

    return write


def _chain(first: Watched, rest: Iterator[Watched]) -> Iterator[Watched]:
    yield first
    yield from rest
