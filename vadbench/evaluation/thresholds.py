"""A threshold that normal video rises above so many times an hour, from the scores of normal videos
that the method has not seen. No label is read.

Two estimators. The *order statistic* needs as much video as the rate asks for: with k = rate x
hours it is the score at which the k-th alarm appears, from above; new normal video then raises k /
hours alarms an hour in expectation, whatever the scores' distribution, if alarms come
independently; it scatters by 1 / sqrt(k). The *tail* also serves rarer alarms: their peaks above a
high score follow a generalised Pareto distribution (Pickands 1975), fitted by L-moments (Hosking
and Wallis 1987) and followed to the rate (peaks over threshold). From k = 5 on, the one that better
keeps its promise on random halves of the same videos is taken; below, the tail, if there is one: it
raises up to twice as many in expectation, but misses less often by far than an order statistic of
so few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, lmoment

from vadbench.evaluation.alarms import find_alarms

Method = Literal["order statistic", "tail"]
Videos = Sequence[NDArray[np.float64]]
MOST_PEAKS, LEAST_PEAKS = 50, 8  # that a tail is fitted to
LEAST_ALARMS = 5  # that an order statistic is taken of, where there is a tail too
LEAST_PART = 0.01  # of an alarm that the video has: no tail is followed further
SPLITS = 12  # random halves that the two estimators are tried on
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Threshold:
    """A threshold, and how far its rate can be trusted.

    Attributes:
        value: frames with a higher score raise an alarm; None: there is none, as `reason` says.
        method: how it was found.
        hours: of held-out normal video.
        alarms: that this video raises at it.
        low, high: alarms an hour between which the true rate is (95 %), if they come independently:
            of the number of alarms seen, a Poisson count (Garwood 1936). None: without video, any.
        ratios: method -> alarms on one half of the videos over those asked for, with a threshold
            from the other half; empty where too few are expected to tell.
        reason: why there is no threshold.
    """

    value: float | None
    method: Method | None
    hours: float
    alarms: int
    low: float
    high: float | None
    ratios: dict[Method, float]
    reason: str = ""


def set_threshold(videos: Videos, rate: float, fps: float, join: int) -> Threshold:
    """The threshold that raises `rate` alarms an hour on normal video.

    Args:
        videos: frame scores of each held-out normal video.
        rate: alarms an hour.
        fps: frames a second of the videos.
        join: as of `find_alarms`.
    """
    hours = count_hours(videos, fps)
    if not hours:
        nothing = "no video of it can be held out"
        return Threshold(None, None, 0.0, 0, 0.0, None, {}, nothing)
    found = {name: make(videos, rate, hours, join) for name, make in _ESTIMATORS.items()}
    usable: dict[Method, float] = {
        name: value for name, value in found.items() if value is not None
    }
    if len(usable) > 1 and rate * hours < LEAST_ALARMS:
        del usable["order statistic"]
    ratios, errors = _try_halves(videos, rate, fps, join)
    if not usable:
        return Threshold(
            None, None, hours, 0, 0.0, _garwood(0, hours)[1], ratios, _why_none(rate * hours, hours)
        )
    method = min(usable, key=lambda name: errors.get(name, np.inf))
    value = usable[method]
    alarms = count_alarms(videos, value, join)
    return Threshold(value, method, hours, alarms, *_garwood(alarms, hours), ratios)


def _why_none(asked: float, hours: float) -> str:
    video = f"{hours * 60:.3g} minutes of held-out normal video"
    if asked >= 1:
        return f"{video} raise fewer alarms than that at any threshold"
    return f"{video} are too little, and have no tail of alarms to follow so far"


def count_hours(videos: Videos, fps: float) -> float:
    """Hours of video."""
    return sum(map(len, videos)) / fps / 3600


def count_alarms(videos: Videos, threshold: float, join: int) -> int:
    """Alarms of all videos at a threshold."""
    return sum(len(find_alarms(scores, threshold, join)) for scores in videos)


def _garwood(alarms: int, hours: float) -> tuple[float, float]:
    """The exact interval of a Poisson rate."""
    tail = (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * alarms)) / 2 if alarms else 0.0
    return low / hours, float(chi2.isf(tail, 2 * alarms + 2)) / 2 / hours


def _order_statistic(videos: Videos, rate: float, hours: float, join: int) -> float | None:
    """The score at which the k-th alarm appears, k = rate x hours, between two alarms where k is;
    None: k < 1, or there are never so many.
    """
    asked = rate * hours + 1e-9
    whole = int(asked)
    appearing = _appearances(videos, join, whole + 1)
    if whole < 1 or len(appearing) < whole:
        return None
    last = float(appearing[whole - 1])
    following = float(appearing[whole]) if len(appearing) > whole else last
    return last + (asked - whole) * (following - last)


def _tail(videos: Videos, rate: float, hours: float, join: int) -> float | None:
    """Where the tail of the alarms' peaks falls to the rate; None: there are too few peaks, the
    rate is not in the tail, or too far out in it.
    """
    appearing = _appearances(videos, join, MOST_PEAKS + 1)
    if len(appearing) <= LEAST_PEAKS or rate * hours < LEAST_PART:
        return None
    base = float(appearing[-1])
    peaks = [alarm.score for scores in videos for alarm in find_alarms(scores, base, join)]
    # of scores that are often equal few or none are above the base
    if len(peaks) < LEAST_PEAKS or (rarer := rate * hours / len(peaks)) >= 1:
        return None
    first, second = (float(lmoment(np.array(peaks) - base, order=order)) for order in (1, 2))
    if not second > 0:  # all peaks are one value
        return None
    shape = first / second - 2  # Hosking and Wallis 1987, Eq. 4; positive: the tail ends
    scale = (1 + shape) * first
    if abs(shape) < 1e-9:
        return base - scale * float(np.log(rarer))
    return base + scale * (1 - float(rarer**shape)) / shape


_Estimator = Callable[[Videos, float, float, int], float | None]
_ESTIMATORS: dict[Method, _Estimator] = {"order statistic": _order_statistic, "tail": _tail}


def _appearances(videos: Videos, join: int, most: int) -> NDArray[np.float64]:
    """[<= most] the scores at which the number of alarms first reaches 1, 2, ... as a threshold
    comes down.

    Frames are added from the highest score down: one that has no frame of an alarm near it raises a
    new alarm, one between two alarms makes them one.
    """
    flat = np.concatenate([np.asarray(scores, np.float64) for scores in videos])
    reach = join + 1
    # between videos lies more than an alarm can bridge
    starts = np.cumsum([0, *(len(scores) + reach for scores in videos)])
    place = np.concatenate(
        [start + np.arange(len(scores)) for start, scores in zip(starts, videos, strict=False)]
    )
    place = place.astype(np.int64) + reach
    above = np.zeros(int(starts[-1]) + 2 * reach + 1, bool)
    alarms = 0
    found: list[float] = []
    for frame in np.argsort(-flat, kind="stable"):
        if np.isnan(flat[frame]) or len(found) >= most:
            break
        here = int(place[frame])
        left = np.flatnonzero(above[here - reach : here])
        right = np.flatnonzero(above[here + 1 : here + reach + 1])
        if not len(left) and not len(right):
            alarms += 1
        elif len(left) and len(right) and right[0] + 1 + reach - left[-1] > reach:
            alarms -= 1
        above[here] = True
        if alarms > len(found):
            found.append(float(flat[frame]))
    return np.array(found)


def _try_halves(
    videos: Videos, rate: float, fps: float, join: int
) -> tuple[dict[Method, float], dict[Method, float]]:
    """How each estimator keeps its promise on normal videos that it has not seen: alarms over those
    asked for, and the mean absolute logarithm of that over random halves.

    Half of the video is asked for twice the rate, so that as many alarms decide as with all of it.
    """
    rng = np.random.default_rng(0)
    seen: dict[Method, list[tuple[int, float]]] = {}
    if len(videos) < 2 or rate * count_hours(videos, fps) < 1:
        return {}, {}
    for _ in range(SPLITS):
        order = rng.permutation(len(videos))
        one, other = ([videos[place] for place in half] for half in np.array_split(order, 2))
        hours = count_hours(one, fps)
        for name, estimate in _ESTIMATORS.items():
            value = estimate(one, 2 * rate, hours, join)
            if value is not None:
                asked = 2 * rate * count_hours(other, fps)
                seen.setdefault(name, []).append((count_alarms(other, value, join), asked))
    full = {name: pairs for name, pairs in seen.items() if len(pairs) == SPLITS}
    ratios = {
        name: float(sum(got for got, _ in pairs) / sum(asked for _, asked in pairs))
        for name, pairs in full.items()
    }
    errors = {
        name: float(np.mean([abs(np.log((got + 0.5) / (asked + 0.5))) for got, asked in pairs]))
        for name, pairs in full.items()
    }
    return ratios, errors
