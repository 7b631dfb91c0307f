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


def findings(dataset):
    return {check.what: check.found for check in dataset.check() if not check.good}


def use(dataset):
    """Videos, labels, frames, masks and tracks, all of them."""
    dataset.labels()
    for video in (*dataset.videos("train"), *dataset.videos("test")):
        dataset.frames(video)
        list(dataset.masks(video) or ())
    dataset.tracks()


def refusal(do, *arguments):
    with pytest.raises(BadInput) as raised:
        do(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


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
    for name in (".DS_Store", "._01.avi", "Thumbs.db", "notes.txt"):
        (videos_folder(tiny) / name).write_bytes(b"x")
    for name in (".DS_Store", "._1_label.mat"):
        (labels_folder(tiny) / name).write_bytes(b"x")
    (videos_folder(tiny) / "02.avi").rename(videos_folder(tiny) / "02.AVI")
    assert findings(tiny) == {}


# damage: the first test video, its labels


def truncated(tiny):
    path = videos_folder(tiny) / "01.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def renumbered(tiny):
    (videos_folder(tiny) / "01.avi").rename(videos_folder(tiny) / "03.avi")


def missing_video(tiny):
    (videos_folder(tiny) / "01.avi").unlink()


def numbered_twice(tiny):
    shutil.copy(videos_folder(tiny) / "01.avi", videos_folder(tiny) / "1.avi")


def missing_label(tiny):
    (labels_folder(tiny) / "1_label.mat").unlink()


def missing_labels(tiny):
    shutil.rmtree(labels_folder(tiny))


def wrong_size(tiny):
    write_avi(videos_folder(tiny) / "01.avi", [picture(1, t)[:-16] for t in range(TEST[0])])


def zero_frames(tiny):
    write_avi(videos_folder(tiny) / "01.avi", [])


def empty_file(tiny):
    (videos_folder(tiny) / "01.avi").write_bytes(b"")


def one_frame(tiny):
    write_avi(videos_folder(tiny) / "01.avi", [picture(1, 0)])


def one_frame_more(tiny):
    write_avi(videos_folder(tiny) / "01.avi", [picture(1, t) for t in range(TEST[0] + 1)])


def unknown_codec(tiny):
    path = videos_folder(tiny) / "01.avi"
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))


def symlink_loop(tiny):
    (videos_folder(tiny) / "01.avi").unlink()
    (videos_folder(tiny) / "01.avi").symlink_to("01.avi")


def folder_loop(tiny):
    shutil.rmtree(videos_folder(tiny))
    videos_folder(tiny).symlink_to(videos_folder(tiny).name)


def label_loop(tiny):
    (labels_folder(tiny) / "1_label.mat").unlink()
    (labels_folder(tiny) / "1_label.mat").symlink_to("1_label.mat")


def truncated_label(tiny):
    path = labels_folder(tiny) / "1_label.mat"
    path.write_bytes(path.read_bytes()[:-100])


def label_of_no_matlab(tiny):
    (labels_folder(tiny) / "1_label.mat").write_text("volLabel\n" * 100)


def label_of_another_name(tiny):
    write_labels(labels_folder(tiny) / "1_label.mat", masks(1), "label")


def label_without_cells(tiny):
    savemat(labels_folder(tiny) / "1_label.mat", {"volLabel": np.zeros((4, TEST[0]))})


def label_of_another_length(tiny):
    write_labels(labels_folder(tiny) / "1_label.mat", masks(1)[1:])


def label_of_another_size(tiny):
    write_labels(labels_folder(tiny) / "1_label.mat", [mask.T for mask in masks(1)])


FOUND_WHILE_DECODING = [
    (
        truncated,
        "testing_videos/01.avi: cut off after frame 1, the file is shorter than it says itself",
    ),
    (
        wrong_size,
        (
            f"testing_videos/01.avi: frames of ({SIZE[0] - 16}, {SIZE[1]}) pixels, the release has"
            f" {SIZE}"
        ),
    ),
    (zero_frames, "testing_videos/01.avi: a video without a frame"),
    (empty_file, "testing_videos/01.avi: an empty file"),
    (one_frame, "test clip 01 decodes to 1 frames, expected 40"),
    (one_frame_more, "test clip 01 decodes to 41 frames, expected 40"),
    (unknown_codec, "testing_videos/01.avi: unknown codec"),
    (symlink_loop, "testing_videos/01.avi: cannot be read (Too many levels of symbolic links)"),
]
NOTHING_TO_CHECK = [
    (renumbered, "testing_videos/03.avi: no video of the release, which has 01 to 02"),
    (missing_video, "testing_videos/01.avi: video 1 of 2 is missing; `vadbench data fetch"),
    (numbered_twice, "is also 01.avi; expected one file a video"),
    (folder_loop, "testing_videos: cannot be listed (Too many levels of symbolic links)"),
    (missing_label, "1_label.mat: the masks of this test video are missing"),
    (
        missing_labels,
        "testing_label_mask: the masks are missing, no labels without them; `vadbench data fetch",
    ),
    (label_loop, "1_label.mat: cannot be read (Too many levels of symbolic links)"),
    (truncated_label, "1_label.mat: c"),
    (label_of_no_matlab, "1_label.mat: cut off, damaged or no MATLAB v5 file"),
    (label_of_another_name, "1_label.mat: no cell array volLabel"),
    (label_without_cells, "1_label.mat: no cell array volLabel"),
    (label_of_another_length, "1_label.mat: masks of 39 frames, the release has 40"),
    (
        label_of_another_size,
        f"1_label.mat: the mask of frame 0 is {SIZE[::-1]}, expected numbers {SIZE}",
    ),
]


@pytest.mark.parametrize(("damage", "told"), FOUND_WHILE_DECODING)
def test_damage_of_a_video_is_one_line(tiny, damage, told):
    damage(tiny)
    assert told in refusal(use, tiny)
    assert told in findings(tiny)["test frames decoded"]


@pytest.mark.parametrize(("damage", "told"), NOTHING_TO_CHECK)
def test_what_is_missing_or_unreadable_is_one_line(tiny, damage, told):
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
