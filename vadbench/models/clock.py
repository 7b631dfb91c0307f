"""How long the stages of a watched frame take: percentiles in memory that does not grow."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
_LEAST, _STEP, _BINS = 1e-6, 1.02, 1200  # seconds; bins of 2 %, the last at some 20,000 s


@dataclass
class Percentiles:
    """Times, counted in bins of 2 %.

    >>> times = Percentiles()
    >>> for seconds in (0.1, 0.1, 0.1, 1.0):
    ...     times.add(seconds)
    >>> round(times.at(50), 2), round(times.at(99), 1)
    (0.1, 1.0)
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        place = round(math.log(max(seconds, _LEAST) / _LEAST) / math.log(_STEP))
        self.counts[min(place, _BINS - 1)] += 1
        self.total += seconds

    def at(self, percent: float) -> float:
        """Seconds that so many percent of the times do not exceed, within 1 %; 0 of none."""
        number = int(self.counts.sum())
        if not number:
            return 0.0
        rank = max(1, math.ceil(number * percent / 100))
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(_LEAST * _STEP**place)


class Clock:
    """Attributes time to the stage that is at work: a stage that waits for another does not count.

    Attributes:
        stages: name -> times of all frames but the first, which may have waited for a pass.
        frames: how many have ended.
        first: seconds until the first had.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.stages = {name: Percentiles() for name in (*names, "frame")}
        self.frames = 0
        self.first = 0.0
        self._now = dict.fromkeys(names, 0.0)
        self._open: list[str] = []
        self._since = self._began = self._last = time.perf_counter()

    def over(self, stage: str, items: Iterator[Item]) -> Iterator[Item]:
        """The items, the time to make each counted as of a stage."""
        while True:
            self._enter(stage)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._leave()
            yield item

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count the block as of a stage."""
        self._enter(stage)
        try:
            yield
        finally:
            self._leave()

    def end_frame(self) -> None:
        """A frame is scored: take its times."""
        now = time.perf_counter()
        self.frames += 1
        if self.frames == 1:
            self.first = now - self._began
        else:
            for name, seconds in self._now.items():
                self.stages[name].add(seconds)
            self.stages["frame"].add(sum(self._now.values()))
        self._now = dict.fromkeys(self._now, 0.0)
        self._last = now

    @property
    def words(self) -> str:
        """Frames a second, and a line of percentiles a stage."""
        if not self.frames:
            return "no frame"
        rate = self.frames / self.seconds if self.seconds else 0.0
        head = f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} frames/s"
        lines = [f"{head}; the first after {self.first:.2f} s"]
        if self.frames > 1:
            lines.append(f"{'ms a frame':12}{'median':>10}{'95 %':>10}{'99 %':>10}")
        for name, times in self.stages.items() if self.frames > 1 else ():
            cells = "".join(f"{1000 * times.at(percent):10.2f}" for percent in (50, 95, 99))
            lines.append(f"{name:12}{cells}")
        return "\n".join(lines)

    @property
    def seconds(self) -> float:
        """From the begin to the last frame's end."""
        return self._last - self._began

    def _enter(self, stage: str) -> None:
        self._charge()
        self._open.append(stage)

    def _leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self._now[self._open[-1]] += now - self._since
        self._since = now
