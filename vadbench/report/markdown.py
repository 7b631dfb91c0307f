"""Tables as Markdown: a clear best in bold, the best and its peers marked ≈, footnotes for empty cells."""

from __future__ import annotations

from vadbench.report.layout import table_lines
from vadbench.report.table import Cell, Table


def render(table: Table) -> str:
    """The table as Markdown text, its columns padded so that it reads well unrendered too."""
    several = len({column.dataset for column in table.columns}) > 1
    heads = ["method", "features", *(f"{column.dataset}: {column.title}" if several else column.title for column in table.columns)]
    body = [[row.method, row.features, *(_text(cell, table.notes) for cell in row.cells)] for row in table.rows]
    lines = [f"# {table.title}", "", *table_lines(heads, body, left=2), "", table.caption]
    lines += [f"\n[{number}] {note}" for number, note in enumerate(table.notes, 1)]
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell) -> str:
    """A cell in percent, without emphasis: `97.1 ± 0.2 [93.0, 98.9]` (mean, deviation over seeds, interval over videos), or a dash."""
    if cell.value is None:
        return "–"
    spread = f" ± {100 * cell.spread:.1f}" if cell.spread is not None else ""
    interval = f" [{100 * cell.low:.1f}, {100 * cell.high:.1f}]" if cell.low is not None and cell.high is not None else ""
    return f"{100 * cell.value:.1f}{spread}{interval}"


def _text(cell: Cell, notes: tuple[str, ...]) -> str:
    """The cell with its emphasis: bold for a best that is significantly better than all others, ≈ for a best and its peers."""
    text = cell_text(cell)
    mark = "**" if cell.best == 1 and not cell.peer else ""
    return f"{mark}{text}{mark}" + (" ≈" if cell.peer else "") + (f" [{notes.index(cell.note) + 1}]" if cell.note else "")
