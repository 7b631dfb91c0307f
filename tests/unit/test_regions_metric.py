"""RBDC and TBDC against a straightforward loop over detections, and their invariants."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadbench.errors import BadInput
from vadbench.evaluation.metrics import regions
from vadbench.evaluation.metrics.regions import region_metrics

BOX = ("x0", "y0", "x1", "y1")


def overlap(a, b):
    """IoU of two inclusive-pixel boxes."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def plain_loop(detections, truth, n_frames, alpha=0.1, beta=0.1):
    """RBDC and TBDC as their definition reads: detections one by one from the highest score, rates
    after each, area under the steps.

    Equal scores count in the order of the rows (`ties="order"`).
    """
    by_frame, tracks = {}, {}
    for region, (video, track, frame, *box) in enumerate(
        zip(*(truth[c] for c in ("video", "track", "frame", *BOX)), strict=True)
    ):
        by_frame.setdefault((video, frame), []).append((region, (video, track), box))
        tracks.setdefault((video, track), len(tracks))
    length, found = np.zeros(len(tracks)), np.zeros(len(tracks))
    for regions_there in by_frame.values():
        for _, track, _ in regions_there:
            length[tracks[track]] += 1
    detected, false, rates = set(), 0, [(0.0, 0.0, 0.0)]
    rows = list(zip(*(list(detections[c]) for c in ("video", "frame", *BOX, "score")), strict=True))
    for row in sorted(range(len(rows)), key=lambda row: -rows[row][-1]):
        video, frame, *box, _ = rows[row]
        hits = [
            (region, track)
            for region, track, there in by_frame.get((video, frame), [])
            if overlap(box, there) >= beta
        ]
        false += not hits
        for region, track in hits:
            if region not in detected:
                detected.add(region)
                found[tracks[track]] += 1
        rates.append(
            (
                false / n_frames,
                len(detected) / max(len(truth["video"]), 1),
                float(np.mean(found / length >= alpha)),
            )
        )
    rates.append((max(1.0, rates[-1][0]), *rates[-1][1:]))
    rbdc = sum(
        (min(after[0], 1) - min(before[0], 1)) * before[1] for before, after in pairwise(rates)
    )
    tbdc = sum(
        (min(after[0], 1) - min(before[0], 1)) * before[2] for before, after in pairwise(rates)
    )
    return rbdc, tbdc


def threshold_sweep(detections, truth, n_frames, **protocol):
    """The area under the curves that `region_metrics` returns, straight lines between points, cut
    or held at FPR = 1 (`ties="average"`).
    """
    curves = region_metrics(detections, truth, n_frames, **protocol, curves=True).curves
    inside = curves.fpr <= 1
    areas = []
    for rate in (curves.rbdr, curves.tbdr):
        end = np.interp(1.0, curves.fpr, rate)
        areas.append(np.trapezoid(np.append(rate[inside], end), np.append(curves.fpr[inside], 1.0)))
    return tuple(areas)


def scene(rng, videos=2, frames=6, tracks=2, detections=20, levels=4):
    """Made-up ground truth and detections with many equal scores, as columns."""
    truth = {name: [] for name in ("video", "track", "frame", *BOX)}
    for video in range(videos):
        for track in range(tracks):
            start = int(rng.integers(0, frames - 1))
            for frame in range(start, int(rng.integers(start + 1, frames + 1))):
                x, y = rng.integers(0, 20, 2)
                for name, value in zip(
                    truth, (f"v{video}", track, frame, x, y, x + 9, y + 9), strict=True
                ):
                    truth[name].append(value)
    x, y = rng.integers(0, 25, (2, detections))
    made = {
        "video": [f"v{v}" for v in rng.integers(0, videos + 1, detections)],
        "frame": rng.integers(0, frames, detections),
    }
    made |= {
        "x0": x,
        "y0": y,
        "x1": x + rng.integers(0, 12, detections),
        "y1": y + 8,
        "score": rng.integers(0, levels, detections).astype(float),
    }
    return made, {name: np.array(values) for name, values in truth.items()}, frames * (videos + 1)


def take(columns, rows):
    return {name: np.asarray(values)[rows] for name, values in columns.items()}


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([0.1, 0.5]))
@settings(deadline=None)
def test_order_agrees_with_the_plain_loop(seed, alpha, beta):
    made, truth, frames = scene(np.random.default_rng(seed))
    found = region_metrics(made, truth, frames, alpha, beta, "order")
    assert (found.rbdc, found.tbdc) == pytest.approx(
        plain_loop(made, truth, frames, alpha, beta), abs=1e-12
    )


@given(seeds, st.integers(6, 30))
@settings(deadline=None)
def test_average_agrees_with_the_area_under_the_curves(seed, frames):
    made, truth, _ = scene(np.random.default_rng(seed), videos=1, detections=40)
    found = region_metrics(made, truth, frames)
    assert (found.rbdc, found.tbdc) == pytest.approx(
        threshold_sweep(made, truth, frames), abs=1e-12
    )


@given(seeds)
@settings(deadline=None)
def test_average_ignores_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    made, truth, frames = scene(rng)
    shuffled = (
        take(made, rng.permutation(len(made["score"]))),
        take(truth, rng.permutation(len(truth["frame"]))),
    )
    assert region_metrics(*shuffled, frames) == region_metrics(made, truth, frames)


@given(seeds)
@settings(deadline=None)
def test_only_the_order_of_scores_counts(seed):
    made, truth, frames = scene(np.random.default_rng(seed))
    changed = made | {"score": np.exp(made["score"] / 3) - 100}
    for ties in ("average", "order"):
        assert region_metrics(changed, truth, frames, ties=ties) == region_metrics(
            made, truth, frames, ties=ties
        )


@given(seeds)
@settings(deadline=None)
def test_a_perfect_detector_scores_1(seed):
    _, truth, frames = scene(np.random.default_rng(seed))
    found = region_metrics({**truth, "score": np.ones(len(truth["frame"]))}, truth, frames)
    assert (found.rbdc, found.tbdc) == (1.0, 1.0)


@given(seeds)
@settings(deadline=None)
def test_another_false_positive_never_helps(seed):
    rng = np.random.default_rng(seed)
    made, truth, frames = scene(rng)
    more = take(made, np.append(np.arange(len(made["score"])), 0))
    more["video"][-1], more["score"][-1] = "v2", rng.integers(-1, 5)  # a video without anomalies
    before, after = region_metrics(made, truth, frames), region_metrics(more, truth, frames)
    assert after.false_positives == before.false_positives + 1
    assert after.rbdc <= before.rbdc + 1e-12
    assert after.tbdc <= before.tbdc + 1e-12


@given(seeds)
@settings(deadline=None)
def test_the_bracket_holds_every_order_of_equal_scores(seed):
    rng = np.random.default_rng(seed)
    made, truth, frames = scene(rng)
    average = region_metrics(made, truth, frames)
    for _ in range(3):
        ordered = region_metrics(
            take(made, rng.permutation(len(made["score"]))), truth, frames, ties="order"
        )
        assert ordered.rbdc_bracket == average.rbdc_bracket
        for value in (average.rbdc, ordered.rbdc):
            assert average.rbdc_bracket[0] - 1e-12 <= value <= average.rbdc_bracket[1] + 1e-12
        assert average.tbdc_bracket[0] - 1e-12 <= ordered.tbdc <= average.tbdc_bracket[1] + 1e-12


def test_blocks_of_pairs_change_nothing(monkeypatch):
    made, truth, frames = scene(np.random.default_rng(3), detections=200)
    whole = region_metrics(made, truth, frames)
    monkeypatch.setattr(regions, "PAIRS_AT_ONCE", 7)
    assert region_metrics(made, truth, frames) == whole


def test_data_frames_and_arrays_are_the_same():
    made, truth, frames = scene(np.random.default_rng(1))
    assert region_metrics(pd.DataFrame(made), pd.DataFrame(truth), frames) == region_metrics(
        made, truth, frames
    )


def test_frames_a_video_are_their_sum():
    made, truth, frames = scene(np.random.default_rng(1))
    assert region_metrics(made, truth, {"v0": 6, "v1": 6, "v2": 6}) == region_metrics(
        made, truth, frames
    )


def test_no_detections_score_0_and_no_ground_truth_is_undefined():
    made, truth, frames = scene(np.random.default_rng(0))
    nothing = region_metrics(take(made, []), truth, frames)
    assert (nothing.rbdc, nothing.tbdc, nothing.detections) == (0.0, 0.0, 0)
    undefined = region_metrics(made, take(truth, []), frames, curves=True)
    assert np.isnan([undefined.rbdc, undefined.tbdc]).all()
    assert undefined.reason == "no ground-truth region"
    assert undefined.summary()["rbdc"] is None
    assert [row["value"] for row in undefined.rows()] == [None, None]


def test_track_names_may_be_anything_and_belong_to_their_video():
    one = {
        "video": ["a", "b"],
        "track": ["car", "car"],
        "frame": [0, 0],
        "x0": [0, 0],
        "y0": [0, 0],
        "x1": [9, 9],
        "y1": [9, 9],
    }
    found = region_metrics({**take(one, [0]), "score": [1.0]}, one, 10)
    assert (found.tracks, found.tbdc) == (2, 0.5)


GOOD = {
    "video": ["a"],
    "frame": [0],
    "x0": [0.0],
    "y0": [0.0],
    "x1": [9.0],
    "y1": [9.0],
    "score": [1.0],
}
TRUTH = {
    "video": ["a"],
    "track": [0],
    "frame": [0],
    "x0": [0.0],
    "y0": [0.0],
    "x1": [9.0],
    "y1": [9.0],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": [np.nan]}, "detections: row 0 has score nan"),
        ({"x1": [-1.0]}, "detections: row 0 has x1 -1.0; expected x1 >= x0"),
        ({"y0": [np.inf]}, "detections: row 0 has y0 inf"),
        ({"frame": [0.5]}, "row 0 has frame 0.5; expected a whole number from 0"),
        ({"frame": [-1]}, "frame -1"),
        ({"x0": ["left"]}, "column x0 holds something other than numbers"),
        ({"video": [7]}, "numbers in detections, names in ground_truth"),
        ({"video": [None]}, "missing value"),
        ({"score": [1.0, 2.0]}, "columns of different length"),
    ],
)
def test_bad_detections_are_refused_in_one_line(change, message):
    with pytest.raises(BadInput, match=message) as caught:
        region_metrics(GOOD | change, TRUTH, 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "0 < alpha <= 1"),
        ({"beta": 1.1}, "0 < beta <= 1"),
        ({"ties": "random"}, "choose one of average, order"),
        ({"n_frames": 0}, "n_frames: 0"),
        (
            {"n_frames": 3, "ground_truth": TRUTH | {"frame": [3]}},
            "ground_truth: a row is in frame 3, n_frames is 3",
        ),
        ({"n_frames": {"b": 10}}, "row 0 is of video a, not one of the 1 test videos"),
        (
            {"n_frames": {"a": 10}, "ground_truth": TRUTH | {"frame": [10]}},
            "frame 10 of video a, which has 10 frames; frames are numbered from 0",
        ),
        ({"detections": {"video": ["a"]}}, "detections: no column frame, x0, y0, x1, y1, score"),
        (
            {"ground_truth": take(TRUTH, [0, 0])},
            "row 1 is a second box of track 0 of video a in frame 0",
        ),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        region_metrics(**({"detections": GOOD, "ground_truth": TRUTH, "n_frames": 10} | options))
