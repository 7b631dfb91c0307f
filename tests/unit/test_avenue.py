"""CUHK Avenue in its official layout, in miniature: read, and damaged in the ways that a user's
copy may be.
"""

import shutil

import numpy as np
import pytest
from avenue_files import (
    COUNTS,
    ODD,
    SIZE,
    TEST,
    TRAIN,
    MiniatureAvenue,
    masks,
    picture,
    write_avenue,
    write_avi,
    write_labels,
)
from damage import findings, litter, loop, refusal, truncate, unknown_codec, use
from scipy.io import savemat

from vadbench.datasets.avenue import Avenue
from vadbench.datasets.published_tracks import regions_folder
from vadbench.errors import BadInput


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("avenue")
    write_avenue(root)
    return root


@pytest.fixture
def tiny(written, tmp_path, monkeypatch):
    """A copy to be damaged, its frame counts remembered in a cache of its own."""
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    shutil.copytree(written, tmp_path / "data")
    return MiniatureAvenue(tmp_path / "data")


def videos_folder(tiny, split="testing"):
    return tiny.root / "Avenue Dataset" / f"{split}_videos"


def labels_folder(tiny):
    return tiny.root / "ground_truth_demo" / "testing_label_mask"


# a whole copy


def test_a_whole_copy_passes_its_check(tiny):
    assert findings(tiny) == {}
    found = {check.what: check.found for check in tiny.check()}
    assert found["region tracks"] == f"{COUNTS['anomalous']} regions, derived from the masks"


def test_videos_have_their_numbers_and_decoded_lengths(tiny):
    assert [(video.name, video.frames) for video in tiny.videos("train")] == [
        ("01", TRAIN[0]),
        ("02", TRAIN[1]),
        ("03", TRAIN[2]),
    ]
    assert [(video.name, video.frames) for video in tiny.videos("test")] == [
        ("01", TEST[0]),
        ("02", TEST[1]),
    ]


def test_the_class_has_the_counts_of_the_release():
    assert (Avenue.train_clips, Avenue.train_frames) == (16, 15328)
    assert (len(Avenue.test_frames), sum(Avenue.test_frames), Avenue.anomalous) == (21, 15324, 3712)


def test_frames_are_rgb_pictures(tiny):
    frames = tiny.frames(tiny.videos("test")[0])
    assert frames.shape == (TEST[0], *SIZE, 3)
    expected = np.stack([picture(3 + len("testing"), t, 1) for t in range(TEST[0])]).astype(int)
    assert np.abs(frames.mean(axis=(0, 1, 2)) - expected.mean(axis=(0, 1, 2))).max() < 4


def test_labels_are_the_masks_that_are_not_empty_and_say_so(tiny):
    labels = tiny.labels()
    assert {name: np.flatnonzero(values).tolist() for name, values in labels.videos.items()} == {
        "01": list(ODD[1]),
        "02": list(ODD[2]),
    }
    provenance = labels.provenance()
    assert provenance["name"] == "masks-not-empty"
    assert (
        provenance["source"]
        == "ground_truth_demo/testing_label_mask/*_label.mat, volLabel not empty"
    )


def test_masks_are_those_of_the_cells_frame_by_frame(tiny):
    for number, video in enumerate(tiny.videos("test"), 1):
        np.testing.assert_array_equal(list(tiny.masks(video)), masks(number))
    assert tiny.masks(tiny.videos("train")[0]) is None


def test_tracks_are_derived_from_masks_or_published(tiny):
    derived = tiny.tracks()
    assert tiny.track_source == "derived from the masks"
    assert derived.groupby("video")["track"].nunique().to_dict() == {"01": 1, "02": 1}
    assert derived.iloc[0].tolist() == ["01", 0, ODD[1].start, 2, 60, 31, 83]
    regions_folder(tiny.root, "avenue").mkdir(parents=True)
    (regions_folder(tiny.root, "avenue") / "02.txt").write_text("4,7,1,2,30,40\n")
    assert tiny.track_source == "published"
    assert tiny.tracks().to_numpy().tolist() == [["02", 4, 7, 1, 2, 30, 40]]
    (regions_folder(tiny.root, "avenue") / "09.txt").write_text("0,0,1,2,30,40\n")
    assert "found and not expected: '09'" in findings(tiny)["region tracks"]


@pytest.mark.parametrize("place", ["Avenue_Dataset/Avenue Dataset", "Avenue_Dataset", "."])
@pytest.mark.parametrize("inside", [True, False])
def test_the_folders_may_lie_in_other_places(tiny, tmp_path, place, inside):
    moved = tmp_path / "moved" / place
    moved.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tiny.root / "Avenue Dataset", moved, dirs_exist_ok=True)
    shutil.copytree(
        tiny.root / "ground_truth_demo",
        (moved if inside else tmp_path / "moved") / "ground_truth_demo",
    )
    assert findings(MiniatureAvenue(tmp_path / "moved")) == {}


def test_masks_may_be_doubles_or_logical(tiny):
    write_labels(labels_folder(tiny) / "1_label.mat", [mask.astype(float) for mask in masks(1)])
    write_labels(labels_folder(tiny) / "2_label.mat", [mask.astype(bool) for mask in masks(2)])
    assert findings(tiny) == {}


def test_absent_data_says_how_to_get_it_in_one_line(tmp_path):
    told = refusal(Avenue(tmp_path).videos, "train")
    assert (
        f"{tmp_path}/Avenue Dataset: CUHK Avenue is not there; `vadbench data fetch avenue`, or"
        " download Avenue_Dataset.zip and ground_truth_demo.zip" in told
    )


def test_extra_files_and_upper_case_do_no_harm(tiny):
    litter(video(tiny), label(tiny))
    (videos_folder(tiny) / "notes.txt").write_bytes(b"x")
    (videos_folder(tiny) / "02.avi").rename(videos_folder(tiny) / "02.AVI")
    assert findings(tiny) == {}


# damage: the first test video, its labels


def video(tiny, name="01.avi"):
    return videos_folder(tiny) / name


def label(tiny):
    return labels_folder(tiny) / "1_label.mat"


def rewrite(tiny, frames):
    write_avi(video(tiny), frames)


def lead_folder_to_itself(tiny):
    shutil.rmtree(videos_folder(tiny))
    loop(videos_folder(tiny))


FOUND_WHILE_DECODING = {
    "truncated": (
        lambda tiny: truncate(video(tiny)),
        "testing_videos/01.avi: cut off after frame 1, the file is shorter than it says itself",
    ),
    "wrong size": (
        lambda tiny: rewrite(tiny, [picture(1, t)[:-16] for t in range(TEST[0])]),
        f"testing_videos/01.avi: frames of ({SIZE[0] - 16}, {SIZE[1]}) pixels, the release has"
        f" {SIZE}",
    ),
    "zero frames": (
        lambda tiny: rewrite(tiny, []),
        "testing_videos/01.avi: a video without a frame",
    ),
    "empty file": (
        lambda tiny: video(tiny).write_bytes(b""),
        "testing_videos/01.avi: an empty file",
    ),
    "one frame": (
        lambda tiny: rewrite(tiny, [picture(1, 0)]),
        "test clip 01 decodes to 1 frames, expected 40",
    ),
    "one frame more": (
        lambda tiny: rewrite(tiny, [picture(1, t) for t in range(TEST[0] + 1)]),
        "test clip 01 decodes to 41 frames, expected 40",
    ),
    "unknown codec": (
        lambda tiny: unknown_codec(video(tiny)),
        "testing_videos/01.avi: unknown codec",
    ),
    "loop": (
        lambda tiny: loop(video(tiny)),
        "testing_videos/01.avi: cannot be read (Too many levels of symbolic links)",
    ),
}
NOTHING_TO_CHECK = {
    "renumbered": (
        lambda tiny: video(tiny).rename(video(tiny, "03.avi")),
        "testing_videos/03.avi: no video of the release, which has 01 to 02",
    ),
    "missing video": (
        lambda tiny: video(tiny).unlink(),
        "testing_videos/01.avi: video 1 of 2 is missing; `vadbench data fetch",
    ),
    "numbered twice": (
        lambda tiny: shutil.copy(video(tiny), video(tiny, "1.avi")),
        "is also 01.avi; expected one file a video",
    ),
    "folder a loop": (
        lead_folder_to_itself,
        "testing_videos: cannot be listed (Too many levels of symbolic links)",
    ),
    "missing label": (
        lambda tiny: label(tiny).unlink(),
        "1_label.mat: the masks of this test video are missing",
    ),
    "missing labels": (
        lambda tiny: shutil.rmtree(labels_folder(tiny)),
        "testing_label_mask: the masks are missing, no labels without them; `vadbench data fetch",
    ),
    "label a loop": (
        lambda tiny: loop(label(tiny)),
        "1_label.mat: cannot be read (Too many levels of symbolic links)",
    ),
    "truncated label": (lambda tiny: truncate(label(tiny)), "1_label.mat: c"),
    "label of no MATLAB": (
        lambda tiny: label(tiny).write_text("volLabel\n" * 100),
        "1_label.mat: cut off, damaged or no MATLAB v5 file",
    ),
    "label of another name": (
        lambda tiny: write_labels(label(tiny), masks(1), "label"),
        "1_label.mat: no cell array volLabel",
    ),
    "label without cells": (
        lambda tiny: savemat(label(tiny), {"volLabel": np.zeros((4, TEST[0]))}),
        "1_label.mat: no cell array volLabel",
    ),
    "label of another length": (
        lambda tiny: write_labels(label(tiny), masks(1)[1:]),
        "1_label.mat: masks of 39 frames, the release has 40",
    ),
    "label of another size": (
        lambda tiny: write_labels(label(tiny), [mask.T for mask in masks(1)]),
        f"1_label.mat: the mask of frame 0 is {SIZE[::-1]}, expected numbers {SIZE}",
    ),
}


@pytest.mark.parametrize("kind", FOUND_WHILE_DECODING)
def test_damage_of_a_video_is_one_line(tiny, kind):
    damage, told = FOUND_WHILE_DECODING[kind]
    damage(tiny)
    assert told in refusal(use, tiny)
    assert told in findings(tiny)["test frames decoded"]


@pytest.mark.parametrize("kind", NOTHING_TO_CHECK)
def test_what_is_missing_or_unreadable_is_one_line(tiny, kind):
    damage, told = NOTHING_TO_CHECK[kind]
    damage(tiny)
    assert told in refusal(use, tiny)
    assert told in refusal(findings, tiny)


def test_a_training_video_that_is_damaged_is_named(tiny):
    path = videos_folder(tiny, "training") / "02.avi"
    path.write_bytes(path.read_bytes()[:3000])
    assert "training_videos/02.avi: damaged, cut off or not a video" in refusal(
        tiny.videos, "train"
    )


def test_the_totals_find_a_training_video_of_another_length(tiny):
    write_avi(videos_folder(tiny, "training") / "02.avi", [picture(1, t) for t in range(30)])
    assert findings(tiny) == {
        "train frames decoded": f"{sum(TRAIN) - 10} frames, {SIZE[0]} x {SIZE[1]} RGB"
    }


def test_the_other_label_set_is_not_taken_for_ours(tiny):
    more = masks(2)
    more[20][10, 10] = 1
    write_labels(labels_folder(tiny) / "2_label.mat", more)
    assert findings(tiny) == {"anomalous frames (masks-not-empty)": str(COUNTS["anomalous"] + 1)}


def test_label_files_whose_names_leave_no_doubt_are_found(tiny):
    (labels_folder(tiny) / "1_label.mat").rename(labels_folder(tiny) / "01_Label.MAT")
    assert findings(tiny) == {}


def test_probabilities_are_no_masks(tiny):
    write_labels(labels_folder(tiny) / "1_label.mat", [mask * 0.3 for mask in masks(1)])
    with pytest.raises(
        BadInput, match=r"1_label\.mat: frame 10: 64-bit floating point with fractions"
    ):
        tiny.labels()


def test_published_boxes_of_other_frames_are_refused(tiny):
    regions_folder(tiny.root, "avenue").mkdir(parents=True)
    (regions_folder(tiny.root, "avenue") / "2.txt").write_text("4,7,300,2,330,40\n")
    with pytest.raises(
        BadInput, match=r"video 02: frame 7: box .* lies outside, the frames are 128 x 96"
    ):
        tiny.tracks()


# person tracks and masks, no video


def tracks_alone(tiny, lengths):
    """What a user has who took the masks and the tracks."""
    shutil.rmtree(tiny.root / "Avenue Dataset")
    folder = tiny.root / "tracks" / "avenue"
    folder.mkdir(parents=True)
    columns = ["Frame_Number", "Person_ID", "State", "BB_tl_0", "BB_tl_1", "BB_br_0", "BB_br_1"]
    for split, of_split in lengths.items():
        rows = [(frame, 1, 2, 5, 5, 9, 20) for count in of_split.values() for frame in range(count)]
        arrays = {
            "rows": np.array(rows, np.int16),
            "columns": np.array(columns),
            "video": np.array(list(of_split)),
            "count": np.array([*of_split.values()]),
        }
        np.savez(folder / f"deepsort_{split}.npz", **arrays)
    return MiniatureAvenue(tiny.root)


TRACKED = {"train": {"01": 30, "2": 35, "03": 36}, "test": {"01": 40, "02": 20}}


def test_tracks_and_masks_do_without_videos(tiny):
    expected, regions = tiny.labels().flat(), tiny.tracks()
    alone = tracks_alone(tiny, TRACKED)
    assert findings(alone) == {}
    assert [video.frames for video in alone.videos("train")] == [30, 35, 36]
    assert [video.frames for video in alone.videos("test")] == list(TEST)
    assert (alone.labels().flat() == expected).all()
    assert alone.tracks().equals(regions)
    assert alone.truth_paths()[0].is_dir()
    with pytest.raises(BadInput, match="no videos; only streams on tracks do without"):
        next(alone.read(alone.videos("test")[0]))


def test_tracks_of_other_videos_are_refused(tiny):
    alone = tracks_alone(tiny, {"train": {"01": 30, "02": 35, "04": 36}})
    with pytest.raises(BadInput, match=r"tracks of videos 01, 02, 04; expected 01 to 03"):
        alone.videos("train")


def test_without_tracks_the_videos_are_what_is_missing(tiny):
    shutil.rmtree(tiny.root / "Avenue Dataset")
    with pytest.raises(BadInput, match="CUHK Avenue is not there"):
        MiniatureAvenue(tiny.root).videos("train")
