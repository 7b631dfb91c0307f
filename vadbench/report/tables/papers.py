"""The papers' figures in a table: a block of their own, and the figure of the same thing beside a
measured one.
"""

from __future__ import annotations

from collections.abc import Sequence

from vadbench import registry
from vadbench.datasets.part import base_of
from vadbench.report.published import OFFICIAL, UNKNOWN, UNSTATED_SIGMA, Figure, same_streams
from vadbench.report.tables.table import Column, PublishedRow
from vadbench.spec import OFFICIAL as LABELS
from vadbench.spec import Result, Wanted

OURS = "ours: the published tables have no such cell"
NONE = "no difference to the paper: "
KIN = {"decision_auc": "micro_auc"}  # metrics of one name in the papers
SIGMA = "the paper's Gaussian smoothing has no stated sigma"
TIES = "the paper's code takes equal scores in the order of rows, here they are averaged"

Rows = Sequence[Wanted]  # a row, over its data sets and seeds


def published_rows(
    figures: tuple[Figure, ...], columns: tuple[Column, ...]
) -> tuple[PublishedRow, ...]:
    """One row for each method, features and training set of the papers' tables that has a figure in
    one of the columns.
    """
    crossed = {figure.reference for figure in figures if figure.train_dataset != figure.dataset}
    groups: dict[tuple[str, str, str, str], list[Figure]] = {}
    for figure in figures:
        trained = f", trained on {figure.train_dataset}" if figure.reference in crossed else ""
        groups.setdefault(
            (figure.source, figure.table, figure.method + trained, figure.features), []
        ).append(figure)
    rows = []
    for (source, table, method, features), group in groups.items():
        placed = {stands_in(figure, columns): figure for figure in reversed(group)}
        cells = [placed.get(column) for column in columns]
        notes = tuple(
            dict.fromkeys(
                figure.note for figure in group if figure.note and not method.endswith(figure.note)
            )
        )
        values = tuple(None if figure is None else figure.value for figure in cells)
        texts = tuple(None if figure is None else figure.text for figure in cells)
        if any(cells):
            rows.append(PublishedRow(f"{source}, {table}", method, features, values, notes, texts))
    return tuple(rows)


def stands_in(figure: Figure, columns: tuple[Column, ...]) -> Column | None:
    """The column of a figure's data set and metric, of its smoothing and convention, else the
    first.

    None if no column has them.
    """
    place = figure.dataset, figure.metric
    there = [column for column in columns if (column.dataset, column.key[0]) == place]
    return min(there, key=lambda column: _distance(figure, column), default=None)


def same_figure(wanted: Rows, column: Column, figures: tuple[Figure, ...]) -> float | None:
    """The published figure (a fraction) of what a row measures, None where anything that decides it
    differs.

    Method and settings are the same where the suite says so (`published`). Data set, training set,
    streams, metric, setting, split, scope, convention and smoothing are compared here.
    """
    figure, _ = _compare(wanted, column, figures)
    return None if figure is None else figure.value


def remark(
    wanted: Rows, column: Column, figures: tuple[Figure, ...], differences: bool
) -> str | None:
    """How a measured cell stands to the papers' figures: why there is no difference, what one
    leaves open.

    Args:
        wanted: the row.
        column: of the cell.
        figures: of the papers' tables that the suite shows.
        differences: whether the table shows differences; without, only what is ours alone is told.
    """
    _, told = _compare(wanted, column, figures)
    return told if differences or told == OURS else None


def _compare(
    wanted: Rows,
    column: Column,
    figures: tuple[Figure, ...],
) -> tuple[Figure | None, str | None]:
    """The figure of the same thing, if there is one, and what a reader has to know."""
    own = next((one for one in wanted if one.result.dataset == column.dataset), None)
    if own is None or not any(_kin(figure, column) for figure in figures):
        return None, None
    cell = next((figure for figure in figures if _is_cell_of(figure, own, column)), None)
    if cell is None:
        return None, OURS
    unlike = _unlike(cell, own.result, column)
    return (cell, _open(cell)) if unlike is None else (None, NONE + unlike)


def _is_cell_of(figure: Figure, wanted: Wanted, column: Column) -> bool:
    """Whether it is of the row's method, data set, training set and streams, and of the kind of
    metric.
    """
    result = wanted.result
    trained = result.training.source or result.dataset
    own = wanted.published, result.method, column.dataset, trained
    if (figure.method, figure.method_id, figure.dataset, figure.train_dataset) != own:
        return False
    streams = tuple(part.stream for part in result.parts)
    named = not figure.stream_id or same_streams(figure, streams)
    return named and _kin(figure, column)


def _kin(figure: Figure, column: Column) -> bool:
    """Whether the column has the figure's metric, or one that papers call by its name."""
    return column.key[0] in (figure.metric, KIN.get(figure.metric))


def _unlike(figure: Figure, result: Result, column: Column) -> str | None:
    """The first of the things that decide a number and differ; None where none does."""
    metric, convention, _ = column.key
    training = result.training
    split, setting = (training.split.name if training.split else OFFICIAL), training.setting
    smoothing = _smoothing(result, column)
    differ = (
        (figure.metric != metric, "the paper's is the AUC of decisions, of scores here"),
        (not figure.stream_id, "the paper does not say which features it is of"),
        (figure.trained != setting, f"{figure.trained} there, {setting} here"),
        (
            result.protocol.labels != LABELS,
            f"labels `{result.protocol.labels}` here",
        ),
        (figure.split != split, f"split `{figure.split}` there, `{split}` here"),
        (
            training.scope != "pooled",
            "one training for all scenes there, one a scene here",
        ),
        (
            figure.convention not in (convention or "", "order"),
            f"convention {figure.convention} there, {convention} here",
        ),
        (
            figure.smoothing not in smoothing,
            f"smoothing {figure.smoothing} there, {smoothing[0]} here",
        ),
    )
    return next((reason for unlike, reason in differ if unlike), None)


def _smoothing(result: Result, column: Column) -> tuple[str, ...]:
    """Our smoothing, and what papers may call the same.

    A Gaussian of no stated sigma is taken to be the data set's usual one.
    """
    sigma = result.protocol.smoothing if column.key[2] else None
    if sigma is None:
        return ("none",)
    usual = sigma == registry.load("datasets", base_of(result.dataset)).smoothing
    return (f"gaussian-{sigma:g}", *((UNSTATED_SIGMA,) if usual else ()))


def _open(figure: Figure) -> str | None:
    """What a difference to the figure leaves open."""
    if figure.smoothing == UNSTATED_SIGMA:
        return SIGMA
    return TIES if figure.convention == "order" else None


def _distance(figure: Figure, column: Column) -> tuple[bool, bool]:
    """How far a column is from a figure of its metric: smoothing first, then the convention."""
    _, convention, smoothed = column.key
    unlike = figure.smoothing != UNKNOWN and smoothed == (figure.smoothing == "none")
    return unlike, figure.convention != (convention or "")
