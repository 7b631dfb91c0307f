"""AccI-VAD: the released calibration and evaluation, end to end, from our kNN, GMM and protocol."""

from __future__ import annotations

import numpy as np
import pytest
from vadbench_methods.accivad import RECIPE
from vadbench_methods.gmm import GMM
from vadbench_methods.knn import KNN

from vadbench.detector import Features
from vadbench.evaluation.calibration import calibrate, calibration_statistics, fuse
from vadbench.evaluation.maxima import frame_maximum
from vadbench.evaluation.metrics.frame import macro_auc, micro_auc
from vadbench.evaluation.smoothing import smooth
from vadbench.features.stream import declared_nature

METHODS = {"knn": KNN, "gmm": GMM}
SIGMA = 3.0


@pytest.fixture(scope="module")
def oracle(oracles):
    with np.load(oracles / "methods" / "accivad_oracle.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def features(x, count, cumulative):
    """A flat ragged array with rows per frame, and the clips' cumulative ends, as one stream."""
    lengths = np.diff(cumulative, prepend=0)
    frame = np.concatenate([np.arange(length) for length in lengths])
    video = np.repeat(np.arange(len(lengths)), lengths)
    return (
        Features(np.asarray(x, np.float32), np.repeat(video, count), np.repeat(frame, count)),
        lengths,
    )


def oracle_features(oracle, dataset, split, stream):
    name = f"{dataset}/{split}/{stream}"
    return features(oracle[name], oracle[f"{name}_count"], oracle[f"{dataset}/{split}_cum"])


def fit_on(method, dataset, stream, train):
    detector = METHODS[method](
        METHODS[method].Config(**METHODS[method].preset("paper", dataset, declared_nature(stream))),
        seed=0,
    )
    detector.fit(train)
    return detector


def frame_scores(oracle, dataset):
    """What the recipe makes of the oracle's streams, and the frames per test video."""
    streams = []
    for part in RECIPE.parts:
        train, _ = oracle_features(oracle, dataset, "train", part.stream)
        test, lengths = oracle_features(oracle, dataset, "test", part.stream)
        detector = fit_on(part.method, dataset, part.stream, train)
        statistics = calibration_statistics(detector.score_normal(train)[:, 0])
        fill = 0.0 if part.empty == "zero" else statistics.minimum
        frames = frame_maximum(detector.score(test)[:, 0], test.video, test.frame, lengths, fill)
        streams.append(calibrate(part.calibration, frames, statistics))
    return smooth(fuse(streams), lengths, SIGMA), lengths


@pytest.mark.parametrize("dataset", ["ped2", "avenue"])
@pytest.mark.parametrize("stream", ["pose", "deep"])
def test_calibration_scores_leave_out_the_row_s_own_video(oracle, dataset, stream):
    train, _ = oracle_features(oracle, dataset, "train", stream)
    scores = fit_on("knn", dataset, stream, train).score_normal(train)[:, 0]
    np.testing.assert_allclose(scores, oracle[f"{dataset}/calib_{stream}"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dataset", ["ped2", "avenue"])
def test_final_frame_scores_are_the_reference_s(oracle, dataset):
    scores, _ = frame_scores(oracle, dataset)
    np.testing.assert_allclose(scores, oracle[f"{dataset}/final_scores"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dataset", ["ped2", "avenue"])
def test_aucs_are_the_reference_s(oracle, dataset):
    scores, lengths = frame_scores(oracle, dataset)
    labels = oracle[f"{dataset}/gt"]
    assert micro_auc(scores, labels) == pytest.approx(
        oracle[f"{dataset}/micro_auc"] / 100, abs=1e-9
    )
    assert macro_auc(scores, labels, lengths, "pad-0-max") == pytest.approx(
        oracle[f"{dataset}/macro_auc"] / 100, abs=1e-9
    )


@pytest.fixture(scope="module")
def real_pose(oracle, shared_data):
    """Frame scores of 1-NN on the released Ped2 pose vectors, and the frames per test video."""
    streams = []
    # where training clips end changes no test score
    for split, cumulative in (("train", [2550]), ("test", oracle["real_ped2_pose/cum"])):
        with np.load(
            shared_data / "ped2" / "features" / f"accivad_pose_{split}.npz", allow_pickle=False
        ) as arrays:
            streams.append(features(arrays["pose"], arrays["count"], cumulative))
    (train, _), (test, lengths) = streams
    scores = fit_on("knn", "ped2", "pose", train).score(test)[:, 0]
    return frame_maximum(scores, test.video, test.frame, lengths, 0.0), lengths


def test_real_ped2_pose_frame_scores_are_the_reference_s(oracle, real_pose):
    np.testing.assert_allclose(
        real_pose[0], oracle["real_ped2_pose/frame_scores"], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("sigma", [0, 3, 7])
def test_real_ped2_pose_aucs_are_the_reference_s(oracle, real_pose, sigma):
    frames, lengths = real_pose
    labels = oracle["real_ped2_pose/labels"]
    scores = smooth(frames, lengths, sigma)
    found = [100 * micro_auc(scores, labels), 100 * macro_auc(scores, labels, lengths, "pad-0-max")]
    np.testing.assert_allclose(found, oracle[f"real_ped2_pose/micro_macro_sigma{sigma}"], atol=1e-6)
