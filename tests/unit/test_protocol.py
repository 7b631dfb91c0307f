"""Row scores become frame scores: maximum, calibration, fusion, smoothing, windows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from vadbench.errors import BadInput
from vadbench.evaluation.calibration import Statistics, calibrate, calibration_statistics, fuse
from vadbench.evaluation.maxima import frame_maximum, window_to_frames
from vadbench.evaluation.protocol import make_protocol
from vadbench.evaluation.smoothing import smooth
from vadbench.spec import CALIBRATIONS, Protocol

BY_TRAINING = [name for name in CALIBRATIONS if name != "minmax-video"]


def test_frame_maximum_takes_the_highest_row_and_fills_empty_frames():
    scores = frame_maximum(
        [1.0, 5.0, 2.0, -3.0], video=[0, 0, 1, 1], frame=[1, 1, 0, 2], lengths=[2, 3], fill=-7.0
    )
    assert scores.dtype == np.float64
    assert scores.tolist() == [-7.0, 5.0, 2.0, -7.0, -3.0]


def test_frame_maximum_treats_every_column_alone():
    scores = frame_maximum([[1.0, 9.0], [2.0, 8.0]], [0, 0], [0, 0], [2], fill=[-1.0, -2.0])
    assert scores.tolist() == [[2.0, 9.0], [-1.0, -2.0]]


def test_frame_maximum_of_no_rows_is_the_fill():
    assert frame_maximum(np.zeros(0), [], [], [2, 1], fill=0.5).tolist() == [0.5, 0.5, 0.5]


@given(st.randoms(use_true_random=False))
def test_frame_maximum_ignores_row_order(random):
    rng = np.random.default_rng(random.randrange(2**32))
    rows = 30
    scores, video, frame = rng.normal(size=rows), rng.integers(0, 3, rows), rng.integers(0, 4, rows)
    shuffled = rng.permutation(rows)
    expected = np.full((3, 4), -9.0)
    for score, v, f in zip(scores, video, frame, strict=True):
        expected[v, f] = max(expected[v, f], score)
    found = frame_maximum(scores[shuffled], video[shuffled], frame[shuffled], [4, 4, 4], fill=-9.0)
    assert found.tolist() == expected.ravel().tolist()


@pytest.mark.parametrize(("video", "frame"), [(0, 2), (0, -1), (2, 0), (-1, 0)])
def test_frame_maximum_refuses_a_row_outside_the_videos(video, frame):
    with pytest.raises(BadInput, match=f"row 0 is frame {frame} of video {video}"):
        frame_maximum([1.0], [video], [frame], [2, 3], fill=0.0)


def test_frame_maximum_refuses_nan():
    with pytest.raises(BadInput, match="row 1 is NaN"):
        frame_maximum([1.0, np.nan], [0, 0], [0, 0], [1], fill=0.0)


def test_statistics_are_numpy_s_per_column():
    scores = np.random.default_rng(0).normal(size=(500, 2))
    statistics = calibration_statistics(scores)
    assert statistics.minimum.tolist() == scores.min(0).tolist()
    assert statistics.p999.tolist() == np.percentile(scores, 99.9, axis=0).tolist()
    assert statistics.std.tolist() == scores.std(0).tolist()
    assert calibration_statistics(scores[:, 0]).mean == scores[:, 0].mean()


def test_statistics_survive_a_record():
    statistics = calibration_statistics([1.0, 2.0, 4.0])
    assert Statistics(**statistics.arrays()) == statistics


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [1.0, np.inf]])
def test_statistics_refuse_what_cannot_calibrate(scores):
    with pytest.raises(BadInput, match="training scores"):
        calibration_statistics(scores)


def test_calibrations_follow_their_formulas():
    statistics = calibration_statistics([0.0, 1.0, 4.0])
    test = np.array([-1.0, 0.0, 1.0, 8.0])
    mean, std = 5 / 3, np.std([0.0, 1.0, 4.0])
    assert calibrate("none", test, statistics).tolist() == test.tolist()
    assert calibrate("minmax", test, statistics).tolist() == [-0.25, 0.0, 0.25, 2.0]
    assert calibrate("minmax-p99.9", test, statistics) == pytest.approx(
        test / np.percentile([0, 1, 4], 99.9)
    )
    assert calibrate("zscore-clip", test, statistics) == pytest.approx([0, 0, 0, (8 - mean) / std])
    assert calibrate("sqrt", test, statistics) == pytest.approx([0, 0, 0.5, np.sqrt(2)])


@pytest.mark.parametrize("name", BY_TRAINING)
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6])
def test_constant_training_scores_calibrate_to_finite_scores(name, constant):
    statistics = calibration_statistics(np.full(1000, constant))
    calibrated = calibrate(name, [constant - 1, constant, constant + 1], statistics)
    assert np.isfinite(calibrated).all()
    assert calibrated[2] == pytest.approx(calibrated[1] + 1)


@pytest.mark.parametrize("name", BY_TRAINING)
def test_calibration_of_columns_is_that_of_each_column(name):
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    together = calibrate(name, test, calibration_statistics(train))
    alone = [calibrate(name, test[:, c], calibration_statistics(train[:, c])) for c in range(3)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1), rtol=1e-12)


def test_an_unknown_calibration_lists_the_choices():
    with pytest.raises(
        BadInput, match=r"unknown protocol\.calibration 'softmax': choose from minmax, "
    ):
        calibrate("softmax", [1.0], calibration_statistics([1.0]))


def test_smoothing_never_crosses_videos():
    scores = np.random.default_rng(2).normal(size=(90, 2))
    smoothed = smooth(scores, [40, 1, 49], 3.0)
    expected = [
        gaussian_filter1d(part, 3.0, axis=0, mode="reflect", truncate=4)
        for part in (scores[:40], scores[40:41], scores[41:])
    ]
    np.testing.assert_array_equal(smoothed, np.concatenate(expected))
    assert smoothed[40] == pytest.approx(scores[40])  # a video of one frame


@pytest.mark.parametrize("sigma", [None, 0, 0.0])
def test_no_sigma_leaves_scores_alone(sigma):
    assert smooth([1.0, 2.0, 5.0], [2, 1], sigma).tolist() == [1.0, 2.0, 5.0]


def test_smoothing_refuses_lengths_that_do_not_add_up():
    with pytest.raises(BadInput, match="add up to 4 frames, there are 3 scores"):
        smooth([1.0, 2.0, 5.0], [2, 2], 3)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_smoothing_refuses_an_impossible_sigma(sigma):
    with pytest.raises(BadInput, match="sigma"):
        smooth([1.0, 2.0], [2], sigma)


def test_fusion_is_the_sum():
    assert fuse([[1.0, 2.0], [10.0, 20.0], [0.5, 0.5]]).tolist() == [11.5, 22.5]


@pytest.mark.parametrize("streams", [[], [[1.0], [1.0, 2.0]]])
def test_fusion_refuses_streams_that_do_not_match(streams):
    with pytest.raises(BadInput, match="streams"):
        fuse(streams)


def test_a_window_scores_its_centre_and_edges_are_replicated():
    scores, coverage = window_to_frames(
        np.arange(5.0), video=[0] * 5, start=range(5), lengths=[8], window=4
    )
    assert scores.tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    assert coverage == 5 / 8


def test_windows_never_score_another_video():
    scores, coverage = window_to_frames(
        [1.0, 2.0, 9.0], video=[0, 0, 1], start=[0, 1, 0], lengths=[5, 3], window=4
    )
    # the second video is shorter than a window: one padded window
    assert scores.tolist() == [1, 1, 1, 2, 2, 9, 9, 9]
    assert coverage == 3 / 8


def test_strided_windows_score_the_nearest_frames():
    scores, coverage = window_to_frames(
        [[1.0], [2.0]], video=[0, 0], start=[4, 0], lengths=[9], window=4
    )
    assert scores[:, 0].tolist() == [2, 2, 2, 2, 2, 1, 1, 1, 1]
    assert coverage == 2 / 9


def test_a_video_without_windows_is_refused():
    with pytest.raises(BadInput, match="video 1 has 3 frames and no window"):
        window_to_frames([1.0], [0], [0], [4, 3], window=4)


def test_two_windows_of_one_start_are_refused():
    with pytest.raises(BadInput, match="two windows"):
        window_to_frames([1.0, 2.0], [0, 0], [1, 1], [4], window=2)


def test_a_protocol_survives_json():
    protocol = Protocol(smoothing=7, calibration_level="frame", ties="order")
    assert Protocol(**json.loads(protocol.model_dump_json())) == protocol


def test_what_windows_score_is_no_choice():
    with pytest.raises(BadInput, match="unknown field 'windows'"):
        make_protocol({"windows": "last"})


def test_no_smoothing_has_one_spelling():
    assert Protocol(smoothing=0) == Protocol()
    assert Protocol().filter == "none"


@pytest.mark.parametrize(
    "field",
    [
        {"smoothing": -1},
        {"macro": ("mean",)},
        {"alpha": 0},
        {"beta": 1.5},
        {"sigma": 3},
        {"ties": "random"},
    ],
)
def test_the_protocol_refuses_unknown_choices(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        Protocol(**field)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"parts": 1}, r"protocol\.parts: cannot be set"),
        ({"resamples": 1000}, r"unknown field 'resamples'"),
        ({"smoothing": 1e9}, r"smoothing: .*10000, got 1000000000"),
        ({"macro": "skip,foo"}, r"macro\.1: .*got 'foo'"),
        (
            {"calibration": "foo"},
            r"unknown protocol\.calibration 'foo': choose from minmax, .*zscore-clip",
        ),
    ],
)
def test_what_a_user_may_not_choose_is_told(fields, told):
    with pytest.raises(BadInput, match=told):
        make_protocol(fields)


def test_names_on_the_command_line_are_recorded_in_the_usual_form():
    assert make_protocol({"smoothing": "none"}).model_dump(mode="json")["smoothing"] is None
    assert make_protocol({"macro": "skip"}).model_dump(mode="json")["macro"] == ["skip"]
    assert make_protocol({"macro": "skip, pad-rank"}) == make_protocol(
        {"macro": ["skip", "pad-rank"]}
    )
    assert make_protocol({"calibration": "sqrt"}) == Protocol()


def test_a_filter_wider_than_any_video_is_refused():
    with pytest.raises(
        BadInput, match=r"sigma 1e\+09; expected a positive number of frames up to 10000"
    ):
        smooth(np.zeros(3), [3], 1e9)
