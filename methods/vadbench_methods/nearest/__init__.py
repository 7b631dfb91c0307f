"""Exact Euclidean nearest neighbours among float32 rows: three search back ends, one answer in
float64.

A back end only proposes neighbours; distances are recomputed from the raw rows in float64, and
where float32 rounding in the proposal could have hidden a nearer row, the query is settled over
every row that may qualify. So the back ends agree, also on near-duplicates.

Which one, measured on a 2-core AVX2 machine with scipy 1.17, torch 2.13 and faiss-cpu 1.15; seconds
for 4,000 queries among 100,000 Gaussian rows, the hardest case for a tree, and for d = 512 by the
number of queries:

    d           4     6     8    10    12    16      queries    1     4    16    64  2000
    k-d tree  .01   .03   .10   .27   .86   2.8      faiss    .03   .04   .13   .57   6.6
    product   .67   .65   .72   .69   .67   .58      product  .11   .10   .12   .15   1.1

faiss needs .15 s and a copy to build, too.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import Literal

import numpy as np

from vadbench_methods.nearest.product import Product
from vadbench_methods.nearest.rows import Float32, Float64, Integers, Rows
from vadbench_methods.nearest.tree import Tree

Backend = Literal["tree", "faiss", "product"]

TREE_DIM = 10  # a k-d tree wins up to here,
TREE_VALUES = 2**25  # and its float64 copy of the rows takes 256 MiB at most
FAISS_QUERIES = 8  # faiss wins on so few queries, where it need not multiply matrices,
FAISS_VALUES = 2**26  # and its copy of the rows takes 256 MiB at most


class Nearest:
    """The k nearest of `rows` to any query, by |(a - b) / scale|^2.

    Args:
        rows: [N, D] float32, finite; may be memory-mapped; copied by the tree and faiss alone.
        scale: [D] float64, positive; ones if None.
        group: [N] integers; a query may leave out the rows of its own group.
        backend: the search; None chooses by the measurements above.
        device: of NeuralConfig's: where matrix products are made; a GPU's leave nothing to faiss.
    """

    def __init__(
        self,
        rows: Float32,
        scale: Float64 | None = None,
        group: Integers | None = None,
        backend: Backend | None = None,
        device: str = "cpu",
    ) -> None:
        self.rows = Rows(
            rows,
            np.ones(rows.shape[1]) if scale is None else scale,
            np.zeros(len(rows), int) if group is None else np.asarray(group),
        )
        self.backend = backend
        self.device = device

    def squares(self, queries: Float32, k: int, group: Integers | None = None) -> Float64:
        """[Q, k] float64 squared distances, ascending; infinite where fewer than k rows are left.

        Args:
            queries: [Q, D] float32, finite.
            k: how many neighbours.
            group: [Q] the queries' groups, whose rows are left out; None leaves nothing out.
        """
        backend = self.backend or self._fastest(len(queries), group is not None)
        if backend == "tree":
            return (
                self._tree.squares(queries, k)
                if group is None
                else self._tree.squares_of_others(queries, k, np.asarray(group))
            )
        return self._product.squares(
            queries, k, None if group is None else np.asarray(group), faiss=backend == "faiss"
        )

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self.rows)

    @cached_property
    def _product(self) -> Product:
        return Product(self.rows, self.device)

    def _fastest(self, queries: int, leave_out: bool) -> Backend:
        size = self.rows.x.size
        if self.rows.x.shape[1] <= TREE_DIM and size <= TREE_VALUES:
            return "tree"
        if (
            queries <= FAISS_QUERIES
            and not leave_out
            and size <= FAISS_VALUES
            and find_spec("faiss")
            and not self._on_gpu()
        ):
            return "faiss"
        return "product"

    def _on_gpu(self) -> bool:
        if self.device == "cpu":
            return False
        from vadbench.training import cuda_or_cpu

        return cuda_or_cpu(self.device).type == "cuda"
