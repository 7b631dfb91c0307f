"""Tables for a terminal: one block a data set, as many columns as its width has room for.

The first column comes with its deviation and interval, the others as values; where all have room,
they too have them.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vadbench.files.printable import visible
from vadbench.report.tables import layout
from vadbench.report.tables.costs import NOTE
from vadbench.report.tables.fit import Block, Lines, fit, names, references
from vadbench.report.tables.table import PublishedRow, Table, change_texts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

STYLES = {"best": "bold", "second": "underline"}
INTERVALS = "[…] 95 % interval over the test videos."
BEST = "* significantly better than every other row, + the second behind it."
PEERS = "≈ the best and all that do not differ from it significantly."


def render(table: Table, width: int = 100, *, full: bool = False) -> str:
    """The table as plain text of at most `width` columns.

    >>> from vadbench.report.tables.table import Cell, Column, Row
    >>> from vadbench.spec import METRICS
    >>> column = Column("ped2", "micro AUC", METRICS["micro AUC"])
    >>> small = Table("T", "", (column,), (Row("knn", "velocity", (Cell(0.966),)),), ())
    >>> "knn   velocity   96.6" in render(small, 60)
    True
    """
    from rich.console import Console

    text = io.StringIO()
    draw(table, Console(file=text, width=width, color_system=None), full=full)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def draw(table: Table, console: Console, *, full: bool = False) -> None:
    """Print the table on a console; what that would obey is shown, no markup is read in it.

    Args:
        table: of records.
        console: whose width it fits.
        full: give the whole caption and every note, not the short ones.
    """
    from rich.text import Text

    table = change_texts(table, visible)
    method, features, blocks = fit(table, console.width, remarks=full)
    console.print(Text(table.title, style="bold"))
    if not full:
        console.print(Text(table.summary or _first_sentence(table.caption)))
    for block in blocks:
        console.print()
        for part in _draw_block(table, block, (method, features)):
            console.print(part)
    console.print()
    whole = f"{table.caption} {layout.legend(table)}".strip()
    caption = whole if full else " ".join(_legend(table, blocks))
    for line in (caption, *_not_shown(blocks)):
        console.print(Text(line))
    for number, note in _notes(table, blocks, full):
        console.print(Text(f"[{number}] {note}", style="dim"))
    if not full and any(cell.beside for row in table.rows for cell in row.cells):
        console.print(Text("How values stand to the papers' figures: --caption full"))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "." if text else ""


def _draw_block(table: Table, block: Block, widths: tuple[int, int]) -> list[Grid | Text]:
    """The measured rows, then those of each paper's table under its name."""
    from rich.text import Text

    methods, features = (column[1:] for column in names(table))
    measured = _grid(block, widths, with_head=True)
    for place, row in enumerate(block.rows):
        texts = [_mark(one, place) for one in block.columns]
        measured.add_row(Text(methods[row]), Text(features[row]), *texts)
    parts: list[Grid | Text] = [measured]
    if block.note:
        parts.append(Text(f"no value: {block.note}", style="dim"))
    for source, places in _sources(block.papers).items():
        parts.append(Text(f"Published ({source})", style="italic"))
        grid = _grid(block, widths, with_head=False)
        for place in places:
            paper = block.papers[place]
            texts = [Text(one.papers[place].rjust(one.width)) for one in block.columns]
            grid.add_row(Text(paper.method), Text(paper.features), *texts)
        parts.append(grid)
    return parts


def _grid(block: Block, widths: tuple[int, int], with_head: bool) -> Grid:
    """An empty table of a block's columns."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_header=with_head,
        header_style="",
    )
    heads = [_wrap(one.head, one.width) for one in block.columns]
    height = max(map(len, heads))
    for title, width in zip((block.dataset, "features"), widths, strict=True):
        grid.add_column(Text("\n" * (height - 1) + title), width=width, overflow="fold")
    for one, lines in zip(block.columns, heads, strict=True):
        above = [""] * (height - len(lines))
        head = "\n".join(line.rjust(one.width) for line in (*above, *lines))
        grid.add_column(Text(head), width=one.width, no_wrap=True)
    return grid


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _mark(lines: Lines, row: int) -> Text:
    """A cell's text, its number emphasised."""
    from rich.text import Text

    text = Text(lines.measured[row].rjust(lines.width))
    style = STYLES.get(lines.marks[row])
    if style:
        number = text.plain.split()[0]
        start = text.plain.index(number)
        text.stylize(style, start, start + len(number))
    return text


def _sources(papers: Sequence[PublishedRow]) -> dict[str, list[int]]:
    """The positions of papers' rows under the table they come from."""
    sources: dict[str, list[int]] = {}
    for place, row in enumerate(papers):
        sources.setdefault(row.source, []).append(place)
    return sources


def _legend(table: Table, blocks: Sequence[Block]) -> list[str]:
    """The short sentences below the blocks: what the signs in them are."""
    columns = [one for block in blocks for one in block.columns]
    texts = [text for one in columns for text in one.measured]
    marks = {mark for one in columns for mark in one.marks}
    sentences = (
        (INTERVALS, any(", " in text and "[" in text for text in texts)),
        (BEST, "best" in marks),
        (PEERS, "peer" in marks),
        (layout.LETTERS, table.lettered),
    )
    _, streams = layout.short_streams(table.rows)
    parts = [sentence for sentence, is_needed in sentences if is_needed]
    if INTERVALS in parts:
        parts.insert(1, layout.videos_behind(table))
    parts += [*layout.dropped(table), streams.replace("`", ""), NOTE if table.costs else ""]
    return list(filter(None, parts))


def _not_shown(blocks: Sequence[Block]) -> list[str]:
    titles = dict.fromkeys(title for block in blocks for title in block.left_out)
    return [f"not shown: {'; '.join(titles)} (--metrics chooses)"] if titles else []


def _notes(table: Table, blocks: Sequence[Block], full: bool) -> list[tuple[int, str]]:
    """The notes that the shown cells refer to, and those of the papers' rows."""
    notes = layout.footnotes(table)
    numbers = {
        number
        for block in blocks
        for row in block.rows
        for position in block.positions
        for number in references(table.rows[row].cells[position], notes, full)
    }
    if full:
        papers = {note for block in blocks for row in block.papers for note in row.notes}
        numbers |= set(layout.numbers(notes, tuple(papers)))
    return [(number, notes[number - 1]) for number in sorted(numbers)]
