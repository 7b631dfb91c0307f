"""The papers' figures in a table: a block of their own, and the figure of the same thing beside a measured one."""

from __future__ import annotations

from collections.abc import Sequence

from vadbench.plan import PlannedRecipe
from vadbench.published import Figure, same_streams
from vadbench.report.table import Column, PublishedRow


def published_rows(figures: tuple[Figure, ...], columns: tuple[Column, ...]) -> tuple[PublishedRow, ...]:
    """One row for each method, features and training set of the papers' tables that has a figure in one of the columns."""
    crossed = {figure.reference for figure in figures if figure.train_dataset != figure.dataset}
    groups: dict[tuple[str, str, str, str], list[Figure]] = {}
    for figure in figures:
        trained = f", trained on {figure.train_dataset}" if figure.reference in crossed else ""
        groups.setdefault((figure.source, figure.table, figure.method + trained, figure.features), []).append(figure)
    rows = []
    for (source, table, method, features), group in groups.items():
        values = tuple(next((figure.value for figure in group if _stands_in(figure, column, columns)), None) for column in columns)
        notes = tuple(dict.fromkeys(figure.note for figure in group if figure.note and not method.endswith(figure.note)))
        if any(value is not None for value in values):
            rows.append(PublishedRow(f"{source}, {table}", method, features, values, notes))
    return tuple(rows)


def same_figure(planned: Sequence[PlannedRecipe], column: Column, figures: tuple[Figure, ...]) -> float | None:
    """The published figure of what a row measures: same method and settings (the suite says which), streams, training set, data set, metric.

    None for macro AUC: the papers' conventions are not known well enough to subtract.
    """
    recipe = next((recipe for recipe in planned if recipe.dataset == column.dataset), None)
    if recipe is None or recipe.published is None or column.key[0] == "macro_auc":
        return None
    job = recipe.parts[0].job
    trained = job.source.dataset if job.source is not None else job.dataset
    streams = tuple(part.job.stream.name for part in recipe.parts)
    for figure in figures:
        alike = (figure.method, figure.method_id, figure.train_dataset) == (recipe.published, recipe.method, trained)
        if alike and _is_of(figure, column) and same_streams(figure, streams):
            return figure.value
    return None


def _is_of(figure: Figure, column: Column) -> bool:
    """Whether the figure is of the column's data set and metric."""
    return (figure.dataset, figure.metric, _smoothed(figure)) == (column.dataset, column.key[0], column.key[2])


def _smoothed(figure: Figure) -> bool:
    """Whether the figure belongs beside smoothed scores: object scores of RBDC and TBDC are not smoothed."""
    return figure.metric not in ("rbdc", "tbdc")


def _stands_in(figure: Figure, column: Column, columns: tuple[Column, ...]) -> bool:
    """Whether the column is the figure's: macro AUC, whose convention papers mostly do not state, in the data set's first macro column."""
    if not _is_of(figure, column):
        return False
    first = next(other for other in columns if other.dataset == column.dataset and other.key[0] == column.key[0])
    return column == first
