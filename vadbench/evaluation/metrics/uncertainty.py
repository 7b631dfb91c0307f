"""How sure a number is: a jackknife over the test videos with Student's t, without draws.

Videos are what was sampled (frames of one video depend on each other). A value's `Jackknife` says
what each video does to it; two methods on the same videos give a paired difference, and several
seeds add the spread of training. What holds was found by simulation (docs/protocol.md):

- a difference: the infinitesimal jackknife, psi_i = (sum_j U_ij + sum_j U_ji) / (P N)
  - A (P_i / P + N_i / N) for micro AUC A, U_ij the pairs that anomalous frames of video i win
  against normal frames of video j; variance V / (V - 1) sum psi_i^2;
- one value, and differences of what has no closed form: the delete-one jackknife, variance (V - 1)
/ V sum (A_-i - mean)^2, on the logit scale; - many rows: Holm over all pairs, since the best row is
chosen by looking.

Sources: Efron and Tibshirani 1993, ch. 11; Holm 1979.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadbench.evaluation.metrics.frame import REPORTED_MACRO, Roc, convention_aucs, split_videos
from vadbench.evaluation.metrics.regions import Matches, Ties, false_positives, mean_area

Floats = NDArray[np.float64]
Key = tuple[str, str | None]  # metric, convention: the fields of a record's row
Videos = list[tuple[Floats, NDArray[np.bool_]]]  # (scores, labels) of each, from `split_videos`

LEVEL = 0.95
LEAST_VIDEOS = 3  # two videos move a value by one number with two signs: that has no spread
NOTHING_VARIES = "every video gives the same; there is no spread to estimate an error from"
ONE_CLASS = (
    f"too few videos with anomalies (frames, or regions) or with normal frames; {LEAST_VIDEOS} or"
    " more must have each"
)
OTHER_VIDEOS = "not over the same videos"
QUANTILE = "no interval holds for it (docs/protocol.md)"
WITHOUT = ("fpr_at_95_tpr",)  # a quantile, for which nothing holds
NEGLIGIBLE = 1e-12  # standard error of what does not vary but for rounding


@dataclass(frozen=True)
class Jackknife:
    """What each of the V videos that count does to a value.

    Attributes:
        influence: [V] how the value moves with the video's weight; sums to 0.
        left_out: [V] the value without the video; NaN where too few videos have one of the classes
            (or a region) to say anything.
    """

    influence: Floats
    left_out: Floats

    @classmethod
    def of_left_out(cls, left_out: Floats) -> Jackknife:
        """The jackknife of a metric that has no closed form: influence from the values without each
        video.
        """
        videos = max(len(left_out), 1)
        mean = left_out.mean() if len(left_out) else np.nan
        return cls((mean - left_out) * (videos - 1) / videos, left_out)

    @property
    def videos(self) -> int:
        """How many videos count."""
        return len(self.left_out)

    @property
    def reason(self) -> str | None:
        """Why nothing can be claimed, or None."""
        if self.videos < LEAST_VIDEOS:
            return f"too few videos ({self.videos}; {LEAST_VIDEOS} or more are needed)"
        return ONE_CLASS if np.isnan(self.left_out).any() else None


@dataclass(frozen=True)
class Estimate:
    """A value, the mean over S seeds, with what makes it uncertain.

    Attributes:
        value: a fraction.
        jackknife: the mean over seeds.
        training: s^2 / S, the variance of the mean over seeds; 0 for one seed, whose spread is not
            known.
        seeds: S.
    """

    value: float
    jackknife: Jackknife
    training: float = 0.0
    seeds: int = 1


@dataclass(frozen=True)
class Interval:
    """A 95 % interval over `videos` videos, or None with the `reason`."""

    low: float | None
    high: float | None
    videos: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Difference(Interval):
    """The interval of a paired difference, and `p`, of Student's t: that there is none."""

    p: float | None = None


def frame_jackknives(
    scores: ArrayLike, labels: ArrayLike, lengths: ArrayLike
) -> dict[Key, Jackknife]:
    """Micro AUC, macro AUCs, average precision and EER of frame scores; FPR at 95 % TPR has none.

    Args:
        scores: [T] frame scores of all videos, concatenated.
        labels: [T], 0 or 1.
        lengths: [V] frames per video.

    Returns:
        (metric, convention) -> its jackknife; of macro AUC, over the videos that count.

    Raises:
        BadInput: as `vadbench.evaluation.metrics.frame.frame_metrics`.

    >>> found = frame_jackknives([0.1, 0.9, 0.2, 0.4, 0.3, 0.8], [0, 1] * 3, [2, 2, 2])
    >>> found["micro_auc", None].videos
    3
    """
    videos = split_videos(scores, labels, lengths)
    found: dict[Key, Jackknife] = {("micro_auc", None): auc_jackknife(videos)}
    for convention in REPORTED_MACRO:
        found["macro_auc", convention] = mean_jackknife(convention_aucs(videos, convention))
    for metric, left_out in (("average_precision", precision_left_out), ("eer", eer_left_out)):
        found[metric, None] = Jackknife.of_left_out(left_out(videos))
    return found


def auc_jackknife(videos: Videos) -> Jackknife:
    """The jackknife of micro AUC: one sort of all frames and one of each video's."""
    scores, positive = (np.concatenate(parts) for parts in zip(*videos, strict=True))
    count = len(videos)
    video = np.repeat(np.arange(count), [len(part) for part, _ in videos])
    _, level = np.unique(scores, return_inverse=True)
    anomalous, normal = (
        np.bincount(level[which], minlength=level.max() + 1) for which in (positive, ~positive)
    )
    beaten = np.cumsum(normal) - normal / 2  # normal frames below a level, ties half
    beating = anomalous.sum() - np.cumsum(anomalous) + anomalous / 2
    wins = np.bincount(video[positive], beaten[level[positive]], count)  # sum_j U_ij
    losses = np.bincount(video[~positive], beating[level[~positive]], count)  # sum_j U_ji
    own = np.array([Roc.of(*one).wins for one in videos])  # U_ii
    p, n = (
        np.bincount(video[which], minlength=count).astype(float) for which in (positive, ~positive)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = p / p.sum() + n / n.sum()
        influence = (wins + losses - wins.sum() * share) / (p.sum() * n.sum())
        pairs = (p.sum() - p) * (n.sum() - n)
        left_out = (wins.sum() - wins - losses + own) / pairs
    return Jackknife(influence, _where_enough(left_out, (p > 0).sum(), (n > 0).sum()))


def mean_jackknife(values: Floats) -> Jackknife:
    """The jackknife of a mean over videos [V], NaN for those that do not count: the plain t."""
    counted = values[~np.isnan(values)]
    return Jackknife.of_left_out((counted.sum() - counted) / max(len(counted) - 1, 1))


def precision_left_out(videos: Videos) -> Floats:
    """[V] average precision without each video, from one sort; NaN where no anomalous or no normal
    frame is left.
    """
    scores, positive = (np.concatenate(parts) for parts in zip(*videos, strict=True))
    video = np.repeat(np.arange(len(videos)), [len(part) for part, _ in videos])
    _, level = np.unique(-scores, return_inverse=True)  # 0 = highest
    anomalous = np.bincount(level[positive], minlength=level.max() + 1)
    there = np.flatnonzero(anomalous)  # only levels with anomalous frames add to the sum
    tp, seen = np.cumsum(anomalous)[there], np.cumsum(np.bincount(level))[there]
    left_out = np.full(len(videos), np.nan)
    for left, starts in enumerate(
        np.split(np.argsort(video, kind="stable"), np.cumsum(np.bincount(video))[:-1])
    ):
        own = np.sort(level[starts])
        own_positive = np.sort(level[starts][positive[starts]])
        own_tp = np.searchsorted(own_positive, there, side="right")
        kept_tp, kept = tp - own_tp, seen - np.searchsorted(own, there, side="right")
        total = anomalous.sum() - len(own_positive)
        if 0 < total < len(scores) - len(own):
            left_out[left] = np.diff(kept_tp, prepend=0) @ (kept_tp / np.maximum(kept, 1)) / total
    return _where_enough(left_out, *_bearing(videos))


def eer_left_out(videos: Videos) -> Floats:
    """[V] EER without each video, from one sort and a search for the crossing; NaN for one
    class.
    """
    scores, positive = (np.concatenate(parts) for parts in zip(*videos, strict=True))
    ends = np.cumsum([len(part) for part, _ in videos])[:-1]
    _, level = np.unique(-scores, return_inverse=True)  # 0 = highest
    whole = [
        np.cumsum(np.bincount(level[which], minlength=level.max() + 1))
        for which in (positive, ~positive)
    ]
    found = np.full(len(videos), np.nan)
    for left, (levels, anomalous) in enumerate(
        zip(np.split(level, ends), np.split(positive, ends), strict=True)
    ):
        own = [np.sort(levels[which]) for which in (anomalous, ~anomalous)]
        totals = [counts[-1] - len(mine) for counts, mine in zip(whole, own, strict=True)]
        if min(totals) > 0:
            found[left] = _crossing(whole, own, totals)
    return _where_enough(found, *_bearing(videos))


def _bearing(videos: Videos) -> tuple[int, int]:
    """How many videos have an anomalous frame, and a normal one."""
    anomalous, normal = (
        sum(bool((positive == kind).any()) for _, positive in videos) for kind in (True, False)
    )
    return anomalous, normal


def _where_enough(left_out: Floats, *counts: int) -> Floats:
    """The values, NaN if fewer than the least number of videos bear what the metric is of."""
    return left_out if min(counts) >= LEAST_VIDEOS else np.full_like(left_out, np.nan)


def _crossing(whole: Sequence[Any], own: Sequence[Any], totals: Sequence[int]) -> float:
    """FPR where it equals 1 - TPR, of anomalous and normal counts by level, without a video's own
    levels.
    """

    def rates(level: int) -> list[float]:
        if level < 0:
            return [0.0, 0.0]
        without = [
            counts[level] - np.searchsorted(mine, level, side="right")
            for counts, mine in zip(whole, own, strict=True)
        ]
        return [count / total for count, total in zip(without, totals, strict=True)]

    after = bisect_left(range(len(whole[0])), True, key=lambda level: sum(rates(level)) >= 1)
    before, (tpr, fpr) = rates(after - 1), rates(after)
    part = (1 - sum(before)) / (tpr + fpr - sum(before))
    return before[1] + part * (fpr - before[1])


def region_jackknives(
    found: Matches, lengths: ArrayLike, ties: Ties = "average"
) -> dict[Key, Jackknife]:
    """RBDC and TBDC, from one matching.

    Args:
        found: from `vadbench.evaluation.metrics.regions.match`, called with the videos.
        lengths: [V] frames per video.
        ties: what `found` was matched with.

    Returns:
        ("rbdc", ties) and ("tbdc", ties) -> their jackknives.
    """
    frames = np.asarray(lengths, np.float64)
    left_out = np.empty((2, len(frames)))
    for left in range(len(frames)):
        weight = (np.arange(len(frames)) != left).astype(float)
        before, tied = false_positives(found, weight)
        items = (found.region_rank, found.region_video), (found.track_rank, found.track_video)
        for row, (rank, video) in enumerate(items):
            total = float(weight @ frames)  # 0 without the only video
            left_out[row, left] = (
                mean_area(rank, before, tied, total, weight[video]) if total else np.nan
            )
    left_out = _where_enough(left_out, len(np.unique(found.region_video)))
    metrics = zip(("rbdc", "tbdc"), left_out, strict=True)
    return {(metric, ties): Jackknife.of_left_out(values) for metric, values in metrics}


def combine(values: Sequence[float], jackknives: Sequence[Jackknife]) -> Estimate:
    """The mean of a metric over seeds: `values` [S] and their jackknives, all over the same
    videos.
    """
    spread = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), average(jackknives), spread, len(values))


def average(jackknives: Sequence[Jackknife]) -> Jackknife:
    """The mean over seeds of what each video does."""
    influence = np.mean([one.influence for one in jackknives], axis=0)
    return Jackknife(influence, np.mean([one.left_out for one in jackknives], axis=0))


def interval(estimate: Estimate, level: float = LEVEL) -> Interval:
    """The interval of one value: delete-one jackknife and Student's t on the logit scale.

    None where the value is 0 or 1, no video changes it, or too few videos count. Near 1 it covers
    less than it says: what is missing is the rare hard video that the sample does not have.
    """
    jackknife, value = estimate.jackknife, estimate.value
    if jackknife.reason is not None:
        return Interval(None, None, jackknife.videos, jackknife.reason)
    deviations = jackknife.left_out - jackknife.left_out.mean()
    sampling = (jackknife.videos - 1) / jackknife.videos * float(deviations @ deviations)
    if sampling <= NEGLIGIBLE**2 or not 0 < value < 1:
        return Interval(None, None, jackknife.videos, NOTHING_VARIES)
    from scipy.special import expit, logit

    variances, freedoms = (
        (sampling, estimate.training),
        (jackknife.videos - 1, max(estimate.seeds - 1, 1)),
    )
    error, freedom = _pool(variances, freedoms)
    reach = _quantile(freedom, level) * error / (value * (1 - value))
    low, high = (float(expit(logit(value) + sign * reach)) for sign in (-1, 1))
    return Interval(low, high, jackknife.videos)


def difference(first: Estimate, second: Estimate, level: float = LEVEL) -> Difference:
    """The paired difference `first - second` on the same videos: its interval and p-value.

    None where too few videos count, or where the two differ by the same in every video.
    """
    videos = first.jackknife.videos
    if videos != second.jackknife.videos:
        return Difference(None, None, None, OTHER_VIDEOS)
    reason = first.jackknife.reason or second.jackknife.reason
    if reason is not None:
        return Difference(None, None, videos, reason)
    (value,), (error,), (freedom,), (p,) = _differences(first, _stack([second]))
    if np.isnan(p):
        return Difference(None, None, videos, NOTHING_VARIES)
    reach = _quantile(freedom, level) * error
    return Difference(float(value - reach), float(value + reach), videos, p=float(p))


def pairwise(estimates: Sequence[Estimate | None]) -> Floats:
    """[M, M] p-values of all paired differences of M rows, corrected together by Holm's method.

    All M (M - 1) / 2 pairs count, since which row is best was found by looking at them. NaN where a
    pair cannot be tested (a row without an estimate, too few videos), and on the diagonal.
    """
    rows = len(estimates)
    table = np.full((rows, rows), np.nan)
    alike: dict[int, dict[int, Estimate]] = {}  # number of videos -> row -> its estimate
    for row, one in enumerate(estimates):
        if one is not None and one.jackknife.reason is None:
            alike.setdefault(one.jackknife.videos, {})[row] = one
    for same in alike.values():
        places, stack = np.array(list(same)), _stack(list(same.values()))
        for place, (row, first) in enumerate(same.items(), 1):
            table[row, places[place:]] = _differences(first, stack[place:])[3]
    above = np.triu_indices(rows, 1)
    table[above] = holm(table[above])
    return np.where(np.isnan(table), table.T, table)


def holm(p: ArrayLike) -> Floats:
    """[K] p-values corrected for K claims (Holm 1979); NaN, not tested, counts as a claim.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values)  # NaN last
    steps = np.arange(len(values), 0, -1)
    raised = np.minimum(np.maximum.accumulate(steps * values[order]), 1.0)
    corrected = np.empty_like(values)
    corrected[order] = raised
    return corrected


@dataclass(frozen=True)
class _Stack:
    """Estimates over the same videos as arrays [K], influence [K, V]."""

    value: Floats
    influence: Floats
    training: Floats
    seeds: NDArray[np.int64]

    def __getitem__(self, rows: slice) -> _Stack:
        return _Stack(self.value[rows], self.influence[rows], self.training[rows], self.seeds[rows])


def _stack(estimates: Sequence[Estimate]) -> _Stack:
    value, training, seeds = zip(
        *((one.value, one.training, one.seeds) for one in estimates), strict=True
    )
    influence = np.stack([one.jackknife.influence for one in estimates])
    return _Stack(np.array(value), influence, np.array(training), np.array(seeds))


def _differences(first: Estimate, others: _Stack) -> tuple[Floats, Floats, Floats, Floats]:
    """Values, standard errors, degrees of freedom and p-values [K] of `first` minus each of the
    others.

    The p-value is NaN where the two differ by the same in every video, and 1 where they do not
    differ.
    """
    from scipy.special import stdtr

    videos = first.jackknife.videos
    values = first.value - others.value
    sampling = (
        videos / (videos - 1) * np.square(first.jackknife.influence - others.influence).sum(1)
    )
    still = sampling <= NEGLIGIBLE**2
    variances = [np.where(still, 1.0, sampling), first.training, others.training]
    freedoms = [videos - 1, max(first.seeds - 1, 1), np.maximum(others.seeds - 1, 1)]
    error, freedom = _pool(variances, freedoms)
    p = 2 * stdtr(freedom, -np.abs(values) / error)
    p = np.where(still, np.where(np.abs(values) <= NEGLIGIBLE, 1.0, np.nan), p)
    return values, np.where(still, 0.0, error), freedom, p


def _pool(variances: Sequence[Any], freedoms: Sequence[Any]) -> tuple[Any, Any]:
    """The standard error of a sum of variances, and Satterthwaite's degrees of freedom of it."""
    total = sum(variances)
    shares = sum(
        np.square(variance) / freedom for variance, freedom in zip(variances, freedoms, strict=True)
    )
    return np.sqrt(total), np.square(total) / shares


def _quantile(freedom: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))
