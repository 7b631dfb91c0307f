"""Frame-level metrics: ROC-AUC (micro and macro), EER, average precision, FPR at 95 % TPR.

Scores are float64, higher = more anomalous; labels are 0 (normal) or 1 (anomalous); a data set is
the concatenation of its videos. All follow from the counts of true and false positives at each
distinct score, so one sort serves them all; the values are scikit-learn's
(tests/parity/test_metrics.py). A metric that needs both classes is NaN where there is one. Source:
Fawcett, An introduction to ROC analysis (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput
from vadbench.evaluation.protocol import MACRO_CONVENTIONS

LEGACY_MACRO = ("nan-to-1",)
LEGACY_MICRO = ("minmax-per-video", "drop-4", "minmax-drop-4", "pad-0-0")
REPORTED_MACRO = ("skip", "pad-rank", "pad-0-1", "pad-0-max")


@dataclass(frozen=True)
class Roc:
    """The ROC curve as counts: tp, fp [K+1] int64 among the frames that score at least each of the
    K distinct values; both begin with 0.

    >>> roc = Roc.of(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> roc.auc, roc.eer
    (0.75, 0.5)
    """

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> Roc:
        """The curve of checked scores and labels [T]; infinite scores only rank."""
        order = np.argsort(scores)[::-1]
        ordered, positive = scores[order], labels[order]
        ends = (
            np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
            if len(ordered)
            else np.zeros(0, np.int64)
        )
        tp = np.cumsum(positive)[ends]
        return cls(np.append(0, tp), np.append(0, ends + 1 - tp))

    @property
    def one_class(self) -> str | None:
        """Why metrics are undefined, or None where both classes occur."""
        if not self.tp[-1]:
            return "no anomalous frame"
        return None if self.fp[-1] else "no normal frame"

    @property
    def wins(self) -> float:
        """Pairs (anomalous, normal) in which the anomalous frame scores higher, ties counted half:
        the Mann-Whitney statistic.
        """
        return float(np.dot(np.diff(self.fp), self.tp[1:] + self.tp[:-1])) / 2

    @property
    def auc(self) -> float:
        """Area under the curve; NaN for one class."""
        return np.nan if self.one_class else self.wins / (int(self.tp[-1]) * int(self.fp[-1]))

    @property
    def auc_padded(self) -> float:
        """The area after one normal frame below all and one anomalous frame above all were added
        (`pad-rank`); always defined.
        """
        positives, negatives = int(self.tp[-1]), int(self.fp[-1])
        return (self.wins + positives + negatives + 1) / ((positives + 1) * (negatives + 1))

    @property
    def eer(self) -> float:
        """FPR where it equals 1 - TPR, on the straight line between the curve's vertices; NaN for
        one class.
        """
        if self.one_class:
            return np.nan
        tpr, fpr = self.tp / self.tp[-1], self.fp / self.fp[-1]
        balance = tpr + fpr - 1
        after = int(np.argmax(balance >= 0))
        before = after - 1
        part = -balance[before] / (balance[after] - balance[before])
        return float(fpr[before] + part * (fpr[after] - fpr[before]))

    @property
    def average_precision(self) -> float:
        """Sum of (R_n - R_n-1) P_n, the anomalous class being positive; NaN for one class."""
        if self.one_class:
            return np.nan
        return float(
            np.dot(np.diff(self.tp), self.tp[1:] / np.maximum(self.tp[1:] + self.fp[1:], 1))
            / self.tp[-1]
        )

    @property
    def fpr_at_95_tpr(self) -> float:
        """Lowest FPR at a distinct score whose TPR is 95 % or more (no interpolation); NaN for one
        class.
        """
        if self.one_class:
            return np.nan
        reached = int(np.argmax(self.tp * 20 >= self.tp[-1] * 19))
        return float(self.fp[reached] / self.fp[-1])


def micro_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """ROC-AUC of all frames of all videos [T] together, ties counted half; NaN for one class.

    Raises:
        BadInput: on arrays of different length, NaN scores, or labels other than 0 and 1.

    >>> micro_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    return _roc(scores, labels).auc


def eer(scores: ArrayLike, labels: ArrayLike) -> float:
    """Equal error rate of all frames [T], at the crossing of the ROC polyline; NaN for one class.

    Raises as `micro_auc`.
    """
    return _roc(scores, labels).eer


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Average precision of all frames [T], anomalous = positive; NaN for one class.

    Raises as `micro_auc`.
    """
    return _roc(scores, labels).average_precision


def fpr_at_95_tpr(scores: ArrayLike, labels: ArrayLike) -> float:
    """Part of normal frames that score at least what 95 % of the anomalous ones reach; NaN for one
    class. Raises as `micro_auc`.
    """
    return _roc(scores, labels).fpr_at_95_tpr


def video_aucs(scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike) -> NDArray[np.float64]:
    """[V] ROC-AUC of each video, NaN where it has one class.

    Raises:
        BadInput: as `micro_auc`, or if the lengths do not add up to the frames.
    """
    return np.array([Roc.of(*video).auc for video in split_videos(scores, labels, lengths)])


def macro_auc(
    scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike, convention: str = "skip"
) -> float:
    """Unweighted mean over videos of the ROC-AUC; conventions differ in what a video with one class
    counts.

    `skip` leaves such videos out. `pad-rank` adds to every video one normal frame below and one
    anomalous frame above all others; `pad-0-1` (UBnormal) and `pad-0-max` (AccI-VAD) add them with
    the literal scores 0 and 1, or 0 and the largest float64, which depends on the scores' scale and
    offset; `pad-0-0` (SSMTL) adds two normal frames with score 0 and stays NaN where a video has no
    anomaly. `nan-to-1` (fast-AED, legacy) counts a video with one class as 1.

    Args:
        scores: [T].
        labels: [T], 0 or 1.
        lengths: [V] frames per video.
        convention: the name.

    Raises:
        BadInput: as `video_aucs`, or on an unknown convention.

    >>> scores, labels = [0.1, 0.4, 0.35, 0.8, 0.3, 0.2], [0, 0, 1, 1, 0, 0]
    >>> macro_auc(scores, labels, lengths=[4, 2], convention="skip")  # the second video is normal
    0.75
    """
    return float(
        _mean(convention_aucs(split_videos(scores, labels, lengths), convention), convention)
    )


def legacy_micro_auc(
    scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike, variant: str
) -> float:
    """Micro AUC as older codes compute it, for comparison with their figures only.

    `minmax-per-video` scales each video to [0, 1] first (MNAD), `drop-4` leaves out each video's
    first 4 frames (HF2VAD), `minmax-drop-4` scales and then leaves them out (ano_pred), `pad-0-0`
    adds two normal frames with score 0 to the whole set (SSMTL).

    Raises:
        BadInput: as `video_aucs`, or on an unknown variant.
    """
    if variant not in LEGACY_MICRO:
        raise BadInput(f"variant: {variant!r} is unknown; choose one of {', '.join(LEGACY_MICRO)}")
    videos = split_videos(scores, labels, lengths)
    if "minmax" in variant:
        videos = [
            ((values - values.min()) / (np.ptp(values) or 1.0), positive)
            for values, positive in videos
        ]
    if "drop-4" in variant:
        videos = [(values[4:], positive[4:]) for values, positive in videos]
    if variant == "pad-0-0":
        videos.append((np.zeros(2), np.zeros(2, bool)))
    return Roc.of(
        np.concatenate([video[0] for video in videos]),
        np.concatenate([video[1] for video in videos]),
    ).auc


def frame_metrics(
    scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike, video_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Every frame metric as a row {"metric", "convention", "video", "value", "n", "reason"}.

    `video` is None for the whole set; `value` is None with a `reason` where undefined; `n` counts
    the frames, for macro AUC the videos that were averaged.

    Args:
        scores: [T] frame scores.
        labels: [T], 0 or 1.
        lengths: [V] frames per video.
        video_names: [V].

    Raises:
        BadInput: as `video_aucs`, or if there is not one name a video.
    """
    videos = split_videos(scores, labels, lengths)
    if len(video_names) != len(videos):
        raise BadInput(
            f"video names: {len(video_names)} names for {len(videos)} videos; expected one each"
            " (vadbench data check)"
        )
    roc = _roc(scores, labels)
    frames = int(roc.tp[-1] + roc.fp[-1])
    rows = [_row("micro_auc", roc.auc, frames, roc.one_class)]
    for convention in REPORTED_MACRO:
        aucs = convention_aucs(videos, convention)
        rows.append(
            _row(
                "macro_auc",
                _mean(aucs, convention),
                int(np.isfinite(aucs).sum()),
                "no video has both classes",
                convention,
            )
        )
    for metric in ("eer", "average_precision", "fpr_at_95_tpr"):
        rows.append(_row(metric, getattr(roc, metric), frames, roc.one_class))
    rows.append(_row("prevalence", float(roc.tp[-1] / frames), frames, None))
    for name, (values, positive) in zip(video_names, videos, strict=True):
        video = Roc.of(values, positive)
        rows.append(_row("micro_auc", video.auc, len(values), video.one_class, video=str(name)))
    return rows


def _row(
    metric: str,
    value: float,
    n: int,
    reason: str | None,
    convention: str | None = None,
    video: str | None = None,
) -> dict[str, Any]:
    defined = not np.isnan(value)
    kept = {
        "value": float(value) if defined else None,
        "n": n,
        "reason": None if defined else reason,
    }
    return {"metric": metric, "convention": convention, "video": video, **kept}


def convention_aucs(
    videos: list[tuple[NDArray[np.float64], NDArray[np.bool_]]], convention: str
) -> NDArray[np.float64]:
    """[V] the AUC of each (scores, labels) of `split_videos` under a macro convention, NaN where
    undefined.
    """
    if convention not in (*MACRO_CONVENTIONS, *LEGACY_MACRO):
        raise BadInput(
            f"convention: {convention!r} is unknown; choose one of"
            f" {', '.join((*MACRO_CONVENTIONS, *LEGACY_MACRO))}"
        )
    if convention == "pad-rank":
        return np.array([Roc.of(*video).auc_padded for video in videos])
    padding = {
        "pad-0-1": (1.0, True),
        "pad-0-max": (np.finfo(np.float64).max, True),
        "pad-0-0": (0.0, False),
    }.get(convention)
    if padding is None:
        aucs = np.array([Roc.of(*video).auc for video in videos])
        return np.where(np.isnan(aucs), 1.0, aucs) if convention == "nan-to-1" else aucs
    score, label = padding
    return np.array(
        [
            Roc.of(np.append(values, [0.0, score]), np.append(positive, [False, label])).auc
            for values, positive in videos
        ]
    )


def _mean(aucs: NDArray[np.float64], convention: str) -> float:
    """The mean over videos; only `skip` leaves undefined ones out."""
    kept = aucs[~np.isnan(aucs)] if convention == "skip" else aucs
    return float(kept.mean()) if len(kept) else np.nan


def _roc(scores: ArrayLike, labels: ArrayLike) -> Roc:
    return Roc.of(*_check(scores, labels))


def split_videos(
    scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """(scores, labels) of each video, checked.

    Raises:
        BadInput: as `video_aucs`.
    """
    values, positive = _check(scores, labels)
    counts = np.asarray(lengths)
    if counts.ndim != 1 or not len(counts) or (counts <= 0).any() or counts.sum() != len(values):
        raise BadInput(
            f"lengths: {len(counts)} videos of {counts.sum()} frames, but {len(values)} scores;"
            " expected one a frame (vadbench data check)"
        )
    ends = np.cumsum(counts)[:-1]
    return list(zip(np.split(values, ends), np.split(positive, ends), strict=True))


def _check(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise BadInput(
            f"scores and labels: shapes {values.shape} and {truth.shape}; expected one score and"
            " one label a frame (vadbench data check)"
        )
    if not len(values):
        raise BadInput("scores: no frame; expected at least one (vadbench data check)")
    if np.isnan(values).any():
        raise BadInput(
            f"scores: frame {int(np.argmax(np.isnan(values)))} is NaN; expected numbers (vadbench"
            " check METHOD)"
        )
    positive = truth == 1
    if not (positive | (truth == 0)).all():
        odd = truth[int(np.argmin(positive | (truth == 0)))]
        raise BadInput(
            f"labels: found {odd}; expected 0 (normal) or 1 (anomalous) only (vadbench data check)"
        )
    return values, positive
