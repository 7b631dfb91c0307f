"""The entries as JSON for the table in the page (assets/table.js): short, every text once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vadbench.files.printable import visible
from vadbench.report.leaderboard.entries import Entry
from vadbench.report.tables.table import Cell
from vadbench.spec import BOARD, COSTS, USUAL, Cost

# of deviations and ends of intervals, which are only shown; a mean decides on places too
DIGITS = 5


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(visible(text), len(self.numbers))


def payload(entries: Iterable[Entry], link: Callable[[str, str], str]) -> dict[str, Any]:
    """What the table shows.

    Args:
        entries: its rows.
        link: the address of the page of a kind (`methods`, `datasets`) and a name.

    Returns:
        `metrics`, `costs`: the columns; `groups`, `methods`; `texts`; `rows`: [group, method,
        features, remark, seeds, unranked, failures, cells, costs, places, usual], texts by number,
        -1 for none. A cell is [value, deviation, low, high, videos, why it has no interval, note],
        null for none, or the number of the reason. A place below 0 is -1 - the number of the reason
        why there is none.
    """
    texts = _Texts()
    groups: dict[Any, int] = {}
    methods: dict[str, int] = {}
    rows = []
    for entry in entries:
        rows.append(
            [
                groups.setdefault(entry.group, len(groups)),
                methods.setdefault(entry.method, len(methods)),
                texts(entry.features),
                texts(entry.remark),
                len(entry.seeds),
                _text(entry.unranked, texts),
                _text("; ".join(entry.failures), texts),
                [_cell(cell, texts) for cell in entry.cells],
                [
                    None if entry.cost[name] is None else round(float(entry.cost[name] or 0), 3)
                    for name in COSTS
                ],
                [place if isinstance(place, int) else -1 - texts(place) for place in entry.places],
                int(entry.usual),
            ]
        )
    return {
        "metrics": [
            {"name": name, "better": metric.better, "usual": name in USUAL}
            for name, metric in BOARD.items()
        ],
        "costs": [
            {"name": Cost.model_fields[name].title, "unit": Cost.extra(name)["unit"]}
            for name in COSTS
        ],
        "groups": [
            {
                "dataset": visible(group.dataset),
                "href": link("datasets", group.dataset),
                "training": visible(group.training),
                "rules": visible(f"{group.protocol}; labels: {group.labelled}"),
            }
            for group in groups
        ],
        "methods": [{"name": visible(name), "href": link("methods", name)} for name in methods],
        "texts": list(texts.numbers),
        "rows": rows,
    }


def _cell(cell: Cell, texts: _Texts) -> Any:
    if cell.value is None:
        return texts(cell.note or "no value")
    shown = [
        None if number is None else round(number, DIGITS)
        for number in (cell.spread, cell.low, cell.high)
    ]
    why = texts(cell.why) if cell.why else None
    return [
        round(cell.value, 12),
        *shown,
        cell.videos,
        why,
        *([texts(cell.note)] if cell.note else []),
    ]


def _text(text: str | None, texts: _Texts) -> int:
    return texts(text) if text else -1
