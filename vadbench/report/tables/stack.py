r"""A LaTeX table's columns and rows, stacked in blocks that fit the width of a page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vadbench.report.tables import layout
from vadbench.report.tables.escape import escape
from vadbench.report.tables.layout import Mark
from vadbench.report.tables.table import FOREIGN, NOT_ASKED, Cell, Cost, Table

PAGE = 78  # characters of a line of a page's whole width, at \footnotesize
HEAD, NAME = 12, 22  # of a column's head, of a method and of its features before they break
TITLE = 50  # of what stands above a group of rows
GAP = 2  # characters between columns
LINE = r"\\"
NAMES = 2  # columns before the metrics: method and features


@dataclass(frozen=True)
class Detail:
    """What a cell shows beside its value."""

    spread: bool
    intervals: bool


@dataclass(frozen=True)
class Piece:
    """A column: its data set, the lines of its head, and a text for each row.

    Attributes:
        dataset: over it.
        head: lines, unescaped.
        videos: `n = 12`, or nothing.
        measured: two cells of LaTeX (number, what follows it) for each measured row.
        papers: likewise for each of the papers'; None where they have no figure.
        asked: for each measured row whether it has to do with the column.
        width: about how many characters it takes.
    """

    dataset: str
    head: tuple[str, ...]
    videos: str
    measured: tuple[str, ...]
    papers: tuple[str | None, ...]
    asked: tuple[bool, ...]
    width: int


@dataclass(frozen=True)
class Name:
    """The method and features of a row: LaTeX, lines high, characters wide."""

    text: str
    height: int
    width: int


@dataclass(frozen=True)
class BlockRow:
    """A line of a block, with what stands above it."""

    above: tuple[str, ...]
    text: str
    height: int


@dataclass(frozen=True)
class Block:
    """Some columns with all rows that they have."""

    pieces: tuple[Piece, ...]
    rows: tuple[BlockRow, ...]
    width: int
    with_datasets: bool

    @property
    def height(self) -> int:
        """Lines of a page that it takes."""
        heads = max(len(piece.head) + bool(piece.videos) for piece in self.pieces)
        rows = sum(row.height + len(row.above) for row in self.rows)
        return 2 + heads + self.with_datasets + rows

    def cut(self, height: int) -> tuple[Block, Block]:
        """The block up to a height, and the rest; a row at least."""
        count = 1
        while count < len(self.rows) and self._upto(count + 1).height <= height:
            count += 1
        return self._upto(count), replace(self, rows=self.rows[count:])

    def _upto(self, count: int) -> Block:
        return replace(self, rows=self.rows[:count])

    def lines(self) -> list[str]:
        """The tabular."""
        count = len(self.pieces)
        body = [line for row in self.rows for line in (*row.above, row.text)]
        if body and body[0] == r"\midrule":
            body = body[1:]
        return [
            f"\\begin{{tabular}}{{@{{}}ll*{{{count}}}{{r@{{}}l}}@{{}}}}",
            r"\toprule",
            *self._heads(),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]

    def _heads(self) -> list[str]:
        """The heads of the columns, below those of their data sets if there are several."""
        heads = [_span((*piece.head, *filter(None, [piece.videos])), 2) for piece in self.pieces]
        line = " & ".join(["Method", "Features", *heads]) + rf" {LINE}"
        if not self.with_datasets:
            return [line]
        spans, rules, first = [], [], NAMES + 1
        for dataset, count in _groups(self.pieces):
            last = first + 2 * count - 1
            spans.append(_span(_wrap(dataset, HEAD * count), 2 * count))
            rules.append(f"\\cmidrule(lr){{{first}-{last}}}")
            first = last + 1
        return [" & ".join(["", "", *spans]) + rf" {LINE}", "".join(rules), line]


def read_columns(table: Table, notes: list[str], detail: Detail) -> list[Piece]:
    """Every metric and cost of a table as a column, data set by data set."""
    marks = layout.marks(table)
    pieces = []
    for dataset in dict.fromkeys(column.dataset for column in table.columns):
        for position, column in enumerate(table.columns):
            if column.dataset == dataset:
                of_column = [of_row[position] for of_row in marks]
                pieces.append(_metric(table, position, of_column, notes, detail))
        pieces += [_cost(table, cost) for cost in table.costs if cost.dataset == dataset]
    return pieces


def read_names(table: Table, notes: list[str]) -> tuple[tuple[list[Name], list[Name]], str]:
    """The names of the measured and of the papers' rows, and the sentence on their features."""
    short, streams = layout.short_streams(table.rows)
    measured = [
        _name(layout.name(table, row), layout.rename_streams(table.rows[row].features, short))
        for row in range(len(table.rows))
    ]
    papers = [
        _name(row.method, row.features, _references(row.notes, notes)) for row in table.published
    ]
    return (measured, papers), streams


def stack(
    table: Table, columns: Sequence[Piece], names: tuple[list[Name], list[Name]]
) -> list[Block]:
    """Blocks no wider than a page: whole data sets beside each other where they fit, else data sets
    below each other, else a data set's metrics.
    """
    widest = max((name.width for of_rows in names for name in of_rows), default=0)
    several = len({piece.dataset for piece in columns}) > 1
    groups: list[list[Piece]] = [[]]
    for dataset in dict.fromkeys(piece.dataset for piece in columns):
        of_it = [piece for piece in columns if piece.dataset == dataset]
        if groups[-1] and _width([*groups[-1], *of_it], widest) > PAGE:
            groups.append([])
        for piece in of_it:
            if groups[-1] and _width([*groups[-1], piece], widest) > PAGE:
                groups.append([])
            groups[-1].append(piece)
    return [
        Block(tuple(pieces), tuple(_rows(table, pieces, names)), _width(pieces, widest), several)
        for pieces in groups
    ]


def _width(pieces: Sequence[Piece], names: int) -> int:
    return names + sum(GAP + piece.width for piece in pieces)


def _rows(
    table: Table, pieces: Sequence[Piece], names: tuple[list[Name], list[Name]]
) -> Iterator[BlockRow]:
    """The rows that have to do with these columns, the papers' under the table each comes from."""
    measured, papers = names
    width = NAMES + 2 * len(pieces)
    titles = _title("Measured", width) if table.published else []
    for row, name in enumerate(measured):
        if any(piece.asked[row] for piece in pieces):
            cells = [piece.measured[row] for piece in pieces]
            yield BlockRow(tuple(titles), _line(name, cells), name.height)
            titles = []
    for source, rows in layout.by_source(table).items():
        titles = [r"\midrule", *_title(f"Published ({source})", width)]
        for paper in rows:
            place = table.published.index(paper)
            figures = [piece.papers[place] for piece in pieces]
            if any(figures):
                cells = [figure or _dash() for figure in figures]
                yield BlockRow(tuple(titles), _line(papers[place], cells), papers[place].height)
                titles = []


def _line(name: Name, cells: Sequence[str]) -> str:
    return " & ".join([name.text, *cells]) + rf" {LINE}"


def _title(text: str, width: int) -> list[str]:
    return [
        f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\textit{{{escape(line)}}}}} {LINE}"
        for line in _wrap(text, TITLE)
    ]


def _metric(
    table: Table, position: int, marks: Sequence[Mark], notes: list[str], detail: Detail
) -> Piece:
    column = table.columns[position]
    cells = [row.cells[position] for row in table.rows]
    letters = [layout.letters(table, cell) for cell in cells]
    behind = [_behind(cell, detail) for cell in cells]
    texts = [
        f"{layout.percent(cell.value)}{after}{extra} ≈"
        for cell, after, extra in zip(cells, behind, letters, strict=True)
    ]
    return Piece(
        dataset=column.dataset,
        head=tuple(_wrap(column.title, HEAD)),
        videos=f"n = {count}" if (count := layout.count_videos(table, position)) else "",
        measured=tuple(
            _cell(cell, mark, after, extra, _references(cell.notes, notes))
            for cell, mark, after, extra in zip(cells, marks, behind, letters, strict=True)
        ),
        papers=tuple(
            None
            if row.values[position] is None
            else f"{escape(layout.figure_text(row, position))} & "
            for row in table.published
        ),
        asked=tuple(cell.note not in (NOT_ASKED, FOREIGN) for cell in cells),
        width=_widest([*_wrap(column.title, HEAD), *texts]),
    )


def _cost(table: Table, cost: Cost) -> Piece:
    texts = [layout.amount(value) for value in cost.values]
    return Piece(
        dataset=cost.dataset,
        head=tuple(_wrap(cost.title, HEAD)),
        videos="",
        measured=tuple(f"{escape(text)} & " for text in texts),
        papers=(None,) * len(table.published),
        asked=tuple(value is not None for value in cost.values),
        width=_widest([*_wrap(cost.title, HEAD), *texts]),
    )


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0)


def _behind(cell: Cell, detail: Detail) -> str:
    """What follows a value: deviation, interval, difference to the paper's."""
    spread = layout.spread(cell) if detail.spread else ""
    bounds = layout.bounds(cell) if detail.intervals else ""
    return " ".join(filter(None, (spread, bounds, layout.delta(cell))))


def _cell(cell: Cell, mark: Mark, behind: str, letters: str, references: str) -> str:
    """A number, flush right with those above and below, and what follows it; a dash in the middle
    of both.
    """
    if cell.value is None:
        return _dash(references)
    number = escape(layout.percent(cell.value))
    command = {"best": r"\textbf", "second": r"\underline"}.get(mark)
    small = f"\\,{{\\scriptsize {escape(behind)}}}" if behind else ""
    peer = r"\,$\approx$" if mark == "peer" else ""
    raised = f"\\textsuperscript{{{letters}}}" if letters else ""
    return f"{f'{command}{{{number}}}' if command else number} & {small}{peer}{raised}{references}"


def _dash(references: str = "") -> str:
    beside = rf"\rlap{{{references}}}" if references else ""
    return f"\\multicolumn{{2}}{{c}}{{{escape(layout.percent(None))}{beside}}}"


def _references(chosen: Sequence[str], notes: list[str]) -> str:
    numbers = layout.numbers(notes, chosen)
    return f"\\textsuperscript{{{','.join(map(str, numbers))}}}" if numbers else ""


def _groups(pieces: Sequence[Piece]) -> list[tuple[str, int]]:
    """The data sets over the columns, each with the number of columns it spans."""
    names = [piece.dataset for piece in pieces]
    return [(name, names.count(name)) for name in dict.fromkeys(names)]


def _span(lines: Sequence[str], count: int) -> str:
    """A text over some columns; a metric has two, its number and what follows it."""
    text = LINE.join(map(escape, lines))
    stacked = f"\\shortstack{{\\strut {text}}}" if len(lines) > 1 else text
    return f"\\multicolumn{{{count}}}{{c}}{{{stacked}}}"


def _name(method: str, features: str, references: str = "") -> Name:
    """A method and its features, each on as many lines as it takes."""
    lines = [_wrap(text, NAME) for text in (method, features)]
    left, right = map(_lines, lines)
    return Name(
        text=f"{left}{references} & {right}",
        height=max(map(len, lines)),
        width=sum(_widest(of_text) for of_text in lines) + GAP,
    )


def _lines(texts: Sequence[str]) -> str:
    escaped = [escape(text) for text in texts]
    if len(escaped) < 2:
        return "".join(escaped)
    return f"\\begin{{tabular}}[t]{{@{{}}l@{{}}}}{LINE.join(escaped)}\\end{{tabular}}"


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)
