"""The rows of the leaderboard: records that differ in their seed alone become one entry; only entries of one group are comparable."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from vadbench.protocol import Protocol
from vadbench.report.leaderboard import catalogue
from vadbench.report.table import METRICS, Cell

if TYPE_CHECKING:
    import pandas as pd

    from vadbench.records import RunRecord

COSTS = ("fit_seconds", "score_seconds", "train_rows", "test_rows", "parameters", "peak_memory_mib")
GROUPED = ("dataset", "setting", "split", "scope", "train_dataset", "labels", "protocol")  # what makes figures comparable
SAME = (*GROUPED, "method", "features", "config", "fingerprints", "read_out")  # what the records of one entry share
UNSETTLED = "one of several settings, and no preset: an ablation or an older version; nothing may be chosen by the test labels"


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
        rules: the protocol's fields that differ from the data set's default protocol, `field=value`; calibrations are part of them where a
            record's differ from those that its method declares.
        smoothing: the protocol's sigma in frames, None without a filter.
    """

    dataset: str
    setting: str
    split: str | None
    scope: str
    train_dataset: str
    labels: str
    rules: tuple[str, ...]
    smoothing: float | None

    @property
    def training(self) -> str:
        """The setting in words: `one-class, pooled`, `one-class, per scene, trained on avenue`, `unsupervised (every-second-test-video)`."""
        setting = self.setting if self.split is None else f"{self.setting} ({self.split})"
        scope = "per scene" if self.scope == "scene" else self.scope
        return ", ".join([setting, scope, *([] if self.train_dataset == self.dataset else [f"trained on {self.train_dataset}"])])

    @property
    def protocol(self) -> str:
        """The protocol in words."""
        smoothing = "no smoothing" if self.smoothing is None else f"Gaussian smoothing sigma {self.smoothing:g}"
        return f"{smoothing}; otherwise than the default protocol: {', '.join(self.rules)}" if self.rules else f"default protocol ({smoothing})"

    @property
    def title(self) -> str:
        """All of it in one line."""
        labels = f"; labels {self.labels}" if self.labels else ""
        return f"{self.dataset}: {self.training}; {self.protocol}{labels}"


@dataclass(frozen=True, eq=False)
class Entry:
    """A method on some features, over its seeds.

    Attributes:
        group: what it is comparable with.
        settings: the preset's name, or how the settings differ from it.
        config: the settings, as in `vadbench.export`.
        read_out: the score column that is shown.
        seeds, identities, runs, commits: of its records; `runs` are identities joined by `,`.
        cells: one for each of `METRICS`.
        cost: means over the seeds, of `COSTS`; None where it is not known.
        unranked: why it takes no part in places and ranks; None where it does.
        extraction: beginnings of the features' fingerprints where the same features were extracted in several ways; else empty.
        failures: errors of jobs that failed, for seeds that have no record.
    """

    group: Group
    method: str
    features: str
    settings: str
    config: str
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
    failures: tuple[str, ...] = field(default=())

    @property
    def recipe(self) -> str:
        """`method@stream+stream`."""
        return f"{self.method}@{self.features}"

    @property
    def streams(self) -> str:
        """The features in one order: what is fused has none, though its name does."""
        return "+".join(sorted(self.features.split("+")))

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
    """The entries of a data frame of `vadbench.export.load_results`, by group, method and features; read-outs that it does not rank are left out.

    Args:
        frame: rows of whole test sets are used.
        runs: run records, where they are at hand: they say which jobs failed, and which read-out is a method's default.
    """
    runs = list(runs)
    whole = frame[frame["video"].isna() & frame["ranked"]]
    if whole.empty:
        return add_failures([], runs)
    heads = whole.drop_duplicates("identity").sort_values("seed", kind="stable").reset_index(drop=True)
    values = _pivoted(whole, heads["identity"])
    defaults = {run.identity: run.read_outs[0] for run in runs if run.read_outs}
    alike: dict[tuple[Any, ...], list[tuple[int, dict[str, Any]]]] = {}
    records: list[dict[str, Any]] = heads.astype(object).where(heads.notna(), None).to_dict("records")  # type: ignore[assignment]
    for position, head in enumerate(records):
        alike.setdefault(tuple(head[name] for name in SAME), []).append((position, head))
    entries = [
        _entry([head for _, head in same], {name: table[[position for position, _ in same]] for name, table in values.items()}, defaults)
        for same in alike.values()
    ]
    entries.sort(key=lambda entry: (entry.group.title, entry.method, entry.features, entry.settings, entry.fingerprints))
    return add_failures(_told_apart(_settled(entries)), runs)


def _pivoted(whole: pd.DataFrame, identities: pd.Series) -> dict[str, Any]:
    """value, low, high (float64) and reason (text), each [records, METRICS]."""
    import pandas as pd

    smoothed = whole["smoothing"] != "none"
    filtered = whole["identity"].isin(whole.loc[smoothed, "identity"])
    columns: dict[str, list[Any]] = {"value": [], "low": [], "high": [], "reason": []}
    for (metric, convention, wanted), _ in METRICS.values():
        there = (whole["metric"] == metric) & (smoothed == (filtered & wanted))
        if metric not in ("rbdc", "tbdc"):
            there &= whole["convention"].isna() if convention is None else whole["convention"] == convention
        found = whole[there].drop_duplicates("identity").set_index("identity").reindex(identities)
        for name, of_metric in columns.items():
            of_metric.append(found[name].to_numpy())
    stacked: dict[str, Any] = {name: np.stack(of_metric, axis=1) for name, of_metric in columns.items()}
    stacked["reason"] = np.where(pd.isna(stacked["reason"]), "", stacked["reason"]).astype(str)
    return stacked


def _entry(records: list[dict[str, Any]], values: dict[str, Any], defaults: dict[str, str]) -> Entry:
    """The entry of records that are alike, given with their `_pivoted` values [S, METRICS]."""
    first = records[0]
    seeds = tuple(int(record["seed"]) for record in records)
    costs = {name: [record[name] for record in records] for name in COSTS}
    return Entry(
        group=_group(first),
        method=first["method"],
        features=first["features"],
        settings=catalogue.settings_label(first["dataset"], first["config"]),
        config=first["config"],
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
    """The fields that differ from the default protocol, and the smoothing; calibrations are compared with the method's own."""
    fields = json.loads(protocol)
    parts, smoothing = fields.pop("parts", []), fields.get("smoothing")
    known = catalogue.dataset_class(dataset)
    usual = Protocol(smoothing=None if known is None else known.smoothing).model_dump(mode="json")
    told = [f"{name}={catalogue.short(value)}" for name, value in fields.items() if usual.get(name) != value]
    return (*told, *catalogue.unusual_calibrations(method, parts)), smoothing


def _cells(values: dict[str, Any]) -> tuple[Cell, ...]:
    """Mean over seeds of `_pivoted` values [S, METRICS], its deviation and its interval; the first reason where no seed has a value."""
    cells = []
    for value, low, high, reasons in zip(*(values[name].T.tolist() for name in ("value", "low", "high", "reason")), strict=True):
        there = _defined(value)
        if not there:
            cells.append(Cell(None, note=next(filter(None, reasons), "not computed by the version that evaluated it; vadbench evaluate adds it")))
            continue
        lower, upper = (fmean(_defined(end)) if _defined(end) else None for end in (low, high))
        note = f"undefined for {len(value) - len(there)} of {len(value)} seeds" if len(there) < len(value) else None
        cells.append(Cell(fmean(there), stdev(there) if len(there) > 1 else None, len(there), note, lower, upper))
    return tuple(cells)


def _defined(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _unranked(record: dict[str, Any], seeds: tuple[int, ...], defaults: dict[str, str]) -> str | None:
    """Why records that are alike take no part in places and ranks."""
    if len(set(seeds)) < len(seeds):
        return "several records of one seed that differ in nothing that is recorded"
    declared = [defaults[run] for run in record["runs"].split(",") if run in defaults]
    if declared and record["read_out"] not in (*declared, "+".join(declared)):
        return f"read-out {record['read_out']}, which is not the method's default"
    return None


def _settled(entries: list[Entry]) -> list[Entry]:
    """Of one method on one choice of features under several settings, only presets are ranked: nothing may be chosen by the test labels."""
    settings: dict[Any, int] = {}
    for entry in entries:
        settings[entry.group, entry.recipe] = settings.get((entry.group, entry.recipe), 0) + (entry.unranked is None)
    return [
        replace(entry, unranked=UNSETTLED)
        if entry.unranked is None and not catalogue.is_preset(entry.settings) and settings[entry.group, entry.recipe] > 1
        else entry
        for entry in entries
    ]


def _told_apart(entries: list[Entry]) -> list[Entry]:
    """The entries, with their features' fingerprints where a group has several extractions of features of one name."""
    ways: dict[tuple[Group, str], set[str]] = {}
    for entry in entries:
        ways.setdefault((entry.group, entry.features), set()).add(entry.fingerprints)
    several = {key for key, fingerprints in ways.items() if len(fingerprints) > 1}
    return [
        replace(entry, extraction="+".join(one[:6] for one in entry.fingerprints.split("+"))) if (entry.group, entry.features) in several else entry
        for entry in entries
    ]


def add_failures(entries: list[Entry], runs: list[RunRecord]) -> list[Entry]:
    """The entries with the errors of failed jobs: beside other seeds that have a record, else as an entry without values."""
    failures: dict[str, list[RunRecord]] = {}
    for run in runs:
        if run.status == "failed":
            key = json.dumps([_where(run), f"{run.job['method']}@{run.job['stream']}", _config(run)], sort_keys=True)
            failures.setdefault(key, []).append(run)
    places = {json.dumps([_trained(entry.group), entry.recipe, json.loads(entry.config)], sort_keys=True): i for i, entry in enumerate(entries)}
    found = list(entries)
    for key, of_one in failures.items():
        told = tuple(f"seed {run.job['seed']} failed: {run.error or 'unknown error'}" for run in of_one)
        if key in places:
            found[places[key]] = replace(found[places[key]], failures=told)
        else:
            found.append(_without_values(of_one[0], told, entries))
    return found


def _where(run: RunRecord) -> list[str | None]:
    job = run.job
    return [job["dataset"], job["setting"], job.get("resplit", {}).get("name"), job["scope"], job["train_dataset"].partition("@")[0]]


def _trained(group: Group) -> list[str | None]:
    return [group.dataset, group.setting, group.split, group.scope, group.train_dataset]


def _config(run: RunRecord) -> list[dict[str, Any]]:
    return [{"method": run.job["method"], "stream": run.job["stream"], **run.job["config"]}]


def _without_values(run: RunRecord, told: tuple[str, ...], entries: list[Entry]) -> Entry:
    """An entry of dashes, in the group that its evaluation would have joined."""
    dataset, setting, split, scope, train_dataset = _where(run)
    known = catalogue.dataset_class(run.job["dataset"])
    alone = Group(str(dataset), str(setting), split, str(scope), str(train_dataset), "", (), None if known is None else known.smoothing)
    group = next((entry.group for entry in entries if _trained(entry.group) == _trained(alone) and not entry.group.rules), alone)
    config = json.dumps(_config(run))
    return Entry(
        group=group,
        method=run.job["method"],
        features=run.job["stream"],
        settings=catalogue.settings_label(str(dataset), config),
        config=config,
        fingerprints=run.job["fingerprint"],
        read_out="",
        seeds=(),
        identities=(),
        runs=(),
        commits=(),
        cells=(Cell(None, note=told[0]),) * len(METRICS),
        cost=dict.fromkeys(COSTS),
        unranked=told[0],
        failures=told,
    )
