"""The table model: recipes x metrics, aggregated over seeds, with the caption that names the protocol. Renderers only format it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vadbench.errors import BadInput
from vadbench.plan import Plan, PlannedRecipe
from vadbench.records import RecipeRecord, Results

Key = tuple[str, str | None, bool]  # metric, convention, smoothed


@dataclass(frozen=True)
class Column:
    """A metric of one data set; `better` is +1 where higher is better, -1 where lower is."""

    dataset: str
    title: str
    key: Key
    better: int


METRICS: tuple[tuple[str, Key, int], ...] = (
    ("micro AUC", ("micro_auc", None, True), 1),
    ("macro AUC (skip)", ("macro_auc", "skip", True), 1),
    ("macro AUC (pad-rank)", ("macro_auc", "pad-rank", True), 1),
    ("EER", ("eer", None, True), -1),
    ("AP", ("average_precision", None, True), 1),
    ("micro AUC, unsmoothed", ("micro_auc", None, False), 1),
)


@dataclass(frozen=True)
class Cell:
    """Mean over seeds (a fraction), its standard deviation (None for one seed), the number of seeds, and why a value is missing.

    Attributes:
        best: 1 for the column's best, 2 for its second, 0 otherwise; decided on unrounded means, ties shared.
    """

    value: float | None
    spread: float | None = None
    n: int = 0
    note: str | None = None
    best: int = 0


@dataclass(frozen=True)
class Row:
    """One method on one choice of features."""

    method: str
    features: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A titled table; `caption` names protocol, labels, preset and seeds; `notes` are the footnotes of the cells that are empty."""

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def make_table(plan: Plan, results: Results) -> Table:
    """The table of a plan from the records there are; what has not run or failed is an empty cell with a note.

    Records are found by what was run, not by the features' files, so a clone without the data makes the same table.

    Raises:
        BadInput: if one row has records of several feature extractions.
    """
    records = list(results.all_recipes())
    failures = {run.identity: run.error for run in results.all_runs() if run.status == "failed"}
    datasets = plan.suite.datasets
    columns = tuple(Column(dataset, *metric) for dataset in datasets for metric in METRICS)
    rows = []
    for name in dict.fromkeys(recipe.name for recipe in plan.recipes):
        planned = [recipe for recipe in plan.recipes if recipe.name == name]
        cells: list[Cell] = []
        for dataset in datasets:
            cells += _cells([recipe for recipe in planned if recipe.dataset == dataset], records, failures)
        method, _, features = name.partition("@")
        rows.append(Row(method, features.replace("+", " + "), tuple(cells)))
    used = [record for recipe in plan.recipes for record in _matching(recipe, records)]
    notes = tuple(dict.fromkeys(cell.note for row in rows for cell in row.cells if cell.note))
    return Table(plan.suite.title or plan.suite.name, _caption(plan, used), columns, _ranked(rows, columns), notes)


def _cells(planned: Sequence[PlannedRecipe], records: list[RecipeRecord], failures: dict[str, str | None]) -> list[Cell]:
    if not planned:
        return [Cell(None, note="not asked for on this data set")] * len(METRICS)
    found = [record for recipe in planned for record in _matching(recipe, records)]
    if not found:
        errors = [failures[part.job.identity] for recipe in planned for part in recipe.parts if part.job.identity in failures]
        return [Cell(None, note=f"failed: {errors[0]}" if errors else "not run")] * len(METRICS)
    missing = len(planned) - len(found)
    note = f"{missing} of {len(planned)} seeds failed or have not run" if missing else None
    return [_cell(found, key, note) for _, key, _ in METRICS]


def _matching(recipe: PlannedRecipe, records: list[RecipeRecord]) -> list[RecipeRecord]:
    """The record of a planned recipe."""
    found = [record for record in records if _same(recipe, record)]
    if len(found) > 1:
        exact = [record for record in found if record.runs == tuple(planned.job.identity for planned in recipe.parts)]
        if len(exact) != 1:
            raise BadInput(f"{recipe.name} on {recipe.dataset}: {len(found)} records of other features or protocols; remove those not meant")
        return exact
    return found


def _same(recipe: PlannedRecipe, record: RecipeRecord) -> bool:
    if (recipe.dataset, recipe.name, recipe.seed) != (record.dataset, record.recipe, record.seed):
        return False
    return all(
        planned.job.document["config"] == described["config"] and planned.part.calibration == described["calibration"]
        for planned, described in zip(recipe.parts, record.parts, strict=True)
    )


def _cell(records: list[RecipeRecord], key: Key, note: str | None) -> Cell:
    values, reason = [], None
    for record in records:
        row = _metric(record, key)
        if row["value"] is not None:
            values.append(row["value"])
        reason = reason or row["reason"]
    if not values:
        return Cell(None, note=reason)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Cell(float(np.mean(values)), spread, len(values), note)


def _metric(record: RecipeRecord, key: Key) -> dict[str, Any]:
    metric, convention, smoothed = key
    for row in record.rows:
        whole = row["video"] is None and row["read_out"] == record.read_outs[0]
        if whole and (row["metric"], row["convention"], row["smoothing"] != "none") == (metric, convention, smoothed):
            return row
    return {"value": None, "reason": "not computed by this version; run vadbench evaluate"}


def _ranked(rows: list[Row], columns: tuple[Column, ...]) -> tuple[Row, ...]:
    """The rows with the best and second-best cells of each column marked."""
    cells = [list(row.cells) for row in rows]
    for j, column in enumerate(columns):
        means = {row[j].value for row in cells}
        ranking = sorted((mean for mean in means if mean is not None), reverse=column.better > 0)
        for row in cells if len(rows) > 1 else []:
            mean = row[j].value
            if mean in ranking[:2]:
                row[j] = replace(row[j], best=1 + ranking.index(mean))
    return tuple(Row(row.method, row.features, tuple(row_cells)) for row, row_cells in zip(rows, cells, strict=True))


def _caption(plan: Plan, used: list[RecipeRecord]) -> str:
    seeds = plan.suite.seeds
    spread = f"; mean ± standard deviation over {seeds} seeds where a method has one" if seeds > 1 else ""
    sentences = [f"Preset `{plan.suite.preset}`; percent{spread}."]
    for dataset in plan.suite.datasets:
        records = [record for record in used if record.dataset == dataset]
        if records:
            labels, sigma = records[0].labels, records[0].protocol["smoothing"]
            sentences.append(
                f"{dataset}: {labels['videos']} test videos, {labels['frames']} frames, {labels['anomalous']} anomalous, labels `{labels['name']}`; "
                f"frame score = maximum over objects, Gaussian smoothing sigma {sigma:g} (reflect) within each video."
            )
    settings = [f"{component}.{name}={value}" for component, fields in plan.suite.settings.items() for name, value in fields.items()]
    if settings:
        sentences.append(f"Settings: {', '.join(settings)}.")
    sentences.append("Macro AUC is the mean over videos: `skip` leaves out those with one class, `pad-rank` adds one frame below and one above all.")
    return " ".join(sentences)
