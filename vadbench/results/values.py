"""The values of a record as metrics.json holds them: columns, and a row a value."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from vadbench.errors import quote
from vadbench.spec import MOST_COUNTED, Protocol, Value

COLUMNS = tuple(field.name for field in fields(Value))
DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Value)} | {"left_out": []}
TEXTS = ("convention", "video", "reason", "interval_reason")
REQUIRED_TEXTS = ("metric", "smoothing", "read_out")
FRACTIONS = ("value", "low", "high")
NAMES = (
    "micro_auc",
    "macro_auc",
    "eer",
    "average_precision",
    "fpr_at_95_tpr",
    "prevalence",
    "rbdc",
    "tbdc",
)


def tabulate(values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The table of values, given as dictionaries; ends of a row that are defaults are left out: a
    fifth of the size.
    """
    rows = []
    for value in values:
        row = [value[name] for name in COLUMNS]
        while row and row[-1] == DEFAULTS[COLUMNS[len(row) - 1]]:
            row.pop()
        rows.append(row)
    return {"columns": list(COLUMNS), "rows": rows}


def write_table(table: dict[str, Any]) -> str:
    """The table as JSON, one line a value: readable in a diff."""
    lines = (
        "  " + json.dumps(row, allow_nan=False, separators=(",", ":")) for row in table["rows"]
    )
    body = ",\n".join(lines)
    return f'{{"columns": {json.dumps(table["columns"])}, "rows": [\n{body}\n ]}}'


def read_table(table: Any) -> tuple[Value, ...]:
    """The values in a table.

    Raises:
        ValueError, KeyError, TypeError: if it is none.
    """
    names = tuple(table["columns"])
    usual = names == COLUMNS[: len(names)]
    values = []
    for row in table["rows"]:
        if not isinstance(row, list) or len(row) > len(names):
            raise ValueError(f"values: a row {quote(row)}; expected a list of {len(names)} at most")
        value = Value(*row) if usual else Value(**dict(zip(names, row, strict=False)))
        if value.left_out != ():
            value = replace(value, left_out=_read_texts(value.left_out))
        _check_types(value)
        values.append(value)
    return tuple(values)


def _read_texts(texts: Any) -> tuple[str, ...]:
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError(f"left_out {quote(texts)}; expected a list of streams")
    return tuple(texts)


def _check_types(value: Value) -> None:
    """Refuse what no record holds, whoever wrote it."""
    for name in REQUIRED_TEXTS:
        if not isinstance(getattr(value, name), str):
            raise ValueError(f"{name} {quote(getattr(value, name))}; expected a text")
    for name in TEXTS:
        if not isinstance(getattr(value, name), str | None):
            raise ValueError(f"{name} {quote(getattr(value, name))}; expected a text or null")
    for name in FRACTIONS:
        number = getattr(value, name)
        if number is not None and not _is_number(number):
            raise ValueError(f"{name} {quote(number)}; expected a number or null")
    for name in ("n", "videos"):
        if not is_count(getattr(value, name)) and not (name == "videos" and value.videos is None):
            raise ValueError(f"{name} {quote(getattr(value, name))}; expected a whole number")


def _is_number(number: Any) -> bool:
    real = isinstance(number, int | float) and not isinstance(number, bool)
    return real and abs(number) <= MOST_COUNTED


def is_count(number: Any) -> bool:
    """Whether it is a whole number that something can count."""
    whole = isinstance(number, int) and not isinstance(number, bool)
    return whole and 0 <= number <= MOST_COUNTED


def find_impossible(values: Iterable[Value], protocol: Protocol) -> str | None:
    """What no evaluation gives: a value outside 0 to 1, an interval without its value, a metric
    that is none; None where there is nothing of the kind.
    """
    smoothings = {"none", protocol.filter}
    for value in values:
        problem = _find_impossible(value, smoothings)
        if problem is not None:
            named = " ".join(filter(None, (value.metric, value.convention, value.video)))
            return f"{problem} ({quote(named)})"
    places: dict[tuple[str | None, ...], float | None] = {}
    for one in values:
        place = one.metric, one.convention, one.smoothing, one.read_out, one.video
        if places.setdefault(place, one.value) != one.value:
            return f"{one.metric} is there twice"
    return None


def _find_impossible(value: Value, smoothings: set[str]) -> str | None:
    if value.metric not in NAMES:
        return f"metric {quote(value.metric)} is none of vadbench's"
    if value.smoothing not in smoothings:
        return f"smoothing {quote(value.smoothing)} is not the protocol's"
    number, low, high = value.value, value.low, value.high
    if number is None:
        return _of_undefined(value)
    if value.reason is not None:
        return "a value with a reason why there is none"
    if not 0 <= number <= 1:
        return f"{quote(number)} where a metric is a fraction between 0 and 1"
    if low is None and high is None:
        return None
    if low is None or high is None or not 0 <= low <= number <= high <= 1:
        ends = f"[{quote(low)}, {quote(high)}]"
        return f"the interval {ends} does not hold its value {quote(number)}"
    return None


def _of_undefined(value: Value) -> str | None:
    if value.low is not None or value.high is not None:
        return "an interval without a value"
    return "no value, and no reason why" if value.reason is None else None
