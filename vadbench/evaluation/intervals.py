"""What a record keeps of how sure its values are, and what its views read of it.

A row of the whole test set has `low` and `high`, the 95 % interval, `videos`, how many test videos
it rests on, and `interval_reason`, why there is none. frames.npz has the jackknife of each metric,
[V] `left_out.<metric>.<convention>` (and `influence.…` of micro AUC, where the two differ), from
which differences of records follow without rows and without the data set. Records of earlier
versions kept draws of a percentile bootstrap and its ends, which were too sure: they are not shown.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.uncertainty import (
    QUANTILE,
    WITHOUT,
    Estimate,
    Interval,
    Jackknife,
    Key,
    combine,
    interval,
)
from vadbench.files.npz import Arrays, open_npz

REGIONS = ("rbdc", "tbdc")
UNSMOOTHED = "micro_auc_unsmoothed"  # the name under which it stands beside the smoothed one
NOT_COMPUTED = "not computed by this version; run vadbench evaluate"
NO_ROWS = (
    "row scores (rows.npz) are not here, and intervals need them; vadbench run --existing rerun"
    " makes them"
)
FIELDS = ("low", "high", "videos", "interval_reason")  # of a row that has an interval, or could


def with_intervals(
    rows: Iterable[Mapping[str, Any]], jackknives: Mapping[Key, Jackknife], missing: str = NO_ROWS
) -> list[dict[str, Any]]:
    """A record's rows, those of the whole test set with their interval.

    Args:
        rows: of one read-out and one smoothing.
        jackknives: by (metric, convention).
        missing: why a metric that could have an interval has no jackknife.
    """
    return [{**row, **_interval_fields(row, jackknives, missing)} for row in rows]


def _interval_fields(
    row: Mapping[str, Any], jackknives: Mapping[Key, Jackknife], missing: str
) -> dict[str, Any]:
    if row["video"] is not None or row["metric"] == "prevalence":
        return {}
    found = Interval(None, None)
    jackknife = jackknives.get((row["metric"], row["convention"]))
    if row["value"] is not None and jackknife is not None:
        found = interval(combine([row["value"]], [jackknife]))
    elif row["value"] is not None:
        found = Interval(None, None, None, QUANTILE if row["metric"] in WITHOUT else missing)
    return dict(zip(FIELDS, (found.low, found.high, found.videos, found.reason), strict=True))


def row_interval(row: Mapping[str, Any]) -> Interval:
    """The interval of a record's row; none, with the reason, of a row that an earlier version
    wrote.
    """
    if row.get("value") is None:
        return Interval(None, None)
    if "interval_reason" not in row:
        return Interval(None, None, None, QUANTILE if row["metric"] in WITHOUT else NOT_COMPUTED)
    return Interval(*(row[name] for name in FIELDS))


def why_none(row: Mapping[str, Any]) -> str:
    """Why a row has no jackknife."""
    return row_interval(row).reason or NOT_COMPUTED


def jackknife_arrays(jackknives: Mapping[Key, Jackknife]) -> Arrays:
    """The arrays of frames.npz; `read_jackknife` takes them back."""
    arrays: Arrays = {}
    for key, one in jackknives.items():
        arrays[_name("left_out", key)] = one.left_out
        if key[0] in ("micro_auc", UNSMOOTHED):
            arrays[_name("influence", key)] = one.influence
    return arrays


def load_jackknives(path: Path) -> Arrays | None:
    """The arrays of a frames.npz that `read_jackknife` takes, alone; None where the file is not
    there.

    Raises:
        BadInput: if it is damaged.
    """
    if not path.is_file():
        return None
    try:
        with open_npz(path) as archive:
            return {
                name: archive[name]
                for name in archive
                if name.startswith(("left_out.", "influence."))
            }
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise BadInput(f"{path}: damaged ({error}); remove it and run vadbench evaluate") from error


def read_jackknife(frames: Arrays | None, metric: str, convention: str | None) -> Jackknife | None:
    """The stored jackknife of a metric, None where a record has none; `UNSMOOTHED` is a metric
    here.
    """
    key = metric, convention
    left_out = None if frames is None else frames.get(_name("left_out", key))
    if frames is None or left_out is None:
        return None
    influence = frames.get(_name("influence", key))
    return Jackknife.of_left_out(left_out) if influence is None else Jackknife(influence, left_out)


def stored_name(metric: str, smoothed: bool, filtered: bool) -> str:
    """The name under which a table's metric is stored: `filtered` says whether the record's
    protocol smooths.
    """
    beside = not smoothed and metric not in REGIONS and filtered
    return f"{metric}_unsmoothed" if beside else metric


def estimate_of(
    rows: Sequence[Mapping[str, Any]], jackknives: Sequence[Jackknife | None]
) -> Estimate | None:
    """A metric over seeds: a row and a jackknife of each record.

    None without a value, or where a jackknife is missing.
    """
    known = [
        (row["value"], one)
        for row, one in zip(rows, jackknives, strict=True)
        if row["value"] is not None
    ]
    there = [one for _, one in known if one is not None]
    if not known or len(there) < len(known) or len({one.videos for one in there}) > 1:
        return None
    return combine([value for value, _ in known], there)


def _name(kind: str, key: Key) -> str:
    return f"{kind}.{key[0]}.{key[1] or 'plain'}"
