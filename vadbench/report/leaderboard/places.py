"""Places on the board: rows that do not differ significantly share one.

A row's place by a metric is one more than the ranked rows of its group that are significantly
better: paired differences over videos and seeds, corrected over all pairs of the group (Holm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vadbench.evaluation.metrics.uncertainty import Estimate, pairwise
from vadbench.report.leaderboard.entries import Entry
from vadbench.report.leaderboard.groups import Group
from vadbench.report.tables.table import Cell
from vadbench.spec import BOARD, NOT_COMPUTED

LEVEL = 0.05
Place = int | str  # or why there is none


def add_places(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with their places, from what each video does to their values."""
    placed = list(entries)
    groups: dict[Group, list[int]] = {}
    for index, entry in enumerate(entries):
        if entry.unranked is None:
            groups.setdefault(entry.group, []).append(index)
    for members in groups.values():
        columns = [
            _places(
                [entries[i].cells[m] for i in members],
                [entries[i].estimates[m] for i in members],
                title,
            )
            for m, title in enumerate(BOARD)
        ]
        for place, index in enumerate(members):
            own = tuple(column[place] for column in columns)
            placed[index] = replace(placed[index], places=own)
    return placed


def _places(cells: Sequence[Cell], estimates: Sequence[Estimate | None], title: str) -> list[Place]:
    """The places of a group's ranked rows by one of `BOARD`."""
    there = [i for i, cell in enumerate(cells) if cell.value is not None]
    values = np.array([BOARD[title].better * (cells[i].value or 0.0) for i in there])
    p = pairwise([estimates[i] for i in there])
    # [i, k]: k is significantly better than i
    beaten = (values[None, :] > values[:, None]) & (p < LEVEL)
    tested = [not np.isnan(row).all() for row in p]
    places: list[Place] = [f"no {title}"] * len(cells)
    for row, index in enumerate(there):
        untested = f"{title}: no place, {cells[index].why or NOT_COMPUTED}"
        places[index] = 1 + int(beaten[row].sum()) if tested[row] or len(there) == 1 else untested
    return places
