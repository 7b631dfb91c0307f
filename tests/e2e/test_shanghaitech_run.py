"""ShanghaiTech in the official layout, a miniature of two scenes, from its files to a table:
footage, tracks alone, a training a scene.

In scene 02 everybody goes at the speed of the one who runs in scene 01.
"""

import shutil

import cv2
import numpy as np
import pytest
from street import FRAMES, RUNNER, SIZE, Street, measured, records, write_video

pytestmark = pytest.mark.slow  # half a minute together; `make test-all` runs them

TRAIN = {"01_001": Street(1), "02_001": Street(2, pace=8)}
TEST = {"01_0014": Street(3, ran=range(20, 32)), "02_0128": Street(4, pace=8)}
COUNTS = {
    "counts": {"train": 2, "test": 2},
    "scenes": {"train": 2, "test": 2},
    "size": SIZE,
    "train_frames": 2 * FRAMES,
    "test_frames": 2 * FRAMES,
    "anomalous": 12,
}
RUN = ("run", "--methods", "gmm,magnitude", "--datasets", "shanghaitech", "--quiet")


def write_tracks(path, streets):
    """As released: one array of rows for all videos; the columns that nobody needs are there
    too.
    """
    rows = [
        [(t, who, 2, *box) for t in range(FRAMES) for who, box in street.people(t).items()]
        for street in streets.values()
    ]
    columns = ["Frame_Number", "Person_ID", "State", "BB_tl_0", "BB_tl_1", "BB_br_0", "BB_br_1"]
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = np.array([len(of_video) for of_video in rows])
    np.savez(
        path,
        rows=np.concatenate(rows).astype(np.int16),
        columns=np.array(columns),
        video=np.array(list(streets)),
        count=counts,
    )


@pytest.fixture
def shanghaitech(tmp_path, shrunk):
    """Runs the command line on the miniature."""
    base = tmp_path / "data" / "shanghaitech"
    for name, street in TRAIN.items():
        write_video(base / "training" / "videos" / f"{name}.avi", street, "MJPG")
    for name, street in TEST.items():
        frames = base / "testing" / "frames" / name
        frames.mkdir(parents=True)
        for t, picture in enumerate(street.pictures()):
            cv2.imwrite(str(frames / f"{t:03d}.jpg"), picture)
        for kind, mask in (
            ("frame", street.labels.astype(np.int8)),
            ("pixel", np.stack([street.ids(t) == RUNNER for t in range(FRAMES)])),
        ):
            folder = base / "testing" / f"test_{kind}_mask"
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{name}.npy", mask)
    for split, streets in (("train", TRAIN), ("test", TEST)):
        write_tracks(
            tmp_path / "data" / "tracks" / "shanghaitech" / f"deepsort_{split}.npz", streets
        )
    return shrunk("shanghaitech", COUNTS)


@pytest.fixture
def without_footage(shanghaitech, tmp_path):
    """What a user has who took labels and tracks and no video."""
    base = tmp_path / "data" / "shanghaitech"
    for folder in ("training", "testing/frames", "testing/test_pixel_mask"):
        shutil.rmtree(base / folder)
    return shanghaitech


def test_footage_is_checked_and_run(shanghaitech, tmp_path):
    checked = shanghaitech("data", "check", "shanghaitech").stdout
    assert "BAD" not in checked
    for what in ("train frames decoded", "test frames decoded", "pixel masks", "test scenes"):
        assert f"ok  {what}" in checked
    shanghaitech(*RUN, "--features", "velocity")
    found = records(tmp_path / "results")
    assert set(found) == {"gmm@velocity", "magnitude@velocity"}
    for record in found.values():
        assert (record.labels["frames"], record.labels["anomalous"]) == (120, 12)
        assert record.labels["tracks"] == "derived from the masks"
    runs = found["magnitude@velocity"]
    # who runs there is four times as fast as the others
    assert measured(runs, "micro_auc", "scene:01") > 0.9
    assert measured(runs, "micro_auc", "scene:02") is None  # nobody does
    assert 0 < measured(runs, "rbdc") <= 1


def test_tracks_alone_are_checked_and_run(without_footage, tmp_path):
    checked = without_footage("data", "check", "shanghaitech").stdout
    assert "BAD" not in checked
    assert checked.count("no videos here: streams on tracks only") == 2
    told = without_footage(*RUN).stdout
    assert "labels `official`" in told
    found = records(tmp_path / "results")
    assert set(found) == {"gmm@tracks", "magnitude@tracks"}
    assert measured(found["magnitude@tracks"], "micro_auc", "scene:01") > 0.9
    assert measured(found["magnitude@tracks"], "rbdc") is None
    error = without_footage(*RUN, "--features", "velocity", code=2).stderr.strip()
    assert "only streams on tracks do without" in error
    assert "\n" not in error


def test_a_training_a_scene_sees_who_runs_at_the_speed_of_another_scene(without_footage, tmp_path):
    told = without_footage(*RUN, "--scope", "scene").stdout
    assert "| gmm (per scene)" in told
    found = records(tmp_path / "results")
    assert found["gmm@tracks"].result.training.scope == "scene"
    assert measured(found["gmm@tracks"], "micro_auc") > 0.9
    # to speed alone, which learns nothing, all of scene 02 runs
    assert measured(found["magnitude@tracks"], "micro_auc") < 0.9
