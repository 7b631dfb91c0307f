"""The rows of the leaderboard: records that differ in their seed alone become one entry; only
entries of one group are comparable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vadbench.datasets.part import is_part
from vadbench.evaluation.intervals import read_jackknife
from vadbench.evaluation.metrics.uncertainty import Estimate
from vadbench.evaluation.seeds import Aggregate, aggregate
from vadbench.files.npz import Arrays
from vadbench.report.leaderboard import catalogue
from vadbench.report.leaderboard.groups import GROUPED, Group, make_group
from vadbench.report.settled import why_settled
from vadbench.report.tables.make import EDITED, make_cell
from vadbench.report.tables.table import Cell
from vadbench.results.frame import list_results, look_up
from vadbench.spec import BOARD, COSTS, Protocol, Value

if TYPE_CHECKING:
    import pandas as pd

    from vadbench.results.schema import RunRecord

# what the records of one entry share
SAME = (
    *GROUPED,
    "protocol",
    "chosen",
    "method",
    "features",
    "config",
    "calibrations",
    "weights",
    "code",
    "fingerprints",
    "read_out",
    "given",
)
NOT_PLACED = "no place: the records themselves are not at hand"
SEEDS_APART = "its seeds' records are not at hand together"
UNSETTLED = (
    "one of several settings, and no preset: an ablation or an older version; nothing may be chosen"
    " by the test labels"
)
Jackknives = Callable[[str], Arrays]  # of a record's identity


@dataclass(frozen=True, eq=False)
class Entry:
    """A method on some features, over its seeds.

    Attributes:
        group: what it is comparable with.
        preset: `fast`, `paper`, `default` where both are one; None: not recorded.
        settings: the preset's name, and how the settings differ from it.
        config: the settings, as in `load_results`.
        code: what tells the code apart, likewise; None for version 1 of ours.
        read_out: the score column that is shown.
        seeds, identities, runs, commits: of its records; `runs` are identities joined by `,`.
        cells: one for each of `BOARD`.
        cost: means over the seeds, of `COSTS`; None where it is not known.
        unranked: why it takes no part in places and ranks; None where it does.
        extraction: what tells the features apart from others of their name, in words; else empty.
        chosen_read_out: the score column, where it is not the method's default.
        usual: whether the first view shows it: what a plain `vadbench run` makes (`is_usual`), and
            given scores.
        estimates: one for each of `BOARD`; None where something is not stored.
        failures: errors of jobs that failed, for seeds that have no record.
        given: of whom the scores are, where they were not computed here; else empty.
        places: one for each of `BOARD`: shared by rows that do not differ significantly; a text
            says why there is none.
    """

    group: Group
    method: str
    features: str
    preset: str | None
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
    chosen_read_out: str | None = None
    usual: bool = False
    estimates: tuple[Estimate | None, ...] = (None,) * len(BOARD)
    failures: tuple[str, ...] = ()
    places: tuple[int | str, ...] = (NOT_PLACED,) * len(BOARD)
    given: str = ""

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

    @property
    def remark(self) -> str:
        """What is said below the method's name: its settings, a read-out that is not its default,
        how its features were extracted.
        """
        read_out = f"read-out {self.chosen_read_out}" if self.chosen_read_out else ""
        return "; ".join(filter(None, (self.settings, read_out, self.extraction)))


def make_entries(
    frame: pd.DataFrame,
    runs: Iterable[RunRecord] = (),
    jackknives: Jackknives | None = None,
) -> list[Entry]:
    """The entries of a data frame of `load_results`, by group, method and features; read-outs that
    it does not rank are left out.

    Args:
        frame: rows of whole test sets are used.
        runs: run records, where they are at hand: they say which read-out is a method's default.
        jackknives: what each video does to a record's values, by identity; None: not at hand.
    """
    whole = frame[frame["video"].isna() & frame["ranked"]]
    edited = _list_edited(frame)
    if whole.empty:
        return edited
    heads = list_results(whole).sort_values("seed", kind="stable")
    cells = heads.astype(object).where(heads.notna(), None)
    rows: list[dict[str, Any]] = cells.to_dict("records")  # type: ignore[assignment]
    values = {name: look_up(whole, metric, heads.index) for name, metric in BOARD.items()}
    places = {identity: place for place, identity in enumerate(heads.index)}
    defaults = {run.identity: run.read_outs[0] for run in runs if run.read_outs}
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(row[name] for name in SAME), []).append(row)
    entries = []
    for records in alike.values():
        own = [places[record["identity"]] for record in records]
        of_entry = {name: [of_metric[place] for place in own] for name, of_metric in values.items()}
        entries.append(_make_entry(records, of_entry, defaults, jackknives))
    ordered = sorted([*entries, *edited], key=lambda entry: entry.order)
    return _name_differences(_unrank_ablations(ordered))


def _list_edited(frame: pd.DataFrame) -> list[Entry]:
    """An entry without values for each record that was edited after it was written."""
    rows = frame[frame["edited"].notna()].drop_duplicates(["identity", "edited"])
    heads: list[dict[str, Any]] = (
        rows.astype(object).where(rows.notna(), None).to_dict("records")  # type: ignore[assignment]
    )
    entries = []
    for head in heads:
        note = EDITED.format(head["edited"]).replace("`", "")
        undefined = {
            name: [Value(metric.metric, metric.convention, reason=note)]
            for name, metric in BOARD.items()
        }
        entry = _make_entry([head], undefined, {}, None)
        entries.append(replace(entry, unranked=note, seeds=(), identities=(), runs=()))
    return entries


def _make_entry(
    records: list[dict[str, Any]],
    values: Mapping[str, Sequence[Value]],
    defaults: dict[str, str],
    jackknives: Jackknives | None,
) -> Entry:
    """The entry of records that are alike, given with their values by title of the metric."""
    first = records[0]
    seeds = tuple(int(record["seed"]) for record in records)
    totals = _aggregate(records, values, jackknives)
    group, extraction = make_group(first), first["options"] or ""
    chosen = _find_chosen_read_out(first, defaults)
    plain = is_usual(group, first["features"], first["settings"]) or (
        first["given"] is not None and not group.rules
    )
    return Entry(
        group=group,
        method=first["method"],
        features=first["features"],
        preset=first["preset"],
        settings=first["settings"],
        config=first["config"],
        code=first["code"],
        fingerprints=first["fingerprints"],
        read_out=first["read_out"],
        seeds=seeds,
        identities=tuple(record["identity"] for record in records),
        runs=tuple(record["runs"] for record in records),
        commits=tuple(dict.fromkeys(record["commit"] for record in records if record["commit"])),
        cells=tuple(
            _make_cell(total, of_seeds)
            for total, of_seeds in zip(totals, values.values(), strict=True)
        ),
        cost={name: _mean([record[name] for record in records]) for name in COSTS},
        unranked=_why_unranked(first, seeds, chosen),
        extraction=extraction,
        chosen_read_out=chosen,
        usual=plain and not extraction and chosen is None,
        estimates=tuple(total.estimate for total in totals),
        given=first["given"] or "",
    )


def _aggregate(
    records: list[dict[str, Any]],
    values: Mapping[str, Sequence[Value]],
    jackknives: Jackknives | None,
) -> list[Aggregate]:
    """Over the seeds, for each of `BOARD`."""
    stored = [jackknives(record["identity"]) if jackknives else {} for record in records]
    protocol = Protocol(smoothing=records[0]["sigma"])
    return [
        aggregate(values[name], [read_jackknife(one, metric, protocol) for one in stored])
        for name, metric in BOARD.items()
    ]


def _make_cell(total: Aggregate, values: Sequence[Value]) -> Cell:
    """What the leaderboard shows of a metric; `values` are those of the seeds."""
    if total.value is None:
        return Cell(None, note=total.reason)
    undefined = (
        f"undefined for {total.undefined} of {len(values)} seeds" if total.undefined else None
    )
    cell = make_cell(total, undefined)
    intervals = [value.low is not None for value in values if value.value is not None]
    apart = len(intervals) > 1 and all(intervals) and total.estimate is None
    return replace(cell, why=SEEDS_APART) if apart else cell


def _mean(costs: list[float | None]) -> float | None:
    known = [float(cost) for cost in costs if cost is not None]
    return sum(known) / len(known) if len(known) == len(costs) else None


def is_usual(group: Group, features: str, settings: str) -> bool:
    """Whether a plain `vadbench run` makes it: on a stream that the data set declares as its
    default, by the preset for a laptop, trained and evaluated as usual.
    """
    known = catalogue.dataset_class(group.dataset)
    trained = group.setting, group.scope, group.train_dataset
    return (
        known is not None
        and features in known.streams
        and settings in ("fast", "default")
        and trained == ("one-class", "pooled", group.dataset)
        and not group.rules
    )


def fill_first_view(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, all of a data set as usual where none is: no data set is without rows."""
    usual = {entry.group.dataset for entry in entries if entry.usual}
    return [
        entry if entry.group.dataset in usual else replace(entry, usual=True) for entry in entries
    ]


def _find_chosen_read_out(record: dict[str, Any], defaults: dict[str, str]) -> str | None:
    """The read-out of a record, where it is not the default of its methods."""
    declared = [defaults[run] for run in record["runs"].split(",") if run in defaults]
    read_out = str(record["read_out"])
    usual = not declared or read_out in (*declared, "+".join(declared))
    return None if usual else read_out


def _why_unranked(
    record: dict[str, Any], seeds: tuple[int, ...], chosen_read_out: str | None
) -> str | None:
    """Why records that are alike take no part in places and ranks."""
    if is_part(record["dataset"]):
        return "a part of a data set: which videos, somebody chose"
    if len(set(seeds)) < len(seeds):
        return "several records of one seed that differ in nothing that is recorded"
    if chosen_read_out is not None:
        return f"read-out {chosen_read_out}, which is not the method's default"
    chosen = catalogue.test_chosen(record["config"]) if record["preset"] == "paper" else []
    if chosen:
        return f"preset paper: its authors chose {', '.join(chosen)} by test labels"
    settled = why_settled(record["dataset"], record["method"], _read_parts(record))
    # written in Markdown, shown as text
    words = " ".join(settled).replace("`", "")
    return f"settled with test figures known: {words}" if settled else None


def _read_parts(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Method, stream, calibration and extraction of a record's parts."""
    parts = json.loads(record["config"])
    calibrations = record["calibrations"].split("+")
    changed = json.loads(record["extraction"]) if record["extraction"] else [None] * len(parts)
    return [
        {
            "method": part["method"],
            "stream": part["stream"],
            "calibration": calibration,
            "extraction": extraction,
        }
        for part, calibration, extraction in zip(parts, calibrations, changed, strict=True)
    ]


def _unrank_ablations(entries: list[Entry]) -> list[Entry]:
    """Of one method on one choice of features under several settings, only presets are ranked:
    nothing may be chosen by the test labels.
    """
    settings: dict[tuple[Group, str], set[str]] = {}
    for entry in entries:
        if entry.unranked is None:
            settings.setdefault((entry.group, entry.recipe), set()).add(entry.config)
    return [
        replace(entry, unranked=UNSETTLED)
        if entry.unranked is None
        and entry.settings != entry.preset
        and len(settings[entry.group, entry.recipe]) > 1
        else entry
        for entry in entries
    ]


def _name_differences(entries: list[Entry]) -> list[Entry]:
    """The entries, with what else tells them apart in words: versions of the code beside settings
    that are equal, other files beside features and options that are.
    """
    codes: dict[tuple[Group, str, str], set[str | None]] = {}
    files: dict[tuple[Group, str, str], set[str]] = {}
    for entry in entries:
        codes.setdefault((entry.group, entry.recipe, entry.config), set()).add(entry.code)
        place = entry.group, entry.features, entry.extraction
        files.setdefault(place, set()).add(entry.fingerprints)
    return [
        replace(
            entry,
            settings=_name_code(entry, codes[entry.group, entry.recipe, entry.config]),
            extraction=_name_files(entry, files[entry.group, entry.features, entry.extraction]),
        )
        for entry in entries
    ]


def _name_code(entry: Entry, codes: set[str | None]) -> str:
    """Its settings, with the version of the code where there are several."""
    several = len(codes) > 1
    return f"{entry.settings}, {_describe_code(entry.code)}" if several else entry.settings


def _name_files(entry: Entry, fingerprints: set[str]) -> str:
    """Its extraction, with the beginnings of the fingerprints of the streams that differ among all
    those of its name and options.
    """
    of_streams = zip(*(one.split("+") for one in fingerprints), strict=True)
    differ = [len(set(of_stream)) > 1 for of_stream in of_streams]
    own = zip(entry.fingerprints.split("+"), differ, strict=True)
    short = ", ".join(fingerprint[:6] for fingerprint, differs in own if differs)
    other = f"made from other files ({short})" if short else ""
    return ", ".join(filter(None, (entry.extraction, other)))


def _describe_code(code: str | None) -> str:
    """`version 2`, or `mine 0.2` of a plug-in."""
    own = [component for part in json.loads(code or "[]") for component in (part or {}).values()]
    words = [str(one.get("package") or f"version {one.get('version', 1)}") for one in own]
    return ", ".join(dict.fromkeys(words)) or "version 1"
