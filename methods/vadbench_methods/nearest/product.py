"""Nearest neighbours in many dimensions: float32 matrix products (ours in blocks, or faiss)
propose, float64 differences decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench_methods.nearest.rows import Float32, Float64, Integers, Rows

if TYPE_CHECKING:
    import torch

SPARE = 8  # more proposals than neighbours, so that rounding rarely leaves a query in doubt
# rows, or queries, brought into the working frame at a time; fewer in very many dimensions
BLOCK = 8192
QUERIES = 1024  # of these, multiplied at a time: 32 MiB of distances
# a row of distances is reduced to the minima of its stripes before the smallest are sorted out
STRIPES = 32


class Product:
    """Searches `rows` by |b|^2 - 2ab in float32, in a frame where rounding hurts least: the mean is
    0, and the largest value 1.

    Args:
        rows: what is searched.
        device: of NeuralConfig's: where the products are made. What they propose is settled in
            float64 by the processor, so the distances are the same bits on any.
    """

    def __init__(self, rows: Rows, device: str = "cpu") -> None:
        self.rows, self.device = rows, device

    @cached_property
    def _frame(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]], float]:
        """The mean of the rows [D], the factor of each column [D], and the largest value, in the
        distance's unit, that becomes 1.
        """
        parts = self.parts(len(self.rows.x))
        mean = sum(
            (self.rows.x[part].sum(0, dtype=np.float64) for part in parts),
            np.zeros(len(self.rows.scale)),
        ) / len(self.rows.x)
        low = np.min([self.rows.x[part].min(0) for part in parts], axis=0)
        high = np.max([self.rows.x[part].max(0) for part in parts], axis=0)
        unit = float((np.maximum(high - mean, mean - low) / self.rows.scale).max()) or 1.0
        factor = 1 / (self.rows.scale * unit)
        if max(np.abs(low).max(), np.abs(high).max(), factor.max(), 1 / factor.min()) < 1e30:
            # three times as fast; any point near the mean will do
            return mean.astype(np.float32), factor.astype(np.float32), unit
        return mean, factor, unit

    def parts(self, count: int) -> list[slice]:
        """So many rows or queries, a block each."""
        step = int(np.clip(2**25 // len(self.rows.scale) // STRIPES * STRIPES, 8 * STRIPES, BLOCK))
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]

    def normalise(self, x: Float32) -> Float32:
        """x [B, D] in the frame."""
        mean, factor, _ = self._frame
        framed = x - mean
        framed *= factor  # in place: blocks of wide rows are large
        return np.ascontiguousarray(framed, np.float32)

    @property
    def block_bytes(self) -> int:
        """Memory that a block of rows takes while it is brought into the frame."""
        rows, wide = self.parts(len(self.rows.x))[0].stop, self._frame[0].dtype.itemsize
        return int(rows * len(self.rows.scale) * (wide if wide == 4 else wide + 4))

    def squares(
        self, queries: Float32, k: int, query_group: Integers | None, *, faiss: bool
    ) -> Float64:
        """[Q, k] squared distances to the k nearest rows; to those of other groups than [Q]
        `query_group` if given.
        """
        out = np.full((len(queries), k), np.inf)
        take = min(k + SPARE, len(self.rows.x))
        # a query far beyond all rows may overflow float32: it is settled in float64
        with np.errstate(over="ignore", invalid="ignore"):
            for part in self.parts(len(queries)):
                some, group = queries[part], None if query_group is None else query_group[part]
                framed = self.normalise(some)
                near, index = (
                    self._faiss.search(framed, take)
                    if faiss and group is None
                    else self._propose(framed, take, group)
                )
                exact = self.rows.sorted_squares(some, index, near < np.inf)
                limit = self._limit(framed, exact[:, min(k, take) - 1])
                out[part, :take] = exact[:, :k]
                doubtful = np.flatnonzero(~(near[:, -1] > limit))
                if len(doubtful):
                    left = None if group is None else group[doubtful]
                    out[part.start + doubtful] = self._settle(
                        some[doubtful], framed[doubtful], limit[doubtful], k, left
                    )
        return out

    def _limit(self, framed: Float32, kth: Float64) -> Float64:
        """[Q] the largest float32 squared distance at which a row nearer than `kth` [Q], the k-th
        exact one found, may have shown.

        A float32 |a|^2 + |b|^2 - 2ab is wrong by at most c (|a| + |b|)^2, c = (2 D + 32) 2^-24: the
        standard bound for sums of D products, once in |b|^2 and once in the whole, and the rounding
        of a and b themselves. A row within r = sqrt(kth) has |b| <= |a| + r, so it shows as r^2 + c
        (2 |a| + r)^2 at most.
        """
        r = np.sqrt(kth) / self._frame[2]
        a = np.sqrt(np.square(framed, dtype=np.float64).sum(1))
        limit: Float64 = r**2 + (2 * framed.shape[1] + 32) * 2.0**-24 * (2 * a + r) ** 2
        return np.where(a < 1e15, limit, np.inf)  # beyond, the products may have overflowed

    def _propose(
        self, framed: Float32, take: int, query_group: Integers | None
    ) -> tuple[Float64, Integers]:
        """The float32 squared distances [Q, take] that are smallest, ascending, and their rows'
        indices [Q, take].
        """
        import torch

        from vadbench.training import cuda_or_cpu, rounding

        device = cuda_or_cpu(self.device)
        # [-2a, 1] . [b, |b|^2]: the norm costs no second pass
        queries = torch.cat([-2 * torch.from_numpy(framed), torch.ones(len(framed), 1)], 1)
        queries = queries.to(device)
        near = torch.full((len(framed), take), torch.inf, device=device)
        index = torch.zeros((len(framed), take), dtype=torch.int64, device=device)
        parts = self.parts(len(self.rows.x))
        width = -(-parts[0].stop // STRIPES) * STRIPES
        buffer = torch.empty(min(len(framed), QUERIES), width, device=device)
        with rounding(device):
            for part, rows in zip(parts, self._rows_on(device), strict=True):
                for start in range(0, len(framed), QUERIES):
                    some = slice(start, min(start + QUERIES, len(framed)))
                    block = buffer[: some.stop - start]
                    block[:, len(rows) :] = torch.inf  # where the last part is narrower
                    torch.mm(queries[some], rows.T, out=block[:, : len(rows)])
                    if query_group is not None:
                        self._leave_out(block, query_group[some], part)
                    values, columns = _smallest(block, take)
                    both = torch.cat([near[some], values], 1)
                    near[some], which = both.topk(take, 1, largest=False)
                    proposed = torch.cat([index[some], columns + part.start], 1)
                    index[some] = proposed.gather(1, which)
        return (
            near.cpu().double().numpy() + np.square(framed, dtype=np.float64).sum(1, keepdims=True),
            index.cpu().numpy(),
        )

    def _rows_on(self, device: torch.device) -> Iterable[torch.Tensor]:
        """The parts' rows [b, |b|^2]; a GPU keeps them where they fit, others get them anew."""
        from vadbench.loading import fits_on, send

        kept: list[torch.Tensor] | None = getattr(self, "_kept", None)
        if kept is not None and kept[0].device.type == device.type:
            return kept
        framed = (self.normalise(self.rows.x[part]) for part in self.parts(len(self.rows.x)))
        sent = send((_with_norms(rows) for rows in framed), device)
        if not fits_on(device, self.rows.x.size * 4):
            return sent
        self._kept = list(sent)
        return self._kept

    def _leave_out(self, block: torch.Tensor, query_group: Integers, part: slice) -> None:
        import torch

        group = self.rows.group[part]
        # videos lie together: most blocks share none and cost nothing
        if len(np.intersect1d(query_group, group)):
            same = torch.from_numpy(query_group[:, None] == group).to(block.device)
            block[:, : len(group)].masked_fill_(same, torch.inf)

    @cached_property
    def _faiss(self) -> Any:
        import faiss

        index = faiss.IndexFlatL2(len(self.rows.scale))
        for part in self.parts(len(self.rows.x)):
            index.add(self.normalise(self.rows.x[part]))
        return index

    def _settle(
        self,
        queries: Float32,
        framed: Float32,
        limit: Float64,
        k: int,
        query_group: Integers | None,
    ) -> Float64:
        """[Q, k] squared distances of queries in doubt: exact ones to every row that shows within
        `limit`.
        """
        best = np.full((len(queries), k), np.inf)
        for part in self.parts(len(self.rows.x)):
            rows = self.normalise(self.rows.x[part])
            norm = np.square(rows).sum(1)
            for start in range(0, len(queries), 256):
                some = slice(start, min(start + 256, len(queries)))
                shown = (
                    norm
                    - 2 * (framed[some] @ rows.T)
                    + np.square(framed[some], dtype=np.float64).sum(1, keepdims=True)
                )
                may = ~(shown > limit[some, None])
                if query_group is not None:
                    may &= query_group[some, None] != self.rows.group[part]
                which, column = may.nonzero()
                exact = np.full(may.shape, np.inf)
                exact[which, column] = self.rows.pair_squares(
                    queries[some], which, part.start + column
                )
                best[some] = np.sort(
                    np.partition(np.concatenate([best[some], exact], 1), k - 1, axis=1)[:, :k],
                    axis=1,
                )
        return best


def _with_norms(framed: Float32) -> torch.Tensor:
    """[W, D + 1]: rows [W, D] and their squared norms."""
    import torch

    rows = torch.from_numpy(framed)
    return torch.cat([rows, rows.square().sum(1, keepdim=True)], 1)


def _smallest(block: torch.Tensor, take: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `take` smallest of each row of block [Q, W] and their columns, by way of the stripes'
    minima: one fast pass over the block.
    """
    import torch

    rows, width = block.shape
    stripe = width // STRIPES
    if 2 * take > stripe:
        return block.topk(min(take, width), 1, largest=False)
    # the smallest lie below the smallest minima
    columns = block.view(rows, STRIPES, stripe).amin(1).topk(take, 1, largest=False).indices
    stripes = torch.arange(STRIPES, device=block.device)
    members = (columns[:, None, :] + stripes[:, None] * stripe).reshape(rows, -1)
    values, which = block.gather(1, members).topk(take, 1, largest=False)
    return values, members.gather(1, which)
