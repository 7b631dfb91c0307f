"""Which columns of a table fit a terminal, and in what detail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from vadbench.report.tables import layout
from vadbench.report.tables.table import FOREIGN, NOT_ASKED, Cell, Cost, PublishedRow, Table

GAP = 2  # spaces between columns
NAMES = (5, 4)  # a method's name takes a fifth of the width at most, its features a quarter
NARROWEST = 12  # unless that is less
VALUE, SPREAD, INTERVAL = range(3)  # how much a column shows of each cell
Reader = Callable[[int, int], "Lines"]  # a column's position and its detail -> the column
SIGNS = {"best": "*", "second": "+", "peer": "≈", "": ""}


@dataclass(frozen=True)
class Lines:
    """A column of a block as text.

    Attributes:
        head: its title.
        measured: a text for each measured row, all of one width.
        papers: likewise for each row of papers.
        width: of the widest text and of the title's longest word.
        marks: of the measured rows.
    """

    head: str
    measured: tuple[str, ...]
    papers: tuple[str, ...]
    marks: tuple[layout.Mark, ...]

    @property
    def width(self) -> int:
        """Characters of the widest text."""
        return max(map(len, (*self.measured, *self.papers, *self.head.split())))


@dataclass(frozen=True)
class Block:
    """What is shown of one data set.

    Attributes:
        dataset: its name.
        rows: positions of the measured rows; none where the same note stands in place of them all.
        note: that note.
        papers: the papers' rows.
        columns: those that fit.
        positions: of these among the table's columns; costs have none.
        left_out: titles of those that do not fit.
    """

    dataset: str
    rows: tuple[int, ...]
    papers: tuple[PublishedRow, ...]
    columns: tuple[Lines, ...]
    positions: tuple[int, ...]
    left_out: tuple[str, ...]
    note: str = ""


def fit(table: Table, width: int, remarks: bool) -> tuple[int, int, list[Block]]:
    """The widths of the two columns of names, and the blocks of a table.

    Args:
        table: of records.
        width: characters of a line of the terminal.
        remarks: whether cells refer to the remarks on the papers' figures.
    """
    limits = [max(NARROWEST, width // share) for share in NAMES]
    longest = [max(map(len, column)) for column in names(table)]
    method, features = map(min, limits, longest)
    room = width - method - features - GAP
    datasets = [dataset for dataset, _ in layout.datasets(table.columns)]
    return method, features, [_fit_block(table, dataset, room, remarks) for dataset in datasets]


def names(table: Table) -> tuple[list[str], list[str]]:
    """The texts of the two columns of names: the longest head, measured rows, the papers'."""
    head = max((column.dataset for column in table.columns), key=len)
    short, _ = layout.short_streams(table.rows)
    methods = [layout.name(table, row) for row in range(len(table.rows))]
    streams = [layout.rename_streams(row.features, short) for row in table.rows]
    papers = table.published
    return (
        [head, *methods, *(row.method for row in papers)],
        ["features", *streams, *(row.features for row in papers)],
    )


def references(cell: Cell, notes: Sequence[str], remarks: bool) -> list[int]:
    """The numbers of a cell's notes."""
    chosen = cell.notes if remarks else tuple(filter(None, (cell.note,)))
    return layout.numbers(notes, chosen)


def _fit_block(table: Table, dataset: str, room: int, remarks: bool) -> Block:
    """As many columns as there is room for: the first in as much detail as leaves the costs their
    room, then costs, then the others.
    """
    first, *others = [i for i, column in enumerate(table.columns) if column.dataset == dataset]
    rows, note = _rows_of(table, (first, *others))
    papers = tuple(
        row for row in table.published if any(row.values[i] is not None for i in (first, *others))
    )
    read = partial(_metric, table, rows, papers, remarks)
    costs = [_cost(cost, rows, len(papers)) for cost in table.costs if cost.dataset == dataset]
    whole = _first_column(read, first, room - sum(one.width + GAP for one in costs))
    room -= whole.width + GAP
    kept: list[Lines] = []
    for cost in costs:
        if cost.width + GAP <= room:
            kept.append(cost)
            room -= cost.width + GAP
    shown = _other_columns(read, others, room)
    dropped = [cost.head for cost in costs if cost not in kept]
    return Block(
        dataset=dataset,
        rows=rows,
        note=note,
        papers=papers,
        columns=(whole, *shown.values(), *kept),
        positions=(first, *shown),
        left_out=(*(table.columns[i].title for i in others if i not in shown), *dropped),
    )


def _first_column(read: Reader, position: int, room: int) -> Lines:
    """In full, or in less detail where that is too wide."""
    for detail in (INTERVAL, SPREAD):
        column = read(position, detail)
        if column.width + GAP <= room:
            return column
    return read(position, VALUE)


def _other_columns(read: Reader, positions: Sequence[int], room: int) -> dict[int, Lines]:
    """Those whose values have room; where all have, with deviations, then with intervals."""
    shown: dict[int, Lines] = {}
    for position in positions:
        column = read(position, VALUE)
        if column.width + GAP <= room:
            shown[position] = column
            room -= column.width + GAP
    if len(shown) < len(positions):
        return shown
    for detail in (SPREAD, INTERVAL):
        fuller = {position: read(position, detail) for position in shown}
        more = sum(fuller[position].width - column.width for position, column in shown.items())
        if more <= room:
            shown, room = fuller, room - more
    return shown


def _rows_of(table: Table, positions: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The rows that have to do with a data set; a note in place of all where none has a value."""
    cells = {row: [table.rows[row].cells[i] for i in positions] for row in range(len(table.rows))}
    rows = tuple(
        row
        for row, of_row in cells.items()
        if any(cell.note not in (NOT_ASKED, FOREIGN) for cell in of_row)
    )
    of_rows = [cell for row in rows for cell in cells[row]]
    notes = {cell.note for cell in of_rows}
    if len(notes) != 1 or any(cell.value is not None for cell in of_rows):
        return rows, ""
    return (), notes.pop() or ""


def _metric(
    table: Table,
    rows: Sequence[int],
    papers: Sequence[PublishedRow],
    remarks: bool,
    position: int,
    detail: int,
) -> Lines:
    notes = layout.footnotes(table)
    cells = [table.rows[row].cells[position] for row in rows]
    of_table = layout.marks(table)
    marks = [of_table[row][position] for row in rows]
    texts = [layout.percent(cell.value) for cell in cells]
    figures = [layout.figure_text(row, position) for row in papers]
    values = align_decimals([*texts, *figures])
    empty = [""] * len(papers)
    parts = [values]
    if detail >= SPREAD:
        parts.append([*map(layout.spread, cells), *empty])
    if detail >= INTERVAL:
        parts.append([*map(layout.bounds, cells), *empty])
    if detail >= SPREAD:
        parts.append([*map(layout.delta, cells), *empty])
    behind = [
        SIGNS[mark] + layout.letters(table, cell) + _numbered(references(cell, notes, remarks))
        for cell, mark in zip(cells, marks, strict=True)
    ]
    lines = list(_join([*parts, [*behind, *empty]]))
    for place, cell in enumerate(cells):
        if cell.value is None:
            lines[place] = (texts[place] + behind[place]).rjust(len(lines[place]))
    title = table.columns[position].title
    return Lines(title, tuple(lines[: len(rows)]), tuple(lines[len(rows) :]), tuple(marks))


def _cost(cost: Cost, rows: Sequence[int], papers: int) -> Lines:
    texts = [layout.amount(cost.values[row]) for row in rows]
    marks: list[layout.Mark] = [""] * len(rows)
    return Lines(cost.title, tuple(texts), ("",) * papers, tuple(marks))


def _numbered(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]" if numbers else ""


def _join(parts: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a column whose parts stand below each other; a part that no line has is left
    out.
    """
    widths = [max(map(len, part), default=0) for part in parts]
    for line in zip(*parts, strict=True):
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=True) if width]
        yield " ".join(padded)


def align_decimals(texts: Sequence[str]) -> list[str]:
    """Numbers below each other by their decimal points.

    >>> align_decimals(["96.8", "9.25", "–"])
    ['96.8 ', ' 9.25', ' –   ']
    """
    cut = [text.partition(".") for text in texts]
    left = max((len(whole) for whole, _, _ in cut), default=0)
    right = max((len(point + digits) for _, point, digits in cut), default=0)
    return [whole.rjust(left) + (point + digits).ljust(right) for whole, point, digits in cut]
