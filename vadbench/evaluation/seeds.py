"""A metric over the seeds of a method: its mean, spread and interval. The one aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vadbench.evaluation.metrics.uncertainty import Estimate, Jackknife, combine, interval
from vadbench.spec import NOT_COMPUTED, Value

OF_SINGLE_SEEDS = (
    "each seed has one (vadbench export); over seeds and between rows, unsmoothed scores have"
    " one for micro AUC alone"
)


@dataclass(frozen=True)
class Aggregate:
    """A metric over seeds: what a cell of a table or of the leaderboard shows.

    Attributes:
        value: the mean, a fraction; None where no seed has one, with a `reason`.
        spread: the deviation over seeds; None of a single one.
        seeds: how many have a value.
        undefined: how many have none.
        reason: why there is no value.
        low, high, videos: the 95 % interval and the test videos it rests on.
        why: why there is no interval.
        estimate: for differences to other rows; None where something is not stored.
    """

    value: float | None
    spread: float | None = None
    seeds: int = 0
    undefined: int = 0
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    videos: int | None = None
    why: str | None = None
    estimate: Estimate | None = None


def aggregate(values: Sequence[Value], jackknives: Sequence[Jackknife | None]) -> Aggregate:
    """The one aggregation over seeds.

    Args:
        values: of one metric, one a seed.
        jackknives: of the same records; None where a record stores none.

    >>> values = [Value("micro_auc", value=0.5), Value("micro_auc", value=0.75)]
    >>> aggregate(values, [None, None]).value
    0.625
    """
    known = [
        (value, jackknife)
        for value, jackknife in zip(values, jackknives, strict=True)
        if value.value is not None
    ]
    if not known:
        reason = next((value.reason for value in values if value.reason), NOT_COMPUTED)
        return Aggregate(None, undefined=len(values), reason=reason)
    fractions = [value.value for value, _ in known if value.value is not None]
    mean = float(np.mean(fractions))
    spread = float(np.std(fractions, ddof=1)) if len(fractions) > 1 else None
    result = Aggregate(mean, spread, len(fractions), len(values) - len(fractions))
    stored = [jackknife for _, jackknife in known if jackknife is not None]
    if len(stored) < len(known) or len({one.videos for one in stored}) > 1:
        return _without_estimate(result, [value for value, _ in known])
    estimate = combine(fractions, stored)
    ends = interval(estimate)
    return replace(
        result,
        low=ends.low,
        high=ends.high,
        videos=ends.videos,
        why=ends.reason,
        estimate=estimate,
    )


def _without_estimate(result: Aggregate, values: Sequence[Value]) -> Aggregate:
    """Of one record the interval that it stores; of several none, for what most of them say."""
    first = values[0]
    if len(values) == 1 and first.low is not None:
        return replace(result, low=first.low, high=first.high, videos=first.videos)
    reasons = [
        value.interval_reason or (NOT_COMPUTED if value.low is None else OF_SINGLE_SEEDS)
        for value in values
    ]
    return replace(result, why=max(reasons, key=reasons.count))
