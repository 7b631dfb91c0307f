"""Nearest neighbours in few dimensions, by scipy's k-d tree."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vadbench.threads import count_cores
from vadbench_methods.nearest.rows import Float32, Float64, Integers, Rows

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

BLOCK = 65536  # queries at a time


class Tree:
    """Searches `rows` by a tree of all of them, or leaving out each query's own group, by trees of
    some.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def _all(self) -> cKDTree:
        return _build(self.rows.x / self.rows.scale)

    def squares(self, queries: Float32, k: int) -> Float64:
        """[Q, k] squared distances to the k nearest rows."""
        out = np.empty((len(queries), k))
        for start in range(0, len(queries), BLOCK):
            part = queries[start : start + BLOCK]
            distance, index = _ask(self._all, part / self.rows.scale, k)
            out[start : start + BLOCK] = self.rows.sorted_squares(
                part, index, np.isfinite(distance)
            )
        return out

    def squares_of_others(self, queries: Float32, k: int, query_group: Integers) -> Float64:
        """[Q, k] squared distances to the k nearest rows of other groups.

        The groups are halved again and again, and the queries of each half ask a tree of the other
        half. So a query meets every group but its own once, in log2(groups) trees. Asking one tree
        for ever more neighbours stalls on videos, where a row's nearest thousand may be its own.
        """
        order, query_order = (
            np.argsort(self.rows.group, kind="stable"),
            np.argsort(query_group, kind="stable"),
        )
        search = _Halving(self.rows, order, queries, query_order, query_group[query_order], k)
        index = order[np.minimum(search.index, len(order) - 1)]
        out = np.empty((len(queries), k))
        out[query_order] = self.rows.sorted_squares(
            queries[query_order], index, np.isfinite(search.distance)
        )
        return out


class _Halving:
    """The best k so far of every query, while the groups are halved; rows and queries are taken in
    the order of their groups, and copied only while they are looked at.
    """

    def __init__(
        self,
        rows: Rows,
        order: Integers,
        queries: Float32,
        query_order: Integers,
        query_group: Integers,
        k: int,
    ) -> None:
        self.rows, self.order = rows, order
        self.queries, self.query_order, self.query_group = queries, query_order, query_group
        group = rows.group[order]
        self.distance, self.index = (
            np.full((len(queries), k), np.inf),
            np.full((len(queries), k), len(order)),
        )
        self.values, starts = np.unique(group, return_index=True)
        # rows of values[i]: order[bounds[i] : bounds[i + 1]]
        self.bounds = np.append(starts, len(order))
        self._halve(0, len(self.values), np.arange(len(queries)))

    def _halve(self, low: int, high: int, asking: Integers) -> None:
        """Let the queries `asking`, whose groups lie in values[low:high], meet those groups, but
        for their own.
        """
        if high - low == 1:
            # of a group that no row has
            self._meet(low, high, asking[self.query_group[asking] != self.values[low]])
            return
        middle = int(
            np.clip(
                np.searchsorted(self.bounds, (self.bounds[low] + self.bounds[high]) / 2),
                low + 1,
                high - 1,
            )
        )
        left = self.query_group[asking] < self.values[middle]
        self._meet(middle, high, asking[left])
        self._meet(low, middle, asking[~left])
        self._halve(low, middle, asking[left])
        self._halve(middle, high, asking[~left])

    def _meet(self, low: int, high: int, asking: Integers) -> None:
        if not len(asking):
            return
        start, k = int(self.bounds[low]), self.distance.shape[1]
        rows = self.rows.x[self.order[start : self.bounds[high]]]
        tree = _build(rows / self.rows.scale)
        for first in range(0, len(asking), BLOCK):
            some = asking[first : first + BLOCK]
            queries = self.queries[self.query_order[some]] / self.rows.scale
            distance, index = _ask(tree, queries, k)
            both = np.concatenate([self.distance[some], distance], 1)
            which = np.argsort(both, axis=1, kind="stable")[:, :k]
            self.distance[some] = np.take_along_axis(both, which, 1)
            self.index[some] = np.take_along_axis(
                np.concatenate([self.index[some], index + start], 1), which, 1
            )


def _build(x: Float64) -> cKDTree:
    from scipy.spatial import cKDTree

    # sliding midpoints: quicker to build, and no trouble with repeated rows
    return cKDTree(x, balanced_tree=False)


def _ask(tree: cKDTree, queries: Float64, k: int) -> tuple[Float64, Integers]:
    """[Q, k] distances and indices; infinite, with an index past the end, where the tree has fewer
    rows.
    """
    distance, index = tree.query(queries, np.arange(1, k + 1), workers=count_cores())
    return np.asarray(distance), np.asarray(index)
