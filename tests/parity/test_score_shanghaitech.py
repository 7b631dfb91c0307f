"""Scoring files at full size: the real labels of ShanghaiTech with made-up scores, boxes and
tracks; and the oracles' folders of txt.
"""

import json
import time

import numpy as np
import pandas as pd
import pytest

from vadbench.external.score import score_frames, score_regions

DETECTIONS, TRACKS = 150_000, 160
SECONDS = 30  # of CPU, all metrics with intervals


@pytest.fixture(scope="module")
def labels(shared_data):
    """Video, frame, label of the test set, from the official masks."""
    path = shared_data / "shanghaitech" / "test_frame_mask.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    with np.load(path, allow_pickle=False) as masks:
        return pd.concat(
            [
                pd.DataFrame({"video": v, "frame": np.arange(len(masks[v])), "label": masks[v]})
                for v in masks.files
            ],
            ignore_index=True,
        )


def make_tracks(labels, rng):
    """Tracks of one drifting box, cut from the anomalous frames so that all are covered, some
    twice.
    """
    anomalous = labels[labels["label"] == 1].reset_index(drop=True)
    breaks = (anomalous["frame"].diff() != 1) | (anomalous["video"] != anomalous["video"].shift())
    anomalous["track"] = breaks.cumsum()
    again = anomalous[
        anomalous["track"].isin(rng.permutation(anomalous["track"].unique())[:TRACKS])
    ]
    tracks = pd.concat(
        [anomalous, again.assign(track=again["track"] + anomalous["track"].max())],
        ignore_index=True,
    )
    x, y = rng.uniform(0, 700, (2, tracks["track"].max() + 1))[:, tracks["track"]]
    return tracks.drop(columns="label").assign(
        x0=x + tracks["frame"] % 50, y0=y / 2, x1=x + tracks["frame"] % 50 + 60, y1=y / 2 + 100
    )


def make_detections(labels, tracks, rng):
    """Half near a region, the others anywhere; those near one score higher on average."""
    near = (
        tracks.drop(columns="track")
        .sample(DETECTIONS // 2, replace=True, random_state=0)
        .reset_index(drop=True)
    )
    shift = rng.normal(0, 25, (2, len(near)))
    near = near.assign(
        x0=near["x0"] + shift[0],
        x1=near["x1"] + shift[0],
        y0=near["y0"] + shift[1],
        y1=near["y1"] + shift[1],
    )
    far = (
        labels[["video", "frame"]]
        .sample(DETECTIONS - len(near), replace=True, random_state=1)
        .reset_index(drop=True)
    )
    x, y = rng.uniform(0, 700, (2, len(far)))
    far = far.assign(x0=x, y0=y / 2, x1=x + 60, y1=y / 2 + 100)
    scores = np.concatenate([rng.normal(1, 1, len(near)), rng.normal(0, 1, len(far))])
    return (
        pd.concat([near, far], ignore_index=True)
        .assign(score=scores)
        .sample(frac=1, random_state=2)
    )


@pytest.mark.slow
def test_every_metric_of_shanghaitech_has_an_interval(tmp_path, labels):
    rng = np.random.default_rng(0)
    tracks = make_tracks(labels, rng)
    detections = make_detections(labels, tracks, rng)
    tables = {"labels": labels, "tracks": tracks, "detections": detections}
    tables["scores"] = (
        labels[["video", "frame"]]
        .assign(score=labels["label"] * 0.5 + rng.normal(size=len(labels)))
        .sample(frac=1, random_state=3)
    )
    paths = {name: tmp_path / f"{name}.csv" for name in tables}
    for name, table in tables.items():
        table.to_csv(paths[name], index=False)
    start = time.process_time()
    frames = score_frames(paths["scores"], paths["labels"])
    regions = score_regions(paths["detections"], paths["tracks"], paths["labels"])
    spent = time.process_time() - start
    assert (frames["videos"], frames["frames"], regions["n_frames"], regions["detections"]) == (
        107,
        40_791,
        40_791,
        DETECTIONS,
    )
    for row in frames["rows"]:
        assert 0 < row["value"] < 1
        if row["metric"] not in ("prevalence", "fpr_at_95_tpr"):
            assert 0 <= row["low"] < row["high"] <= 1, row
    for metric in ("rbdc", "tbdc"):
        low, high = regions[f"{metric}_interval"]
        assert 0 < low < regions[metric] < high < 1
    assert spent < SECONDS


@pytest.mark.parametrize(
    "name", ["single_det_row_file", "single_track_row_file", "small_seed0", "medium_seed0"]
)
def test_folders_of_the_published_script(tmp_path, oracles, name):
    case = json.loads((oracles / "rbdc" / f"{name}.json").read_text())
    for kind in ("dets", "tracks"):
        (tmp_path / kind).mkdir()
        for video, rows in pd.DataFrame(case[kind]).groupby(0):
            np.savetxt(
                tmp_path / kind / f"{video}.txt",
                rows.drop(columns=0).astype(float),
                delimiter=",",
                fmt="%.17g",
            )
    found = score_regions(
        tmp_path / "dets",
        tmp_path / "tracks",
        case["num_frames"],
        alpha=case["alpha"],
        beta=case["beta"],
    )
    assert (found["rbdc"], found["tbdc"]) == pytest.approx(case["spec_avg"], abs=1e-12)
