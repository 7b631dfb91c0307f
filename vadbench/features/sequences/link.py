"""Boxes of consecutive frames linked to tracks by overlap, where a provider does not track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """[A, B] intersection over union of boxes a [A, 4] and b [B, 4] with exclusive ends."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-12))


def link_boxes(
    boxes: Sequence[NDArray[np.floating]], missing: int, least: float
) -> NDArray[np.int64]:
    """[N] track of every box, frame by frame, counted from 0 in the order of appearance.

    The boxes of a frame are matched one to one with the last boxes of the tracks so that the summed
    overlap is largest (the Hungarian method, as SORT has it); a pair below `least` is no match.

    Args:
        boxes: one [n, 4] array a frame.
        missing: frames that a track may lack and go on.
        least: intersection over union.

    >>> walks = [np.array([[x, 0.0, x + 10, 20]]) for x in (0.0, 2.0, 4.0)]
    >>> link_boxes([*walks[:2], np.zeros((0, 4)), walks[2]], missing=1, least=0.3)
    array([0, 0, 0])
    """
    from scipy.optimize import linear_sum_assignment

    found: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    last, seen, track = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    count = 0
    for frame, own in enumerate(boxes):
        alive = seen >= frame - 1 - missing
        last, seen, track = last[alive], seen[alive], track[alive]
        shared = overlap(last, own)
        shared[shared < least] = 0
        old, new = linear_sum_assignment(shared, maximize=True)
        pairs = shared[old, new] > 0
        number = np.full(len(own), -1, np.int64)
        number[new[pairs]] = track[old[pairs]]
        fresh = number < 0
        number[fresh] = count + np.arange(fresh.sum())
        count += int(fresh.sum())
        left = np.setdiff1d(np.arange(len(track)), old[pairs])
        last = np.concatenate([last[left], own])
        seen = np.concatenate([seen[left], np.full(len(own), frame)])
        track = np.concatenate([track[left], number])
        found.append(number)
    return np.concatenate(found)
