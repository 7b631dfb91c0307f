"""The bootstrap over videos against resampled data sets, its coverage, and ranks over data sets."""

import numpy as np
import pytest
from scipy.special import ndtr
from test_regions_metric import scene, take

from vadbench.errors import BadInput
from vadbench.metrics.boxes import read_boxes, read_scores
from vadbench.metrics.frame import average_precision, eer, fpr_at_95_tpr, frame_metrics, macro_auc, micro_auc
from vadbench.metrics.regions import match, region_metrics
from vadbench.metrics.uncertainty import (
    average_ranks,
    borda,
    critical_difference,
    frame_resamples,
    friedman,
    interval,
    ranks,
    region_resamples,
    resample_counts,
    with_intervals,
)


def made_frames(rng, videos=6, length=15):
    scores = np.round(rng.normal(size=videos * length), 1)
    labels = rng.random(videos * length) < 0.4
    labels[:length] = False  # one video without anomalies
    return scores, labels, np.full(videos, length)


def test_resamples_draw_as_many_videos_and_follow_the_seed():
    counts = resample_counts(7, 50, seed=3)
    assert (counts.sum(1) == 7).all()
    assert np.array_equal(counts, resample_counts(7, 50, seed=3))
    assert not np.array_equal(counts, resample_counts(7, 50, seed=4))


def test_frame_resamples_are_the_metrics_of_the_drawn_videos():
    scores, labels, lengths = made_frames(np.random.default_rng(0))
    counts = resample_counts(len(lengths), 20, seed=1)
    found = frame_resamples(scores, labels, lengths, counts)
    parts = np.arange(len(scores)).reshape(len(lengths), -1)
    for row, count in enumerate(counts):
        drawn = np.repeat(np.arange(len(lengths)), count)
        rows = parts[drawn].ravel()
        expected = {("micro_auc", None): micro_auc(scores[rows], labels[rows]), ("eer", None): eer(scores[rows], labels[rows])}
        expected[("average_precision", None)] = average_precision(scores[rows], labels[rows])
        expected[("fpr_at_95_tpr", None)] = fpr_at_95_tpr(scores[rows], labels[rows])
        for convention in ("skip", "pad-rank", "pad-0-1", "pad-0-max"):
            expected[("macro_auc", convention)] = macro_auc(scores[rows], labels[rows], lengths[drawn], convention)
        assert {key: values[row] for key, values in found.items()} == pytest.approx(expected, abs=1e-12)


def test_region_resamples_are_the_metrics_of_the_drawn_videos():
    made, truth, frames = scene(np.random.default_rng(5), videos=4, detections=60)
    videos = {f"v{v}": frames // 5 for v in range(5)}
    boxes, scores, regions = read_boxes(made, "detections"), read_scores(made), read_boxes(truth, "ground_truth")
    counts = resample_counts(5, 20, seed=2)
    found = region_resamples(match(boxes, scores, regions, videos=videos), list(videos.values()), counts)
    for row, count in enumerate(counts):
        copies = [(f"v{v}", f"v{v} copy {copy}") for v in range(5) for copy in range(count[v])]
        drawn = []
        for columns in (made, truth):
            picked = [take(columns, np.flatnonzero(np.asarray(columns["video"]) == video)) | {"copy": name} for video, name in copies]
            names = np.concatenate([np.full(len(part["frame"]), part["copy"]) for part in picked])
            drawn.append({column: np.concatenate([part[column] for part in picked]) for column in columns} | {"video": names})
        expected = region_metrics(*drawn, frames)
        values = (found["rbdc", "average"][row], found["tbdc", "average"][row])
        assert values == pytest.approx((expected.rbdc, expected.tbdc), abs=1e-12, nan_ok=True)


def test_one_copy_of_every_video_is_the_metric_itself():
    scores, labels, lengths = made_frames(np.random.default_rng(2))
    found = frame_resamples(scores, labels, lengths, np.ones((1, len(lengths)), np.int64))
    rows = {
        (row["metric"], row["convention"]): row["value"] for row in frame_metrics(scores, labels, lengths, list("abcdef")) if row["video"] is None
    }
    assert {key: values[0] for key, values in found.items()} == pytest.approx({key: rows[key] for key in found}, abs=1e-12)


def test_resamples_with_one_class_are_left_out_and_counted():
    found = frame_resamples([1.0, 2.0, 3.0, 1.0], [0, 1, 0, 0], [2, 2], np.array([[1, 1], [0, 2], [2, 0]]))
    values = found["micro_auc", None]
    assert np.isnan(values).tolist() == [False, True, False]
    assert interval(values).undefined == 1
    assert np.isnan(interval(np.full(3, np.nan)).low)


def test_the_difference_of_a_method_with_itself_is_zero():
    frames = made_frames(np.random.default_rng(1))
    counts = resample_counts(6, 100)
    first, second = (frame_resamples(*frames, counts)["micro_auc", None] for _ in range(2))
    found = interval(first - second)
    assert (found.low, found.high, found.excludes_zero) == (0.0, 0.0, False)


def test_a_clear_improvement_excludes_zero():
    scores, labels, lengths = made_frames(np.random.default_rng(1))
    counts = resample_counts(6, 200)
    better = frame_resamples(scores + 2 * labels, labels, lengths, counts)["micro_auc", None]
    assert interval(better - frame_resamples(scores, labels, lengths, counts)["micro_auc", None]).excludes_zero


def test_rows_gain_intervals_of_the_whole_set_only():
    scores, labels, lengths = made_frames(np.random.default_rng(4))
    rows = frame_metrics(scores, labels, lengths, list("abcdef"))
    extended = with_intervals(rows, frame_resamples(scores, labels, lengths, resample_counts(6, 200)))
    for row in extended:
        if row["video"] is None and row["metric"] != "prevalence":
            assert row["low"] <= row["value"] <= row["high"]
        else:
            assert (row["low"], row["high"]) == (None, None)


def test_of_one_video_nothing_is_certain():
    """Every resample of it is itself: an interval without width would pass for certainty."""
    scores, labels = np.random.default_rng(0).normal(size=30), np.arange(30) % 3 == 0
    drawn = frame_resamples(scores, labels, [30], resample_counts(1, resamples=20))
    assert all(np.isnan(values).all() for values in drawn.values())
    rows = [{"metric": "micro_auc", "convention": None, "video": None, "value": micro_auc(scores, labels)}]
    (row,) = with_intervals(rows, drawn)
    assert (row["low"], row["high"]) == (None, None)
    assert not interval(drawn["micro_auc", None] - 0.5).excludes_zero


def test_counts_of_other_videos_are_refused():
    with pytest.raises(BadInput, match="for 1 videos"):
        frame_resamples([1.0, 2.0], [0, 1], [2], np.ones((3, 2), np.int64))
    with pytest.raises(BadInput, match="0 videos"):
        resample_counts(0)


def test_ranks_share_ties_and_the_highest_is_first():
    table = [[0.9, 0.8, 0.8], [0.5, 0.7, 0.6]]
    assert ranks(table).tolist() == [[1, 2.5, 2.5], [3, 1, 2]]
    assert average_ranks(table).tolist() == [2, 1.75, 2.25]
    assert borda(table).tolist() == [2, 2.5, 1.5]


def test_a_missing_value_cannot_be_ranked():
    with pytest.raises(BadInput, match="missing value"):
        ranks([[0.9, np.nan]])


def test_friedman_finds_a_consistent_order_and_no_order_in_noise():
    consistent = np.tile([0.9, 0.8, 0.7], (10, 1))
    statistic, p = friedman(consistent)
    assert statistic == pytest.approx(20.0)  # D (M - 1), its largest value
    assert p < 0.001
    assert friedman([[3, 2, 1], [1, 3, 2], [2, 1, 3]])[1] == pytest.approx(1.0)
    assert np.isnan(friedman([[0.5, 0.5, 0.5]] * 4)).all()


@pytest.mark.parametrize(("methods", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_demsar_s_table_5(methods, quantile):
    expected = quantile * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_intervals_cover_the_truth_about_95_percent_of_the_time():
    """Videos differ in how visible their anomalies are; the truth is the AUC over the population of videos."""
    rng = np.random.default_rng(0)
    videos, length, spread, repeats = 60, 15, 0.8, 200
    truth = float(ndtr(1 / np.sqrt(2 + spread**2)))  # normal ~ N(0, 1), anomalous ~ N(1 + N(0, spread), 1), as a pair of videos' frames
    gain = float(ndtr(1.5 / np.sqrt(2 + spread**2))) - truth
    covered = np.zeros(2)
    for repeat in range(repeats):
        labels = np.tile(np.arange(length) < 5, videos)
        noise = rng.normal(size=videos * length) + np.repeat(rng.normal(0, spread, videos), length) * labels
        counts = resample_counts(videos, 250, seed=repeat)
        weaker, stronger = (frame_resamples(noise + shift * labels, labels, np.full(videos, length), counts) for shift in (1.0, 1.5))
        found = interval(weaker["micro_auc", None]), interval(stronger["micro_auc", None] - weaker["micro_auc", None])
        covered += [found[0].low <= truth <= found[0].high, found[1].low <= gain <= found[1].high]
    assert (covered / repeats > 0.90).all(), covered / repeats
    assert (covered / repeats < 0.99).all(), covered / repeats
