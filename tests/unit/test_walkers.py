"""Walkers: who acts how, that what is anomalous is in sight, and that nothing changes unnoticed."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vadbench.datasets.gait import SHANK, THIGH, Walker
from vadbench.datasets.walkers import FRAMES, HEIGHT, WIDTH, Walkers, project


@pytest.fixture(scope="module")
def walkers():
    return Walkers(Path("nowhere"))


def test_all_checks_are_good(walkers):
    assert [check for check in walkers.check() if not check.good] == []


def test_the_clips_are_what_they_were(walkers):
    """Labels and tracks to the bit; joints to a thousandth of a pixel, whatever the processor."""
    digest = hashlib.sha256(walkers.labels().flat().tobytes())
    digest.update(walkers.tracks().to_csv(index=False, lineterminator="\n").encode())
    assert digest.hexdigest()[:12] == "33cf8c535780"
    poses = walkers.poses(walkers.videos("test")[4])
    assert len(poses) == 413
    np.testing.assert_allclose(
        poses.joints[100, [0, 16]].ravel(), [177.2083, 95.3364, 168.6007, 153.6057], atol=1e-3
    )


def test_training_has_walkers_alone_and_tests_every_act(walkers):
    acts = {
        split: {walker.act for video in walkers.videos(split) for walker in walkers.walkers(video)}
        for split in ("train", "test")
    }
    assert acts["train"] == {"walking"}
    assert acts["test"] == {"walking", "running", "falling", "loitering", "jumping", "limping"}


def test_labels_events_and_regions_agree(walkers):
    labels = walkers.labels()
    assert sum(not clip.any() for clip in labels.videos.values()) == 2
    marked = {name: np.zeros(FRAMES, np.uint8) for name in labels.videos}
    for event in walkers.events():
        marked[event.video][event.start : event.end + 1] = 1
    tracks = walkers.tracks()
    for name, clip in labels.videos.items():
        np.testing.assert_array_equal(clip, marked[name])
        own = tracks[tracks["video"] == name]
        np.testing.assert_array_equal(np.unique(own["frame"]), np.flatnonzero(clip))
    assert (tracks["x1"] > tracks["x0"]).all()
    assert tracks["x1"].max() < WIDTH
    assert tracks["y1"].max() < HEIGHT


def test_poses_have_noise_and_gaps_and_are_the_same_every_time(walkers):
    video = walkers.videos("test")[1]
    poses, again = walkers.poses(video), walkers.poses(video)
    np.testing.assert_array_equal(poses.joints, again.joints)
    person = poses.rows(poses.person == 0)
    lost = 1 - len(person) / (person.frame[-1] - person.frame[0] + 1)
    assert 0 < lost < 0.05
    known = np.stack([project(walkers.walkers(video)[0], frame) for frame in person.frame])
    noise = person.joints - known
    assert 0.2 < noise.std() < 0.8


def test_limbs_keep_their_length_and_a_foot_is_on_the_ground():
    for act in ("walking", "running", "limping", "loitering", "jumping", "falling"):
        walker = Walker(100, 150, 0.2, 5, act=act, when=(20, 60))
        for frame in range(0, 80, 3):
            joints = walker.joints(frame)
            size = walker.drawn["size"]
            for hip, knee, ankle in ((11, 13, 15), (12, 14, 16)):
                thigh, shank = joints[knee] - joints[hip], joints[ankle] - joints[knee]
                assert np.hypot(thigh[0], thigh[2]) == pytest.approx(size * THIGH, rel=1e-9)
                assert np.hypot(shank[0], shank[2]) == pytest.approx(size * SHANK, rel=1e-9)
            if act in ("walking", "running", "limping", "loitering"):
                assert joints[[15, 16], 2].min() == pytest.approx(0, abs=1e-12)


def test_acts_are_what_they_say():
    def pace(act, frame):
        walker = Walker(100, 150, 0.0, 5, act=act, when=(20, 90))
        return walker.way(frame + 1) - walker.way(frame)

    assert pace("running", 50) > 2 * pace("walking", 50)
    assert 0 <= pace("loitering", 80) < 0.01 * pace("walking", 80)
    assert pace("loitering", 95) == pytest.approx(pace("walking", 95))
    assert pace("limping", 50) < 0.8 * pace("walking", 50)
    assert pace("falling", 60) == 0
    fallen = Walker(100, 150, 0.0, 5, act="falling", when=(20, 90)).joints(60)
    assert np.ptp(fallen[:, 2]) < 0.3 < np.ptp(fallen[:, 0])
    jumps = Walker(100, 150, 0.0, 5, act="jumping", when=(20, 90))
    assert max(jumps.joints(frame)[[15, 16], 2].min() for frame in range(20, 90)) > 0.2


def test_frames_show_the_walkers(walkers):
    video = walkers.videos("test")[0]
    frames = list(walkers.read(video))
    assert len(frames) == FRAMES
    assert frames[0].shape == walkers.size
    poses = walkers.poses(video)
    placed = np.rint(poses.joints[:, 11]).astype(int)  # hips are dark
    inside = (placed >= 0).all(1) & (placed < (WIDTH, HEIGHT)).all(1)
    dark = [frames[t][y, x] < 90 for t, (x, y) in zip(poses.frame[inside], placed[inside], strict=True)]  # noqa: E501 # fmt: skip
    assert np.mean(dark) > 0.95
