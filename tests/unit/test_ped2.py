"""UCSD Ped2: the real release, and a tiny one."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from damage import findings
from ucsd_files import TinyPed2, write_ucsd

from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.ucsd import RELEASE, parse_intervals
from vadbench.errors import BadInput

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def tiny(tmp_path):
    return write_ucsd(tmp_path, TinyPed2)


@pytest.fixture(scope="session")
def ped2(tmp_path_factory):
    tool = SHARED / "tools" / "unpack_ped2.py"
    if not tool.is_file():
        pytest.skip("needs ../shared/tools/unpack_ped2.py and ../shared/data/ped2")
    root = tmp_path_factory.mktemp("ped2")
    unpacked = subprocess.run(
        [sys.executable, str(tool), str(root)], capture_output=True, text=True, check=False
    )
    if unpacked.returncode:
        pytest.skip(f"unpack_ped2.py failed: {unpacked.stderr.splitlines()[-1]}")
    return Ped2(root)


# the release


@pytest.mark.slow
def test_the_release_passes_its_check(ped2):
    assert findings(ped2) == {}


@pytest.mark.slow
def test_the_release_has_its_counts(ped2):
    assert [len(ped2.videos(split)) for split in ("train", "test")] == [16, 12]
    assert [sum(video.frames for video in ped2.videos(split)) for split in ("train", "test")] == [
        2550,
        2010,
    ]


@pytest.mark.slow
def test_the_labels_are_those_of_the_npy_file(ped2):
    labels = ped2.labels()
    np.testing.assert_array_equal(
        labels.flat(), np.load(SHARED / "data/ped2/frame_labels_ped2.npy").ravel()
    )
    assert labels.provenance()["anomalous"] == 1648
    assert [name for name, values in labels.videos.items() if values.all()] == [
        "Test008",
        "Test009",
        "Test010",
        "Test011",
    ]


@pytest.mark.slow
def test_frames_are_lossless(ped2):
    video = ped2.videos("train")[0]
    frames = ped2.frames(video)
    packed = np.load(SHARED / "data/ped2/frames/Train001.npz")["d"]
    np.testing.assert_array_equal(frames, np.cumsum(packed, axis=0, dtype=np.uint8))


@pytest.mark.slow
def test_tracks_cover_exactly_the_anomalous_frames(ped2):
    tracks, labels = ped2.tracks(), ped2.labels()
    for name, values in labels.videos.items():
        np.testing.assert_array_equal(
            np.unique(tracks.loc[tracks["video"] == name, "frame"]), np.flatnonzero(values)
        )
    assert not tracks.duplicated(["video", "track", "frame"]).any()
    assert (
        (tracks["x1"] < 360)
        & (tracks["y1"] < 240)
        & (tracks["x1"] >= tracks["x0"])
        & (tracks["y1"] >= tracks["y0"])
    ).all()


# a tiny one


def test_a_whole_copy_passes_its_check(tiny):
    assert findings(tiny) == {}
    assert tiny.frames(tiny.videos("test")[0]).shape == (4, 24, 36)


def test_the_folder_may_stand_alone(tiny):
    (tiny.root / RELEASE / "UCSDped2").rename(tiny.root / "UCSDped2")
    assert findings(tiny) == {}


def test_labels_are_inclusive_and_count_from_one(tiny):
    assert {name: values.tolist() for name, values in tiny.labels().videos.items()} == {
        "Test001": [0, 1, 1, 0],
        "Test002": [1, 1, 1],
    }


def test_tracks_are_derived_from_masks(tiny):
    tracks = tiny.tracks()
    assert tracks["frame"].tolist() == [1, 2, 0, 1, 2]
    assert tracks[["x0", "y0", "x1", "y1"]].drop_duplicates().to_numpy().tolist() == [
        [8, 5, 15, 14]
    ]


def test_training_clips_have_no_masks(tiny):
    assert tiny.masks(tiny.videos("train")[0]) is None


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("a.gt_frame = [1:2];", "gt_frame of 1 clips, expected 2"),
        (
            "a.gt_frame = [1:5]; a.gt_frame = [1:3];",
            "interval 1:5 of Test001 is outside its frames 1:4",
        ),
        ("a.gt_frame = [1:2]; a.gt_frame = [x];", "clip 2 is not understood"),
    ],
)
def test_wrong_labels_are_refused(tiny, source, told):
    (tiny.folder / "Test" / "UCSDped2.m").write_text(source)
    with pytest.raises(BadInput, match=told):
        tiny.labels()


def test_several_intervals_and_comments_are_understood(tmp_path):
    path = tmp_path / "labels.m"
    path.write_text(
        "% a.gt_frame = [9:9];\na.gt_frame = [60:152, 170 180 : 190];\nb.gt_frame=[];\n"
    )
    assert parse_intervals(path) == [[(60, 152), (170, 170), (180, 190)], []]


def test_a_mask_that_contradicts_its_label_is_found(tiny):
    cv2.imwrite(
        str(tiny.folder / "Test" / "Test001_gt" / "001.bmp"), np.full(TinyPed2.size, 255, np.uint8)
    )
    assert findings(tiny) == {"masks not empty = labels": "6 frames agree"}


def test_missing_masks_are_found(tiny):
    (tiny.folder / "Test" / "Test002_gt").rename(tiny.root / "elsewhere")
    assert "Test002_gt: no such folder" in findings(tiny)["masks not empty = labels"]


def test_folders_whose_names_leave_no_doubt_are_found(tiny):
    test = tiny.folder / "Test"
    (test / "Test001").rename(test / "test1")
    (test / "Test001_gt").rename(test / "Test001_GT")
    (test / "UCSDped2.m").rename(test / "UCSDPed2.m")
    assert findings(tiny) == {}


def test_labels_with_a_byte_order_mark_are_read(tiny):
    path = tiny.folder / tiny.label_file
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert findings(tiny) == {}
