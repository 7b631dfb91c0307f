"""What every renderer of a table shares: numbers, marks, headings, footnotes and the sentences that
explain them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal

from vadbench.report.tables.costs import NOTE
from vadbench.report.tables.letters import letter
from vadbench.report.tables.table import Cell, Column, Cost, PublishedRow, Row, Table

Mark = Literal["best", "second", "peer", ""]
MINUS = "\N{MINUS SIGN}"
# a value above, and fewer videos: there an interval covers less than it says
NEAR_ONE, FEW = 0.9, 5
INTERVAL = (
    "In brackets: 95 % interval over n test videos, the spread over seeds included (jackknife,"
    " Student's t, logit scale)."
)
UNSURE = (
    " Above 90, or of fewer than five videos, an interval covers less than it says: the rare hard"
    " video is missing."
)
TEST = (
    "Significant: paired differences over videos and seeds, Student's t, level 5 %, corrected over"
    " all pairs of rows of a column (Holm)."
)

LETTERS = (
    "Each row has a letter; behind a value are those of the rows that it is significantly better"
    " than."
)


def marks(table: Table) -> list[list[Mark]]:
    """How each cell is emphasised, by rows: a column has either a clear best and its second, or a
    best with peers; never a false best.

    A best that is not significantly better than some other row is one of the peers, and there is no
    second behind it. A column in which no difference could be tested has no marks.
    """
    undecided = contested(table)
    untested = [column.untested is not None for column in table.columns]
    return [
        [
            "" if unknown else _mark(cell, open_, table.lettered)
            for cell, open_, unknown in zip(row.cells, undecided, untested, strict=True)
        ]
        for row in table.rows
    ]


def contested(table: Table) -> list[bool]:
    """For each column whether its best has peers, shown or not."""
    return [
        column.contested or any(row.cells[position].peer for row in table.rows)
        for position, column in enumerate(table.columns)
    ]


def _mark(cell: Cell, undecided: bool, lettered: bool) -> Mark:
    if undecided:
        return "peer" if cell.peer and not lettered else ""
    return {1: "best", 2: "second"}.get(cell.best, "")  # type: ignore[return-value]


def percent(fraction: float | None) -> str:
    """`97.1`, or a dash where there is no value."""
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def figure_text(row: PublishedRow, position: int) -> str:
    """A paper's figure in percent, with the paper's own decimals, or a dash."""
    text = row.texts[position] if row.texts else None
    return text or percent(row.values[position])


def points(difference: float) -> str:
    """A difference of two fractions in percentage points, signed: `+0.3`."""
    return f"{100 * difference:+z.1f}".replace("-", MINUS)


def spread(cell: Cell) -> str:
    """`± 0.2`, the deviation over seeds, or nothing."""
    return "" if cell.spread is None else f"± {100 * cell.spread:.1f}"


def interval(cell: Cell) -> str:
    """`[93.0, 98.9] n=12`, the interval and the test videos it rests on, or nothing.

    >>> interval(Cell(0.971, low=0.93, high=0.989, videos=12))
    '[93.0, 98.9] n=12'
    """
    videos = f" n={cell.videos}" if cell.videos else ""
    span = bounds(cell)
    return span and span + videos


def bounds(cell: Cell) -> str:
    """`[93.0, 98.9]`, the interval alone, or nothing."""
    if cell.low is None or cell.high is None:
        return ""
    return f"[{percent(cell.low)}, {percent(cell.high)}]"


def letters(table: Table, cell: Cell) -> str:
    """The letters of the rows that a cell is better than, or nothing."""
    return "".join(map(letter, sorted(cell.beats))) if table.lettered else ""


def name(table: Table, position: int) -> str:
    """A row's method, behind its letter where the table has letters."""
    method = table.rows[position].method
    return f"{letter(position)} {method}" if table.lettered else method


def amount(value: float | None) -> str:
    """A cost in three figures, or a dash.

    >>> amount(0.01234), amount(39826289.0), amount(0.0), amount(None)
    ('0.0123', '39.8M', '0', '–')
    """
    if value is None:
        return "–"
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scale = 1e3 if suffix == "k" else size
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def delta(cell: Cell) -> str:
    """`Δ −0.3`, measured minus published, or nothing."""
    return "" if cell.delta is None else f"Δ {points(cell.delta)}"


def footnotes(table: Table) -> list[str]:
    """The notes of the measured cells, then those of the published rows; numbered from 1."""
    return list(
        dict.fromkeys([*table.notes, *(note for row in table.published for note in row.notes)])
    )


def numbers(notes: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """The numbers of some notes among all, in order.

    >>> numbers(["not run", "no boxes"], ["no boxes"])
    [2]
    """
    return sorted(notes.index(note) + 1 for note in chosen)


def by_source(table: Table) -> dict[str, list[PublishedRow]]:
    """The published rows under the table they come from, in the order of the first row of each."""
    return {
        source: [row for row in table.published if row.source == source]
        for source in dict.fromkeys(row.source for row in table.published)
    }


def heads(table: Table) -> list[str]:
    """Titles of metrics, then of costs, with their data sets where there are several."""
    both: tuple[Column | Cost, ...] = (*table.columns, *table.costs)
    columns = [(column.dataset, column.title) for column in both]
    several = len({dataset for dataset, _ in columns}) > 1
    return [f"{dataset}: {title}" if several else title for dataset, title in columns]


def amounts(table: Table, position: int) -> list[str]:
    """What a row cost, a text for each column of costs."""
    return [amount(cost.values[position]) for cost in table.costs]


def datasets(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """The data sets over the columns, each with the number of neighbouring columns it spans."""
    return [
        (dataset, len(list(of_it)))
        for dataset, of_it in groupby(column.dataset for column in columns)
    ]


def code_spans(text: str) -> list[tuple[str, bool]]:
    """A text cut at its backticks: pieces, and whether each stood between two of them."""
    pieces = re.split(r"`([^`]*)`", text)
    return [(piece, position % 2 == 1) for position, piece in enumerate(pieces) if piece]


def slug(title: str) -> str:
    """A title as a label or anchor: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "table"


def legend(table: Table, second: str = "underlined", intervals: bool = True) -> str:
    """The sentences after the caption that explain this table's marks, as the renderer shows them.

    Args:
        table: whose marks are explained; a mark that no cell has is not.
        second: how the renderer shows a second.
        intervals: whether the renderer shows the intervals.
    """
    cells = [cell for row in table.rows for cell in row.cells]
    used = {mark for of_row in marks(table) for mark in of_row}
    sentences = []
    if intervals and any(interval(cell) for cell in cells):
        sentences.append(INTERVAL + (UNSURE if any(map(unsure, cells)) else ""))
        sentences.append(videos_behind(table))
    if "best" in used:
        sentences.append(
            f"Bold: a best that is significantly better than every other row; {second}: the second"
            " behind it."
        )
    if "peer" in used:
        sentences.append("≈ marks a best and the rows from which it does not differ significantly.")
    if table.lettered:
        sentences.append(LETTERS)
    if {"best", "peer"} & used or table.lettered:
        sentences.append(TEST)
    sentences += [*dropped(table), *([NOTE] if table.costs else [])]
    sentences += _without(table) if intervals else []
    return " ".join(sentences + _unmarked(table, with_reasons=not intervals))


def videos_behind(table: Table) -> str:
    """The sentence that says how many test videos the intervals rest on, where a column has fewer
    than its data set's others by itself; nothing without intervals.
    """
    parts = []
    for dataset, _ in datasets(table.columns):
        counts = {
            column.title: count_videos(table, position)
            for position, column in enumerate(table.columns)
            if column.dataset == dataset
        }
        known = {title: count for title, count in counts.items() if count}
        if known:
            usual = max(known.values(), key=lambda count: int(count.partition("-")[0]))
            fewer = [f"{title} {count}" for title, count in known.items() if count != usual]
            parts.append(f"{', '.join([f'{dataset} {usual}', *fewer])}")
    return f"Test videos behind an interval: {'; '.join(parts)}." if parts else ""


def count_videos(table: Table, position: int) -> str:
    """`12`, or `8-12` where a column's rows differ; nothing where it has no interval."""
    cells = [row.cells[position] for row in table.rows]
    counts = sorted(cell.videos for cell in cells if bounds(cell) and cell.videos)
    return "-".join(map(str, dict.fromkeys([counts[0], counts[-1]]))) if counts else ""


def dropped(table: Table) -> list[str]:
    """What marks mean where rows are left out."""
    if not table.left_out:
        return []
    whole = table.left_out + len(table.rows)
    return [f"Marks are of the whole table: {table.left_out} of its {whole} rows are not shown."]


def unsure(cell: Cell) -> bool:
    """Whether the interval covers less than it says (docs/protocol.md has the simulation)."""
    return (
        interval(cell) != ""
        and cell.value is not None
        and (cell.value > NEAR_ONE or (cell.videos or FEW) < FEW)
    )


def _without(table: Table) -> list[str]:
    """Where values have no interval, and why, a sentence a reason."""
    places: dict[str, list[int]] = {}
    for position in range(len(table.columns)):
        for reason in dict.fromkeys(
            row.cells[position].why for row in table.rows if row.cells[position].why
        ):
            places.setdefault(str(reason), []).append(position)
    return [f"No interval in {_named(table, where)}: {reason}." for reason, where in places.items()]


def _unmarked(table: Table, with_reasons: bool) -> list[str]:
    """Which columns have no marks; why, where `_without` has not said it already."""
    places: dict[str, list[int]] = {}
    for position, column in enumerate(table.columns):
        if column.untested is not None:
            reason = f": {column.untested}" if with_reasons else ""
            places.setdefault(reason, []).append(position)
    return [
        f"No row is marked in {_named(table, where)}{reason}." for reason, where in places.items()
    ]


def _named(table: Table, positions: Sequence[int]) -> str:
    """Columns by their titles, with their data sets where a title is not meant in all of them."""
    names: dict[str, None] = {}
    for position in positions:
        column = table.columns[position]
        alike = [place for place, other in enumerate(table.columns) if other.title == column.title]
        whole = set(alike) <= set(positions)
        names[column.title if whole else f"{column.title} ({column.dataset})"] = None
    return ", ".join(names)


def short_streams(rows: Sequence[Row]) -> tuple[dict[str, str], str]:
    """Names of streams without the boxes they lie in, `velocity` for `velocity@file.vec`, and the
    sentence that says so; as they are if two are alike.

    Returns:
        Stream -> name in the table, and the sentence, empty if no name is shorter.
    """
    streams = list(dict.fromkeys(stream for row in rows for stream in row.features.split(" + ")))
    short = {stream: stream.partition("@")[0] for stream in streams}
    if len(set(short.values())) < len(streams):
        return dict(zip(streams, streams, strict=True)), ""
    renamed = [f"{name} is `{stream}`" for stream, name in short.items() if name != stream]
    return short, f"Features: {', '.join(renamed)}." if renamed else ""


def rename_streams(features: str, short: Mapping[str, str]) -> str:
    """A row's features by their short names; boxes that all of them share are named once.

    >>> rename_streams("pose@grid + deep@grid", {})
    'pose + deep @grid'
    """
    streams = [short.get(stream, stream) for stream in features.split(" + ")]
    boxes = {stream.partition("@")[2] for stream in streams}
    if len(streams) == 1 or len(boxes) > 1 or boxes == {""}:
        return " + ".join(streams)
    extractors = " + ".join(stream.partition("@")[0] for stream in streams)
    return f"{extractors} @{boxes.pop()}"


def table_lines(heads: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a Markdown table, its columns padded to one width; the first `left` columns
    flush left, the others right.
    """
    widths = [
        max(3, *(len(line[column]) for line in (heads, *body))) for column in range(len(heads))
    ]
    rule = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return [_line(texts, widths, left) for texts in (heads, rule, *body)]


def _line(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    padded = (
        text.ljust(width) if column < left else text.rjust(width)
        for column, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "| " + " | ".join(padded) + " |"
