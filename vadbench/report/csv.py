"""Tables as CSV in long form: one line a cell, fractions at full precision."""

from __future__ import annotations

import csv
import io

from vadbench.report.table import Table

HEADER = ("method", "features", "dataset", "metric", "convention", "smoothed", "value", "std", "n", "low", "high", "peer_of_best", "note")


def render(table: Table) -> str:
    """The table as CSV text; an undefined value is empty, with its reason in `note`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            metric, convention, smoothed = column.key
            value, spread, low, high = ("" if number is None else repr(number) for number in (cell.value, cell.spread, cell.low, cell.high))
            where = (row.method, row.features, column.dataset, metric, convention or "", smoothed)
            writer.writerow([*where, value, spread, cell.n, low, high, cell.peer, cell.note or ""])
    return text.getvalue()
