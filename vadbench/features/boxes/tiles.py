"""A frame in overlapping tiles: where they lie, which boxes of one are cut off by its border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vadbench.features.boxes.provider import Floats

BORDER = 2.0  # pixels: a box that ends so near to an inner border may go on beyond it
Tile = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels of the frame


def lay_tiles(height: int, width: int, rows: int, columns: int, overlap: float) -> list[Tile]:
    """The tiles of a frame, row by row.

    Args:
        height: of the frame.
        width: of the frame.
        rows: of tiles.
        columns: of tiles.
        overlap: share of a tile's side that it has in common with the next one.

    >>> lay_tiles(240, 360, 1, 2, 0.5)
    [(0, 0, 240, 240), (120, 0, 360, 240)]
    """
    return [
        (x0, y0, x1, y1)
        for y0, y1 in _spans(height, rows, overlap)
        for x0, x1 in _spans(width, columns, overlap)
    ]


def is_whole(boxes: Floats, tile: Tile, height: int, width: int) -> NDArray[np.bool_]:
    """[n] whether a box [n, 4] found in a tile keeps away from those of its borders that are not
    the frame's.
    """
    x0, y0, x1, y1 = tile
    inner = np.array([x0 > 0, y0 > 0, x1 < width, y1 < height])
    room = np.stack([boxes[:, 0] - x0, boxes[:, 1] - y0, x1 - boxes[:, 2], y1 - boxes[:, 3]], 1)
    cut: NDArray[np.bool_] = ((room <= BORDER) & inner).any(1)
    return ~cut


def drop_contained(boxes: Floats, share: float) -> Floats:
    """The boxes [n, 4] without those of which more than `share` lies in one before it.

    >>> drop_contained(np.float32([[2, 2, 6, 6], [0, 0, 10, 10], [3, 3, 6, 6]]), 0.7).tolist()
    [[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 10.0, 10.0]]
    """
    kept: list[int] = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    for k in range(len(boxes)):
        low = np.maximum(boxes[kept, :2], boxes[k, :2])
        high = np.minimum(boxes[kept, 2:], boxes[k, 2:])
        if not (np.maximum(high - low, 0).prod(1) > share * area[k]).any():
            kept.append(k)
    return boxes[kept]


def _spans(length: int, parts: int, overlap: float) -> list[tuple[int, int]]:
    """Begin and end of equal parts that overlap and cover a side."""
    size = length / (parts - (parts - 1) * overlap)
    begins = [k * size * (1 - overlap) for k in range(parts)]
    firsts = [min(round(begin), length - 1) for begin in begins]
    ends = [min(round(begin + size), length) for begin in begins]
    return [(first, max(end, first + 1)) for first, end in zip(firsts, ends, strict=True)]
