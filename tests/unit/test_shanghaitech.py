"""ShanghaiTech Campus: the published labels and tracks, and a tiny release damaged in the ways that
a user's copy may be.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import clip_faults, complaint, litter, require_complaint, truncate, video_faults
from video_writer import private_cache, write_images, write_video  # noqa: F401

from vadbench.datasets.base import SPLITS
from vadbench.datasets.part import choose_videos, open_part, remember_part
from vadbench.datasets.resplit import resplit_of
from vadbench.datasets.shanghaitech import ShanghaiTech
from vadbench.errors import BadInput
from vadbench.features.boxes.file import FileOptions
from vadbench.features.boxes.tracks import TracksFile
from vadbench.features.footage import Footage

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "shanghaitech"
LABELS = {"01_0014": [0, 1, 1, 0], "03_0031": [1, 1, 1]}


class Tiny(ShanghaiTech):
    counts = {"train": 2, "test": 2}
    scenes = {"train": 2, "test": 2}
    size = (24, 32)
    train_frames = 9
    test_frames = 7
    anomalous = 5


def write_tracks(root, lengths):
    """A track file whose last tracked frames are these lengths - 1."""
    folder = root / "tracks" / "shanghaitech"
    folder.mkdir(parents=True)
    rows = [(frame, 1, 2, 5, 5, 9, 20) for frames in lengths.values() for frame in range(frames)]
    columns = ["Frame_Number", "Person_ID", "State", "BB_tl_0", "BB_tl_1", "BB_br_0", "BB_br_1"]
    arrays = {
        "rows": np.array(rows, np.int16),
        "columns": np.array(columns),
        "video": np.array(list(lengths)),
        "count": np.array([*lengths.values()]),
    }
    np.savez(folder / "deepsort_train.npz", **arrays)


@pytest.fixture
def tiny(tmp_path):
    """The official layout; the anomalous pixels of 01_0014 are a square in frames 1 and 2, of
    03_0031 in all.
    """
    base = tmp_path / "shanghaitech"
    write_video(base / "training/videos/01_001.avi", 5)
    write_video(base / "training/videos/02_002.avi", 4)
    for kind in ("frame", "pixel"):
        (base / f"testing/test_{kind}_mask").mkdir(parents=True)
    for name, labels in LABELS.items():
        write_images(base / "testing/frames" / name, len(labels))
        np.save(base / "testing/test_frame_mask" / f"{name}.npy", np.array(labels, np.int8))
        masks = np.zeros((len(labels), 24, 32), bool)
        masks[np.array(labels, bool), 4:10, 8:16] = True
        np.save(base / "testing/test_pixel_mask" / f"{name}.npy", masks)
    return Tiny(tmp_path)


def labels_alone(tiny):
    """What a user has who took the labels and the tracks and no video."""
    np.savez(
        tiny.folder / "test_frame_mask.npz",
        **{name: np.array(labels, np.uint8) for name, labels in LABELS.items()},
    )
    for folder in ("training", "testing"):
        shutil.rmtree(tiny.folder / folder)
    write_tracks(tiny.root, {"01_001": 4, "02_002": 3})
    return Tiny(tiny.root)


# the published files


@pytest.fixture
def shared(tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    (tmp_path / "shanghaitech").mkdir()
    (tmp_path / "tracks").mkdir()
    (tmp_path / "shanghaitech/test_frame_mask.npz").symlink_to(SHARED / "test_frame_mask.npz")
    (tmp_path / "tracks/shanghaitech").symlink_to(SHARED / "tracks")
    return ShanghaiTech(tmp_path)


def test_labels_and_tracks_alone_pass_the_check_without_a_video(shared):
    assert complaint(shared) == ""


def test_the_release_has_its_counts(shared):
    assert [len(shared.videos(split)) for split in SPLITS] == [330, 107]
    assert shared.labels().provenance() | {"sha256": ""} == {
        "name": "official",
        "source": "test_frame_mask.npz",
        "videos": 107,
        "frames": 40791,
        "anomalous": 17326,
        "sha256": "",
    }


def test_lengths_from_tracks_stay_below_the_frames_of_the_release(shared):
    frames = [video.frames for video in shared.videos("train")]
    assert 0.98 * 274515 < sum(frames) < 274515
    with np.load(SHARED / "tracks" / "deepsort_test.npz") as arrays:
        last = np.maximum.reduceat(
            arrays["rows"][:, 0], np.cumsum(arrays["count"]) - arrays["count"]
        )
        lengths = {video.name: video.frames for video in shared.videos("test")}
        assert all(
            frame < lengths[name]
            for name, frame in zip(arrays["video"].tolist(), last, strict=True)
        )


# a tiny one


def test_a_whole_copy_passes_its_check(tiny):
    assert complaint(tiny) == ""


def test_scenes_are_the_first_two_digits(tiny):
    videos = [video for split in SPLITS for video in tiny.videos(split)]
    assert [(video.name, video.frames, video.scene) for video in videos] == [
        ("01_001", 5, "01"), ("02_002", 4, "02"), ("01_0014", 4, "01"), ("03_0031", 3, "03")
    ]  # fmt: skip


def test_frames_are_rgb_of_both_splits(tiny):
    assert tiny.frames(tiny.videos("train")[0]).shape == (5, 24, 32, 3)
    assert tiny.frames(tiny.videos("test")[1]).shape == (3, 24, 32, 3)


def test_labels_say_what_they_were_read_from(tiny):
    labels = tiny.labels()
    assert {name: values.tolist() for name, values in labels.videos.items()} == LABELS
    assert labels.source == "testing/test_frame_mask/*.npy"


def test_regions_are_derived_from_pixel_masks(tiny):
    tracks = tiny.tracks()
    assert tiny.track_source == "derived from the masks"
    assert tracks["frame"].tolist() == [1, 2, 0, 1, 2]
    assert tracks[["x0", "y0", "x1", "y1"]].drop_duplicates().to_numpy().tolist() == [[8, 4, 15, 9]]


def test_published_regions_go_first(tiny):
    folder = tiny.root / "tracks/shanghaitech/regions"
    folder.mkdir(parents=True)
    (folder / "01_0014.txt").write_text("0,1,2,3,4,5\n")
    assert tiny.track_source == "published"
    assert tiny.tracks().to_numpy().tolist() == [["01_0014", 0, 1, 2, 3, 4, 5]]


def test_without_pixel_masks_there_are_no_regions(tiny):
    shutil.rmtree(tiny.folder / "testing/test_pixel_mask")
    assert (tiny.tracks(), tiny.track_source, tiny.masks(tiny.videos("test")[0])) == (
        None,
        None,
        None,
    )
    assert complaint(tiny) == ""


def test_training_videos_have_no_masks(tiny):
    assert tiny.masks(tiny.videos("train")[0]) is None


# without videos


def test_without_videos_lengths_come_from_labels_and_tracks(tiny):
    alone = labels_alone(tiny)
    assert [(video.name, video.frames) for split in SPLITS for video in alone.videos(split)] == [
        ("01_001", 4), ("02_002", 3), ("01_0014", 4), ("03_0031", 3)
    ]  # fmt: skip
    assert complaint(alone) == ""


@pytest.mark.parametrize("split", SPLITS)
def test_without_videos_reading_says_so_in_one_line(tiny, split):
    alone = labels_alone(tiny)
    with pytest.raises(
        BadInput,
        match=r"not there; only streams on tracks do without.*download shanghaitech\.tar\.gz",
    ) as raised:
        next(iter(alone.read(alone.videos(split)[0])))
    assert "\n" not in str(raised.value)


def test_without_videos_and_tracks_both_are_asked_for(tiny):
    alone = labels_alone(tiny)
    alone.person_tracks.unlink()
    with pytest.raises(BadInput, match=r"no training videos, and no .*deepsort_train\.npz"):
        alone.videos("train")


def test_a_damaged_track_file_is_named(tiny):
    alone = labels_alone(tiny)
    truncate(alone.person_tracks)
    with pytest.raises(BadInput, match=r"deepsort_train\.npz: (cut off|damaged)"):
        alone.videos("train")


def test_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(BadInput, match=r"svip-lab\.github\.io.*VADBENCH_DATA"):
        ShanghaiTech(tmp_path).videos("test")


# damage


DAMAGE = {
    **video_faults("training/videos/02_002.avi", 4),
    **clip_faults("testing/frames/01_0014", "002.jpg"),
    "video renumbered": (
        lambda base: (base / "training/videos/01_001.avi").rename(base / "training/videos/1.avi"),
        r"1\.avi: expected names as 01_001",
    ),
    "video missing": (
        lambda base: (base / "training/videos/01_001.avi").unlink(),
        r"videos: 1 videos, the release has 2; download",
    ),
    "video of one frame": (
        lambda base: write_video(base / "training/videos/02_002.avi", 1),
        r"^6 frames, 24 x 32 RGB",
    ),
    "labels missing": (
        lambda base: (base / "testing/test_frame_mask/01_0014.npy").unlink(),
        r"labels of 01_0014 are missing",
    ),
    "all labels missing": (
        lambda base: shutil.rmtree(base / "testing/test_frame_mask"),
        r"test_frame_mask: the frame labels are missing",
    ),
    "labels truncated": (
        lambda base: truncate(base / "testing/test_frame_mask/01_0014.npy"),
        r"01_0014\.npy: cut off",
    ),
    "labels of another kind": (
        lambda base: np.save(base / "testing/test_frame_mask/01_0014.npy", np.array([0, 2, 2, 0])),
        r"labels of 01_0014 are int64 of shape \(4,\); expected 0 or 1",
    ),
    "clip of one frame": (
        lambda base: [
            (base / f"testing/frames/01_0014/00{frame}.jpg").unlink() for frame in (1, 2, 3)
        ],
        r"01_0014: 1 frames, 4 labels",
    ),
    "masks truncated": (
        lambda base: truncate(base / "testing/test_pixel_mask/01_0014.npy"),
        r"test_pixel_mask/01_0014\.npy: cut off",
    ),
    "masks of another size": (
        lambda base: np.save(
            base / "testing/test_pixel_mask/01_0014.npy", np.zeros((4, 24, 34), bool)
        ),
        r"bool of shape \(4, 24, 34\), expected whole numbers of shape \(4, 24, 32\)",
    ),
    "masks pickled": (
        lambda base: np.save(
            base / "testing/test_pixel_mask/01_0014.npy", np.array([None]), allow_pickle=True
        ),
        r"test_pixel_mask/01_0014\.npy: cut off or not a NumPy file",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(tiny, kind):
    require_complaint(tiny, DAMAGE[kind])


def test_extra_files_upper_case_and_a_loop_beside_the_frames_do_no_harm(tiny):
    frames, videos = tiny.folder / "testing/frames", tiny.folder / "training/videos"
    litter(frames, frames / "01_0014/001.jpg", videos / "01_001.avi")
    (videos / "01_001.avi").rename(videos / "01_001.AVI")
    (frames / "01_0014/003.jpg").rename(frames / "01_0014/003.JPG")
    (frames / "again").symlink_to(frames)
    assert complaint(tiny) == ""


# the unsupervised setting


def write_lists(tiny, train, test):
    folder = tiny.folder / "resplit"
    folder.mkdir()
    (folder / "train.txt").write_text("\n".join(train))
    (folder / "test.txt").write_text("\n".join(test))


def test_lists_are_read_and_named_by_their_hash(tiny):
    write_lists(tiny, ["x/01_0014_i3d.npy", "01_001,0", ""], ["03_0031 1", "02_002 0"])
    split = resplit_of(tiny)
    assert (split.train, split.test) == (
        ("test/01_0014", "train/01_001"),
        ("test/03_0031", "train/02_002"),
    )
    assert split.name == f"list-{split.document['sha256'][:8]}"


def test_other_lists_have_another_name(tiny):
    write_lists(tiny, ["01_0014", "01_001"], ["03_0031", "02_002"])
    first = resplit_of(tiny).name
    (tiny.folder / "resplit/test.txt").write_text("02_002")
    assert resplit_of(tiny).name != first


def videos_of(scene, **counts):
    """As many videos of each released split, as lists name them."""
    return tuple(
        f"{split}/{scene}_{number}" for split, count in counts.items() for number in range(count)
    )


@pytest.mark.parametrize(
    ("train", "test", "zhong"),
    [
        ({"train": 174, "test": 63}, {"train": 154, "test": 44}, True),  # as Tur et al. count
        ({"train": 175, "test": 63}, {"train": 155, "test": 44}, True),  # all 437
        ({"train": 175, "test": 63}, {"train": 155, "test": 43}, False),
        ({"train": 175, "test": 62}, {"train": 155, "test": 45}, False),
        ({"train": 330, "test": 0}, {"train": 0, "test": 107}, False),  # the release's own
        ({"train": 155, "test": 44}, {"train": 175, "test": 63}, False),  # exchanged
    ],
)
def test_only_lists_of_the_published_lengths_are_the_published_split(
    tiny, monkeypatch, train, test, zhong
):
    lists = {"train.txt": videos_of("0", **train), "test.txt": videos_of("1", **test)}
    monkeypatch.setattr(Tiny, "_list", lambda self, path: lists[path.name])
    write_lists(tiny, [], [])
    assert (tiny.resplit().name == "zhong-2019") == zhong


def test_without_lists_the_split_is_named_otherwise(tiny):
    assert resplit_of(tiny).name == "every-second-test-video"


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (["01_0014"], ["01_0014"], "01_0014 is in train.txt too"),
        (["01_0014", "01_0014"], ["03_0031"], "01_0014 is listed twice"),
        (["01_0015"], ["03_0031"], "01_0015 is no video"),
        (["nothing"], ["03_0031"], "names no video"),
    ],
)
def test_wrong_lists_are_refused(tiny, train, test, told):
    write_lists(tiny, train, [f"test/{name}" if told.endswith("too") else name for name in test])
    with pytest.raises(BadInput, match=told):
        tiny.resplit()


def test_one_list_alone_is_refused(tiny):
    write_lists(tiny, ["01_0014"], ["03_0031"])
    (tiny.folder / "resplit/test.txt").unlink()
    with pytest.raises(BadInput, match=r"test\.txt: not there, but the other list"):
        tiny.resplit()


# frame counts


def test_counts_are_remembered_and_a_changed_file_is_counted_again(tiny, monkeypatch):
    assert tiny.videos("train")[0].frames == 5
    with monkeypatch.context() as patched:
        patched.setattr(
            "vadbench.datasets.video_files.count_frames",
            lambda path: pytest.fail(f"{path} counted again"),
        )
        assert Tiny(tiny.root).videos("train")[0].frames == 5
    write_video(tiny.folder / "training/videos/01_001.avi", 7)
    assert Tiny(tiny.root).videos("train")[0].frames == 7


def test_a_torn_line_of_the_memory_is_counted_again(tiny, tmp_path):
    tiny.videos("train")
    memory = tmp_path / "cache" / "frame_counts.jsonl"
    memory.write_text(memory.read_text()[:-3])
    assert [video.frames for video in Tiny(tiny.root).videos("train")] == [5, 4]


def test_names_that_leave_no_doubt_are_found(tiny):
    testing = tiny.folder / "testing"
    (testing / "test_frame_mask/01_0014.npy").rename(testing / "test_frame_mask/1_14.npy")
    (testing / "test_pixel_mask/01_0014.npy").rename(testing / "test_pixel_mask/1_014.NPY")
    (testing / "frames/03_0031").rename(testing / "frames/03_031")
    assert complaint(tiny) == ""


def test_person_tracks_are_compared_with_the_release_where_there_are_no_frames(tiny):
    alone = labels_alone(tiny)
    boxes = TracksFile(FileOptions(), alone, "deepsort")
    video = alone.videos("train")[0]
    assert len(boxes.objects(Footage(alone, video)).boxes) == 4
    path = alone.person_tracks
    with np.load(path) as arrays:
        np.savez(path, **{**arrays, "rows": arrays["rows"] * np.array([1, 1, 1, 50, 1, 50, 1])})
    with pytest.raises(
        BadInput, match=r"clip 01_001: frame 0: box .* lies outside, the frames are 32 x 24"
    ):
        TracksFile(FileOptions(), alone, "deepsort").objects(Footage(alone, video))


# a part of it


def test_who_has_a_part_runs_it_under_a_name_that_says_so(tiny, tmp_path):
    (tiny.folder / "training/videos/01_001.avi").unlink()
    shutil.rmtree(tiny.folder / "testing/frames/01_0014")
    again = Tiny(tiny.root)
    with pytest.raises(BadInput, match="--videos here"):
        again.videos("train")
    name = remember_part(again, choose_videos(again, "here"), tmp_path / "cache")
    part = open_part(Tiny(tiny.root), name, tmp_path / "cache")
    assert name.startswith(f"{again.name}[2 of 4 ")
    assert complaint(part) == ""
    found = {split: [video.name for video in part.videos(split)] for split in SPLITS}
    assert found == {"train": ["02_002"], "test": ["03_0031"]}
    assert list(part.labels().videos) == found["test"]


def test_a_part_does_without_videos_too(tiny, tmp_path):
    alone = labels_alone(tiny)
    chosen = choose_videos(alone, "02_002,01_0014")
    name = remember_part(alone, chosen, tmp_path / "cache")
    part = open_part(Tiny(tiny.root), name, tmp_path / "cache")
    assert [video.frames for split in SPLITS for video in part.videos(split)] == [3, 4]
    boxes = TracksFile(FileOptions(), part, "deepsort")
    objects = boxes.objects(Footage(part, part.videos("train")[0]))
    assert list(map(len, objects.boxes)) == [1, 1, 1]
