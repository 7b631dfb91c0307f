"""Alarms: stretches of frames whose score is above a threshold."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput, quote

JOIN_SECONDS = 1.0  # a score that falls below the threshold for less than this raises no new alarm


MOST_RARE, MOST_OFTEN = 1e-6, 600.0  # alarms an hour that may be asked for
HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0}


@dataclass(frozen=True)
class Alarm:
    """A stretch of frames of one video.

    Attributes:
        start, end: its first and last frame above the threshold, from 0, both inclusive.
        peak: the frame of the highest score, the first of equal ones.
        score: at the peak.
    """

    start: int
    end: int
    peak: int
    score: float


def read_rate(text: str) -> float | None:
    """Alarms an hour, of a text such as `1/hour`, `0.5/day`; None: `none`.

    Raises:
        BadInput: if it is none.

    >>> read_rate("12/day")
    0.5
    """
    if text == "none":
        return None
    number, _, unit = text.partition("/")
    known = re.fullmatch(r"\d+(\.\d+)?", number) and unit in HOURS
    rate = float(number) / HOURS[unit] if known else 0.0
    if not MOST_RARE <= rate <= MOST_OFTEN:
        raise BadInput(
            f"alarms {quote(text)}: expected none, or how many a minute, hour, day or week of"
            f" normal video may raise, such as 1/hour; at most {MOST_OFTEN:g} an hour"
        )
    return rate


def read_rates(text: str) -> list[float]:
    """Alarms an hour, of a text such as `6/hour,60/hour`.

    Raises:
        BadInput: if one is no rate.
    """
    rates = [read_rate(each.strip()) for each in text.split(",")]
    if None in rates:
        raise BadInput(f"alarms {quote(text)}: expected rates, such as 6/hour,60/hour")
    return [rate for rate in rates if rate is not None]


def join_frames(fps: float) -> int:
    """How many frames below the threshold two stretches of one alarm may have between them.

    >>> join_frames(10)
    9
    """
    return max(int(np.ceil(JOIN_SECONDS * fps)) - 1, 0)


def find_alarms(scores: NDArray[np.float64], threshold: float, join: int = 0) -> list[Alarm]:
    """The alarms of one video.

    Args:
        scores: [T] frame scores; NaN is not above any threshold.
        threshold: frames with a higher score are in an alarm.
        join: stretches with at most so many frames between them are one alarm.

    >>> scores = np.array([0.0, 2, 3, 0, 2, 0, 0, 4])
    >>> [(one.start, one.end, one.peak) for one in find_alarms(scores, 1, join=1)]
    [(1, 4, 2), (7, 7, 7)]
    """
    above = np.flatnonzero(scores > threshold)
    if not len(above):
        return []
    stretches = np.split(above, np.flatnonzero(np.diff(above) > join + 1) + 1)
    alarms = []
    for frames in stretches:
        peak = int(frames[scores[frames].argmax()])
        alarms.append(Alarm(int(frames[0]), int(frames[-1]), peak, float(scores[peak])))
    return alarms
