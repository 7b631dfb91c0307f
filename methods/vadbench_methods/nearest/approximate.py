"""Nearest neighbours that are the nearest for most queries, by faiss: a graph of near rows (hnsw;
Malkov & Yashunin, 2018), or the rows of the cells nearest to a query (ivf; Jegou et al., 2011).

They propose; distances are recomputed from the raw rows in float64, as those of the exact search.
Both hold a float32 copy of the rows. Building takes one thread and the seed, so that it is the same
again; searching takes each query by itself.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

import numpy as np

from vadbench.errors import BadInput
from vadbench.spill import require_memory
from vadbench_methods.nearest.product import SPARE, Product
from vadbench_methods.nearest.rows import Float64, Integers, Rows

Kind = Literal["hnsw", "ivf"]
CONSTRUCTION = 200  # rows looked at for the neighbours of one that is added
TRAINING = 64  # rows a cell that its centres are learnt from
PASSES = 10  # of k-means
SAMPLE = 200  # queries that recall is measured on
TOLD = 2**30  # bytes: what takes more memory says so before it begins
REST = 2**21  # bytes that building takes however few the rows are
ROW = 32  # bytes of a row of the graph beside its values and links
PRODUCTS = 4096, 1024  # rows, and centres, whose distances faiss computes at a time


class Approximate:
    """Searches `rows` by an index of faiss.

    Args:
        rows: what is searched.
        kind: of the index.
        seed: of its building.
        links: of a row of the graph.
        candidates: rows of the graph that a query keeps while it looks.
        probes: cells that a query looks into.
    """

    def __init__(
        self, rows: Rows, kind: Kind, *, seed: int, links: int, candidates: int, probes: int
    ) -> None:
        self.rows, self.kind, self.seed = rows, kind, seed
        self.links, self.candidates, self.probes = links, candidates, probes
        self.exact = Product(rows)

    @property
    def bytes(self) -> int:
        """Memory that building the index takes, at most (benchmarks/speed/index_memory.py)."""
        return math.ceil(1.05 * self._count_bytes()) + REST

    def _count_bytes(self) -> int:
        count, dim = int(self.rows.x.shape[0]), int(self.rows.x.shape[1])
        block = self.exact.block_bytes
        if self.kind == "hnsw":
            return count * (4 * dim + ROW) + 4 * _count_links(count, self.links) + block
        cells = count_cells(count)
        # the rows that centres are learnt from are drawn and copied before there is any list
        learnt = 8 * count + 2 * 4 * dim * min(count, TRAINING * cells)
        lists = count * (4 * dim + 2 * 8) + block
        products = 4 * min(count, PRODUCTS[0]) * min(cells, PRODUCTS[1])
        return max(learnt, lists) + 4 * dim * cells + products

    def squares(self, queries: Any, k: int, query_group: Integers | None = None) -> Float64:
        """[Q, k] squared distances to rows found, ascending; a query that finds fewer than k is
        searched exactly. Arguments as of `Nearest.squares`.
        """
        out = np.full((len(queries), k), np.inf)
        for part in self.exact.parts(len(queries)):
            group = None if query_group is None else query_group[part]
            out[part] = self._search(queries[part], k, group)
        return out

    def recall(self, k: int, *, leave_out: bool) -> tuple[float, float]:
        """Of some of the rows as queries, drawn with the seed: the share of their k nearest that is
        found, and how much longer the mean distance to those found is.

        Args:
            k: how many neighbours.
            leave_out: whether each looks among the rows of other groups; else among all rows but
                itself.
        """
        count = len(self.rows.x)
        drawn = np.random.default_rng(self.seed).choice(count, min(SAMPLE, count), replace=False)
        index = np.sort(drawn)
        queries, group = self.rows.x[index], self.rows.group[index]
        if leave_out:
            found = self.squares(queries, k, group)
            nearest = self.exact.squares(queries, k, group, faiss=False)
        else:
            found = self._search_others(index, k)
            nearest = self._other_squares(index, k)
        exist = np.isfinite(nearest)
        last = np.where(exist, nearest, -np.inf).max(1, keepdims=True)
        share = (exist & (found <= last * (1 + 1e-12))).sum() / max(exist.sum(), 1)
        total = np.sqrt(nearest[exist]).sum()
        longer = np.sqrt(found[exist]).sum() / total - 1 if total else 0.0
        return float(share), float(longer)

    def _search(self, queries: Any, k: int, group: Integers | None) -> Float64:
        index = self._propose(queries, k, group)
        out = self._sorted_squares(queries, index, k)
        few = self._find_few(index, k)
        if len(few):
            left = None if group is None else group[few]
            out[few] = self.exact.squares(queries[few], k, left, faiss=False)
        return out

    def _search_others(self, own: Integers, k: int) -> Float64:
        """[Q, k] as `squares` of the rows [Q] `own`, without themselves: a row that the index does
        not find loses no neighbour for it, and an equal row is one.
        """
        queries = self.rows.x[own]
        index = self._propose(queries, k + 1, None)
        few = self._find_few(index, k + 1)
        out = self._sorted_squares(queries, np.where(index == own[:, None], -1, index), k)
        if len(few):
            out[few] = self._other_squares(own[few], k)
        return out

    def _other_squares(self, own: Integers, k: int) -> Float64:
        """[Q, k] exact squared distances of the rows [Q] `own` to others; the first is its own,
        0.
        """
        return self.exact.squares(self.rows.x[own], k + 1, None, faiss=False)[:, 1:]

    def _propose(self, queries: Any, k: int, group: Integers | None) -> Integers:
        """[Q, C] rows that the index finds for k neighbours, and some more; -1 where it finds no
        more.
        """
        framed = self.exact.normalise(queries)
        take = min(k + SPARE, len(self.rows.x))
        index = np.full((len(queries), take), -1)
        for some, selector in self._split(group, len(queries)):
            with _each_alone(load_faiss(self.kind)):
                _, index[some] = self._index.search(
                    framed[some], take, params=self._parameters(selector)
                )
        return index

    def _find_few(self, index: Integers, k: int) -> Integers:
        """Queries for which fewer than k rows were found, though there are more."""
        return np.flatnonzero((index >= 0).sum(1) < min(k, index.shape[1]))

    def _sorted_squares(self, queries: Any, index: Integers, k: int) -> Float64:
        """[Q, k] squared distances to the nearest of the rows [Q, C] that were found."""
        found = self.rows.sorted_squares(queries, np.maximum(index, 0), index >= 0)[:, :k]
        out = np.full((len(queries), k), np.inf)
        out[:, : found.shape[1]] = found
        return out

    def _split(self, group: Integers | None, count: int) -> Iterator[tuple[Any, Any]]:
        """Queries of one group, and what faiss selects for them: all rows but the group's."""
        if group is None:
            yield slice(0, count), None
            return
        faiss = load_faiss(self.kind)
        for value in np.unique(group):
            own = np.flatnonzero(self.rows.group == value)
            if len(own) and own[-1] - own[0] == len(own) - 1:  # rows of a video lie together
                selector = faiss.IDSelectorRange(int(own[0]), int(own[-1]) + 1)
            else:
                selector = faiss.IDSelectorBatch(own.astype(np.int64))
            yield np.flatnonzero(group == value), (faiss.IDSelectorNot(selector), selector)

    def _parameters(self, selector: Any) -> Any:
        faiss = load_faiss(self.kind)
        chosen = {} if selector is None else {"sel": selector[0]}
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=self.candidates, **chosen)
        return faiss.SearchParametersIVF(nprobe=self.probes, **chosen)

    @cached_property
    def _index(self) -> Any:
        """The index, built when it is first needed: of a model that was loaded, too.

        Raises:
            BadInput: if the memory does not hold it.
        """
        from threadpoolctl import threadpool_limits

        what = f"knn: index={self.kind} of {len(self.rows.x)} rows"
        require_memory(self.bytes, what, "take --set knn.index=exact, or fewer rows")
        if self.bytes > TOLD:
            sys.stderr.write(f"{what} takes {self.bytes / 2**30:.1f} GiB of memory\n")
        faiss = load_faiss(self.kind)
        with threadpool_limits(1):
            return self._build_graph(faiss) if self.kind == "hnsw" else self._build_cells(faiss)

    def _build_graph(self, faiss: Any) -> Any:
        count, dim = self.rows.x.shape
        index = faiss.IndexHNSWFlat(dim, self.links)
        index.hnsw.efConstruction = CONSTRUCTION
        index.hnsw.rng = faiss.RandomGenerator(self.seed % 2**31)
        _reserve(faiss.downcast_index(index.storage).codes, 4 * dim * count)
        _reserve(index.hnsw.neighbors, _count_links(count, self.links))
        _reserve(index.hnsw.levels, count)
        _reserve(index.hnsw.offsets, count + 1)
        for part in self.exact.parts(count):
            index.add(self.exact.normalise(self.rows.x[part]))
        return index

    def _build_cells(self, faiss: Any) -> Any:
        count, dim = self.rows.x.shape
        index = self._train_cells(faiss, dim, count)
        cell = np.empty(count, np.int64)
        parts = self.exact.parts(count)
        for part in parts:
            framed = self.exact.normalise(self.rows.x[part])
            cell[part] = index.quantizer.assign(framed, 1)[:, 0]
            del framed  # else two blocks are held
        for number, size in enumerate(np.bincount(cell, minlength=index.nlist).tolist()):
            index.invlists.resize(number, size)  # lists that grow take half as much again
            index.invlists.resize(number, 0)
        for part in parts:
            framed = self.exact.normalise(self.rows.x[part])
            index.add_core(len(framed), faiss.swig_ptr(framed), None, faiss.swig_ptr(cell[part]))
            del framed
        return index

    def _train_cells(self, faiss: Any, dim: int, count: int) -> Any:
        cells = count_cells(count)
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, cells)
        index.cp.seed, index.cp.niter = self.seed % 2**31, PASSES
        index.cp.min_points_per_centroid = 1  # else it complains of few
        drawn = np.random.default_rng(self.seed).choice(
            count, min(count, TRAINING * cells), replace=False
        )
        index.train(self.exact.normalise(self.rows.x[np.sort(drawn)]))
        return index


def _reserve(vector: Any, size: int) -> None:
    """Let one of faiss' vectors grow to so many numbers without being copied: it keeps its
    memory when it is cut.
    """
    before = vector.size()
    vector.resize(size)
    vector.resize(before)


def _count_links(count: int, links: int) -> int:
    """Links of a graph of so many rows, with a tenth more of the upper layers' than are expected:
    twice `links` a row, and `links` in each layer that it reaches, one row in `links` the next.
    """
    return count * 2 * links + math.ceil(1.1 * count * links / (links - 1))


def count_cells(count: int) -> int:
    """Cells of an ivf index of so many rows."""
    return max(1, round(math.sqrt(count)))


def load_faiss(kind: str) -> Any:
    """The package.

    Raises:
        BadInput: if it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise BadInput(
            f"knn: index={kind} needs faiss, which is not installed (pip install vadbench[faiss]),"
            " or index=exact"
        ) from error
    return faiss


@contextmanager
def _each_alone(faiss: Any) -> Iterator[None]:
    """Queries are compared one by one with the centres of cells: in matrix products the last digit
    would depend on how many there are.
    """
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 2**31 - 1
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = before
