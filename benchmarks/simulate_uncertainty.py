"""How often the claims of vadbench.evaluation.metrics.uncertainty are wrong, by simulation.

    python benchmarks/simulate_uncertainty.py [--quick] [--out FILE] [--results DIR]

Three questions, each for several numbers of test videos: how often two methods without a difference
are told apart, how often a 95 % interval covers the truth, and how often a table of 11 equal
methods calls one of them worse than the best. `percentile` is the bootstrap over videos that we had
before. Methods are made (simulated_clips.py), or are two seeds of one method of ours whose stored
scores are drawn again video by video and swapped at random, so that nothing but chance tells them
apart. The answers go to benchmarks/uncertainty.csv, and from there into docs/protocol.md (python
docs/make_protocol.py). The full run takes about a quarter of an hour on one core; --quick, a
minute. Seeds are fixed: the same numbers every time.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from simulated_clips import Clips, make_clips, make_regions, read_stored, swapped

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.frame import Roc
from vadbench.evaluation.metrics.regions import false_positives, mean_area
from vadbench.evaluation.metrics.uncertainty import (
    Estimate,
    Jackknife,
    auc_jackknife,
    combine,
    difference,
    eer_left_out,
    interval,
    mean_jackknife,
    pairwise,
    precision_left_out,
    region_jackknives,
)

OUT = Path(__file__).with_name("uncertainty.csv")
HEADER = ("question", "case", "videos", "method", "percent", "repetitions")
VIDEOS = (2, 3, 5, 8, 12, 20, 50, 107)
STORED = {"ped2": (3, 5, 8, 12, 20), "shanghaitech": (5, 12, 50, 107)}
RESAMPLES = 500
METHODS = 11  # of a table
EQUAL, OTHER = "equal in law", "other noise"
Floats = NDArray[np.float64]
Answer = tuple[str, str, int, str, float, int]


def repetitions(videos: int, quick: bool, full: int = 800) -> int:
    """How often a case is drawn: less often where it costs more."""
    share = 1.0 if videos <= 20 else 0.4 if videos <= 50 else 0.2
    return max(int(full * share) // (50 if quick else 1), 10)


def pair_wins(clips: Clips) -> Floats:
    """[V, V] pairs that anomalous frames of one video win against normal frames of another."""
    normal = [np.sort(scores[~positive]) for scores, positive in clips]
    wins = np.zeros((len(clips), len(clips)))
    for row, (scores, positive) in enumerate(clips):
        for column, below in enumerate(normal):
            places = (np.searchsorted(below, scores[positive], side) for side in ("left", "right"))
            wins[row, column] = sum(place.sum() for place in places) / 2
    return wins


def drawn_micro(clips: Clips, counts: Floats) -> Floats:
    """[R] micro AUC of every resample."""
    p, n = (
        counts @ [float((positive == label).sum()) for _, positive in clips] for label in (1, 0)
    )
    wins = ((counts @ pair_wins(clips)) * counts).sum(1)
    return np.where(p * n > 0, wins / np.maximum(p * n, 1), np.nan)


def drawn_macro(clips: Clips, counts: Floats) -> Floats:
    """[R] macro AUC (skip) of every resample."""
    aucs = video_aucs(clips)
    known = ~np.isnan(aucs)
    return counts @ np.where(known, aucs, 0) / np.where(counts @ known > 0, counts @ known, np.nan)


def percentile(values: Floats) -> tuple[float, float]:
    """The middle 95 % of the resampled values; NaN where none is known."""
    if np.isnan(values).all():
        return np.nan, np.nan
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def video_aucs(clips: Clips) -> Floats:
    """[V] AUC of each video, NaN for one class."""
    return np.array([Roc.of(*clip).auc for clip in clips])


def mean_of(values: Floats) -> float:
    """The mean of the known values, NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def whole(clips: Clips, metric: str) -> float:
    """A metric of all frames."""
    scores, positive = (np.concatenate(parts) for parts in zip(*clips, strict=True))
    return float(getattr(Roc.of(scores, positive), metric))


def micro(clips: Clips) -> Estimate:
    """Micro AUC with its jackknife."""
    return combine([whole(clips, "auc")], [auc_jackknife(clips)])


def macro(clips: Clips) -> Estimate:
    """Macro AUC (skip) with its jackknife."""
    aucs = video_aucs(clips)
    return combine([mean_of(aucs)], [mean_jackknife(aucs)])


def precision(clips: Clips) -> Estimate:
    """Average precision with its jackknife."""
    left_out = Jackknife.of_left_out(precision_left_out(clips))
    return combine([whole(clips, "average_precision")], [left_out])


def error_rate(clips: Clips) -> Estimate:
    """EER with its jackknife."""
    return combine([whole(clips, "eer")], [Jackknife.of_left_out(eer_left_out(clips))])


def false_alarms(clips: Clips) -> Estimate:
    """FPR at 95 % TPR with a delete-one jackknife, which we do not use."""
    return combine(
        [whole(clips, "fpr_at_95_tpr")], [Jackknife.of_left_out(false_alarms_left_out(clips))]
    )


def false_alarms_left_out(clips: Clips) -> Floats:
    """[V] FPR at 95 % TPR without each video, from one sort."""
    scores, positive = (np.concatenate(parts) for parts in zip(*clips, strict=True))
    order = np.argsort(-scores)
    scores, positive = scores[order], positive[order]
    video = np.repeat(np.arange(len(clips)), [len(part) for part, _ in clips])[order]
    found = np.empty(len(clips))
    for left in range(len(clips)):
        kept = video != left
        ends = np.append(np.flatnonzero(np.diff(scores[kept])), kept.sum() - 1)
        tp = np.append(0, np.cumsum(positive[kept])[ends])
        found[left] = Roc(tp, np.append(0, ends + 1) - tp).fpr_at_95_tpr
    return found


FRAME_METRICS: dict[str, Callable[[Clips], Estimate]] = {
    "micro AUC": micro,
    "macro AUC (skip)": macro,
    "AP": precision,
    "EER": error_rate,
    "FPR at 95 % TPR": false_alarms,
}
DRAWN = {"micro AUC": drawn_micro, "macro AUC (skip)": drawn_macro}


def told_apart(first: Estimate, second: Estimate) -> bool:
    """Whether the paired difference is significant."""
    p = difference(first, second).p
    return p is not None and p < 0.05


def excludes_zero(ends: tuple[float, float]) -> bool:
    """Whether an interval of a difference is a claim."""
    return ends[0] > 0 or ends[1] < 0


def plain(estimate: Estimate) -> tuple[float, float]:
    """The delete-one jackknife's interval without the logit scale."""
    left_out = estimate.jackknife.left_out
    videos = len(left_out)
    error = np.sqrt((videos - 1) / videos * np.square(left_out - left_out.mean()).sum())
    reach = stdtrit(videos - 1, 0.975) * error
    return estimate.value - reach, estimate.value + reach


def counts_of(rng: np.random.Generator, videos: int) -> Floats:
    """[R, V] how often a bootstrap draws each video."""
    return rng.multinomial(videos, np.full(videos, 1 / videos), size=RESAMPLES).astype(float)


def false_claims(
    draw: Callable[[np.random.Generator, int], tuple[Clips, Clips]],
    case: str,
    videos: int,
    times: int,
) -> Iterator[Answer]:
    """How often two methods without a difference are told apart, in percent.

    With other noise only the AUCs are equal in the mean, and AP, EER and FPR are left out.
    """
    metrics = DRAWN if case == OTHER else FRAME_METRICS
    rng = np.random.default_rng(videos)
    claims: dict[str, list[bool]] = {}
    for _ in range(times):
        pair = draw(rng, videos)
        counts = counts_of(rng, videos)
        for metric, drawn in DRAWN.items():
            first, second = (drawn(clips, counts) for clips in pair)
            told = not np.isnan(first).all() and excludes_zero(percentile(first - second))
            claims.setdefault(f"{metric}, percentile", []).append(told)
        for metric in metrics:
            first, second = (FRAME_METRICS[metric](clips) for clips in pair)
            claims.setdefault(f"{metric}, jackknife t", []).append(told_apart(first, second))
    for method, told in claims.items():
        yield "false claims", case, videos, method, 100 * float(np.mean(told)), times


def seeded_false_claims(videos: int, times: int, seeds: int = 3) -> Iterator[Answer]:
    """How often two methods are told apart whose trainings differ from seed to seed, and not by
    method.
    """
    rng = np.random.default_rng(videos)
    claims: dict[str, list[bool]] = {"over videos alone": [], "videos and seeds": []}
    for _ in range(times):
        trained = [
            micro(clips) for clips in make_clips(rng, videos, 2 * seeds, 0.81, training=0.15)
        ]
        pair = [over_seeds(trained[:seeds]), over_seeds(trained[seeds:])]
        claims["videos and seeds"].append(told_apart(*pair))
        claims["over videos alone"].append(
            told_apart(*(replace(one, training=0.0) for one in pair))
        )
    for name, told in claims.items():
        method, percent = f"micro AUC, jackknife t, {name}", 100 * float(np.mean(told))
        yield "seeds", f"{seeds} seeds each", videos, method, percent, times


def over_seeds(estimates: list[Estimate]) -> Estimate:
    """One estimate of several seeds."""
    return combine([one.value for one in estimates], [one.jackknife for one in estimates])


def region_false_claims(videos: int, times: int) -> Iterator[Answer]:
    """The same of RBDC and TBDC."""
    rng = np.random.default_rng(videos)
    claims: dict[str, list[bool]] = {"RBDC": [], "TBDC": []}
    for _ in range(times):
        pair = [region_estimates(*one) for one in make_regions(rng, videos, 2)]
        for metric in claims:
            claims[metric].append(told_apart(pair[0][metric], pair[1][metric]))
    for metric, told in claims.items():
        percent = 100 * float(np.mean(told))
        yield "false claims", EQUAL, videos, f"{metric}, jackknife t", percent, times


def region_estimates(found: object, lengths: list[int]) -> dict[str, Estimate]:
    """RBDC and TBDC with their jackknives."""
    before, tied = false_positives(found)
    total = float(sum(lengths))
    ranks = {"RBDC": found.region_rank, "TBDC": found.track_rank}
    jackknives = region_jackknives(found, lengths)
    return {
        metric: combine(
            [mean_area(rank, before, tied, total)], [jackknives[metric.lower(), "average"]]
        )
        for metric, rank in ranks.items()
    }


def coverage(auc: float, videos: int, times: int) -> Iterator[Answer]:
    """How often a 95 % interval of one value holds that of the population, in percent of those
    given.
    """
    big = make_clips(np.random.default_rng(1), 4000, 1, auc)[0]
    truths = {metric: truth(big, metric) for metric in FRAME_METRICS}
    rng = np.random.default_rng(videos)
    held: dict[str, list[bool]] = {}

    def note(name: str, ends: tuple[float, float], value: float) -> None:
        held.setdefault(name, []).append(ends[0] <= value <= ends[1])

    for _ in range(times):
        (clips,) = make_clips(rng, videos, 1, auc)
        counts = counts_of(rng, videos)
        for metric, drawn in DRAWN.items():
            note(f"{metric}, percentile", percentile(drawn(clips, counts)), truths[metric])
        for metric, measure in FRAME_METRICS.items():
            estimate = measure(clips)
            found = interval(estimate)
            if found.low is not None and found.high is not None:
                note(f"{metric}, jackknife t, logit", (found.low, found.high), truths[metric])
                note(f"{metric}, jackknife t", plain(estimate), truths[metric])
    for method, holds in held.items():
        yield "coverage", f"AUC {auc:g}", videos, method, 100 * float(np.mean(holds)), len(holds)


def truth(clips: Clips, metric: str) -> float:
    """The population's value, of very many videos."""
    if metric == "macro AUC (skip)":
        return mean_of(video_aucs(clips))
    names = {
        "micro AUC": "auc",
        "AP": "average_precision",
        "EER": "eer",
        "FPR at 95 % TPR": "fpr_at_95_tpr",
    }
    return whole(clips, names[metric])


def region_coverage(videos: int, times: int) -> Iterator[Answer]:
    """The same of RBDC and TBDC."""
    (big,) = make_regions(np.random.default_rng(1), 1000, 1)
    truths = {metric: one.value for metric, one in region_estimates(*big).items()}
    rng = np.random.default_rng(videos)
    held: dict[str, list[bool]] = {"RBDC": [], "TBDC": []}
    for _ in range(times):
        (one,) = make_regions(rng, videos, 1)
        for metric, estimate in region_estimates(*one).items():
            found = interval(estimate)
            if found.low is not None and found.high is not None:
                held[metric].append(found.low <= truths[metric] <= found.high)
    for metric, holds in held.items():
        name, percent = f"{metric}, jackknife t, logit", 100 * float(np.mean(holds))
        yield "coverage", f"{metric} {100 * truths[metric]:.0f}", videos, name, percent, len(holds)


def false_tables(videos: int, times: int) -> Iterator[Answer]:
    """How often a table of equal methods calls a row worse than the best, in percent of tables."""
    rng = np.random.default_rng(videos)
    marked: dict[str, list[bool]] = {}
    for _ in range(times):
        methods = make_clips(rng, videos, METHODS, 0.81)
        counts = counts_of(rng, videos)
        estimates = [micro(clips) for clips in methods]
        best = int(np.argmax([one.value for one in estimates]))
        others = [row for row in range(METHODS) if row != best]
        drawn = [drawn_micro(clips, counts) for clips in methods]
        ends = [percentile(drawn[best] - drawn[row]) for row in others]
        alone = [told_apart(estimates[best], estimates[row]) for row in others]
        corrected = pairwise(estimates)[best]
        answers = {
            "percentile": any(map(excludes_zero, ends)),
            "jackknife t": any(alone),
            "jackknife t, Holm": bool(np.any(corrected < 0.05)),
        }
        for name, wrong in answers.items():
            marked.setdefault(name, []).append(wrong)
    for method, wrong in marked.items():
        case = f"{METHODS} equal methods"
        yield "false tables", case, videos, method, 100 * float(np.mean(wrong)), times


def made(noise: str) -> Callable[[np.random.Generator, int], tuple[Clips, Clips]]:
    """Draws two methods that are equal in law, or in the mean alone (`other noise`)."""

    def draw(rng: np.random.Generator, videos: int) -> tuple[Clips, Clips]:
        first, second = make_clips(rng, videos, 2, 0.81, other=noise == OTHER)
        return first, second

    return draw


def simulate(quick: bool, results: Path) -> Iterator[Answer]:
    """All answers, question by question."""
    few = (2, 3, 8) if quick else VIDEOS
    for videos in few:
        for case in (EQUAL, OTHER):
            yield from false_claims(made(case), case, videos, repetitions(videos, quick))
        if videos > 2:
            yield from region_false_claims(videos, repetitions(videos, quick, 500))
            yield from seeded_false_claims(videos, repetitions(videos, quick, 600))
    for dataset, numbers in STORED.items():
        try:
            stored = read_stored(dataset, results)
        except BadInput as error:
            sys.stderr.write(f"{dataset}: left out: {error}\n")
            continue
        for videos in numbers[:2] if quick else numbers:
            times = repetitions(videos, quick, 400)
            yield from false_claims(swapped(stored), f"our scores, {dataset}", videos, times)
    for auc in (0.81, 0.98):
        for videos in [one for one in few if 2 < one <= 50]:
            yield from coverage(auc, videos, repetitions(videos, quick, 600))
    for videos in [one for one in few if 2 < one <= 50]:
        yield from region_coverage(videos, repetitions(videos, quick, 400))
    for videos in (5,) if quick else (5, 8, 12, 20):
        yield from false_tables(videos, repetitions(videos, quick, 300))


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="few repetitions, few numbers of videos"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    answers = list(simulate(options.quick, options.results))
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows((*start, f"{percent:.1f}", times) for *start, percent, times in answers)


if __name__ == "__main__":
    main()
