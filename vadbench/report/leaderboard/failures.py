"""Jobs that failed, as the leaderboard shows them: a note beside the seeds that ran, or an entry of
dashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from vadbench.report.leaderboard import catalogue
from vadbench.report.leaderboard.entries import Entry, is_usual
from vadbench.report.leaderboard.groups import Group
from vadbench.report.tables.table import Cell
from vadbench.spec import BOARD, COSTS

if TYPE_CHECKING:
    from vadbench.results.schema import RunRecord


class _Key(NamedTuple):
    """What a failed job shares with the entry of its other seeds; `config` is canonical JSON."""

    dataset: str
    setting: str
    split: str | None
    scope: str
    train_dataset: str
    recipe: str
    config: str
    fingerprints: str

    @classmethod
    def of_run(cls, run: RunRecord) -> _Key:
        job = run.job
        return cls(
            job["dataset"],
            job["setting"],
            job.get("resplit", {}).get("name"),
            job["scope"],
            job["train_dataset"].partition("@")[0],
            f"{job['method']}@{job['stream']}",
            json.dumps(_read_config(run), sort_keys=True),
            job["fingerprint"],
        )

    @classmethod
    def of_entry(cls, entry: Entry) -> _Key:
        config = json.dumps(json.loads(entry.config), sort_keys=True)
        return cls(*_trained(entry.group), entry.recipe, config, entry.fingerprints)


def add_failures(entries: Sequence[Entry], runs: Iterable[RunRecord]) -> list[Entry]:
    """The entries with the errors of failed jobs: in `failures` where other seeds have a record,
    else as an entry without values.
    """
    failures: dict[_Key, list[RunRecord]] = {}
    for run in runs:
        if run.status == "failed":
            failures.setdefault(_Key.of_run(run), []).append(run)
    places = {_Key.of_entry(entry): place for place, entry in enumerate(entries)}
    every = list(entries)
    for key, of_one in failures.items():
        errors = tuple(
            f"seed {run.job['seed']} failed: {run.error or 'unknown error'}" for run in of_one
        )
        if key in places:
            every[places[key]] = replace(every[places[key]], failures=errors)
        else:
            every.append(_make_dashes(of_one[0], key, errors, entries))
    return sorted(every, key=lambda entry: entry.order)


def _trained(group: Group) -> tuple[str, str, str | None, str, str]:
    return group.dataset, group.setting, group.split, group.scope, group.train_dataset


def _read_config(run: RunRecord) -> list[dict[str, Any]]:
    """As in `load_results`."""
    return [{"method": run.job["method"], "stream": run.job["stream"], **run.job["config"]}]


def _make_dashes(
    run: RunRecord, key: _Key, errors: tuple[str, ...], entries: Sequence[Entry]
) -> Entry:
    """An entry without values, in the group that its evaluation would have joined."""
    group, settings = _find_group(key, entries), _describe_settings(run)
    return Entry(
        group=group,
        method=run.job["method"],
        features=run.job["stream"],
        preset=None if run.asked is None else run.asked.preset,
        settings=settings,
        config=json.dumps(_read_config(run)),
        code=json.dumps([{"method": run.job["code"]}]) if "code" in run.job else None,
        fingerprints=run.job["fingerprint"],
        read_out="",
        seeds=(),
        identities=(),
        runs=(),
        commits=(),
        cells=(Cell(None, note=errors[0]),) * len(BOARD),
        cost=dict.fromkeys(COSTS),
        unranked=errors[0],
        usual=is_usual(group, run.job["stream"], settings),
        failures=errors,
    )


def _find_group(key: _Key, entries: Sequence[Entry]) -> Group:
    """That of entries trained likewise under the default protocol, or one of its own."""
    for entry in entries:
        if _trained(entry.group) == key[:5] and not entry.group.rules:
            return entry.group
    known = catalogue.dataset_class(key.dataset)
    return Group(
        *key[:5],
        labels="",
        labels_sha256=None,
        regions_sha256=None,
        rules=(),
        smoothing=None if known is None else known.smoothing,
    )


def _describe_settings(run: RunRecord) -> str:
    if run.asked is None:
        return "preset not recorded"
    return ", ".join([run.asked.preset, *run.asked.words])
