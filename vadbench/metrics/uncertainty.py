"""How sure a number is: a bootstrap over videos, paired between methods, and ranks over data sets.

Videos are what was sampled (frames of one video depend on each other), so videos are drawn with replacement; a resample is how often each
video was drawn. What does not depend on the draw is done once: scores are sorted once, detections matched once. Two methods resampled with
the same counts give a paired difference. The spread over seeds is another matter and stays apart. Sources: Efron and Tibshirani 1993,
ch. 13 (percentile interval); Demsar, JMLR 2006 (ranks, Friedman, Nemenyi); specs/evaluation.md 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.errors import BadInput
from vadbench.metrics.frame import REPORTED_MACRO, Roc, convention_aucs, split_videos
from vadbench.metrics.regions import Matches, Ties, false_positives, mean_area

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Key = tuple[str, str | None]  # metric, convention: the fields of a record's row
LEAST_VIDEOS = 2  # of one, every resample is the same, and would pass for certainty


@dataclass(frozen=True)
class Interval:
    """A percentile interval; `undefined` of the resamples had no value (one class only) and are left out. NaN if none has one."""

    low: float
    high: float
    undefined: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference with this interval is significant."""
        return self.low > 0 or self.high < 0


def resample_counts(videos: int, resamples: int = 1000, seed: int = 0) -> Counts:
    """[R, V] how often each video was drawn in each resample of V videos; the same for every method that is compared.

    Raises:
        BadInput: if there is no video or no resample.
    """
    if videos < 1 or resamples < 1:
        raise BadInput(f"bootstrap: {videos} videos, {resamples} resamples; expected at least one of each")
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=resamples)


def frame_resamples(scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike, counts: Counts) -> dict[Key, Floats]:
    """Frame metrics of every resample.

    Args:
        scores: [T] frame scores of all videos, concatenated.
        labels: [T], 0 or 1.
        lengths: [V] frames per video.
        counts: [R, V] from `resample_counts`.

    Returns:
        (metric, convention) -> [R], NaN where a resample has one class, and everywhere where there is but one video.

    Raises:
        BadInput: as `vadbench.metrics.frame.frame_metrics`, or if counts are of another number of videos.
    """
    videos = split_videos(scores, labels, lengths)
    _require_videos(counts, len(videos))
    drawn: dict[Key, Floats] = {}
    for convention in REPORTED_MACRO:
        drawn["macro_auc", convention] = _weighted_means(convention_aucs(videos, convention), counts)
    values, positive = (np.concatenate(parts) for parts in zip(*videos, strict=True))
    order = np.argsort(values)[::-1]
    descending, positive = values[order], positive[order]
    video = np.repeat(np.arange(len(videos)), [len(part) for part, _ in videos])[order]
    ends = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(descending) - 1)
    metrics = ("auc", "eer", "average_precision", "fpr_at_95_tpr")
    table = np.empty((len(counts), len(metrics)))
    for row, count in enumerate(counts):
        weight = count[video]
        tp = np.cumsum(weight * positive)[ends]
        roc = Roc(np.append(0, tp), np.append(0, np.cumsum(weight)[ends] - tp))
        table[row] = [getattr(roc, metric) for metric in metrics]
    drawn |= {("micro_auc", None): table[:, 0], **{(metric, None): table[:, i + 1] for i, metric in enumerate(metrics[1:])}}
    return _where_enough(drawn, len(videos))


def region_resamples(found: Matches, lengths: ArrayLike, counts: Counts, ties: Ties = "average") -> dict[Key, Floats]:
    """RBDC and TBDC of every resample, from one matching; a video drawn twice ties with itself.

    Args:
        found: from `vadbench.metrics.regions.match`, called with the videos, so that its codes are columns of `counts`.
        lengths: [V] frames per video.
        counts: [R, V] from `resample_counts`.
        ties: what `found` was matched with.

    Returns:
        ("rbdc", ties) and ("tbdc", ties) -> [R], NaN where a resample has no ground truth, and everywhere where there is but one video.

    Raises:
        BadInput: if counts are of another number of videos.
    """
    frames = np.asarray(lengths, np.float64)
    _require_videos(counts, len(frames))
    table = np.empty((len(counts), 2))
    for row, count in enumerate(counts):
        before, tied = false_positives(found, count)
        total = float(count @ frames)
        table[row, 0] = mean_area(found.region_rank, before, tied, total, count[found.region_video])
        table[row, 1] = mean_area(found.track_rank, before, tied, total, count[found.track_video])
    return _where_enough({("rbdc", ties): table[:, 0], ("tbdc", ties): table[:, 1]}, len(frames))


def _where_enough(drawn: dict[Key, Floats], videos: int) -> dict[Key, Floats]:
    return drawn if videos >= LEAST_VIDEOS else {key: np.full_like(values, np.nan) for key, values in drawn.items()}


def interval(values: Floats, level: float = 0.95) -> Interval:
    """The percentile interval of resampled values [R], or of the paired difference `first - second` of two methods."""
    defined = values[~np.isnan(values)]
    missing = len(values) - len(defined)
    if not len(defined):
        return Interval(np.nan, np.nan, missing)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), missing)


def with_intervals(rows: Sequence[Mapping[str, Any]], resampled: Mapping[Key, Floats], level: float = 0.95) -> list[dict[str, Any]]:
    """A record's rows with `low` and `high` added: None for single videos, undefined values and metrics that were not resampled."""
    extended = []
    for row in rows:
        values = resampled.get((row["metric"], row["convention"]))
        known = values is not None and row["video"] is None and row["value"] is not None
        found = interval(values, level) if known and values is not None else Interval(np.nan, np.nan)
        extended.append({**row, **{end: None if np.isnan(value) else value for end, value in (("low", found.low), ("high", found.high))}})
    return extended


def ranks(values: ArrayLike) -> Floats:
    """[D, M] rank of each method on each data set, 1 = highest value, equal values sharing their mean rank.

    Args:
        values: [D, M] a metric of M methods on D data sets, higher = better; every method on every data set.

    Raises:
        BadInput: if a value is missing.
    """
    from scipy.stats import rankdata

    table = np.asarray(values, np.float64)
    if table.ndim != 2 or not table.size or np.isnan(table).any():
        raise BadInput(f"ranks: a table of shape {table.shape} with a missing value or none at all; rank the methods that ran on every data set")
    return np.asarray(rankdata(-table, axis=1), np.float64)


def average_ranks(values: ArrayLike) -> Floats:
    """[M] mean rank over data sets, 1 = best; `values` [D, M] as `ranks` takes them."""
    return np.asarray(ranks(values).mean(0))


def borda(values: ArrayLike) -> Floats:
    """[M] Borda count: the methods beaten, summed over data sets, ties counted half; `values` [D, M] as `ranks` takes them."""
    table = ranks(values)
    return np.asarray((table.shape[1] - table).sum(0))


def friedman(values: ArrayLike) -> tuple[float, float]:
    """Friedman's chi-square, corrected for ties, and its p-value: whether M >= 3 methods differ over D >= 2 data sets at all.

    NaN for fewer methods or data sets, or if all values tie.
    """
    from scipy.stats import friedmanchisquare

    table = ranks(values)
    if table.shape[0] < 2 or table.shape[1] < 3 or not np.ptp(table):
        return np.nan, np.nan
    statistic, p = friedmanchisquare(*table.T)
    return float(statistic), float(p)


def critical_difference(methods: int, datasets: int, level: float = 0.05) -> float:
    """Nemenyi's critical difference: two mean ranks further apart differ significantly, all M (M - 1) / 2 pairs together at `level`.

    CD = q sqrt(M (M + 1) / (6 D)), q being the studentised range's quantile over sqrt(2) (Demsar 2006, Sec. 3.2.2).

    Raises:
        BadInput: for fewer than two methods or no data set.
    """
    from scipy.stats import studentized_range

    if methods < 2 or datasets < 1:
        raise BadInput(f"critical difference: {methods} methods on {datasets} data sets; expected at least 2 and 1")
    quantile = studentized_range.ppf(1 - level, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))


def _weighted_means(values: Floats, counts: Counts) -> Floats:
    """[R] mean over the drawn videos that have a value, NaN if none has."""
    defined = ~np.isnan(values)
    drawn = counts @ defined
    return np.where(drawn > 0, counts @ np.where(defined, values, 0.0) / np.maximum(drawn, 1), np.nan)


def _require_videos(counts: Counts, videos: int) -> None:
    if counts.ndim != 2 or counts.shape[1] != videos:
        raise BadInput(f"bootstrap: counts of shape {counts.shape} for {videos} videos; expected [resamples, videos] (resample_counts)")
