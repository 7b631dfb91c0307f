"""The jackknife over videos against recomputed data sets, weights moved by hand, and closed
forms.
"""

import numpy as np
import pytest
from scipy import stats
from test_regions_metric import scene, take

from vadbench.evaluation.metrics.frame import (
    average_precision,
    eer,
    macro_auc,
    micro_auc,
    video_aucs,
)
from vadbench.evaluation.metrics.regions import match, region_metrics
from vadbench.evaluation.metrics.uncertainty import (
    NOTHING_VARIES,
    ONE_CLASS,
    OTHER_VIDEOS,
    Estimate,
    Jackknife,
    combine,
    difference,
    frame_jackknives,
    holm,
    interval,
    pairwise,
    region_jackknives,
)
from vadbench.files.box_arrays import read_boxes, read_scores

MICRO = ("micro_auc", None)


def make_frames(seed=0, videos=6, length=15):
    """Scores with ties, labels, lengths; the first video has no anomaly."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=videos * length), 1)
    labels = rng.random(videos * length) < 0.4
    labels[:length] = False
    return scores, labels, np.full(videos, length)


def micro_estimate(scores, labels, lengths):
    return combine([micro_auc(scores, labels)], [frame_jackknives(scores, labels, lengths)[MICRO]])


def estimate(influence, value=0.8, training=0.0, seeds=1):
    """An estimate of which only differences are taken."""
    influence = np.asarray(influence, float)
    return Estimate(value, Jackknife(influence, value - influence), training, seeds)


def weighted_auc(scores, labels, weights):
    """Micro AUC, each frame counted `weights` times, from all pairs."""
    wins = (scores[:, None] > scores[None, :]) + 0.5 * (scores[:, None] == scores[None, :])
    pairs = np.outer(weights * labels, weights * ~labels)
    return (wins * pairs).sum() / pairs.sum()


@pytest.mark.parametrize("seed", range(3))
def test_the_influence_of_a_video_is_the_derivative_of_micro_auc_by_its_weight(seed):
    """psi_i / (1 / V) is the derivative at equal weights 1 / V; the AUC does not change with the
    scale of all weights.
    """
    scores, labels, lengths = make_frames(seed)
    influence = frame_jackknives(scores, labels, lengths)[MICRO].influence
    step = 1e-6
    for video in range(len(lengths)):
        ends = []
        for sign in (1, -1):
            weights = np.ones(len(lengths))
            weights[video] += sign * step
            ends.append(weighted_auc(scores, labels, np.repeat(weights, lengths)))
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(influence[video], abs=1e-8)


def test_influences_sum_to_zero():
    assert frame_jackknives(*make_frames())[MICRO].influence.sum() == pytest.approx(0, abs=1e-12)


def leave_out_by_hand(metric, scores, labels, lengths):
    parts = np.split(np.arange(len(scores)), np.cumsum(lengths)[:-1])
    rows = [np.concatenate(parts[:left] + parts[left + 1 :]) for left in range(len(parts))]
    return np.array([metric(scores[kept], labels[kept]) for kept in rows])


@pytest.mark.parametrize(
    ("metric", "key"),
    [(micro_auc, MICRO), (average_precision, ("average_precision", None)), (eer, ("eer", None))],
)
@pytest.mark.parametrize("seed", range(3))
def test_left_out_is_the_metric_of_the_other_videos(metric, key, seed):
    frames = make_frames(seed)
    assert frame_jackknives(*frames)[key].left_out == pytest.approx(
        leave_out_by_hand(metric, *frames), abs=1e-12
    )


def test_infinite_scores_only_rank():
    scores, labels, lengths = make_frames()
    infinite = np.where(scores > 1, np.inf, np.where(scores < -1, -np.inf, scores))
    ranked = np.where(scores > 1, 9.0, np.where(scores < -1, -9.0, scores))
    first, second = (frame_jackknives(values, labels, lengths) for values in (infinite, ranked))
    for key in (MICRO, ("average_precision", None), ("eer", None)):
        assert np.array_equal(first[key].left_out, second[key].left_out)


@pytest.mark.parametrize("convention", ["skip", "pad-rank", "pad-0-1", "pad-0-max"])
def test_the_jackknife_of_macro_auc_is_the_plain_t_of_the_videos_values(convention):
    scores, labels, lengths = make_frames()
    jackknife = frame_jackknives(scores, labels, lengths)["macro_auc", convention]
    if convention == "skip":
        values = video_aucs(scores, labels, lengths)[1:]
        assert jackknife.videos == len(lengths) - 1  # the first has one class
        assert jackknife.videos / (jackknife.videos - 1) * np.square(
            jackknife.influence
        ).sum() == pytest.approx(np.var(values, ddof=1) / len(values))
    without = [
        np.delete(np.arange(len(scores)), slice(start, start + lengths[0]))
        for start in range(0, len(scores), lengths[0])
    ]
    by_hand = [macro_auc(scores[kept], labels[kept], lengths[1:], convention) for kept in without]
    assert jackknife.left_out == pytest.approx(
        by_hand[1:] if convention == "skip" else by_hand, abs=1e-12
    )


def test_region_jackknives_are_the_metrics_of_the_other_videos():
    made, truth, frames = scene(np.random.default_rng(5), videos=4, detections=60)
    videos = {f"v{v}": frames // 5 for v in range(5)}
    boxes, scores, regions = (
        read_boxes(made, "detections"),
        read_scores(made),
        read_boxes(truth, "ground_truth"),
    )
    found = region_jackknives(match(boxes, scores, regions, videos=videos), list(videos.values()))
    for left, video in enumerate(videos):
        kept = [
            take(columns, np.flatnonzero(np.asarray(columns["video"]) != video))
            for columns in (made, truth)
        ]
        expected = region_metrics(*kept, 4 * (frames // 5))
        without = [found[metric, "average"].left_out[left] for metric in ("rbdc", "tbdc")]
        assert without == pytest.approx([expected.rbdc, expected.tbdc], abs=1e-12)


def test_a_difference_is_student_s_t_of_the_influences():
    first, second = (
        estimate(influence, value)
        for influence, value in (
            ([0.02, -0.03, 0.01, 0.0], 0.85),
            ([-0.01, 0.02, -0.02, 0.01], 0.75),
        )
    )
    influence = first.jackknife.influence - second.jackknife.influence
    error = np.sqrt(4 / 3 * np.square(influence).sum())
    found = difference(first, second)
    assert found.p == pytest.approx(2 * stats.t.sf(0.1 / error, 3))
    reach = stats.t.ppf(0.975, 3) * error
    assert (found.low, found.high, found.videos) == (
        pytest.approx(0.1 - reach),
        pytest.approx(0.1 + reach),
        4,
    )


def test_what_a_video_does_to_both_cancels():
    shared = np.array([0.2, -0.1, -0.15, 0.05])
    own = np.array([0.001, -0.002, 0.002, -0.001])
    assert difference(estimate(shared + own, 0.82), estimate(shared, 0.8)).p < 0.05


def test_seeds_add_their_spread_with_satterthwaite_s_degrees_of_freedom():
    influence = np.array([0.02, -0.03, 0.01])
    first, second = (
        estimate(influence, 0.9, training=0.0004, seeds=3),
        estimate(0 * influence, 0.8, training=0.0001, seeds=5),
    )
    sampling = 3 / 2 * np.square(influence).sum()
    total = sampling + 0.0004 + 0.0001
    freedom = total**2 / (sampling**2 / 2 + 0.0004**2 / 2 + 0.0001**2 / 4)
    assert difference(first, second).p == pytest.approx(
        2 * stats.t.sf(0.1 / np.sqrt(total), freedom)
    )


def test_combined_seeds_are_the_mean_and_its_variance():
    one, other = (
        Jackknife(np.array([0.1, -0.1, 0.0]), np.array([0.7, 0.9, 0.8])),
        Jackknife(np.zeros(3), np.full(3, 0.6)),
    )
    found = combine([0.8, 0.6], [one, other])
    assert (found.value, found.training, found.seeds) == (
        pytest.approx(0.7),
        pytest.approx(0.02 / 2),
        2,
    )
    assert found.jackknife.left_out == pytest.approx([0.65, 0.75, 0.7])
    assert found.jackknife.influence == pytest.approx([0.05, -0.05, 0.0])


def test_the_interval_of_one_value_is_the_delete_one_jackknife_on_the_logit_scale():
    value, left_out = 0.8, np.array([0.78, 0.83, 0.79, 0.8, 0.81])
    error = np.sqrt(4 / 5 * np.square(left_out - left_out.mean()).sum()) / (value * (1 - value))
    reach = stats.t.ppf(0.975, 4) * error
    found = interval(combine([value], [Jackknife.of_left_out(left_out)]))
    ends = [1 / (1 + np.exp(-(np.log(4) + sign * reach))) for sign in (-1, 1)]
    assert (found.low, found.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    assert (found.videos, found.reason) == (5, None)


def test_the_spread_over_seeds_widens_an_interval():
    jackknife = Jackknife.of_left_out(np.array([0.78, 0.83, 0.79, 0.8, 0.81]))
    narrow, wide = (interval(Estimate(0.8, jackknife, training, 3)) for training in (0.0, 0.01))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("videos", [1, 2])
def test_of_one_or_two_videos_nothing_is_claimed(videos):
    scores, labels, lengths = make_frames(videos=3)
    frames = scores[: 15 * videos], labels[15 : 15 + 15 * videos], lengths[:videos]
    found = interval(micro_estimate(*frames))
    assert (found.low, found.high) == (None, None)
    assert found.reason == f"too few videos ({videos}; 3 or more are needed)"
    better = micro_estimate(frames[0] + 9 * frames[1], *frames[1:])
    assert difference(better, micro_estimate(*frames)).reason == found.reason


def test_of_two_videos_that_count_nothing_is_claimed():
    scores, labels, lengths = make_frames()
    labels[15:60] = True  # three videos of one class
    found = frame_jackknives(scores, labels, lengths)
    assert found["macro_auc", "skip"].reason.startswith("too few videos (2")
    assert found[MICRO].reason is None


@pytest.mark.parametrize("anomalous", [True, False])
@pytest.mark.parametrize("videos", [1, 2])
def test_a_class_that_one_or_two_videos_alone_have_leaves_no_interval(videos, anomalous):
    scores, labels, lengths = make_frames()
    labels[:] = ~np.full(len(labels), anomalous)
    for video in range(videos):
        labels[15 * video : 15 * video + 7] = anomalous
    found = frame_jackknives(scores, labels, lengths)
    for key in (MICRO, ("average_precision", None), ("eer", None)):
        assert found[key].reason == ONE_CLASS
    assert interval(micro_estimate(scores, labels, lengths)).reason == ONE_CLASS


def test_regions_in_two_videos_alone_leave_no_interval():
    made, truth, frames = scene(np.random.default_rng(5), videos=4, detections=60)
    truth = take(truth, np.flatnonzero(np.isin(np.asarray(truth["video"]), ["v0", "v1"])))
    videos = {f"v{v}": frames // 5 for v in range(5)}
    boxes, scores, regions = (
        read_boxes(made, "detections"),
        read_scores(made),
        read_boxes(truth, "ground_truth"),
    )
    found = region_jackknives(match(boxes, scores, regions, videos=videos), list(videos.values()))
    assert {one.reason for one in found.values()} == {ONE_CLASS}


def test_a_perfect_value_has_no_interval():
    _, labels, lengths = make_frames()
    found = interval(micro_estimate(labels.astype(float), labels, lengths))
    assert (found.low, found.high, found.reason) == (None, None, NOTHING_VARIES)


def test_a_method_does_not_differ_from_itself():
    one = micro_estimate(*make_frames())
    found = difference(one, one)
    assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)


def test_the_same_difference_in_every_video_is_no_claim():
    influence = np.array([0.1, -0.1, 0.0])
    found = difference(estimate(influence, 0.9), estimate(influence, 0.5))
    assert (found.low, found.high, found.p, found.reason) == (None, None, None, NOTHING_VARIES)


def test_values_over_other_videos_are_not_compared():
    assert (
        difference(estimate([0.1, -0.1, 0.0]), estimate([0.1, -0.1, 0.0, 0.0])).reason
        == OTHER_VIDEOS
    )


def test_holm_is_the_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_counts_what_was_not_tested():
    corrected = holm([0.01, np.nan, 0.02])
    assert corrected[[0, 2]] == pytest.approx([0.03, 0.04])
    assert np.isnan(corrected[1])


@pytest.mark.parametrize("rows", [3, 4, 6])
def test_pairwise_corrects_every_difference_by_all_pairs(rows):
    rng = np.random.default_rng(rows)
    estimates = [estimate(rng.normal(size=5), value) for value in rng.normal(size=rows)]
    pairs = [(i, k) for i in range(rows) for k in range(i + 1, rows)]
    expected = holm([difference(estimates[i], estimates[k]).p for i, k in pairs])
    found = pairwise(estimates)
    for (i, k), p in zip(pairs, expected, strict=True):
        assert found[i, k] == found[k, i] == pytest.approx(p)


def test_pairs_that_cannot_be_tested_are_nan():
    usual, few, other = (
        estimate([0.1, -0.1, 0.0]),
        estimate([0.1, -0.1]),
        estimate([0.1, -0.2, 0.1], 0.7),
    )
    found = pairwise([usual, None, few, other])
    assert np.isnan(found[[0, 0, 1, 2, 0], [0, 1, 3, 3, 2]]).all()
    assert 0 < found[0, 3] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("videos", [3, 5, 12])
def test_equal_methods_are_told_apart_in_about_5_percent(videos):
    rng = np.random.default_rng(videos)
    labels = np.tile(np.arange(20) < 8, videos)
    lengths = np.full(videos, 20)
    claims = []
    for _ in range(1000):
        effect = np.repeat(rng.normal(size=(2, videos)), 20, axis=1)
        pair = [
            micro_estimate(rng.normal(size=20 * videos) + labels * (1 + own), labels, lengths)
            for own in effect
        ]
        claims.append(difference(*pair).p < 0.05)
    assert 0.03 < np.mean(claims) < 0.075
