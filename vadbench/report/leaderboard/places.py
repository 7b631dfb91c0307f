"""Places on the board: rows that do not differ significantly share one.

A row's place by a metric is one more than the ranked rows of its group that are significantly
better: paired differences over videos and seeds, corrected over all pairs of the group (Holm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vadbench.evaluation.intervals import NOT_COMPUTED, load_jackknives, read_jackknife, stored_name
from vadbench.evaluation.metrics.uncertainty import Estimate, Jackknife, average, interval, pairwise
from vadbench.report.leaderboard.entries import Entry, Group
from vadbench.report.tables.table import BOARD, Cell
from vadbench.results.records import Results

LEVEL = 0.05
Place = int | str  # or why there is none


def add_places(entries: Sequence[Entry], results: Results) -> list[Entry]:
    """The entries with their places and, over their seeds, their intervals, from the stored
    records.
    """
    estimates = [_estimates(entry, results) for entry in entries]
    found = [
        replace(entry, cells=_sure(entry.cells, own))
        for entry, own in zip(entries, estimates, strict=True)
    ]
    groups: dict[Group, list[int]] = {}
    for index, entry in enumerate(entries):
        if entry.unranked is None:
            groups.setdefault(entry.group, []).append(index)
    for members in groups.values():
        columns = [
            _places([found[i].cells[m] for i in members], [estimates[i][m] for i in members], m)
            for m in range(len(BOARD))
        ]
        for place, index in enumerate(members):
            found[index] = replace(found[index], places=tuple(column[place] for column in columns))
    return found


def _estimates(entry: Entry, results: Results) -> list[Estimate | None]:
    """For each of `BOARD`, over the entry's records; None where one of them stores no jackknife."""
    folders = [
        results.recipe_folder(entry.group.dataset, entry.recipe, identity)
        for identity in entry.identities
    ]
    stored = [load_jackknives(folder / "frames.npz") for folder in folders]
    smoothed = entry.group.smoothing is not None
    estimates: list[Estimate | None] = []
    for (key, _), cell in zip(BOARD.values(), entry.cells, strict=True):
        metric, convention, wanted = key
        name = stored_name(metric, wanted, smoothed)
        jackknives = [read_jackknife(frames, name, convention) for frames in stored]
        estimates.append(_estimate(cell, jackknives))
    return estimates


def _estimate(cell: Cell, jackknives: Sequence[Jackknife | None]) -> Estimate | None:
    there = [one for one in jackknives if one is not None]
    if cell.value is None or len(there) < len(jackknives) or not there or cell.n < len(there):
        return None
    return Estimate(cell.value, average(there), (cell.spread or 0.0) ** 2 / cell.n, cell.n)


def _sure(cells: Sequence[Cell], estimates: Sequence[Estimate | None]) -> tuple[Cell, ...]:
    """The cells with the intervals of their estimates."""
    sure = []
    for cell, estimate in zip(cells, estimates, strict=True):
        if estimate is None:
            sure.append(cell)
            continue
        found = interval(estimate)
        sure.append(
            replace(cell, low=found.low, high=found.high, videos=found.videos, why=found.reason)
        )
    return tuple(sure)


def _places(
    cells: Sequence[Cell], estimates: Sequence[Estimate | None], metric: int
) -> list[Place]:
    """The places of a group's ranked rows by one of `BOARD`."""
    _, better = list(BOARD.values())[metric]
    title = list(BOARD)[metric]
    there = [i for i, cell in enumerate(cells) if cell.value is not None]
    values = np.array([better * (cells[i].value or 0.0) for i in there])
    p = pairwise([estimates[i] for i in there])
    # [i, k]: k is significantly better than i
    beaten = (values[None, :] > values[:, None]) & (p < LEVEL)
    tested = [not np.isnan(row).all() for row in p]
    places: list[Place] = [f"no {title}"] * len(cells)
    for row, index in enumerate(there):
        untested = f"{title}: no place, {cells[index].why or NOT_COMPUTED}"
        places[index] = 1 + int(beaten[row].sum()) if tested[row] or len(there) == 1 else untested
    return places
