"""What a method's page shows beside its rows: settings, records, other read-outs, and its AUC
against time among all methods.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vadbench.report.leaderboard.catalogue import About, about
from vadbench.report.leaderboard.charts import Scatter, scatter
from vadbench.report.leaderboard.entries import Entry, make_entries
from vadbench.report.leaderboard.standings import row_name
from vadbench.report.leaderboard.videos import largest_choice

if TYPE_CHECKING:
    import pandas as pd

    from vadbench.results.schema import RunRecord

MOST_RECORDS = 300  # that a page lists
MOST_SETTINGS = 40


@dataclass(frozen=True)
class Settings:
    """One choice of settings: its label, where it was used, and (name, value) of every setting by
    part.
    """

    label: str
    where: tuple[str, ...]
    parts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Record:
    """A record of one seed, `environment` by its number in `MethodPage.environments`."""

    entry: Entry
    seed: int
    identity: str
    runs: str
    environment: int | None


@dataclass(frozen=True)
class Cost:
    """AUC against time on one data set: all methods that share features with this one, the data
    set's default ones or those of most methods; `untimed` have no recorded time.
    """

    dataset: str
    features: str
    chart: Scatter
    untimed: tuple[str, ...]


@dataclass(frozen=True)
class MethodPage:
    """Everything on a method's page; `of_records` and `of_settings` are how many there are, of
    which the page lists some.
    """

    about: About
    entries: tuple[Entry, ...]
    costs: tuple[Cost, ...]
    settings: tuple[Settings, ...]
    of_settings: int
    records: tuple[Record, ...]
    of_records: int
    environments: tuple[str, ...]
    read_outs: tuple[Entry, ...]
    failures: tuple[tuple[Entry, str], ...]


def method_page(
    name: str,
    entries: Sequence[Entry],
    rivals: dict[str, dict[str, list[Entry]]],
    runs: dict[str, RunRecord],
    others: list[Entry],
) -> MethodPage:
    """The page of one method.

    Args:
        name: the method.
        entries: its rows.
        rivals: data set -> features -> one entry of every method, as
            `vadbench.report.leaderboard.videos.by_features` gives them.
        runs: run records by identity; may lack some.
        others: its read-outs that are not ranked.
    """
    settings = _settings(entries)
    triples = [
        (entry, *one)
        for entry in entries
        for one in zip(entry.seeds, entry.identities, entry.runs, strict=True)
    ]
    environments: dict[str, int] = {}
    records = []
    for entry, seed, identity, jobs in triples[:MOST_RECORDS]:
        known = [runs[job] for job in jobs.split(",") if job in runs]
        of_jobs = [_describe_environment(run) for run in known if run.environment]
        text = "; ".join(dict.fromkeys(of_jobs))
        number = environments.setdefault(text, len(environments)) if text else None
        records.append(Record(entry, seed, identity, jobs, number))
    return MethodPage(
        about=_about(name, entries),
        entries=tuple(entries),
        costs=tuple(_costs(name, rivals)),
        settings=tuple(settings[:MOST_SETTINGS]),
        of_settings=len(settings),
        records=tuple(records),
        of_records=len(triples),
        environments=tuple(environments),
        read_outs=tuple(others[:MOST_RECORDS]),
        failures=tuple((entry, failure) for entry in entries for failure in entry.failures),
    )


def _about(name: str, entries: Sequence[Entry]) -> About:
    """What is known of the method; of given scores, whose they are."""
    given = next((entry.given for entry in entries if entry.given), None)
    if given is None:
        return about(name)
    return About(name, name, f"Scores given, metrics computed here. As declared: {given}.")


def other_read_outs(frame: pd.DataFrame) -> dict[str, list[Entry]]:
    """By method, entries of the read-outs that the data frame does not rank."""
    rows = frame[~frame["ranked"] & frame["edited"].isna()]
    by_method: dict[str, list[Entry]] = {}
    for entry in make_entries(
        rows.assign(ranked=True, identity=rows["identity"] + "/" + rows["read_out"])
    ):
        by_method.setdefault(entry.method, []).append(entry)
    return by_method


def _settings(entries: Iterable[Entry]) -> list[Settings]:
    used: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        parts = json.loads(entry.config)
        plain = json.dumps(
            [{name: value for name, value in part.items() if name != "stream"} for part in parts]
        )
        used.setdefault((entry.settings, plain), []).append(
            f"{entry.group.dataset}: {entry.features}"
        )
    return [
        Settings(label, tuple(dict.fromkeys(where)), _drop_equal(json.loads(config)))
        for (label, config), where in used.items()
    ]


def _drop_equal(parts: list[dict[str, Any]]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Parts with equal settings once."""
    settings = [
        (
            part["method"],
            tuple(
                (name, json.dumps(value, ensure_ascii=False))
                for name, value in part.items()
                if name != "method"
            ),
        )
        for part in parts
    ]
    return tuple(dict.fromkeys(settings))


def _describe_environment(run: RunRecord) -> str:
    """Python, packages and threads of a run, in one line."""
    environment, threads = run.environment, run.runtime.get("threads")
    packages = [
        f"{name} {version}"
        for name, version in sorted(environment.get("packages", {}).items())
        if version
    ]
    python, platform = f"Python {environment.get('python', 'unknown')}", environment.get("platform")
    return ", ".join(
        [
            python,
            *packages,
            *([platform] if platform else []),
            *([f"{threads} threads"] if threads else []),
        ]
    )


def _costs(name: str, rivals: dict[str, dict[str, list[Entry]]]) -> Iterable[Cost]:
    for dataset, by_features in rivals.items():
        mine = {
            streams: entries
            for streams, entries in sorted(by_features.items())
            if any(entry.method == name for entry in entries)
        }
        if not mine:
            continue
        streams, shown = largest_choice(mine)
        chart = scatter(_points(name, shown))
        if chart is not None:
            yield Cost(
                dataset,
                streams,
                chart,
                tuple(row_name(entry) for entry in shown if entry.seconds is None),
            )


def _points(name: str, entries: Sequence[Entry]) -> list[tuple[str, float, float]]:
    """(row, seconds, AUC), the page's own method first, so that its label has its place."""
    timed = [
        (entry.method != name, row_name(entry), entry.seconds, entry.level) for entry in entries
    ]
    return [
        (row, seconds, auc)
        for _, row, seconds, auc in sorted(timed, key=lambda point: point[:2])
        if seconds is not None
    ]
