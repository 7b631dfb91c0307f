"""Which rows of a column are marked: a significantly better best, or a best and its peers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vadbench.evaluation.metrics.uncertainty import Estimate, pairwise
from vadbench.report.tables.letters import beats
from vadbench.report.tables.table import Column, Row
from vadbench.spec import NOT_COMPUTED

LEVEL = 0.05  # of the test that decides marks


def mark_best(
    rows: list[Row], columns: tuple[Column, ...], estimates: list[list[Estimate | None]]
) -> tuple[tuple[Column, ...], tuple[Row, ...]]:
    """The columns, and the rows with the best and second-best cells of each column marked, and
    those that are the best's peers; rows that are not ranked take no part.
    """
    cells = [list(row.cells) for row in rows]
    tested = list(columns)
    for j, column in enumerate(columns):
        there = [
            i
            for i, row in enumerate(rows)
            if row.unranked is None and row.cells[j].value is not None
        ]
        if len(there) < 2:  # nothing to be better than
            continue
        means = {i: cells[i][j].value or 0.0 for i in there}
        ranking = sorted(set(means.values()), reverse=column.better > 0)
        p = pairwise([estimates[i][j] for i in there])
        leader = next(i for i in there if means[i] == ranking[0])
        # not tested is not worse
        worse = dict(zip(there, p[there.index(leader)] < LEVEL, strict=True))
        peers = {i for i in there if i != leader and not worse[i]}
        if np.isnan(p).all():
            peers = set()
            reasons = (cells[i][j].why for i in there if cells[i][j].why)
            tested[j] = replace(column, untested=next(reasons, NOT_COMPUTED))
        beaten = beats(p, [means[i] for i in there], column.better, LEVEL)
        for i, places in zip(there, beaten, strict=True):
            best = 1 + ranking.index(means[i]) if means[i] in ranking[:2] else 0
            peer = i in peers or (i == leader and bool(peers))
            rows_beaten = tuple(there[place] for place in places)
            cells[i][j] = replace(cells[i][j], best=best, peer=peer, beats=rows_beaten)
    ranked = tuple(
        replace(row, cells=tuple(of_row)) for row, of_row in zip(rows, cells, strict=True)
    )
    return tuple(tested), ranked
