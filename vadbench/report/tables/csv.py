"""Tables as CSV in long form: one line a cell, fractions at full precision; papers' with their own
decimals.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from decimal import Decimal

from vadbench.files.spreadsheet import write_csv
from vadbench.report.tables.table import Cell, Column, Cost, PublishedRow, Row, Table

HEADER = (
    *("block", "source", "method", "features", "dataset", "metric", "convention", "smoothed"),
    *(
        "value",
        "std",
        "n",
        "low",
        "high",
        "videos",
        "interval_reason",
        "best",
        "peer",
        "published",
        "delta",
        "note",
    ),
)
Line = dict[str, object]


def render(table: Table) -> str:
    """The table as CSV text, with no formula in it (`files.spreadsheet`).

    An undefined value is empty, with its reason in `note`; a paper's row has a line for each figure
    that it reports, a cost one for each row, in its own unit.
    """
    text = io.StringIO(newline="")
    lines = [[line.get(name) for name in HEADER] for line in _lines(table)]
    write_csv(text, [HEADER, *lines])
    return text.getvalue()


def _lines(table: Table) -> Iterator[Line]:
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            yield _measured(row, column, cell)
    for cost in table.costs:
        yield from _costs(cost, table.rows)
    for published in table.published:
        yield from _published(published, table.columns)


def _measured(row: Row, column: Column, cell: Cell) -> Line:
    """The line of a cell.

    `best` is 1 or 2 for the best and second of the means, 0 otherwise, whatever the intervals;
    `peer` says whether the best is contested. `n` counts seeds, `videos` the test videos of the
    interval.
    """
    marks = {"best": cell.best, "peer": cell.peer}
    numbers = {"value": cell.value, "std": cell.spread, "n": cell.n}
    sure = {"low": cell.low, "high": cell.high, "videos": cell.videos, "interval_reason": cell.why}
    paper = {"published": cell.published, "delta": cell.delta}
    note = {"note": "; ".join(cell.notes)}
    return {**_where("measured", row, column), **numbers, **sure, **marks, **paper, **note}


def _costs(cost: Cost, rows: Iterable[Row]) -> Iterator[Line]:
    for row, value in zip(rows, cost.values, strict=True):
        place = {"method": row.method, "features": row.features, "dataset": cost.dataset}
        yield {"block": "cost", **place, "metric": cost.key, "value": value}


def _published(row: PublishedRow, columns: tuple[Column, ...]) -> Iterator[Line]:
    texts = row.texts or (None,) * len(columns)
    for column, value, text in zip(columns, row.values, texts, strict=True):
        if value is not None:
            fraction = value if text is None else Decimal(text).scaleb(-2)
            figure = {"source": row.source, "value": fraction, "note": "; ".join(row.notes)}
            yield {**_where("published", row, column), **figure}


def _where(block: str, row: Row | PublishedRow, column: Column) -> Line:
    metric, convention, smoothed = column.key
    place = {
        "dataset": column.dataset,
        "metric": metric,
        "convention": convention,
        "smoothed": smoothed,
    }
    return {"block": block, "method": row.method, "features": row.features, **place}
