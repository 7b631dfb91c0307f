"""RBDC and TBDC: region-based and track-based detection criteria (Ramachandra and Jones, WACV
2020), in closed form.

At a threshold, RBDR is the part of ground-truth regions that a detection overlaps (IoU >= beta),
TBDR the part of tracks of which at least alpha of the regions are detected, FPR the detections that
overlap no region, a frame. RBDC and TBDC are the areas under RBDR and TBDR over FPR in [0, 1].
Which detection hits what is independent of the threshold, so each region and each track adds 1 -
(false positives ranked before its decisive hit) / frames on its own: one sort, no threshold loop.
Source: Ramachandra and Jones, Street Scene (WACV 2020), for the criteria; the conventions are those
of the code that papers report with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.files.box_arrays import (
    BoxTable,
    read_boxes,
    read_scores,
    track_codes,
    video_codes,
)

Ties = Literal["average", "order"]
Integers = NDArray[np.int64]
PAIRS_AT_ONCE = 1 << 21  # bounds the memory of overlaps
CROWD = 1000  # boxes in one frame, on both sides, above which those that are the same are joined


@dataclass(frozen=True)
class Curves:
    """Rates at falling thresholds [K+1] float64, from (0, 0): one point a distinct score
    (`average`) or a detection (`order`).

    `fpr` counts false positives a frame and may end below or above 1; areas hold the last rate up
    to 1 and stop there.
    """

    fpr: NDArray[np.float64]
    rbdr: NDArray[np.float64]
    tbdr: NDArray[np.float64]


@dataclass(frozen=True)
class RegionMetrics:
    """RBDC and TBDC with what they were computed from.

    Attributes:
        rbdc, tbdc: areas in [0, 1]; NaN without ground truth, then with a reason.
        rbdc_bracket, tbdc_bracket: (lowest, highest) value that an order of equal scores can give:
            false positives first, or last.
        regions, tracks, detections, false_positives, n_frames: counts.
        alpha, beta, ties: the protocol.
        reason: why values are undefined, or None.
        curves: on demand.
    """

    rbdc: float
    tbdc: float
    rbdc_bracket: tuple[float, float]
    tbdc_bracket: tuple[float, float]
    regions: int
    tracks: int
    detections: int
    false_positives: int
    n_frames: int
    alpha: float
    beta: float
    ties: Ties
    reason: str | None = None
    curves: Curves | None = None

    def summary(self) -> dict[str, Any]:
        """JSON-ready: every field but the curves, undefined numbers as None."""
        kept = asdict(replace(self, curves=None))
        del kept["curves"]
        if self.reason is not None:
            kept |= dict.fromkeys(("rbdc", "tbdc", "rbdc_bracket", "tbdc_bracket"))
        return kept

    def rows(self) -> list[dict[str, Any]]:
        """Rows for a record, as `frame_metrics` gives; `n` counts regions or tracks."""
        values = (("rbdc", self.rbdc, self.regions), ("tbdc", self.tbdc, self.tracks))
        return [
            {
                "metric": metric,
                "convention": self.ties,
                "video": None,
                "value": None if self.reason else value,
                "n": n,
                "reason": self.reason,
            }
            for metric, value, n in values
        ]


@dataclass(frozen=True)
class Matches:
    """What every threshold shares: at which rank a region or track is first detected, and the ranks
    of false positives.

    A rank counts distinct scores from the highest (`average`) or single detections (`order`);
    `ranks` stands for never detected.

    Attributes:
        region_rank, region_video: [G] rank of the best hit; video code.
        track_rank, track_video: [T] rank of the hit that brings the track to alpha; video code.
        false_rank, false_video: [N] ranks of false positives; video code.
        ranks: number of ranks.
    """

    region_rank: Integers
    region_video: Integers
    track_rank: Integers
    track_video: Integers
    false_rank: Integers
    false_video: Integers
    ranks: int


def region_metrics(
    detections: Mapping[str, Any],
    ground_truth: Mapping[str, Any],
    n_frames: int | Mapping[Any, int],
    alpha: float = 0.1,
    beta: float = 0.1,
    ties: Ties = "average",
    *,
    curves: bool = False,
) -> RegionMetrics:
    """RBDC and TBDC of scored boxes.

    Args:
        detections: columns video, frame, x0, y0, x1, y1, score (a data frame or a mapping of
            arrays); higher = more anomalous.
        ground_truth: columns video, track, frame, x0, y0, x1, y1; a track belongs to its video.
            Pixels are inclusive: a box from 3 to 3 is one pixel wide. Frames are numbered from 0 in
            both.
        n_frames: frames of ALL test videos, those without anomalies included; or video -> frames,
            which also checks every row's frame.
        alpha: part of a track's regions that has to be detected, in (0, 1].
        beta: least IoU of a detection with a region, in (0, 1].
        ties: `average` joins equal scores to one operating point; `order` takes them in the order
            of the rows, as the published script does.
        curves: whether to return the two curves.

    Raises:
        BadInput: on missing columns, NaN scores, boxes that are not finite or inverted, a track
            with two boxes in a frame, rows outside the videos, or alpha, beta, ties or n_frames
            outside their range.

    >>> box = {"video": ["a"], "frame": [0], "x0": [0], "y0": [0], "x1": [9], "y1": [9]}
    >>> metrics = region_metrics(box | {"score": [0.9]}, box | {"track": [1]}, n_frames=2)
    >>> metrics.rbdc, metrics.tbdc
    (1.0, 1.0)
    """
    frames = _frame_count(n_frames)
    videos = n_frames if isinstance(n_frames, Mapping) else None
    boxes, scores = read_boxes(detections, "detections"), read_scores(detections)
    truth = read_boxes(ground_truth, "ground_truth")
    if videos is None:  # otherwise `match` checks each video's
        boxes.require_total(frames)
        truth.require_total(frames)
    found = match(boxes, scores, truth, alpha, beta, ties, videos)
    counts = {
        "regions": len(found.region_rank),
        "tracks": len(found.track_rank),
        "detections": len(scores),
    }
    shared = {
        **counts,
        "false_positives": len(found.false_rank),
        "n_frames": frames,
        "alpha": alpha,
        "beta": beta,
        "ties": ties,
    }
    before, tied = false_positives(found)
    joined = (
        found if ties == "average" else match(boxes, scores, truth, alpha, beta, "average", videos)
    )
    reason = None if counts["regions"] else "no ground-truth region"
    drawn = _curves(found, before, tied, frames) if curves and not reason else None
    values = (
        mean_area(found.region_rank, before, tied, frames),
        mean_area(found.track_rank, before, tied, frames),
    )
    tie = (before, tied) if joined is found else false_positives(joined)
    brackets = (
        _bracket(joined.region_rank, *tie, frames),
        _bracket(joined.track_rank, *tie, frames),
    )
    return RegionMetrics(*values, *brackets, **shared, reason=reason, curves=drawn)  # type: ignore[arg-type]


def match(
    boxes: BoxTable,
    scores: NDArray[np.float64],
    truth: BoxTable,
    alpha: float = 0.1,
    beta: float = 0.1,
    ties: Ties = "average",
    videos: Mapping[Any, int] | None = None,
) -> Matches:
    """Ranks at which regions and tracks are detected; they do not depend on the number of frames,
    nor on which videos are left out.

    Args:
        boxes: [D] detections, from `read_boxes`.
        scores: [D], from `read_scores`.
        truth: [G] ground-truth regions, from `read_boxes`.
        alpha: as `region_metrics`.
        beta: as `region_metrics`.
        ties: as `region_metrics`.
        videos: video -> frames in the order of the codes; if None, codes follow the order of
            appearance.

    Raises:
        BadInput: as `region_metrics`.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value <= 1:
            raise BadInput(
                f"{name}: {value}; expected 0 < {name} <= 1 (0.1 is the published protocol)"
            )
    if ties not in ("average", "order"):
        raise BadInput(f"ties: {ties!r} is unknown; choose one of average, order")
    box_video, truth_video = video_codes([boxes, truth], None if videos is None else list(videos))
    if videos is not None:
        lengths = np.array(list(videos.values()), np.int64)
        boxes.require_frames_below(lengths[box_video])
        truth.require_frames_below(lengths[truth_video])
    track, track_video = track_codes(truth, truth_video)
    rank, ranks = _ranks(scores, ties)
    region_rank, hit = _hits(boxes, box_video, truth, truth_video, rank, ranks, beta)
    track_rank = _track_ranks(region_rank, track, alpha)
    return Matches(
        region_rank, truth_video, track_rank, track_video, rank[~hit], box_video[~hit], ranks
    )


def false_positives(
    found: Matches, weights: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[ranks + 1] float64: false positives ranked before each rank, and those tied with it;
    `weights` [V] counts each video that often.
    """
    weight = None if weights is None else weights[found.false_video]
    tied = np.bincount(found.false_rank, weight, minlength=found.ranks + 1).astype(np.float64)
    before = np.cumsum(tied)
    before -= tied
    return before, tied


def areas(
    before: NDArray[np.float64], tied: NDArray[np.float64], frames: float
) -> NDArray[np.float64]:
    """The area that an item adds whose decisive hit has `before` false positives ranked before it
    and `tied` tied with it.

    Between two operating points the curve is a straight line, cut at FPR = 1: 1 - (A + B/2)/F, or
    (F - A)^2 / (2BF) where it is cut.
    """
    cut = np.square(frames - before) / (2 * np.maximum(tied, 1) * frames)
    inside = 1 - (before + tied / 2) / frames
    return np.where(before >= frames, 0.0, np.where(before + tied <= frames, inside, cut))


def mean_area(
    rank: Integers,
    before: NDArray[np.float64],
    tied: NDArray[np.float64],
    frames: float,
    weight: NDArray[Any] | None = None,
) -> float:
    """RBDC or TBDC: the mean area of items [K] with the given ranks, `weight` [K] counting each
    that often; NaN without items.

    `before` and `tied` [ranks + 1] are those of `false_positives`; an item that is never detected
    has the last rank and adds 0.
    """
    gained = areas(before[rank], tied[rank], frames) * (rank < len(tied) - 1)
    total = len(rank) if weight is None else weight.sum()
    # sorted: no matter the rows' order
    return (
        float(np.sort(gained if weight is None else gained * weight).sum() / total)
        if total
        else np.nan
    )


def _bracket(
    rank: Integers, before: NDArray[np.float64], tied: NDArray[np.float64], frames: int
) -> tuple[float, float]:
    """The mean area if of equal scores all false positives come first, and if they come last."""
    none = np.zeros_like(tied)
    return mean_area(rank, before + tied, none, frames), mean_area(rank, before, none, frames)


def _curves(
    found: Matches, before: NDArray[np.float64], tied: NDArray[np.float64], frames: int
) -> Curves:
    def rate(rank: Integers) -> NDArray[np.float64]:
        return np.append(
            0.0, np.cumsum(np.bincount(rank, minlength=found.ranks + 1)[: found.ranks]) / len(rank)
        )

    fpr = np.append(0.0, (before + tied)[: found.ranks] / frames)
    return Curves(fpr, rate(found.region_rank), rate(found.track_rank))


def _ranks(scores: NDArray[np.float64], ties: Ties) -> tuple[Integers, int]:
    """[D] rank of each detection, 0 = highest score, and how many ranks there are."""
    if not len(scores):
        return np.zeros(0, np.int64), 0
    order = np.argsort(-scores, kind="stable" if ties == "order" else None)
    place = np.arange(len(scores))
    if ties == "average":
        descending = scores[order]
        place[1:] = np.cumsum(descending[1:] != descending[:-1])
    rank = np.empty(len(scores), np.int64)
    rank[order] = place
    return rank, int(place[-1]) + 1


def _hits(
    boxes: BoxTable,
    box_video: Integers,
    truth: BoxTable,
    truth_video: Integers,
    rank: Integers,
    ranks: int,
    beta: float,
    joined: bool = False,
) -> tuple[Integers, NDArray[np.bool_]]:
    """[G] rank of each region's best hit (`ranks` if none), and [D] whether a detection hits any
    region; `joined` where no two boxes of a frame are the same.
    """
    if not joined and min(_crowd(boxes, box_video), _crowd(truth, truth_video)) > CROWD:
        return _hits_of_crowds(boxes, box_video, truth, truth_video, rank, ranks, beta)
    region_rank = np.full(len(truth.frame), ranks, np.int64)
    hit = np.zeros(len(rank), bool)
    for detection, region in _pairs(boxes, box_video, truth, truth_video):
        overlap = _iou(boxes, detection, truth, region) >= beta
        detection, region = detection[overlap], region[overlap]
        hit[detection] = True
        np.minimum.at(region_rank, region, rank[detection])
    return region_rank, hit


def _crowd(table: BoxTable, video: Integers) -> int:
    """The most boxes in one frame."""
    if not len(video):
        return 0
    order = np.lexsort((table.frame, video))
    changes = (np.diff(table.frame[order]) != 0) | (np.diff(video[order]) != 0)
    starts = np.flatnonzero(np.concatenate([[True], changes, [True]]))
    return int(np.diff(starts).max())


def _hits_of_crowds(
    boxes: BoxTable,
    box_video: Integers,
    truth: BoxTable,
    truth_video: Integers,
    rank: Integers,
    ranks: int,
    beta: float,
) -> tuple[Integers, NDArray[np.bool_]]:
    """As `_hits`, by the different boxes alone: thousands in a frame are mostly the same few."""
    first, of = _distinct(boxes, box_video)
    first_region, region_of = _distinct(truth, truth_video)
    best = np.full(len(first), ranks, np.int64)
    np.minimum.at(best, of, rank)
    region_rank, hit = _hits(
        _rows(boxes, first),
        box_video[first],
        _rows(truth, first_region),
        truth_video[first_region],
        best,
        ranks,
        beta,
        joined=True,
    )
    return region_rank[region_of], hit[of]


def _distinct(table: BoxTable, video: Integers) -> tuple[Integers, Integers]:
    """[K] a row of each different box of a frame, and [N] which of these each row is."""
    columns = (video, table.frame, table.x0, table.y0, table.x1, table.y1)
    rows = np.stack([np.asarray(column, np.float64) for column in columns], 1)
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first, of.ravel()


def _rows(table: BoxTable, rows: Integers) -> BoxTable:
    corners = (corner[rows] for corner in (table.x0, table.y0, table.x1, table.y1))
    return BoxTable(table.name, table.video[rows], table.frame[rows], *corners)


def _pairs(
    boxes: BoxTable, box_video: Integers, truth: BoxTable, truth_video: Integers
) -> Iterator[tuple[Integers, Integers]]:
    """Every detection with every region of its frame that it may overlap, as indices [P] of both,
    some `PAIRS_AT_ONCE` at a time.
    """
    if not len(truth.frame) or not len(boxes.frame):
        return
    # the frames with regions, numbered without gaps however high they are
    known, nth = np.unique(truth.frame, return_inverse=True)
    region_frame = truth_video * len(known) + nth
    at = np.minimum(np.searchsorted(known, boxes.frame), len(known) - 1)
    detections = np.flatnonzero(known[at] == boxes.frame)
    box_frame = (box_video * len(known) + at)[detections]

    # regions by frame and, in a frame, from left to right; a region's key says both
    by_x = np.argsort(truth.x0, kind="stable")
    left = np.empty(len(by_x), np.int64)
    left[by_x] = np.arange(len(by_x))
    key = region_frame * (len(by_x) + 1) + left
    regions = np.argsort(key)
    key = key[regions]

    # of the regions of a detection's frame those that begin where they may overlap it
    widest = float((truth.x1 - truth.x0).max())
    x0, x1 = boxes.x0[detections], boxes.x1[detections]
    lowest = x0 - widest - 2 - 1e-12 * (np.abs(x0) + widest)  # rounding widens it
    ends = (np.searchsorted(truth.x0[by_x], x) for x in (lowest, np.nextafter(x1 + 2, np.inf)))
    start, stop = (np.searchsorted(key, box_frame * (len(by_x) + 1) + end) for end in ends)
    met = stop > start
    detections, start, partners = detections[met], start[met], (stop - start)[met]

    cuts = np.arange(PAIRS_AT_ONCE, partners.sum(), PAIRS_AT_ONCE)
    for block in np.split(np.arange(len(detections)), np.searchsorted(np.cumsum(partners), cuts)):
        many = partners[block]
        # of a frame's regions the first, the second, ... for each detection
        which = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        detection = np.repeat(detections[block], many)
        region = regions[np.repeat(start[block], many) + which]
        near = (truth.y0[region] <= boxes.y1[detection] + 2) & (
            truth.y1[region] >= boxes.y0[detection] - 2
        )
        yield detection[near], region[near]


def _iou(boxes: BoxTable, i: Integers, truth: BoxTable, j: Integers) -> NDArray[np.float64]:
    """[P] intersection over union of inclusive-pixel boxes, pair by pair."""
    x0, y0, x1, y1 = boxes.x0[i], boxes.y0[i], boxes.x1[i], boxes.y1[i]
    u0, v0, u1, v1 = truth.x0[j], truth.y0[j], truth.x1[j], truth.y1[j]
    width = np.maximum(np.minimum(x1, u1) - np.maximum(x0, u0) + 1, 0)
    height = np.maximum(np.minimum(y1, v1) - np.maximum(y0, v0) + 1, 0)
    intersection = width * height
    union = (x1 - x0 + 1) * (y1 - y0 + 1) + (u1 - u0 + 1) * (v1 - v0 + 1) - intersection
    return np.asarray(intersection / union)


def _track_ranks(region_rank: Integers, track: Integers, alpha: float) -> Integers:
    """[T] rank of the k-th best hit in each track, k the least with k / length >= alpha."""
    length = np.bincount(track)
    needed = np.maximum(np.floor(alpha * length).astype(np.int64) - 1, 1)
    # by division, as the published protocol; two rounds at most
    while np.any(short := needed / length < alpha):
        needed += short
    order = np.lexsort((region_rank, track))
    decisive: Integers = region_rank[order][np.cumsum(length) - length + needed - 1]
    return decisive


def _frame_count(n_frames: int | Mapping[Any, int]) -> int:
    total = sum(n_frames.values()) if isinstance(n_frames, Mapping) else n_frames
    if int(total) != total or total < 1:
        raise BadInput(
            f"n_frames: {total}; expected the number of frames of all test videos, normal ones"
            " included"
        )
    return int(total)
