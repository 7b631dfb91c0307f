"""Streams are brought to one scale by their training scores, and added.

Sources: the released code of AccI-VAD (Reiss & Hoshen, 2022: min-max) and of MULDE (Micorek et al.,
CVPR 2024: z-score); Eq. 13 of ITAE+NF (Cho et al., 2022: min-max within each test video).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput
from vadbench.evaluation.protocol import PER_VIDEO, check_calibration
from vadbench.evaluation.scores import Scores
from vadbench.tails import Tail, fit_tail, log_survival


@dataclass(frozen=True)
class Statistics:
    """Statistics of training scores, per column: [C], or 0-d for a single column without one;
    float64.

    Attributes:
        minimum, maximum: the extremes.
        p999: the 99.9th percentile, linearly interpolated.
        mean, std: mean and population standard deviation.
        tail: [C, 34] how often scores are reached (`vadbench.tails`); None: not kept, as
            in records of before.
    """

    minimum: Scores
    maximum: Scores
    p999: Scores
    mean: Scores
    std: Scores
    tail: Tail | None = None

    def arrays(self) -> dict[str, Scores]:
        """Field name -> array, for a record; `Statistics(**arrays)` takes it back."""
        every = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: np.asarray(value, np.float64)
            for name, value in every.items()
            if value is not None
        }


def calibration_statistics(scores: ArrayLike) -> Statistics:
    """Statistics of training scores [N] or [N, C], per column.

    Raises:
        BadInput: if there are none, or one is not finite.
    """
    values = np.asarray(scores, np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise BadInput(
            f"training scores: {len(values)} rows; calibration needs at least one and finite values"
            " only (rerun with --existing rerun)"
        )
    summary = (
        values.min(0),
        values.max(0),
        np.percentile(values, 99.9, axis=0),
        values.mean(0),
        values.std(0),
        fit_tail(values),
    )
    return Statistics(*(np.asarray(value, np.float64) for value in summary))


def calibrate(
    name: str,
    scores: ArrayLike,
    statistics: Statistics,
    lengths: NDArray[np.int64] | None = None,
) -> Scores:
    """Scores on the common scale that training scores define; increasing in the score, so a single
    stream keeps its order (but for clipping).

    `none` returns the scores; `minmax-p99.9` and `minmax` are (s - min) / (top - min), unclipped,
    with the 99.9th percentile or the maximum as top (AccI-VAD); `zscore-clip` is max((s - mean) /
    std, 0) (MULDE, supplement); `sqrt` is `minmax` after sqrt(max(s - min, 0)), for squared
    distances. `tail` is -log of how often training scores reach s, so that sums of streams are
    Fisher's combination of their p-values. Training scores that do not vary give no scale: they are
    divided by 1 instead. `minmax-video` looks at no training score: see `minmax_in_videos`.

    Args:
        name: one of `CALIBRATIONS`.
        scores: [N] or [N, C].
        statistics: of the training scores of the same columns.
        lengths: frames of each test video, of frame scores; None: the scores are of no frames.

    Raises:
        BadInput: on an unknown name; for `minmax-video`, if there are no lengths.
    """
    values = np.asarray(scores, np.float64)
    check_calibration(name)
    if name == "none":
        return values
    if name == PER_VIDEO:
        return minmax_in_videos(values, lengths)
    if name == "zscore-clip":
        return np.maximum((values - statistics.mean) / _scale(statistics.std, statistics.mean), 0.0)
    if name == "tail":
        return _surprise(values, statistics)
    above = values - statistics.minimum
    top = statistics.p999 if name == "minmax-p99.9" else statistics.maximum
    scale = _scale(top - statistics.minimum, np.maximum(np.abs(top), np.abs(statistics.minimum)))
    if name == "sqrt":
        return np.asarray(np.sqrt(np.maximum(above, 0.0)) / np.sqrt(scale))
    return np.asarray(above / scale)


def _surprise(values: Scores, statistics: Statistics) -> Scores:
    """[N] or [N, C] -log of how often training scores reach each score."""
    if statistics.tail is None:
        raise BadInput(
            "calibration tail: what is kept of the training scores has no tail, it is older than"
            " this calibration (vadbench run --existing rerun)"
        )
    tails = np.atleast_2d(statistics.tail)
    if len(tails) == 1:
        return -log_survival(values, tails[0])
    each = [log_survival(values[..., place], tail) for place, tail in enumerate(tails)]
    return -np.stack(each, axis=-1)


def minmax_in_videos(scores: Scores, lengths: NDArray[np.int64] | None) -> Scores:
    """Frame scores [T] or [T, C] as (s - min) / (max - min) within each test video; 0 in a video
    whose scores do not vary.

    Not causal, and its extremes are test data: a frame's score depends on the frames after it.

    Raises:
        BadInput: if there are no lengths: a single object has no video to be normalised in.

    >>> minmax_in_videos(np.array([2.0, 4.0, 3.0, 7.0, 7.0]), np.array([3, 2])).tolist()
    [0.0, 1.0, 0.5, 0.0, 0.0]
    """
    if lengths is None:
        raise BadInput(
            f"calibration {PER_VIDEO}: normalises the frames of whole test videos; choose another"
            " for scores of objects (protocol.calibration)"
        )
    out = np.zeros_like(scores)
    for video in np.split(np.arange(len(scores)), np.cumsum(lengths)[:-1]):
        if len(video):
            own = scores[video]
            low, high = own.min(0), own.max(0)
            varies = high - low > 1e-12 * np.maximum(np.abs(low), np.abs(high))
            out[video] = np.where(varies, (own - low) / np.where(varies, high - low, 1.0), 0.0)
    return out


def fuse(streams: Sequence[ArrayLike]) -> Scores:
    """The sum of calibrated streams, all of one shape.

    Raises:
        BadInput: if there is none, or shapes differ.
    """
    values = [np.asarray(stream, np.float64) for stream in streams]
    shapes = {stream.shape for stream in values}
    if len(shapes) != 1:
        raise BadInput(
            f"streams: shapes {sorted(shapes)}; fusion needs one or more streams of one shape"
            " (vadbench features verify)"
        )
    return np.asarray(np.sum(values, axis=0))


def _scale(spread: Scores, size: Scores) -> Scores:
    """`spread`, or 1 where it is no more than rounding beside the `size` of the scores."""
    return np.where(spread > 1e-12 * np.abs(size), spread, 1.0)
