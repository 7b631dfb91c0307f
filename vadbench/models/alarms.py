"""The list of alarms of a watched video, each written when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vadbench.evaluation.alarms import JOIN_SECONDS
from vadbench.models.lines import CORNERS
from vadbench.models.watching import Watched

COLUMNS = ("start", "end", "peak", "start_time", "end_time", "peak_time", "score", *CORNERS)


@dataclass
class _Open:
    """An alarm that may go on."""

    first: Watched
    last: Watched
    peak: Watched


class AlarmList:
    """Joins frames above the threshold to alarms as `find_alarms` does, while they come.

    Args:
        join: stretches with at most so many frames between them are one alarm, where the frames
            have no times; where they have, those at most `JOIN_SECONDS` apart.
        write: receives each line, without its end; the first names the columns.
        say: receives a line when an alarm begins.
    """

    def __init__(
        self,
        join: int,
        write: Callable[[str], None],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.join, self.write, self.say = join, write, say
        self.count = 0
        self._open: _Open | None = None
        write(",".join(COLUMNS))

    def __call__(self, one: Watched) -> None:
        """Take the next frame."""
        if self._open is not None and not self._joins(self._open.last, one):
            self.end()
        if not one.alarm:
            return
        if self._open is None:
            self.count += 1
            self._open = _Open(one, one, one)
            at = "" if one.time is None else f", {one.time:.2f} s"
            self.say(f"alarm: frame {one.frame}{at}, score {one.shown:.4g}")
        self._open.last = one
        if one.shown > self._open.peak.shown:
            self._open.peak = one

    def _joins(self, last: Watched, one: Watched) -> bool:
        if last.time is None or one.time is None:
            return one.frame - last.frame <= self.join + 1
        return one.time - last.time <= JOIN_SECONDS + 1e-6

    def end(self) -> None:
        """Write the alarm that has not ended, if any."""
        if self._open is None:
            return
        frames = (self._open.first, self._open.last, self._open.peak)
        peak = self._open.peak
        values = [
            *(one.frame for one in frames),
            *(one.time for one in frames),
            peak.shown,
            *(peak.box or (None,) * len(CORNERS)),
        ]
        self.write(",".join("" if value is None else f"{value!r}" for value in values))
        self._open = None
