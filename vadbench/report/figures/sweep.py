"""The rows of an ablation's table as points of a sweep: which settings or read-out each has that
the others have not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vadbench.errors import BadInput
from vadbench.registry import load, names, unknown
from vadbench.report.tables.make import make_table
from vadbench.report.tables.table import NOT_ASKED, Cell, Column
from vadbench.results.frame import Frame
from vadbench.results.records import Results
from vadbench.spec import Wanted
from vadbench.suite import Suite

READ_OUT = "read_out"
MISSING = "have not run or failed"


@dataclass(frozen=True)
class Point:
    """A row: its label, what it differs in (`component.field` or `read_out` -> value), and its
    cell.
    """

    label: str
    differs: Mapping[str, Any]
    cell: Cell


@dataclass(frozen=True)
class Sweep:
    """An ablation on one data set and one choice of features, by one metric."""

    dataset: str
    features: str
    column: Column
    points: tuple[Point, ...]


def sweeps(suite: Suite, wanted: Sequence[Wanted], results: Results, metric: str) -> list[Sweep]:
    """The sweeps of an ablation suite, one for each data set and choice of features, from the
    records there are.

    Raises:
        BadInput: if the suite has no such rows, the table no such metric, or nothing has run.
    """
    if not suite.rows:
        raise BadInput(
            f"suite {suite.name}: its rows have no settings of their own; choose an ablation, such"
            " as mulde-scales or diffusion-noise"
        )
    table = make_table(suite, wanted, Frame(results, [one.result for one in wanted]))
    columns = [
        (place, column)
        for place, column in enumerate(table.columns)
        if column.title == metric and column.dataset in suite.datasets
    ]
    if not columns:
        raise unknown("metric", metric, {column.title for column in table.columns})
    differs = differences(suite)
    rows = [row for row in table.rows if row.method in differs]
    drawn = []
    for place, column in columns:
        for features in dict.fromkeys(row.features for row in rows):
            points = [
                Point(row.method, differs[row.method], row.cells[place])
                for row in rows
                if row.features == features
            ]
            if any(point.cell.note != NOT_ASKED for point in points):
                drawn.append(Sweep(column.dataset, features, column, tuple(points)))
    if all(point.cell.value is None for sweep in drawn for point in sweep.points):
        raise BadInput(
            f"suite {suite.name}: nothing has run under {results.root}; vadbench run --suite"
            f" {suite.called} --results {results.root} runs it"
        )
    return drawn


def differences(suite: Suite) -> dict[str, dict[str, Any]]:
    """Label -> what the row differs in: the settings whose values differ between rows, and its
    read-out if it names one.
    """
    settings = {
        row.label: {
            f"{component}.{field}": value
            for component, fields in row.settings.items()
            for field, value in fields.items()
        }
        for row in suite.rows
    }
    fields = dict.fromkeys(field for of_row in settings.values() for field in of_row)
    varied = [
        field
        for field in fields
        if len({repr(of_row.get(field)) for of_row in settings.values()}) > 1
    ]
    return {
        row.label: (
            {field: settings[row.label][field] for field in varied if field in settings[row.label]}
            | ({READ_OUT: row.read_out} if row.read_out else {})
        )
        for row in suite.rows
    }


def axis_label(field: str) -> str:
    """What an axis says of a setting: its description, where a registered method has it."""
    component, _, name = field.partition(".")
    if component not in names("detectors"):
        return field
    described = load("detectors", component).Config.model_fields[name].description
    return f"{name}: {re.split('[,;(]', described)[0].strip()}" if described else name


def count_missing(drawn: list[Sweep]) -> int:
    """How many points have not run, or failed."""
    return sum(point.cell.value is None for sweep in drawn for point in sweep.points)


def write_caption(suite: Suite, drawn: list[Sweep]) -> str:
    """Sentences for the caption: where the numbers are from, which are missing, and that the best
    is no result.
    """
    missing = count_missing(drawn)
    seeds = f"mean over up to {suite.seeds} seeds" if suite.seeds > 1 else "seed 0"
    where = "; ".join(dict.fromkeys(f"{sweep.dataset}, {sweep.features}" for sweep in drawn))
    cells = sum(len(sweep.points) for sweep in drawn)
    gap = f" {missing} of {cells} cells {MISSING}." if missing else ""
    shared = [
        f"{component}.{name}={value}"
        for component, fields in suite.settings.items()
        for name, value in fields.items()
    ]
    settings = f" Settings: {', '.join(shared)}." if shared else ""
    return (
        f"{suite.title or suite.name}. {where}; preset {suite.preset}, {seeds}.{settings}{gap}"
        " Ablation: settings and read-outs of one method; none was chosen by the test labels, and"
        " none may be: the best is no result of the method."
    )
