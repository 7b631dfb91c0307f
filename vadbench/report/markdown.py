"""Tables as Markdown: best in bold, second best in italics, footnotes for empty cells."""

from __future__ import annotations

from vadbench.report.table import Cell, Table


def render(table: Table) -> str:
    """The table as Markdown text, its columns padded so that it reads well unrendered too."""
    several = len({column.dataset for column in table.columns}) > 1
    heads = ["method", "features", *(f"{column.dataset}: {column.title}" if several else column.title for column in table.columns)]
    body = [[row.method, row.features, *(_text(cell, table.notes) for cell in row.cells)] for row in table.rows]
    widths = [max(len(line[column]) for line in [heads, *body]) for column in range(len(heads))]
    rule = ["-" * width if column < 2 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    lines = [f"# {table.title}", "", *(_line(texts, widths) for texts in [heads, rule, *body]), "", table.caption]
    lines += [f"\n[{number}] {note}" for number, note in enumerate(table.notes, 1)]
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell) -> str:
    """A cell in percent, without emphasis: `97.1`, `97.1 ± 0.2`, or a dash."""
    if cell.value is None:
        return "–"
    return f"{100 * cell.value:.1f}" + (f" ± {100 * cell.spread:.1f}" if cell.spread is not None else "")


def _text(cell: Cell, notes: tuple[str, ...]) -> str:
    text = cell_text(cell)
    mark = {0: "", 1: "**", 2: "*"}[cell.best]
    return f"{mark}{text}{mark}" + (f" [{notes.index(cell.note) + 1}]" if cell.note else "")


def _line(texts: list[str], widths: list[int]) -> str:
    padded = (text.ljust(width) if column < 2 else text.rjust(width) for column, (text, width) in enumerate(zip(texts, widths, strict=True)))
    return "| " + " | ".join(padded) + " |"
