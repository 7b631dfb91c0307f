"""Records to a table: recipes x metrics, aggregated over seeds, best and peers marked, published
figures beside the measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import described, protocol_of
from vadbench.evaluation.intervals import (
    NOT_COMPUTED,
    estimate_of,
    read_jackknife,
    stored_name,
    why_none,
)
from vadbench.evaluation.metrics.uncertainty import Estimate, interval, pairwise
from vadbench.evaluation.protocol import read_protocol
from vadbench.plans.plan import Plan, PlannedRecipe
from vadbench.plans.suite import Suite
from vadbench.report.published import Figure, of_tables
from vadbench.report.tables.caption import caption_of
from vadbench.report.tables.letters import beats
from vadbench.report.tables.papers import published_rows, remark, same_figure, stands_in
from vadbench.report.tables.summary import summarise
from vadbench.report.tables.table import (
    FOREIGN,
    METRICS,
    NOT_ASKED,
    USUAL,
    Cell,
    Column,
    Key,
    Row,
    Table,
)
from vadbench.results.records import RecipeRecord, Results

NOT_RUN = "not run; `vadbench plan {}` tells what that takes"
DECISIONS = "`vadbench binarised RECORD` prints it of a record, for every k"
LEVEL = 0.05  # of the test that decides marks


def make_table(plan: Plan, results: Results, withheld: Mapping[str, str] | None = None) -> Table:
    """The table of a plan from the records there are; what has not run or failed is an empty cell
    with a note.

    Records are found by what was run, not by the features' files, so a clone without the data makes
    the same table.

    Args:
        plan: whose rows.
        results: the records.
        withheld: identities of jobs whose records do not hold any more, with the reason.

    Raises:
        BadInput: if one row has records of several feature extractions, or the suite names a column
            or a published table that is none.
    """
    withheld = withheld or {}
    records = [record for record in results.all_recipes() if not withheld.keys() & set(record.runs)]
    failures = {
        run.identity: f"failed: {run.error}" for run in results.all_runs() if run.status == "failed"
    } | dict(withheld)
    published = of_tables(plan.suite.published)
    columns = _columns(plan.suite, published)
    rows, estimates = [], []
    for shown, name in dict.fromkeys((recipe.shown, recipe.name) for recipe in plan.recipes):
        planned = [
            recipe for recipe in plan.recipes if (recipe.shown, recipe.name) == (shown, name)
        ]
        cells: list[Cell] = []
        of_row: list[Estimate | None] = []
        for dataset in dict.fromkeys(column.dataset for column in columns):
            there = [recipe for recipe in planned if recipe.dataset == dataset]
            found = [record for recipe in there for record in matching(recipe, records)]
            keys = [column.key for column in columns if column.dataset == dataset]
            sure = _estimates(found, results, keys)
            of_row += sure
            known = dataset in plan.suite.datasets
            cells += (
                _cells(there, found, failures, keys, sure, plan.suite)
                if known
                else [Cell(None, note=FOREIGN)] * len(keys)
            )
        estimates.append(of_row)
        paper = plan.suite.preset == "paper"
        cells = [
            _beside(cell, planned, column, published, paper)
            for cell, column in zip(cells, columns, strict=True)
        ]
        rows.append(Row(shown, name.partition("@")[2].replace("+", " + "), tuple(cells)))
    used = [record for recipe in plan.recipes for record in matching(recipe, records)]
    _require_one_truth(used)
    notes = tuple(dict.fromkeys(note for row in rows for cell in row.cells for note in cell.notes))
    block = published_rows(published, columns)
    columns, ranked = _ranked(rows, columns, estimates)
    smoothing = {record.dataset: record.protocol["smoothing"] for record in used}
    suite = plan.suite
    return Table(
        plan.suite.title or plan.suite.name,
        caption_of(plan, used, block),
        columns,
        ranked,
        notes,
        block,
        summarise(suite.preset, suite.setting, suite.seeds, smoothing),
    )


def _columns(suite: Suite, published: tuple[Figure, ...]) -> tuple[Column, ...]:
    """The suite's metrics for each of its data sets, and those that its published tables have of
    others.

    Others are those that vadbench does not have, or all where the tables have none of the suite's:
    papers' figures beside an ablation of ours.
    """
    metrics = suite.metrics or USUAL
    for name in metrics:
        if name not in METRICS:
            raise registry.unknown("metric", name, METRICS)
    apart = not {figure.dataset for figure in published} & set(suite.datasets)
    known = set(suite.datasets) if apart else set(registry.names("datasets"))
    others = dict.fromkeys(figure.dataset for figure in published if figure.dataset not in known)
    own, foreign = (_of_datasets(datasets, metrics) for datasets in (suite.datasets, others))
    reported = {stands_in(figure, foreign) for figure in published}
    return own + tuple(column for column in foreign if column in reported)


def _of_datasets(datasets: Iterable[str], metrics: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(dataset, name, *METRICS[name]) for dataset in datasets for name in metrics)


def _beside(
    cell: Cell,
    planned: Sequence[PlannedRecipe],
    column: Column,
    published: tuple[Figure, ...],
    paper: bool,
) -> Cell:
    """The cell beside the papers' figures; other presets than `paper` are not theirs: nothing is
    subtracted.
    """
    figure = same_figure(planned, column, published) if paper else None
    told = remark(planned, column, published, paper)
    # there is no difference that leaves anything open
    empty = figure is not None and cell.value is None
    return replace(cell, published=figure, beside=None if empty else told)


def _cells(
    planned: Sequence[PlannedRecipe],
    found: list[RecipeRecord],
    failures: Mapping[str, str],
    keys: Sequence[Key],
    estimates: Sequence[Estimate | None],
    suite: Suite,
) -> list[Cell]:
    if not planned:
        return [Cell(None, note=NOT_ASKED)] * len(keys)
    if not found:
        errors = [
            failures[part.job.identity]
            for recipe in planned
            for part in recipe.parts
            if part.job.identity in failures
        ]
        note = errors[0] if errors else NOT_RUN.format(suite.options)
        return [Cell(None, note=DECISIONS if key[0] == "decision_auc" else note) for key in keys]
    missing = len(planned) - len(found)
    partly = f"{missing} of {len(planned)} seeds failed or have not run" if missing else None
    return [
        _cell(found, key, partly, estimate) for key, estimate in zip(keys, estimates, strict=True)
    ]


def matching(recipe: PlannedRecipe, records: list[RecipeRecord]) -> list[RecipeRecord]:
    """The record of a planned recipe."""
    found = [record for record in records if _same(recipe, record)]
    if len(found) > 1:
        exact = [
            record
            for record in found
            if record.runs == tuple(planned.job.identity for planned in recipe.parts)
        ]
        if len(exact) != 1:
            raise BadInput(
                f"{recipe.name} on {recipe.dataset}: {len(found)} records of other features or"
                " protocols; remove those not meant"
            )
        return exact
    return found


def _require_one_truth(records: list[RecipeRecord]) -> None:
    """Numbers under different labels or region tracks never share a table."""
    sets: dict[str, dict[tuple[str, str], str]] = {}
    for record in records:
        labels, regions = record.labels, record.labels.get("regions_sha256") or ""
        told = f"{labels['name']} ({labels.get('sha256', '')[:8]})" + (
            f" with region tracks {regions[:8]}" if regions else ""
        )
        sets.setdefault(record.dataset, {})[f"{labels['name']} {labels.get('sha256')}", regions] = (
            told
        )
    for dataset, found in sets.items():
        if len(found) > 1:
            raise BadInput(
                f"{dataset}: records under different labels or region tracks,"
                f" {', '.join(found.values())}; vadbench evaluate gives all the same"
            )


def _same(recipe: PlannedRecipe, record: RecipeRecord) -> bool:
    if (recipe.dataset, recipe.name, recipe.seed) != (record.dataset, record.recipe, record.seed):
        return False
    if read_protocol(record.protocol) != protocol_of(
        recipe, registry.load("datasets", recipe.dataset)
    ):
        return False
    return all(
        _decisive(wanted) == _decisive(there)
        for wanted, there in zip(described(recipe), record.parts, strict=True)
    )


def _decisive(part: dict[str, Any]) -> tuple[Any, ...]:
    """What a part is found by: not its features' or videos' digests: a clone without the data makes
    the same table.
    """
    trained = part.get("scope"), part.get("train_dataset"), part.get("resplit", {}).get("name")
    return (
        part["config"],
        part.get("code"),
        part.get("extraction"),
        part["calibration"],
        part.get("read_out"),
        *trained,
    )


def _cell(
    records: list[RecipeRecord], key: Key, note: str | None, estimate: Estimate | None
) -> Cell:
    rows = [_metric(record, key) for record in records]
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        reason = next((row["reason"] for row in rows if row["reason"]), None)
        return Cell(None, note=DECISIONS if key[0] == "decision_auc" else reason)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    identities = tuple(record.identity for record in records)
    cell = Cell(float(np.mean(values)), spread, len(values), note, records=identities)
    if estimate is None:
        return replace(cell, why=_why([row for row in rows if row["value"] is not None]))
    found = interval(estimate)
    return replace(cell, low=found.low, high=found.high, videos=found.videos, why=found.reason)


def _why(rows: Sequence[dict[str, Any]]) -> str:
    """Why a value has no estimate: what most of its rows say."""
    reasons = [why_none(row) for row in rows]
    return max(reasons, key=reasons.count)


def _metric(record: RecipeRecord, key: Key) -> dict[str, Any]:
    metric, convention, smoothed = key
    smoothed = smoothed and record.protocol["smoothing"] is not None
    for row in record.rows:
        whole = row["video"] is None and row["read_out"] == record.read_outs[0]
        if whole and (row["metric"], row["convention"], row["smoothing"] != "none") == (
            metric,
            convention,
            smoothed,
        ):
            return row
    return {"value": None, "reason": NOT_COMPUTED}


def _estimates(
    records: list[RecipeRecord], results: Results, keys: Sequence[Key]
) -> list[Estimate | None]:
    """For each key its value over seeds with what each video does to it, where all records store
    that.
    """
    stored = [results.frames(record) for record in records]
    estimates = []
    for key in keys:
        metric, convention, smoothed = key
        jackknives = [
            read_jackknife(
                frames,
                stored_name(metric, smoothed, record.protocol["smoothing"] is not None),
                convention,
            )
            for record, frames in zip(records, stored, strict=True)
        ]
        estimates.append(estimate_of([_metric(record, key) for record in records], jackknives))
    return estimates


def _ranked(
    rows: list[Row], columns: tuple[Column, ...], estimates: list[list[Estimate | None]]
) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """The columns, and the rows with the best and second-best cells of each column marked, and
    those that are the best's peers.
    """
    cells = [list(row.cells) for row in rows]
    tested = list(columns)
    for j, column in enumerate(columns):
        there = [i for i, row in enumerate(cells) if row[j].value is not None]
        if len(there) < 2:  # nothing to be better than
            continue
        means = {i: cells[i][j].value or 0.0 for i in there}
        ranking = sorted(set(means.values()), reverse=column.better > 0)
        p = pairwise([estimates[i][j] for i in there])
        leader = next(i for i in there if means[i] == ranking[0])
        # not tested is not worse
        worse = dict(zip(there, p[there.index(leader)] < LEVEL, strict=True))
        peers = {i for i in there if i != leader and not worse[i]}
        if np.isnan(p).all():
            peers = set()
            tested[j] = replace(
                column,
                untested=next((cells[i][j].why for i in there if cells[i][j].why), NOT_COMPUTED),
            )
        beaten = beats(p, [means[i] for i in there], column.better, LEVEL)
        for i, places in zip(there, beaten, strict=True):
            of_row = tuple(there[place] for place in places)
            best = 1 + ranking.index(means[i]) if means[i] in ranking[:2] else 0
            cells[i][j] = replace(
                cells[i][j],
                best=best,
                peer=i in peers or (i == leader and bool(peers)),
                beats=of_row,
            )
    ranked = tuple(
        replace(row, cells=tuple(of_row)) for row, of_row in zip(rows, cells, strict=True)
    )
    return tuple(tested), ranked
