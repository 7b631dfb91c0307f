"""Rows and columns of a finished table: its marks stay those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vadbench.registry import unknown
from vadbench.report.tables.layout import contested
from vadbench.report.tables.table import Cell, Column, Row, Table


def choose(table: Table, metrics: str = "", methods: Sequence[str] = (), sort: str = "") -> Table:
    """Some columns and rows of a table.

    Args:
        table: the whole.
        metrics: titles of columns, comma-separated, in the order wanted; none: all.
        methods: rows by their names, or the first word of those; none: all.
        sort: the title of the column that orders the rows, the best first; none: as they are.

    Raises:
        BadInput: on a title or a method that the table has not.
    """
    ordered = _sort(table, sort) if sort else table
    kept = _keep_rows(ordered, methods) if methods else ordered
    return _keep_columns(kept, metrics) if metrics else kept


def read_titles(text: str, known: Iterable[str]) -> list[str]:
    """The titles in a comma-separated list, some of which have a comma themselves.

    Raises:
        BadInput: on a title that is none, with the nearest.

    >>> read_titles("RBDC, micro auc, unsmoothed", ["micro AUC", "micro AUC, unsmoothed", "RBDC"])
    ['RBDC', 'micro AUC, unsmoothed']
    """
    titles = {title.lower(): title for title in known}
    pieces = [piece.strip() for piece in text.split(",")]
    read: list[str] = []
    while pieces:
        ends = range(len(pieces), 0, -1)
        longest = (", ".join(pieces[:end]).lower() for end in ends)
        match = next((title for title in longest if title in titles), None)
        if match is None:
            raise unknown("metric of the table", pieces[0], titles.values())
        read.append(titles[match])
        pieces = pieces[match.count(",") + 1 :]
    return read


def _sort(table: Table, title: str) -> Table:
    """Rows by a column, of the first data set that has it; those without a value last."""
    (wanted,) = read_titles(title, {column.title for column in table.columns})
    position = next(i for i, column in enumerate(table.columns) if column.title == wanted)
    sign = table.columns[position].better

    def place(row: int) -> tuple[bool, float]:
        value = table.rows[row].cells[position].value
        return value is None, -sign * (value or 0.0)

    return _take_rows(table, sorted(range(len(table.rows)), key=place))


def _keep_rows(table: Table, methods: Sequence[str]) -> Table:
    names = [row.method for row in table.rows]
    known = dict.fromkeys([*names, *(_first_word(name) for name in names)])
    for method in methods:
        if method not in known:
            raise unknown("method of the table", method, known)
    wanted = set(methods)
    kept = [i for i, name in enumerate(names) if {name, _first_word(name)} & wanted]
    return _take_rows(table, kept)


def _first_word(name: str) -> str:
    return name.partition(" ")[0].rstrip(",:")


def _take_rows(table: Table, rows: Sequence[int]) -> Table:
    """These rows in this order; what the marks were found among is remembered."""
    places = {row: place for place, row in enumerate(rows)}

    def move(cell: Cell) -> Cell:
        return replace(cell, beats=tuple(places[row] for row in cell.beats if row in places))

    taken = [_change_cells(table.rows[row], lambda cells: tuple(map(move, cells))) for row in rows]
    columns = [
        replace(column, contested=undecided)
        for column, undecided in zip(table.columns, contested(table), strict=True)
    ]
    costs = [replace(cost, values=tuple(cost.values[row] for row in rows)) for cost in table.costs]
    dropped = len(table.rows) - len(taken)
    return _with_notes(
        replace(
            table,
            columns=tuple(columns),
            rows=tuple(taken),
            costs=tuple(costs),
            left_out=table.left_out + dropped,
        )
    )


def _keep_columns(table: Table, metrics: str) -> Table:
    titles = read_titles(metrics, dict.fromkeys(column.title for column in table.columns))
    datasets = dict.fromkeys(column.dataset for column in table.columns)
    wanted = [(dataset, title) for dataset in datasets for title in titles]
    names = [(column.dataset, column.title) for column in table.columns]
    places = [names.index(name) for name in wanted if name in names]

    def take(values: Sequence[Cell]) -> tuple[Cell, ...]:
        return tuple(values[place] for place in places)

    papers = [
        replace(
            row,
            values=tuple(row.values[place] for place in places),
            texts=tuple(row.texts[place] for place in places) if row.texts else (),
        )
        for row in table.published
    ]
    columns: tuple[Column, ...] = tuple(table.columns[place] for place in places)
    return _with_notes(
        replace(
            table,
            columns=columns,
            rows=tuple(_change_cells(row, take) for row in table.rows),
            published=tuple(row for row in papers if any(v is not None for v in row.values)),
        )
    )


def _change_cells(row: Row, change: Callable[[tuple[Cell, ...]], tuple[Cell, ...]]) -> Row:
    return replace(row, cells=change(row.cells))


def _with_notes(table: Table) -> Table:
    """The table with the footnotes of the cells that it has."""
    notes = dict.fromkeys(note for row in table.rows for cell in row.cells for note in cell.notes)
    return replace(table, notes=tuple(notes))
