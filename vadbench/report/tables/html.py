"""Tables as one HTML file that needs nothing else: light and dark, readable on a phone, every text
escaped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vadbench.files.printable import show_text
from vadbench.report.tables import layout
from vadbench.report.tables.table import Cell, PublishedRow, Table

TEMPLATE = Path(__file__).parent / "templates" / "table.html"


def render(table: Table) -> str:
    """The table as an HTML page; its anchors begin with the title's slug, so that several tables
    can stand in one page.
    """
    from jinja2 import Environment, StrictUndefined

    notes = layout.footnotes(table)
    cells = [
        [
            {**_cell(cell, mark, notes), "letters": layout.letters(table, cell)}
            for cell, mark in zip(row.cells, of_row, strict=True)
        ]
        for row, of_row in zip(table.rows, layout.marks(table), strict=True)
    ]
    page = Environment(
        autoescape=True,
        finalize=show_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        table=table,
        slug=layout.slug(table.title),
        caption=f"{table.caption} {layout.legend(table)}".strip(),
        datasets=layout.datasets(table.columns),
        heads=[column.title for column in table.columns]
        + layout.heads(table)[len(table.columns) :],
        measured=[
            (layout.name(table, place), row.features, cells[place], layout.amounts(table, place))
            for place, row in enumerate(table.rows)
        ],
        room=_room([cell for of_row in cells for cell in of_row]),
        published=[
            (source, [_paper_row(row, notes) for row in rows])
            for source, rows in layout.by_source(table).items()
        ],
        notes=notes,
        code_spans=layout.code_spans,
    )


def _cell(cell: Cell, mark: layout.Mark, notes: list[str]) -> dict[str, Any]:
    """A cell as the template shows it."""
    return {
        "value": layout.percent(cell.value),
        "spread": layout.spread(cell),
        "lines": [text for text in (layout.interval(cell), layout.delta(cell)) if text],
        "mark": mark,
        "letters": "",
        "notes": layout.numbers(notes, cell.notes),
    }


def _room(cells: list[dict[str, Any]]) -> str:
    """The longest thing that follows a number of the table: every number leaves room for it, so
    that they align.
    """
    if any(cell["spread"] for cell in cells):
        return "spread"
    behind = ("letters", "notes")
    marked = any(cell["mark"] == "peer" or any(map(cell.get, behind)) for cell in cells)
    return "mark" if marked else ""


def _paper_row(
    row: PublishedRow, notes: list[str]
) -> tuple[PublishedRow, list[dict[str, Any]], list[int]]:
    """A paper's row, its figures as cells without marks, the numbers of its notes."""
    cells = [_cell(Cell(value), "", notes) for value in row.values]
    texts = [{"value": layout.figure_text(row, position)} for position in range(len(cells))]
    shown = [cell | text for cell, text in zip(cells, texts, strict=True)]
    return row, shown, layout.numbers(notes, row.notes)
