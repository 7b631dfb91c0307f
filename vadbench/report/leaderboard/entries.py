"""The rows of the leaderboard: records that differ in their seed alone become one entry; only
entries of one group are comparable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from vadbench.evaluation.protocol import Protocol, current_fields
from vadbench.report.leaderboard import catalogue
from vadbench.report.settled import why_settled
from vadbench.report.tables.table import BOARD, Cell

if TYPE_CHECKING:
    import pandas as pd

    from vadbench.results.records import RunRecord

COSTS = ("fit_seconds", "score_seconds", "train_rows", "test_rows", "parameters", "peak_memory_mib")
# to be comparable
GROUPED = (
    "dataset",
    "setting",
    "split",
    "scope",
    "train_dataset",
    "labels",
    "labels_sha256",
    "regions_sha256",
    "protocol",
)
# what the records of one entry share
SAME = (*GROUPED, "method", "features", "config", "code", "fingerprints", "read_out")
NOT_PLACED = "no place: the records themselves are not at hand"
SEEDS_APART = "its seeds' records are not at hand together"
UNSETTLED = (
    "one of several settings, and no preset: an ablation or an older version; nothing may be chosen"
    " by the test labels"
)


@dataclass(frozen=True)
class Group:
    """What figures must share to be compared: data set, training, labels, protocol.

    Attributes:
        dataset: the tested one.
        setting: `one-class` or `unsupervised`.
        split: the re-split of an unsupervised setting.
        scope: `pooled` or `scene`.
        train_dataset: what was trained on.
        labels: name of the frame labels; empty where nothing was evaluated.
        labels_sha256: their hash; None where nothing was evaluated, or the record has none.
        regions_sha256: the hash of the region tracks; None where there are none, or the record has
            none.
        rules: the protocol's fields that differ from the data set's default protocol,
            `field=value`; calibrations are part of them where a record's differ from those that its
            method declares.
        smoothing: the protocol's sigma in frames, None without a filter.
    """

    dataset: str
    setting: str
    split: str | None
    scope: str
    train_dataset: str
    labels: str
    labels_sha256: str | None
    regions_sha256: str | None
    rules: tuple[str, ...]
    smoothing: float | None

    @property
    def training(self) -> str:
        """The setting in words: `one-class, pooled`, `one-class, per scene, trained on avenue`,
        `unsupervised (every-second-test-video)`.
        """
        setting = self.setting if self.split is None else f"{self.setting} ({self.split})"
        scope = "per scene" if self.scope == "scene" else self.scope
        return ", ".join(
            [
                setting,
                scope,
                *(
                    []
                    if self.train_dataset == self.dataset
                    else [f"trained on {self.train_dataset}"]
                ),
            ]
        )

    @property
    def protocol(self) -> str:
        """The protocol in words."""
        smoothing = (
            "no smoothing"
            if self.smoothing is None
            else f"Gaussian smoothing sigma {self.smoothing:g}"
        )
        return (
            f"{smoothing}; otherwise than the default protocol: {', '.join(self.rules)}"
            if self.rules
            else f"default protocol ({smoothing})"
        )

    @property
    def labelled(self) -> str:
        """The labels in words: name and beginning of the hash; likewise of the region tracks, where
        there are any.
        """
        name = self.labels or "none"
        told = f"{name} ({self.labels_sha256[:8]})" if self.labels_sha256 else name
        return f"{told}, regions {self.regions_sha256[:8]}" if self.regions_sha256 else told

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands among others: of a data set, what is usual comes first."""
        unusual = (
            self.setting != "one-class",
            self.train_dataset != self.dataset,
            bool(self.rules),
            self.scope != "pooled",
        )
        return self.dataset, *unusual, self.training, self.rules, self.labelled


@dataclass(frozen=True, eq=False)
class Entry:
    """A method on some features, over its seeds.

    Attributes:
        group: what it is comparable with.
        settings: the preset's name, or how the settings differ from it.
        config: the settings, as in `vadbench.results.frame`.
        code: what tells the code apart, likewise; None for version 1 of ours.
        read_out: the score column that is shown.
        seeds, identities, runs, commits: of its records; `runs` are identities joined by `,`.
        cells: one for each of `BOARD`.
        cost: means over the seeds, of `COSTS`; None where it is not known.
        unranked: why it takes no part in places and ranks; None where it does.
        extraction: beginnings of the features' fingerprints where the same features were extracted
            in several ways; else empty.
        failures: errors of jobs that failed, for seeds that have no record.
        places: one for each of `BOARD`: shared by rows that do not differ significantly; a text
            says why there is none.
    """

    group: Group
    method: str
    features: str
    settings: str
    config: str
    code: str | None
    fingerprints: str
    read_out: str
    seeds: tuple[int, ...]
    identities: tuple[str, ...]
    runs: tuple[str, ...]
    commits: tuple[str, ...]
    cells: tuple[Cell, ...]
    cost: dict[str, float | None]
    unranked: str | None = None
    extraction: str = ""
    failures: tuple[str, ...] = ()
    places: tuple[int | str, ...] = (NOT_PLACED,) * len(BOARD)

    @property
    def recipe(self) -> str:
        """`method@stream+stream`."""
        return f"{self.method}@{self.features}"

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands among others: by group, method and features."""
        return self.group.order, self.method, self.features, self.settings, self.fingerprints

    @property
    def streams(self) -> str:
        """The features in one order: what is fused has none, though its name does."""
        return "+".join(sorted(self.features.split("+")))

    @property
    def extracted(self) -> tuple[tuple[str, str], ...]:
        """The streams with the fingerprints of their extraction, in one order."""
        return tuple(
            sorted(zip(self.features.split("+"), self.fingerprints.split("+"), strict=True))
        )

    @property
    def level(self) -> float:
        """The micro AUC, for sorting: -1 where it is undefined."""
        value = self.cells[0].value
        return -1.0 if value is None else value

    @property
    def seconds(self) -> float | None:
        """Time to train and to score; None where it was not recorded."""
        fit, score = self.cost["fit_seconds"], self.cost["score_seconds"]
        return None if fit is None or score is None else fit + score


def make_entries(frame: pd.DataFrame, runs: Iterable[RunRecord] = ()) -> list[Entry]:
    """The entries of a data frame of `load_results`, by group, method and features;
    read-outs that it does not rank are left out.

    Args:
        frame: rows of whole test sets are used.
        runs: run records, where they are at hand: they say which read-out is a method's default.
    """
    whole = frame[frame["video"].isna() & frame["ranked"]]
    if whole.empty:
        return []
    heads = (
        whole.drop_duplicates("identity").sort_values("seed", kind="stable").reset_index(drop=True)
    )
    values = _pivoted(whole, heads["identity"])
    defaults = {run.identity: run.read_outs[0] for run in runs if run.read_outs}
    records: list[dict[str, Any]] = (
        heads.astype(object).where(heads.notna(), None).to_dict("records")  # type: ignore[assignment]
    )
    alike: dict[tuple[Any, ...], list[int]] = {}
    for position, record in enumerate(records):
        alike.setdefault(tuple(record[name] for name in SAME), []).append(position)
    entries = [
        _entry(
            [records[position] for position in positions],
            {name: table[positions] for name, table in values.items()},
            defaults,
        )
        for positions in alike.values()
    ]
    return _told_apart(_settled(sorted(entries, key=lambda entry: entry.order)))


def _pivoted(whole: pd.DataFrame, identities: pd.Series) -> dict[str, Any]:
    """value, low, high, videos (float64), reason and interval_reason (text), each [records,
    BOARD].
    """
    import pandas as pd

    smoothed = whole["smoothing"] != "none"
    filtered = whole["identity"].isin(whole.loc[smoothed, "identity"])
    columns: dict[str, list[Any]] = {
        "value": [],
        "low": [],
        "high": [],
        "videos": [],
        "reason": [],
        "interval_reason": [],
    }
    for (metric, convention, wanted), _ in BOARD.values():
        there = (whole["metric"] == metric) & (smoothed == (filtered & wanted))
        if metric not in ("rbdc", "tbdc"):
            there &= (
                whole["convention"].isna()
                if convention is None
                else whole["convention"] == convention
            )
        found = whole[there].drop_duplicates("identity").set_index("identity").reindex(identities)
        for name, of_metric in columns.items():
            of_metric.append(
                found[name].to_numpy(float, na_value=np.nan)
                if name == "videos"
                else found[name].to_numpy()
            )
    stacked: dict[str, Any] = {
        name: np.stack(of_metric, axis=1) for name, of_metric in columns.items()
    }
    for name in ("reason", "interval_reason"):
        stacked[name] = np.where(pd.isna(stacked[name]), "", stacked[name]).astype(str)
    return stacked


def _entry(
    records: list[dict[str, Any]], values: dict[str, Any], defaults: dict[str, str]
) -> Entry:
    """The entry of records that are alike, given with their `_pivoted` values [S, BOARD]."""
    first = records[0]
    seeds = tuple(int(record["seed"]) for record in records)
    costs = {name: [record[name] for record in records] for name in COSTS}
    return Entry(
        group=_group(first),
        method=first["method"],
        features=first["features"],
        settings=catalogue.settings_label(first["train_dataset"], first["config"]),
        config=first["config"],
        code=first["code"],
        fingerprints=first["fingerprints"],
        read_out=first["read_out"],
        seeds=seeds,
        identities=tuple(record["identity"] for record in records),
        runs=tuple(record["runs"] for record in records),
        commits=tuple(dict.fromkeys(record["commit"] for record in records if record["commit"])),
        cells=_cells(values),
        cost={name: None if None in known else fmean(known) for name, known in costs.items()},
        unranked=_unranked(first, seeds, defaults),
    )


def _group(record: dict[str, Any]) -> Group:
    rules, smoothing = _rules(record["dataset"], record["method"], record["protocol"])
    trained = {name: record[name] for name in GROUPED if name != "protocol"}
    return Group(**trained, rules=rules, smoothing=smoothing)


@cache
def _rules(dataset: str, method: str, protocol: str) -> tuple[tuple[str, ...], float | None]:
    """The fields that differ from the default protocol, and the smoothing; calibrations are
    compared with the method's own.
    """
    fields = current_fields(json.loads(protocol))
    parts, smoothing = fields.pop("parts", []), fields.get("smoothing")
    known = catalogue.dataset_class(dataset)
    usual = Protocol(smoothing=None if known is None else known.smoothing).model_dump(mode="json")
    told = [
        f"{name}={catalogue.short(value)}"
        for name, value in fields.items()
        if usual.get(name) != value
    ]
    return (*told, *catalogue.unusual_calibrations(method, parts)), smoothing


def _cells(values: dict[str, Any]) -> tuple[Cell, ...]:
    """Mean over seeds of `_pivoted` values [S, BOARD] and its deviation; a single record's
    interval; the first reason where none has a value.
    """
    cells = []
    names = ("value", "low", "high", "videos", "reason", "interval_reason")
    for value, low, high, videos, reasons, why in zip(
        *(values[name].T.tolist() for name in names), strict=True
    ):
        there = _defined(value)
        if not there:
            cells.append(
                Cell(
                    None,
                    note=next(
                        filter(None, reasons),
                        "not computed by the version that evaluated it; vadbench evaluate adds it",
                    ),
                )
            )
            continue
        note = (
            f"undefined for {len(value) - len(there)} of {len(value)} seeds"
            if len(there) < len(value)
            else None
        )
        cell = Cell(fmean(there), stdev(there) if len(there) > 1 else None, len(there), note)
        if len(value) > 1:
            cells.append(replace(cell, why=next(filter(None, why), SEEDS_APART)))
            continue
        lower, upper, counted = (
            None if math.isnan(end[0]) else end[0] for end in (low, high, videos)
        )
        cells.append(
            replace(
                cell,
                low=lower,
                high=upper,
                videos=None if counted is None else int(counted),
                why=why[0] or None,
            )
        )
    return tuple(cells)


def _defined(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _unranked(
    record: dict[str, Any], seeds: tuple[int, ...], defaults: dict[str, str]
) -> str | None:
    """Why records that are alike take no part in places and ranks."""
    if len(set(seeds)) < len(seeds):
        return "several records of one seed that differ in nothing that is recorded"
    declared = [defaults[run] for run in record["runs"].split(",") if run in defaults]
    if declared and record["read_out"] not in (*declared, "+".join(declared)):
        return f"read-out {record['read_out']}, which is not the method's default"
    if catalogue.settings_label(record["train_dataset"], record["config"]) == "paper" and (
        chosen := catalogue.test_chosen(record["config"])
    ):
        return f"preset paper: its authors chose {', '.join(chosen)} by test labels"
    if known := why_settled(record["dataset"], record["method"], _parts(record)):
        return f"settled with test figures known: {' '.join(known)}"
    return None


def _parts(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Method, stream, calibration and extraction of a record's parts."""
    parts = json.loads(record["config"])
    calibrated = json.loads(record["protocol"]).get("parts") or [{}] * len(parts)
    changed = json.loads(record["extraction"]) if record.get("extraction") else [None] * len(parts)
    return [
        {
            "method": part["method"],
            "stream": part["stream"],
            "calibration": own.get("calibration"),
            "extraction": extraction,
        }
        for part, own, extraction in zip(parts, calibrated, changed, strict=True)
    ]


def _settled(entries: list[Entry]) -> list[Entry]:
    """Of one method on one choice of features under several settings, only presets are ranked:
    nothing may be chosen by the test labels.
    """
    settings: dict[tuple[Group, str], set[str]] = {}
    for entry in entries:
        if entry.unranked is None:
            settings.setdefault((entry.group, entry.recipe), set()).add(entry.config)
    return [
        (
            replace(entry, unranked=UNSETTLED)
            if entry.unranked is None
            and not catalogue.is_preset(entry.settings)
            and len(settings[entry.group, entry.recipe]) > 1
            else entry
        )
        for entry in entries
    ]


def _told_apart(entries: list[Entry]) -> list[Entry]:
    """The entries, with their features' fingerprints where a group has several extractions of
    features of one name, and their code likewise.
    """
    codes: dict[tuple[Group, str, str], set[str | None]] = {}
    for entry in entries:
        codes.setdefault((entry.group, entry.recipe, entry.config), set()).add(entry.code)
    entries = [
        (
            replace(entry, settings=f"{entry.settings}, {_code_words(entry.code)}")
            if len(codes[entry.group, entry.recipe, entry.config]) > 1
            else entry
        )
        for entry in entries
    ]
    ways: dict[tuple[Group, str], set[str]] = {}
    for entry in entries:
        ways.setdefault((entry.group, entry.features), set()).add(entry.fingerprints)
    several = {key for key, fingerprints in ways.items() if len(fingerprints) > 1}
    return [
        (
            replace(entry, extraction="+".join(one[:6] for one in entry.fingerprints.split("+")))
            if (entry.group, entry.features) in several
            else entry
        )
        for entry in entries
    ]


def _code_words(code: str | None) -> str:
    """`version 2`, or `mine 0.2` of a plug-in."""
    told = [found for part in json.loads(code or "[]") for found in (part or {}).values()]
    words = [str(one.get("package") or f"version {one.get('version', 1)}") for one in told]
    return ", ".join(dict.fromkeys(words)) or "version 1"
