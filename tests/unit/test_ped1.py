"""UCSD Ped1 in its official layout, in miniature: masks of some clips only, and damaged in the ways
that a user's copy may be.
"""

import shutil

import cv2
import numpy as np
import pytest

from vadbench.datasets.ped1 import Ped1
from vadbench.datasets.ucsd import RELEASE
from vadbench.errors import BadInput


class TinyPed1(Ped1):
    clips = {"train": (4, 4), "test": (4, 4, 4)}
    size = (24, 36)
    masked = 1


def write_masks(folder, anomalous):
    folder.mkdir()
    for frame in range(1, 5):
        mask = np.zeros(TinyPed1.size, np.uint8)
        mask[5:15, 8:16] = 255 * (frame in anomalous)
        cv2.imwrite(str(folder / f"{frame:03d}.bmp"), mask)


@pytest.fixture
def tiny(tmp_path):
    """Frames 2-3 of Test001 and all of Test003 anomalous; masks of Test003 alone."""
    base, random = tmp_path / RELEASE / "UCSDped1", np.random.default_rng(0)
    for split, counts in TinyPed1.clips.items():
        for clip, frames in enumerate(counts, 1):
            folder = base / split.title() / f"{split.title()}{clip:03d}"
            folder.mkdir(parents=True)
            for frame in range(1, frames + 1):
                cv2.imwrite(
                    str(folder / f"{frame:03d}.tif"),
                    random.integers(0, 256, TinyPed1.size).astype(np.uint8),
                )
    write_masks(base / "Test" / "Test003_gt", range(1, 5))
    (base / "Test" / "UCSDped1.m").write_text(
        "a{end+1}.gt_frame = [2:3];\na{end+1}.gt_frame = [];\na{end+1}.gt_frame = [1:4];\n"
    )
    return TinyPed1(tmp_path)


def findings(dataset):
    return {check.what: check.found for check in dataset.check() if not check.good}


def use(dataset):
    """Clips, labels, frames and masks, all of them."""
    dataset.labels()
    for video in (*dataset.videos("train"), *dataset.videos("test")):
        dataset.frames(video)
        list(dataset.masks(video) or ())


def refusal(do, dataset):
    with pytest.raises(BadInput) as raised:
        do(dataset)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_whole_copy_passes_its_check(tiny):
    assert findings(tiny) == {}
    found = {check.what: check.found for check in tiny.check()}
    assert found["test clips with masks"] == "1"
    assert found["masks not empty = labels"] == "4 frames agree of 4"
    assert found["anomalous frames (Test/UCSDped1.m)"] == "6"


def test_the_release_has_clips_of_200_frames():
    assert {split: (len(clips), sum(clips)) for split, clips in Ped1.clips.items()} == {
        "train": (34, 6800),
        "test": (36, 7200),
    }


def test_masks_are_there_or_not_clip_by_clip(tiny):
    masks = [tiny.masks(video) for video in tiny.videos("test")]
    assert masks[:2] == [None, None]
    assert [mask.any() for mask in masks[2]] == [True] * 4


def test_part_of_the_masks_gives_no_tracks(tiny):
    assert tiny.tracks() is None
    assert tiny.track_source is None


def test_all_masks_give_derived_tracks(tiny):
    write_masks(tiny.folder / "Test" / "Test001_gt", (2, 3))
    write_masks(tiny.folder / "Test" / "Test002_gt", ())
    assert tiny.track_source == "derived from the masks"
    assert tiny.tracks()[["video", "frame"]].to_numpy().tolist() == [
        ["Test001", 1],
        ["Test001", 2],
        *(["Test003", t] for t in range(4)),
    ]
    assert findings(tiny) == {}


def test_a_lost_mask_folder_is_found(tiny):
    shutil.rmtree(tiny.folder / "Test" / "Test003_gt")
    assert findings(tiny) == {"test clips with masks": "0"}


def test_a_damaged_mask_is_found(tiny):
    cv2.imwrite(str(tiny.folder / "Test" / "Test003_gt" / "002.bmp"), np.zeros((5, 5), np.uint8))
    assert "002.bmp: a mask: 5 x 5" in findings(tiny)["masks not empty = labels"]


def first_clip(tiny):
    return tiny.folder / "Train" / "Train001"


def truncated(tiny):
    path = first_clip(tiny) / "002.tif"
    path.write_bytes(path.read_bytes()[:300])


def renumbered(tiny):
    (first_clip(tiny) / "002.tif").rename(first_clip(tiny) / "102.tif")


def counted_from_two(tiny):
    for frame in range(4, 0, -1):
        (first_clip(tiny) / f"{frame:03d}.tif").rename(first_clip(tiny) / f"{frame + 1:03d}.tif")


def missing_label(tiny):
    (tiny.folder / "Test" / "UCSDped1.m").unlink()


def wrong_size(tiny):
    for path in first_clip(tiny).iterdir():
        cv2.imwrite(str(path), np.zeros((24, 37), np.uint8))


def colour(tiny):
    for path in first_clip(tiny).iterdir():
        cv2.imwrite(str(path), np.arange(24 * 36 * 3).reshape(24, 36, 3).astype(np.uint8))


def zero_frames(tiny):
    for path in first_clip(tiny).iterdir():
        path.unlink()


def one_frame(tiny):
    for path in sorted(first_clip(tiny).iterdir())[1:]:
        path.unlink()


def unknown_codec(tiny):
    (first_clip(tiny) / "002.tif").write_bytes(b"a picture in a format of our own")


def frame_loop(tiny):
    (first_clip(tiny) / "002.tif").unlink()
    (first_clip(tiny) / "002.tif").symlink_to("002.tif")


def clip_loop(tiny):
    shutil.rmtree(first_clip(tiny))
    first_clip(tiny).symlink_to("Train001")


def label_loop(tiny):
    (tiny.folder / "Test" / "UCSDped1.m").unlink()
    (tiny.folder / "Test" / "UCSDped1.m").symlink_to("UCSDped1.m")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (truncated, "Train001/002.tif: truncated or not an image (300 bytes)"),
        (renumbered, "Train001: frame 2 is missing (the last is 102.tif)"),
        (counted_from_two, "Train001: frame 1 is missing (the last is 005.tif)"),
        (
            missing_label,
            (
                "UCSDped1.m: the file of the frame labels is missing; `vadbench data fetch ped1`,"
                " or download UCSD_Anomaly_Dataset.tar.gz"
            ),
        ),
        (wrong_size, "Train001: frames of shape (24, 37), the release has (24, 36) grey"),
        (colour, "Train001: frames of shape (24, 36, 3), the release has (24, 36) grey"),
        (zero_frames, "Train001: empty clip"),
        (one_frame, "Train001: 1 frames, the release has 4"),
        (unknown_codec, "Train001/002.tif: truncated or not an image"),
        (frame_loop, "Train001/002.tif: cannot be read (Too many levels of symbolic links)"),
        (clip_loop, "Train001: clip 1 of 2 is missing"),
        (label_loop, "UCSDped1.m: the file of the frame labels is missing"),
    ],
)
def test_damage_is_one_line(tiny, damage, told):
    damage(tiny)
    assert told in refusal(use, tiny)
    # otherwise clips or labels are missing: nothing to check
    if damage in (truncated, wrong_size, colour, unknown_codec, frame_loop):
        assert told in findings(tiny)["train frames decoded"]
    else:
        assert told in refusal(findings, tiny)


def test_extra_files_and_upper_case_do_no_harm(tiny):
    for name in ("._001.tif", ".DS_Store", "Thumbs.db"):
        (first_clip(tiny) / name).write_bytes(b"x")
        (tiny.folder / "Test" / name).write_bytes(b"x")
    (first_clip(tiny) / "003.tif").rename(first_clip(tiny) / "003.TIF")
    assert findings(tiny) == {}
