"""Records to a table: recipes x metrics, aggregated over seeds, best and peers marked, published figures beside the measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluate import REGIONS, described, protocol_of, resampled_values
from vadbench.metrics.uncertainty import Floats, interval
from vadbench.plan import Plan, PlannedRecipe
from vadbench.protocol import Protocol
from vadbench.published import Figure, of_tables
from vadbench.records import RecipeRecord, Results
from vadbench.report.caption import caption_of
from vadbench.report.papers import published_rows, same_figure
from vadbench.report.table import METRICS, USUAL, Cell, Column, Key, Row, Table
from vadbench.suite import Suite

NOT_RUN = "not run; `vadbench plan {}` tells what that takes"
FOREIGN = "a data set of the paper that vadbench does not have"


def make_table(plan: Plan, results: Results) -> Table:
    """The table of a plan from the records there are; what has not run or failed is an empty cell with a note.

    Records are found by what was run, not by the features' files, so a clone without the data makes the same table.

    Raises:
        BadInput: if one row has records of several feature extractions, or the suite names a column or a published table that is none.
    """
    records = list(results.all_recipes())
    failures = {run.identity: run.error for run in results.all_runs() if run.status == "failed"}
    published = of_tables(plan.suite.published)
    columns = _columns(plan.suite, published)
    rows, draws = [], []
    for shown, name in dict.fromkeys((recipe.shown, recipe.name) for recipe in plan.recipes):
        planned = [recipe for recipe in plan.recipes if (recipe.shown, recipe.name) == (shown, name)]
        cells: list[Cell] = []
        drawn: list[Floats | None] = []
        for dataset in dict.fromkeys(column.dataset for column in columns):
            there = [recipe for recipe in planned if recipe.dataset == dataset]
            found = [record for recipe in there for record in matching(recipe, records)]
            keys = [column.key for column in columns if column.dataset == dataset]
            drawn += _draws(found, results, keys)
            cells += _cells(there, found, failures, keys, plan.suite) if dataset in plan.suite.datasets else [Cell(None, note=FOREIGN)] * len(keys)
        draws.append(drawn)
        if plan.suite.preset == "paper":  # other presets are not the papers' settings
            cells = [replace(cell, published=same_figure(planned, column, published)) for cell, column in zip(cells, columns, strict=True)]
        rows.append(Row(shown, name.partition("@")[2].replace("+", " + "), tuple(cells)))
    used = [record for recipe in plan.recipes for record in matching(recipe, records)]
    _require_one_label_set(used)
    notes = tuple(dict.fromkeys(cell.note for row in rows for cell in row.cells if cell.note))
    block = published_rows(published, columns)
    return Table(plan.suite.title or plan.suite.name, caption_of(plan, used, block), columns, _ranked(rows, columns, draws), notes, block)


def _columns(suite: Suite, published: tuple[Figure, ...]) -> tuple[Column, ...]:
    """The suite's metrics for each of its data sets, and for those of its published tables that vadbench does not have."""
    metrics = suite.metrics or USUAL
    for name in metrics:
        if name not in METRICS:
            raise registry.unknown("metric", name, METRICS)
    foreign = {figure.dataset: None for figure in published if figure.dataset not in registry.names("datasets")}
    return tuple(Column(dataset, name, *METRICS[name]) for dataset in (*suite.datasets, *foreign) for name in metrics)


def _cells(
    planned: Sequence[PlannedRecipe], found: list[RecipeRecord], failures: dict[str, str | None], keys: Sequence[Key], suite: Suite
) -> list[Cell]:
    if not planned:
        return [Cell(None, note="not asked for on this data set")] * len(keys)
    if not found:
        errors = [failures[part.job.identity] for recipe in planned for part in recipe.parts if part.job.identity in failures]
        return [Cell(None, note=f"failed: {errors[0]}" if errors else NOT_RUN.format(suite.options))] * len(keys)
    missing = len(planned) - len(found)
    note = f"{missing} of {len(planned)} seeds failed or have not run" if missing else None
    return [_cell(found, key, note) for key in keys]


def matching(recipe: PlannedRecipe, records: list[RecipeRecord]) -> list[RecipeRecord]:
    """The record of a planned recipe."""
    found = [record for record in records if _same(recipe, record)]
    if len(found) > 1:
        exact = [record for record in found if record.runs == tuple(planned.job.identity for planned in recipe.parts)]
        if len(exact) != 1:
            raise BadInput(f"{recipe.name} on {recipe.dataset}: {len(found)} records of other features or protocols; remove those not meant")
        return exact
    return found


def _require_one_label_set(records: list[RecipeRecord]) -> None:
    """Numbers under different labels never share a table."""
    sets: dict[str, dict[str, str]] = {}
    for record in records:
        sets.setdefault(record.dataset, {})[record.labels.get("sha256", "")] = record.labels["name"]
    for dataset, names in sets.items():
        if len(names) > 1:
            told = ", ".join(f"{name} ({digest[:8]})" for digest, name in names.items())
            raise BadInput(f"{dataset}: records under different labels, {told}; vadbench evaluate gives all the same")


def _same(recipe: PlannedRecipe, record: RecipeRecord) -> bool:
    if (recipe.dataset, recipe.name, recipe.seed) != (record.dataset, record.recipe, record.seed):
        return False
    if Protocol(**record.protocol) != protocol_of(recipe, registry.load("datasets", recipe.dataset)):
        return False
    return all(_decisive(wanted) == _decisive(there) for wanted, there in zip(described(recipe), record.parts, strict=True))


def _decisive(part: dict[str, Any]) -> tuple[Any, ...]:
    """What a part is found by; not its features' or videos' digests: a clone without the data makes the same table."""
    trained = part.get("scope"), part.get("train_dataset"), part.get("resplit", {}).get("name")
    return part["config"], part.get("extraction"), part["calibration"], part.get("read_out"), *trained


def _cell(records: list[RecipeRecord], key: Key, note: str | None) -> Cell:
    rows = [_metric(record, key) for record in records]
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        return Cell(None, note=next((row["reason"] for row in rows if row["reason"]), None))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    ends = [[row[end] for row in rows if row.get(end) is not None] for end in ("low", "high")]
    low, high = (float(np.mean(end)) if end else None for end in ends)
    return Cell(float(np.mean(values)), spread, len(values), note, low, high)


def _metric(record: RecipeRecord, key: Key) -> dict[str, Any]:
    metric, convention, smoothed = key
    smoothed = smoothed and record.protocol["smoothing"] is not None
    for row in record.rows:
        whole = row["video"] is None and row["read_out"] == record.read_outs[0]
        if whole and (row["metric"], row["convention"], row["smoothing"] != "none") == (metric, convention, smoothed):
            return row
    return {"value": None, "reason": "not computed by this version; run vadbench evaluate"}


def _draws(records: list[RecipeRecord], results: Results, keys: Sequence[Key]) -> list[Floats | None]:
    """For each key its resampled values [R], averaged over seeds, where they are stored."""
    stored = [frames for frames in (results.frames(record) for record in records) if frames is not None]
    drawn: list[Floats | None] = []
    for metric, convention, smoothed in keys:
        filtered = any(record.protocol["smoothing"] is not None for record in records)
        name = metric if smoothed or metric in REGIONS or not filtered else f"{metric}_unsmoothed"
        one_by_one = [resampled_values(frames, name, convention) for frames in stored]
        values = [of_seed for of_seed in one_by_one if of_seed is not None]
        drawn.append(np.mean(values, axis=0) if values else None)
    return drawn


def _ranked(rows: list[Row], columns: tuple[Column, ...], draws: list[list[Floats | None]]) -> tuple[Row, ...]:
    """The rows with the best and second-best cells of each column marked, and those that are the best's peers."""
    cells = [list(row.cells) for row in rows]
    for j, column in enumerate(columns):
        means = [mean for row in cells if (mean := row[j].value) is not None]
        if len(means) < 2:  # nothing to be better than
            continue
        ranking = sorted(set(means), reverse=column.better > 0)
        leader = next(i for i, row in enumerate(cells) if row[j].value == ranking[0])
        peers = {i for i, row in enumerate(cells) if i != leader and row[j].value is not None and _equal(draws[leader][j], draws[i][j])}
        for i, row in enumerate(cells):
            mean = row[j].value
            best = 1 + ranking.index(mean) if mean in ranking[:2] else 0
            row[j] = replace(row[j], best=best, peer=i in peers or (i == leader and bool(peers)))
    return tuple(Row(row.method, row.features, tuple(row_cells)) for row, row_cells in zip(rows, cells, strict=True))


def _equal(first: Floats | None, second: Floats | None) -> bool:
    """Whether the paired difference of two metrics is not significant; without resamples it is not known to be."""
    return first is None or second is None or not interval(first - second).excludes_zero
