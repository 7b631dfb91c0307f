"""Frame metrics against scikit-learn, their definitions and bad input."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.frame import (
    average_precision,
    eer,
    fpr_at_95_tpr,
    frame_metrics,
    legacy_micro_auc,
    macro_auc,
    micro_auc,
    video_aucs,
)


@st.composite
def scored_frames(draw):
    """Scores with many ties and labels of both classes."""
    count = draw(st.integers(2, 60))
    scores = draw(st.lists(st.integers(-4, 4), min_size=count, max_size=count))
    labels = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return np.array(scores, float), np.array([False, True, *labels[2:]])


@given(scored_frames())
def test_auc_and_ap_are_scikit_learn_s(frames):
    scores, labels = frames
    assert micro_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )


@given(scored_frames())
def test_metrics_only_know_the_order_of_scores(frames):
    scores, labels = frames
    changed = np.exp(scores) - 50
    for metric in (micro_auc, eer, average_precision, fpr_at_95_tpr):
        assert metric(scores, labels) == metric(changed, labels)


@given(scored_frames())
def test_reversed_scores_mirror_the_curve(frames):
    scores, labels = frames
    assert micro_auc(-scores, labels) == pytest.approx(1 - micro_auc(scores, labels), abs=1e-12)
    assert eer(-scores, labels) == pytest.approx(1 - eer(scores, labels), abs=1e-12)


@given(scored_frames(), st.integers(0, 2))
def test_pad_rank_is_literal_padding_outside_the_scores_range(frames, kind):
    scores, labels = frames
    labels = [labels, np.zeros_like(labels), np.ones_like(labels)][kind]
    below, above = scores.min() - 1, scores.max() + 1
    expected = roc_auc_score([0, *labels, 1], [below, *scores, above])
    assert macro_auc(scores, labels, [len(scores)], "pad-rank") == pytest.approx(
        expected, abs=1e-12
    )


def test_a_perfect_detector():
    scores, labels = [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]
    assert micro_auc(scores, labels) == 1
    assert eer(scores, labels) == 0
    assert average_precision(scores, labels) == 1
    assert fpr_at_95_tpr(scores, labels) == 0


def test_constant_scores_are_chance():
    labels = [0, 0, 0, 1]
    assert micro_auc(np.zeros(4), labels) == 0.5
    assert eer(np.zeros(4), labels) == 0.5
    assert average_precision(np.zeros(4), labels) == 0.25
    assert fpr_at_95_tpr(np.zeros(4), labels) == 1


def test_fpr_at_95_tpr_needs_exactly_95_percent():
    positives, normal = np.arange(20.0), np.array([0.5, 1.5, 30.0])
    scores, labels = np.append(positives, normal), np.append(np.ones(20), np.zeros(3))
    # 19 of 20 score 1 or more, and so do 2 of 3 normal frames
    assert fpr_at_95_tpr(scores, labels) == pytest.approx(2 / 3)


def test_infinite_scores_rank():
    assert micro_auc([-np.inf, 0.0, np.inf, np.inf], [0, 0, 1, 1]) == 1
    assert macro_auc([-np.inf, np.inf], [1, 0], [2], "pad-rank") == pytest.approx(0.75)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_nan_never_zero(label):
    for metric in (micro_auc, eer, average_precision, fpr_at_95_tpr):
        assert np.isnan(metric([1.0, 2.0], [label, label]))


def test_skip_averages_videos_with_both_classes_only():
    scores, labels, lengths = [1, 2, 3, 9, 8, 1, 2], [0, 0, 1, 1, 1, 1, 0], [3, 2, 2]
    assert video_aucs(scores, labels, lengths) == pytest.approx([1.0, np.nan, 0.0], nan_ok=True)
    assert macro_auc(scores, labels, lengths, "skip") == 0.5
    assert macro_auc(scores, labels, lengths, "nan-to-1") == pytest.approx(2 / 3)


def test_pad_0_max_survives_float32_scores():
    scores = np.array([0.2, 0.9, 0.4], np.float32)
    assert macro_auc(scores, [0, 1, 0], [3], "pad-0-max") == 1


def test_literal_padding_depends_on_the_offset_and_pad_rank_does_not():
    rng = np.random.default_rng(0)
    scores, labels, lengths = rng.random(60), np.arange(60) % 3 == 0, [30, 30]
    assert macro_auc(scores, labels, lengths, "pad-0-max") == pytest.approx(
        macro_auc(scores, labels, lengths, "pad-rank")
    )
    assert (
        macro_auc(scores - 100, labels, lengths, "pad-0-max")
        < macro_auc(scores, labels, lengths, "pad-0-max") - 0.03
    )
    assert macro_auc(scores - 100, labels, lengths, "pad-rank") == macro_auc(
        scores, labels, lengths, "pad-rank"
    )


def test_rows_give_every_metric_with_counts_and_reasons():
    rows = frame_metrics([1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 0, 0, 0], [3, 2], ["a", "b"])
    found = {(row["metric"], row["convention"], row["video"]): row for row in rows}
    assert [key[1] for key in found if key[0] == "macro_auc"] == [
        "skip",
        "pad-rank",
        "pad-0-1",
        "pad-0-max",
    ]
    assert found["micro_auc", None, None]["value"] == 0.25
    assert found["micro_auc", None, None]["n"] == 5
    assert found["macro_auc", "skip", None]["n"] == 1
    assert found["macro_auc", "pad-rank", None]["n"] == 2
    assert found["prevalence", None, None]["value"] == 0.2
    assert {"eer", "average_precision", "fpr_at_95_tpr"} <= {row["metric"] for row in rows}
    missing = found["micro_auc", None, "b"]
    assert (missing["value"], missing["n"], missing["reason"]) == (None, 2, "no anomalous frame")


def test_undefined_rows_say_why():
    rows = frame_metrics([1.0, 2.0], [1, 1], [2], ["a"])
    undefined = {
        (row["metric"], row["convention"]): row["reason"]
        for row in rows
        if row["value"] is None and row["video"] is None
    }
    assert undefined["micro_auc", None] == "no normal frame"
    assert undefined["macro_auc", "skip"] == "no video has both classes"
    assert ("macro_auc", "pad-rank") not in undefined


@pytest.mark.parametrize(
    ("scores", "labels", "lengths", "message"),
    [
        ([1.0, 2.0], [0, 1, 1], [3], r"shapes \(2,\) and \(3,\)"),
        ([1.0, np.nan], [0, 1], [2], "frame 1 is NaN"),
        ([1.0, 2.0], [0, 2], [2], "found 2; expected 0"),
        ([1.0, 2.0], [0, np.nan], [2], "found nan"),
        ([1.0, 2.0], [0, 1], [3], "3 frames, but 2 scores"),
        ([1.0, 2.0], [0, 1], [2, 0], "2 videos"),
        ([], [], [], "no frame"),
    ],
)
def test_bad_input_is_refused_in_one_line(scores, labels, lengths, message):
    with pytest.raises(BadInput, match=message) as caught:
        frame_metrics(scores, labels, lengths, [str(video) for video in lengths])
    assert "\n" not in str(caught.value)


def test_unknown_names_list_the_choices():
    with pytest.raises(BadInput, match="choose one of skip, pad-rank"):
        macro_auc([1.0, 2.0], [0, 1], [2], "mean")
    with pytest.raises(BadInput, match="choose one of minmax-per-video"):
        legacy_micro_auc([1.0, 2.0], [0, 1], [2], "mean")


def test_micro_auc_of_a_million_frames_takes_under_0_7_cpu_seconds():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=1_100_000), rng.random(1_100_000) < 0.08
    start = time.process_time()
    micro_auc(scores, labels)
    assert time.process_time() - start < 0.7
