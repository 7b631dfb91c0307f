"""How sure values are: what a record keeps of it, and what follows for a value over seeds.

A value of the whole test set has `low` and `high`, the 95 % interval, `videos`, how many test
videos it rests on, and `interval_reason`, why there is none. jackknife.npz has the jackknife of
each metric, [V] `left_out.<metric>.<convention>` (and `influence.…` of micro AUC, where the two
differ), from which differences of records follow without rows and without the data set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vadbench.evaluation.metrics.uncertainty import (
    QUANTILE,
    WITHOUT,
    Jackknife,
    Key,
    combine,
    interval,
)
from vadbench.files.npz import Arrays
from vadbench.spec import REGIONS, Metric, Protocol, Value

UNSMOOTHED = "micro_auc_unsmoothed"  # the name under which it stands beside the smoothed one
NO_ROWS = (
    "row scores (rows.npz) are not here, and intervals need them; vadbench run --existing rerun"
    " makes them"
)


def add_intervals(
    values: Iterable[Value], jackknives: Mapping[Key, Jackknife], missing: str = NO_ROWS
) -> list[Value]:
    """A record's values, those of the whole test set with their interval.

    Args:
        values: of one read-out and one smoothing.
        jackknives: by (metric, convention).
        missing: why a metric that could have an interval has no jackknife.
    """
    return [_add_interval(value, jackknives, missing) for value in values]


def _add_interval(value: Value, jackknives: Mapping[Key, Jackknife], missing: str) -> Value:
    if value.video is not None or value.value is None or value.metric == "prevalence":
        return value
    jackknife = jackknives.get((value.metric, value.convention))
    if jackknife is None:
        reason = QUANTILE if value.metric in WITHOUT else missing
        return replace(value, interval_reason=reason)
    one = interval(combine([value.value], [jackknife]))
    return replace(value, low=one.low, high=one.high, videos=one.videos, interval_reason=one.reason)


def jackknife_arrays(jackknives: Mapping[Key, Jackknife]) -> Arrays:
    """The arrays of jackknife.npz; `read_jackknife` takes them back."""
    arrays: Arrays = {}
    for key, one in jackknives.items():
        arrays[_name("left_out", key)] = one.left_out
        if key[0] in ("micro_auc", UNSMOOTHED):
            arrays[_name("influence", key)] = one.influence
    return arrays


def read_jackknife(arrays: Arrays, metric: Metric, protocol: Protocol) -> Jackknife | None:
    """The jackknife of a metric under a record's protocol, None where the record has none."""
    beside = not metric.smoothed and metric.metric not in REGIONS and protocol.smoothing is not None
    name = f"{metric.metric}_unsmoothed" if beside else metric.metric
    convention = protocol.ties if metric.metric in REGIONS else metric.convention
    key = name, convention
    left_out = arrays.get(_name("left_out", key))
    if left_out is None:
        return None
    influence = arrays.get(_name("influence", key))
    return Jackknife.of_left_out(left_out) if influence is None else Jackknife(influence, left_out)


def _name(kind: str, key: Key) -> str:
    return f"{kind}.{key[0]}.{key[1] or 'plain'}"
