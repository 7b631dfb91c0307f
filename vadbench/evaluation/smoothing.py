"""The Gaussian filter of frame scores, within each video."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vadbench.errors import BadInput
from vadbench.evaluation.scores import Scores, check_scores
from vadbench.spec import MOST_SMOOTHING


def smooth(scores: ArrayLike, lengths: ArrayLike, sigma: float | None) -> Scores:
    """Gaussian filter of each video's frame scores: reflected at the ends, cut off at 4 sigma,
    never across videos (AccI-VAD).

    Args:
        scores: [T] or [T, C] frame scores.
        lengths: [V] frames per video.
        sigma: in frames; None or 0 leaves the scores as they are.

    Raises:
        BadInput: if the lengths do not add up to T, or sigma is negative, not finite or above
            10000.
    """
    values = check_scores(scores)
    ends = np.cumsum(np.asarray(lengths, np.int64))
    if len(values) != (int(ends[-1]) if len(ends) else 0):
        raise BadInput(
            f"lengths: they add up to {ends[-1] if len(ends) else 0} frames, there are"
            f" {len(values)} scores (vadbench data check)"
        )
    if sigma is None or sigma == 0:
        return values
    if not 0 < sigma <= MOST_SMOOTHING:
        raise BadInput(
            f"smoothing: sigma {sigma:g}; expected a positive number of frames up to"
            f" {MOST_SMOOTHING}, or none"
        )
    from scipy.ndimage import gaussian_filter1d

    videos = [video for video in np.split(values, ends[:-1]) if len(video)]
    return (
        np.concatenate(
            [
                gaussian_filter1d(video, sigma, axis=0, mode="reflect", truncate=4.0)
                for video in videos
            ]
        )
        if videos
        else values
    )
