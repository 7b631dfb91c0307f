"""UCSD Ped1 in its official layout, in miniature: masks of some clips only."""

import shutil

import cv2
import numpy as np
import pytest
from damage import findings
from ucsd_files import TinyPed1, write_masks, write_ucsd

from vadbench.datasets.ped1 import Ped1


@pytest.fixture
def tiny(tmp_path):
    return write_ucsd(tmp_path, TinyPed1)


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
    write_masks(tiny.folder / "Test" / "Test001_gt", 4, (2, 3))
    write_masks(tiny.folder / "Test" / "Test002_gt", 4, ())
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
