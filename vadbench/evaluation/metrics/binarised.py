"""The AUC that Tur et al. (2023) report: of decisions, not of scores.

Only to set beside their figures; tables rank by raw scores.

A batch's threshold is L_th = mean + k std of its scores (Algorithm 1). The companion code takes the
AUC of the 0/1 decisions, that is (TPR + TNR) / 2 at one operating point, and keeps the best k on
the test labels. The batch a score falls in changes its decision, so
this is no property of the scores alone.

`vadbench binarised RECORD` prints it for the frame scores that are kept with a record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.frame import micro_auc

RELEASED_BATCH = 8192
PAPER_K = (0.1, 0.3, 0.5, 0.7, 1.0)


def decide(scores: ArrayLike, k: float, batch: int = RELEASED_BATCH) -> NDArray[np.bool_]:
    """[T] whether each score is above mean + k std of its batch; the rule `L_th`.

    Args:
        scores: [T], cut into batches in the order given.
        k: sensitivity of the threshold; the paper tries .1, .3, .5, .7 and 1.
        batch: scores a batch; the last may be smaller, a single score is never above its own mean.

    Raises:
        BadInput: if the scores are not one row of finite numbers, or the batch is empty.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise BadInput(
            f"scores: shape {values.shape}; expected one finite number a frame (vadbench check"
            " METHOD)"
        )
    if batch < 1:
        raise BadInput(
            f"batch: {batch}; expected 1 or more scores a batch (released: batch={RELEASED_BATCH})"
        )
    return np.concatenate(
        [_above(values[start : start + batch], k) for start in range(0, len(values), batch)]
        or [np.zeros(0, np.bool_)]
    )


def auc_binarised(
    scores: ArrayLike, labels: ArrayLike, k: float, batch: int = RELEASED_BATCH
) -> float:
    """ROC-AUC of the decisions of `decide` [T] for labels 0 or 1 [T]; NaN for one class.

    Raises:
        BadInput: as `decide` and `micro_auc`.
    """
    return micro_auc(decide(scores, k, batch), labels)


def by_sensitivity(
    scores: ArrayLike,
    labels: ArrayLike,
    ks: Sequence[float] = PAPER_K,
    batch: int = RELEASED_BATCH,
    seed: int | None = 0,
) -> dict[float, float]:
    """`auc_binarised` for every k, the scores [T] in one fixed random order, as released: in
    videos' order a batch would be one video's.

    Which of them a paper would print is chosen on the test labels; all are given, and none is
    ranked.

    Args:
        scores: [T], of all test videos.
        labels: [T], 0 or 1.
        ks: sensitivities of the threshold.
        batch: scores a batch.
        seed: of the order; None keeps the order given.

    Raises:
        BadInput: as `auc_binarised`, or if scores and labels differ in length.
    """
    odd = next((k for k in ks if not math.isfinite(k)), None)
    if odd is not None:
        raise BadInput(f"sensitivity {odd}; expected finite numbers")
    values, truth = np.asarray(scores, np.float64), np.asarray(labels)
    if values.shape != truth.shape or values.ndim != 1:
        raise BadInput(
            f"scores of shape {values.shape}, labels of shape {truth.shape}; expected one of each a"
            " frame (vadbench data check)"
        )
    order = (
        np.arange(len(values))
        if seed is None
        else np.random.default_rng(seed).permutation(len(values))
    )
    return {k: auc_binarised(values[order], truth[order], k, batch) for k in ks}


def _above(values: NDArray[np.float64], k: float) -> NDArray[np.bool_]:
    spread = values.std(ddof=1) if len(values) > 1 else 0.0  # unbiased, as released
    above: NDArray[np.bool_] = values > values.mean() + k * spread
    return above
