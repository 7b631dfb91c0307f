"""Records of schema 1, as versions before 0.2 wrote them: read as what they are today.

They did not say by which preset their settings were asked for, and kept frame scores with each
recipe. What they say of intervals is older than the jackknife where `interval_reason` is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vadbench.files.npz import Arrays, load_arrays
from vadbench.spec import NOT_COMPUTED

RETIRED = ("parts", "windows", "resamples", "resampling_seed")  # fields of its protocol


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """A run.json or metrics.json of schema 1 as one of schema 2.

    Raises:
        KeyError, TypeError: on a document that is none.
    """
    if "rows" not in document:
        return {**document, "schema_version": 2}
    parts = document["parts"]
    method = document["recipe"].partition("@")[0]
    protocol = {name: value for name, value in document["protocol"].items() if name not in RETIRED}
    kept = ("identity", "runs", "labels", "read_outs")
    shown = parts[0].get("read_out") or document["read_outs"][0]
    values = [_value(row, shown) for row in document["rows"]]
    return {
        **{name: document[name] for name in kept},
        "schema_version": 2,
        "evaluation": document.get("evaluation", 1),
        "result": {
            "dataset": document["dataset"],
            "method": method,
            "parts": [_part(part) for part in parts],
            "training": _training(parts[0], document["seed"]),
            "protocol": protocol,
            "read_out": parts[0].get("read_out"),
        },
        "values": {
            "columns": list(values[0]) if values else [],
            "rows": [list(value.values()) for value in values],
        },
    }


def read_jackknife(folder: Path) -> Arrays:
    """What each video does to the values, from the frames.npz of a recipe; empty without one."""
    path = folder / "frames.npz"
    arrays = load_arrays(path) if path.is_file() else {}
    names = ("left_out.", "influence.")
    return {name: values for name, values in arrays.items() if name.startswith(names)}


def read_scores(folder: Path) -> Arrays | None:
    """`scores` [T, 1], `lengths` [V] and `videos` [V] from the frames.npz of a recipe."""
    path = folder / "frames.npz"
    return load_arrays(path) if path.is_file() else None


def _part(part: dict[str, Any]) -> dict[str, Any]:
    names = ("method", "stream", "calibration", "empty", "config", "fingerprint")
    known = {name: part[name] for name in names if name in part}
    known["extraction"] = part.get("extraction", {})
    known["code"] = part.get("code", {})
    return known


def _training(part: dict[str, Any], seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "scope": part.get("scope", "pooled"),
        "source": part.get("train_dataset"),
        "split": part.get("resplit"),
    }


def _value(row: dict[str, Any], shown: str) -> dict[str, Any]:
    """A row's fields; ends of an interval that an earlier version made another way are left out."""
    names = ("metric", "convention", "smoothing", "read_out", "video", "value", "n", "reason")
    value = {name: row.get(name) for name in names}
    current = "interval_reason" in row
    for name in ("low", "high", "videos", "interval_reason"):
        value[name] = row.get(name) if current else None
    ranked = value["video"] is None and value["read_out"] == shown
    could = ranked and value["metric"] != "prevalence"
    if not current and could and value["value"] is not None:
        value["interval_reason"] = NOT_COMPUTED
    value["left_out"] = tuple(row.get("left_out", ()))
    return value
