"""Tables as Markdown: bold a clear best, italic its second, ≈ a best and its peers, the papers'
figures in a table of their own, footnotes.

Names are shown as they are, whatever they mean in Markdown or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vadbench.files.printable import visible
from vadbench.report.tables import layout
from vadbench.report.tables.layout import Mark
from vadbench.report.tables.table import Cell, Table


def render(table: Table) -> str:
    """The table as Markdown text, its columns padded so that it reads well unrendered too."""
    notes = layout.footnotes(table)
    caption = f"{table.caption} {layout.legend(table, second='italic')}".strip()
    lines = [f"# {escape(table.title)}", "", *_measured(table, notes), "", prose(caption)]
    if table.published:
        lines += ["", "## Published", "", *_published(table, notes)]
    lines += [f"\n[{number}] {prose(note)}" for number, note in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell) -> str:
    """A cell in percent, without emphasis: `97.1 ± 0.2 [93.0, 98.9]` (mean, deviation over seeds,
    interval over videos), or a dash.

    >>> cell_text(Cell(0.971, spread=0.002, low=0.93, high=0.989))
    '97.1 ± 0.2 [93.0, 98.9]'
    """
    return " ".join(
        filter(None, (layout.percent(cell.value), layout.spread(cell), layout.interval(cell)))
    )


def _measured(table: Table, notes: list[str]) -> list[str]:
    heads = ["method", "features", *map(escape, layout.heads(table))]
    body = []
    for place, (row, of_row) in enumerate(zip(table.rows, layout.marks(table), strict=True)):
        pairs = zip(row.cells, of_row, strict=True)
        texts = [_text(cell, mark, layout.letters(table, cell), notes) for cell, mark in pairs]
        names = [escape(layout.name(table, place)), escape(row.features)]
        body.append([*names, *texts, *layout.amounts(table, place)])
    return layout.table_lines(heads, body, left=2)


def _published(table: Table, notes: list[str]) -> list[str]:
    """The papers' figures, without the columns that none of them reports."""
    positions = [
        position
        for position in range(len(table.columns))
        if any(row.values[position] is not None for row in table.published)
    ]
    titles = [escape(title) for title in layout.heads(table)]
    heads = ["method", "features", "source", *(titles[position] for position in positions)]
    body = [
        [
            escape(row.method) + _references(row.notes, notes),
            escape(row.features),
            escape(row.source),
        ]
        + [layout.figure_text(row, position) for position in positions]
        for row in table.published
    ]
    return layout.table_lines(heads, body, left=3)


def _text(cell: Cell, mark: Mark, letters: str, notes: list[str]) -> str:
    """The cell with its emphasis, its difference to the published figure and its footnote."""
    around = {"best": "**", "second": "_"}.get(mark, "")
    behind = " ≈" if mark == "peer" else f" <sup>{letters}</sup>" if letters else ""
    text = f"{around}{cell_text(cell)}{around}{behind}"
    return " ".join(filter(None, (text, layout.delta(cell)))) + _references(cell.notes, notes)


def _references(chosen: Sequence[str], notes: list[str]) -> str:
    return "".join(f" [{number}]" for number in layout.numbers(notes, chosen))


# what would end a cell, be emphasised, or be read as a tag, a reference to a sign, or a link
_SPECIAL = re.compile(
    r"[\\`|*<]|~(?=~)|(?<=~)~|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<=\])\(", re.ASCII
)


def escape(text: str) -> str:
    r"""Text that stays inside its cell and means itself.

    >>> escape("knn|<b> [here](javascript:x)")
    'knn\\|&lt;b> [here]\\(javascript:x)'
    """
    return _escape(" ".join(text.split()))


def prose(text: str) -> str:
    """Running text with code between backticks; code that would be none there is plain text.

    >>> prose("preset `fast` <b>")
    'preset `fast` &lt;b>'
    """
    pieces: list[str] = []
    for piece, code in layout.code_spans(" ".join(text.split())):
        is_code = code and "<" not in piece and not (pieces and pieces[-1].endswith("`"))
        pieces.append(f"`{visible(piece)}`" if is_code else _escape(piece))
    return "".join(pieces)


def _escape(text: str) -> str:
    return _SPECIAL.sub(_write_special, visible(text))


def _write_special(sign: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(sign[0], f"\\{sign[0]}")
