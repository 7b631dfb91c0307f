"""UCSD Ped2: the real release, and a tiny one damaged in the ways that a user's copy may be."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.ucsd import RELEASE, parse_intervals
from vadbench.errors import BadInput

SHARED = Path(__file__).resolve().parents[3] / "shared"


class TinyPed2(Ped2):
    clips = {"train": (3, 2), "test": (4, 3)}
    size = (24, 36)
    masked = 2
    anomalous = 5


@pytest.fixture
def tiny(tmp_path):
    """The official layout with frames 2-3 of Test001 and all of Test002 anomalous."""
    base = tmp_path / RELEASE / "UCSDped2"
    random = np.random.default_rng(0)
    for split, counts in TinyPed2.clips.items():
        for clip, frames in enumerate(counts, 1):
            folder = base / split.title() / f"{split.title()}{clip:03d}"
            folder.mkdir(parents=True)
            for frame in range(1, frames + 1):
                cv2.imwrite(
                    str(folder / f"{frame:03d}.tif"),
                    random.integers(0, 256, TinyPed2.size).astype(np.uint8),
                )
                if split == "test":
                    mask = np.zeros(TinyPed2.size, np.uint8)
                    mask[5:15, 8:16] = 255 * (clip == 2 or frame in (2, 3))
                    folder.with_name(f"{folder.name}_gt").mkdir(exist_ok=True)
                    cv2.imwrite(
                        str(folder.with_name(f"{folder.name}_gt") / f"{frame:03d}.bmp"), mask
                    )
    (base / "Test" / "UCSDped2.m").write_text(
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:3];\nTestVideoFile{end+1}.gt_frame"
        " = [1:3];\n"
    )
    return TinyPed2(tmp_path)


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


def findings(dataset):
    return {check.what: check.found for check in dataset.check() if not check.good}


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


def test_absent_data_says_how_to_get_it_in_one_line(tmp_path):
    with pytest.raises(
        BadInput, match=r"UCSD_Anomaly_Dataset\.tar\.gz.*svcl\.ucsd\.edu.*VADBENCH_DATA"
    ) as raised:
        Ped2(tmp_path).videos("train")
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def clip_of(tiny, name):
    return tiny.folder / name[:-3].title() / name


def test_a_missing_clip_is_named(tiny):
    clip_of(tiny, "Train002").rename(tiny.root / "elsewhere")
    with pytest.raises(BadInput, match=r"Train002: clip 2 of 2 is missing; `vadbench data fetch"):
        tiny.videos("train")


def test_a_clip_cut_short_is_found_without_decoding(tiny):
    (clip_of(tiny, "Test001") / "004.tif").unlink()
    with pytest.raises(BadInput, match=r"Test001: 3 frames, the release has 4"):
        tiny.videos("test")


def test_an_empty_clip_is_named(tiny):
    for path in clip_of(tiny, "Train002").iterdir():
        path.unlink()
    with pytest.raises(BadInput, match=r"Train002: empty clip"):
        tiny.videos("train")


def test_a_gap_is_named(tiny):
    (clip_of(tiny, "Test001") / "002.tif").unlink()
    with pytest.raises(BadInput, match=r"Test001: frame 2 is missing"):
        tiny.videos("test")


def test_a_truncated_frame_is_named(tiny):
    path = clip_of(tiny, "Train001") / "002.tif"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BadInput, match=r"Train001/002\.tif: truncated"):
        tiny.frames(tiny.videos("train")[0])
    assert "Train001/002.tif: truncated" in findings(tiny)["train frames decoded"]


def test_frames_of_another_size_are_refused(tiny):
    for frame in (1, 2):
        cv2.imwrite(
            str(clip_of(tiny, "Train002") / f"{frame:03d}.tif"), np.zeros((24, 37), np.uint8)
        )
    with pytest.raises(
        BadInput, match=r"Train002: frames of shape \(24, 37\), the release has \(24, 36\)"
    ):
        tiny.frames(tiny.videos("train")[1])


def test_mac_leftovers_and_upper_case_do_no_harm(tiny):
    folder = clip_of(tiny, "Test001")
    (folder / "._001.tif").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "003.tif").rename(folder / "003.TIF")
    assert findings(tiny) == {}


def test_missing_labels_are_named(tiny):
    (tiny.folder / "Test" / "UCSDped2.m").unlink()
    with pytest.raises(
        BadInput,
        match=r"UCSDped2\.m: the file of the frame labels is missing; `vadbench data fetch",
    ):
        tiny.labels()


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
