"""Jobs that failed, as the leaderboard shows them: a note beside the seeds that ran, or an entry of
dashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vadbench.report.leaderboard import catalogue
from vadbench.report.leaderboard.entries import Entry, Group
from vadbench.report.tables.table import Cell
from vadbench.spec import BOARD, COSTS

if TYPE_CHECKING:
    from vadbench.results.records import RunRecord


def add_failures(entries: Sequence[Entry], runs: Iterable[RunRecord]) -> list[Entry]:
    """The entries with the errors of failed jobs: in `failures` where other seeds have a record,
    else as an entry without values.
    """
    failures: dict[str, list[RunRecord]] = {}
    for run in runs:
        if run.status == "failed":
            failures.setdefault(
                _key(_where(run), f"{run.job['method']}@{run.job['stream']}", _config(run)), []
            ).append(run)
    places = {
        _key(_trained(entry.group), entry.recipe, json.loads(entry.config)): i
        for i, entry in enumerate(entries)
    }
    found = list(entries)
    for key, of_one in failures.items():
        told = tuple(
            f"seed {run.job['seed']} failed: {run.error or 'unknown error'}" for run in of_one
        )
        if key in places:
            found[places[key]] = replace(found[places[key]], failures=told)
        else:
            found.append(_without_values(of_one[0], told, entries))
    return sorted(found, key=lambda entry: entry.order)


def _key(trained: list[str | None], recipe: str, config: list[dict[str, Any]]) -> str:
    return json.dumps([trained, recipe, config], sort_keys=True)


def _where(run: RunRecord) -> list[str | None]:
    job = run.job
    return [
        job["dataset"],
        job["setting"],
        job.get("resplit", {}).get("name"),
        job["scope"],
        job["train_dataset"].partition("@")[0],
    ]


def _trained(group: Group) -> list[str | None]:
    return [group.dataset, group.setting, group.split, group.scope, group.train_dataset]


def _config(run: RunRecord) -> list[dict[str, Any]]:
    return [{"method": run.job["method"], "stream": run.job["stream"], **run.job["config"]}]


def _without_values(run: RunRecord, told: tuple[str, ...], entries: Sequence[Entry]) -> Entry:
    """An entry of dashes, in the group that its evaluation would have joined."""
    dataset, setting, split, scope, train_dataset = _where(run)
    known = catalogue.dataset_class(run.job["dataset"])
    smoothing = None if known is None else known.smoothing
    alone = Group(
        str(dataset),
        str(setting),
        split,
        str(scope),
        str(train_dataset),
        "",
        None,
        None,
        (),
        smoothing,
    )
    group = next(
        (
            entry.group
            for entry in entries
            if _trained(entry.group) == _trained(alone) and not entry.group.rules
        ),
        alone,
    )
    config = json.dumps(_config(run))
    return Entry(
        group=group,
        method=run.job["method"],
        features=run.job["stream"],
        preset=None if run.asked is None else run.asked.preset,
        settings=_describe_settings(run),
        config=config,
        code=json.dumps([{"method": run.job["code"]}]) if "code" in run.job else None,
        fingerprints=run.job["fingerprint"],
        read_out="",
        seeds=(),
        identities=(),
        runs=(),
        commits=(),
        cells=(Cell(None, note=told[0]),) * len(BOARD),
        cost=dict.fromkeys(COSTS),
        unranked=told[0],
        failures=told,
    )


def _describe_settings(run: RunRecord) -> str:
    if run.asked is None:
        return "preset not recorded"
    return ", ".join([run.asked.preset, *run.asked.words])
