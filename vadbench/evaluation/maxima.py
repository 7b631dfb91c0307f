"""Row scores -> frame scores: the maximum over a frame's objects, or the nearest window's score.

Sources: the released code of MULDE (Micorek et al., CVPR 2024) and of AccI-VAD (Reiss & Hoshen,
2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput
from vadbench.evaluation.scores import Scores, check_scores


def frame_maximum(
    scores: ArrayLike, video: ArrayLike, frame: ArrayLike, lengths: ArrayLike, fill: ArrayLike
) -> Scores:
    """The highest score among a frame's rows.

    Args:
        scores: [N] or [N, C] row scores.
        video: [N] index of the row's video.
        frame: [N] the row's frame in its video, from 0.
        lengths: [V] frames per video.
        fill: what a frame without rows scores: a number, or [C].

    Returns:
        [T] or [T, C], T = sum of lengths.

    Raises:
        BadInput: on NaN, or on a row outside the videos.
    """
    values = check_scores(scores)
    counts = np.asarray(lengths, np.int64)
    position = _positions(np.asarray(video), np.asarray(frame), counts, len(values))
    frames = np.empty((int(counts.sum()), *values.shape[1:]))
    frames[:] = np.asarray(fill, np.float64)
    if len(values):
        if np.any(position[1:] < position[:-1]):
            order = np.argsort(position, kind="stable")
            position, values = position[order], values[order]
        starts = np.flatnonzero(np.diff(position, prepend=-1))
        frames[position[starts]] = np.maximum.reduceat(values, starts, axis=0)
    return frames


def window_to_frames(
    scores: ArrayLike, video: ArrayLike, start: ArrayLike, lengths: ArrayLike, window: int
) -> tuple[Scores, float]:
    """Every frame takes the score of the nearest window centre in its own video: a window starting
    at i has its centre at i + window // 2.

    So edges are replicated, and with a stride above 1 the frames between two centres take the
    nearer one's score (the earlier one's when equally near). The centre of a padded window of a
    video shorter than the window is the last frame at most.

    Args:
        scores: [N] or [N, C] window scores.
        video: [N] index of the window's video.
        start: [N] the window's first frame in its video, from 0; no two windows of a video start
            alike.
        lengths: [V] frames per video.
        window: frames in a window.

    Returns:
        [T] or [T, C] frame scores, and the coverage: the part of frames that are the centre of a
        window of their own.

    Raises:
        BadInput: on NaN, on a window outside the videos, or on a video without windows.
    """
    values = check_scores(scores)
    counts = np.asarray(lengths, np.int64)
    owner, first = np.asarray(video, np.int64), np.asarray(start, np.int64)
    _positions(owner, first, counts, len(values))
    if len(np.unique(np.stack([owner, first]), axis=1).T) < len(values):
        raise BadInput(
            "windows: two windows of one video start at the same frame; expected one score a window"
        )
    centre = np.minimum(first + window // 2, counts[owner] - 1)
    frames, covered = [], 0
    for index, length in enumerate(counts):
        rows = np.flatnonzero(owner == index)
        if not len(rows) and length:
            raise BadInput(
                f"windows: video {index} has {length} frames and no window; extract a padded window"
                " of it (vadbench features extract)"
            )
        rows = rows[np.argsort(centre[rows], kind="stable")]
        frames.append(values[rows[_nearest(centre[rows], int(length))]])
        covered += len(np.unique(centre[rows]))
    return np.concatenate(frames), covered / max(int(counts.sum()), 1)


def _positions(
    video: NDArray[Any], frame: NDArray[Any], lengths: NDArray[np.int64], rows: int
) -> NDArray[np.int64]:
    """[N] index of each row's frame among all frames."""
    if video.shape != (rows,) or frame.shape != (rows,):
        raise BadInput(
            f"rows: {rows} scores, video of shape {video.shape}, frame of shape {frame.shape};"
            " expected one of each a row"
        )
    video, frame = video.astype(np.int64), frame.astype(np.int64)
    known = (video >= 0) & (video < len(lengths))
    outside = ~known
    outside[known] = (frame[known] < 0) | (frame[known] >= lengths[video[known]])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise BadInput(
            f"rows: row {row} is frame {frame[row]} of video {video[row]}, outside the"
            f" {len(lengths)} videos (vadbench features verify)"
        )
    return np.asarray((np.cumsum(lengths) - lengths)[video] + frame)


def _nearest(centres: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """[length] for every frame the index of the nearest of the sorted centres, the earlier one of
    two.
    """
    middles = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(middles, np.arange(length), side="left")
