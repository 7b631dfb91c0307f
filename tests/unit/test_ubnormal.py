"""UBnormal: the published lists and sample videos, and a tiny release damaged in the ways that a
user's copy may be.
"""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from damage import complaint, litter, require_complaint, rewrite_video, truncate, video_faults
from video_writer import private_cache  # noqa: F401

from vadbench.datasets.base import SPLITS
from vadbench.datasets.events import Event, check_events
from vadbench.datasets.part import choose_videos, open_part, remember_part
from vadbench.datasets.ubnormal import UBnormal, scene_of
from vadbench.errors import BadInput

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ubnormal"
TRAIN, NORMAL, ABNORMAL = (
    "normal_scene_1_scenario1_9",
    "normal_scene_2_scenario_1",
    "abnormal_scene_2_scenario_1_fog",
)


class Tiny(UBnormal):
    counts = {"train": 1, "test": 2}
    scenes = 2


def annotations(base):
    return base / "Scene2" / f"{ABNORMAL}_annotations"


@pytest.fixture
def tiny(tmp_path):
    """Six frames each; in the abnormal video object 3 is anomalous in frames 1 to 3, object 7 is
    normal, both annotated in all frames.
    """
    base = tmp_path / "UBnormal"
    # .mp4 by name; what is inside is found out by the decoder
    for name in (TRAIN, NORMAL, ABNORMAL):
        rewrite_video(base / f"Scene{scene_of(name)}" / f"{name}.mp4", 6)
    for file, name in (
        ("normal_training", TRAIN),
        ("normal_test", NORMAL),
        ("abnormal_test", ABNORMAL),
    ):
        (base / f"{file}_video_names.txt").write_text(name)
    annotations(base).mkdir()
    (annotations(base) / f"{ABNORMAL}_tracks.txt").write_text("3,1,3\n")
    for frame in range(6):
        ids = np.zeros((24, 32), np.uint8)
        ids[2:8, 4:10] = 3
        ids[20, 0] = 3
        ids[12:20, 20:30] = 7
        cv2.imwrite(str(annotations(base) / f"{ABNORMAL}_{frame:04d}_gt.png"), ids)
    return Tiny(tmp_path)


# the published files


@pytest.fixture
def sample(tmp_path):
    """The five published sample videos in the official layout; those of scenes 28 and 6 stand for
    the training split.
    """
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    base = tmp_path / "UBnormal"
    lists = {"normal_training": [], "normal_test": [], "abnormal_test": []}
    for path in sorted((SHARED / "videos_sample_lossy").glob("*.mp4")):
        scene = scene_of(path.stem)
        lists[
            (
                "abnormal_test"
                if path.stem.startswith("ab")
                else "normal_training"
                if scene in ("28", "6")
                else "normal_test"
            )
        ].append(path.stem)
        (base / f"Scene{scene}").mkdir(parents=True)
        (base / f"Scene{scene}" / path.name).symlink_to(path)
    for name, names in lists.items():
        (base / f"{name}_video_names.txt").write_text("\n".join(names))
    for name in lists["abnormal_test"]:
        folder = base / f"Scene{scene_of(name)}" / f"{name}_annotations"
        folder.mkdir()
        (folder / f"{name}_tracks.txt").write_text("1,100,199\n")

    class Sample(UBnormal):
        counts = {"train": 2, "test": 3}
        scenes = 5

    return Sample(tmp_path)


def test_the_published_lists_are_read(tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    (tmp_path / "UBnormal").symlink_to(SHARED)
    names = {split: UBnormal(tmp_path)._names(split) for split in SPLITS}
    assert {split: len(found) for split, found in names.items()} == {"train": 186, "test": 211}
    assert {scene_of(name) for found in names.values() for name in found} == {
        str(scene) for scene in range(1, 30)
    }
    assert not set(names["train"]) & set(names["test"])


@pytest.mark.slow
def test_the_sample_videos_decode(sample):
    assert [video.frames for split in SPLITS for video in sample.videos(split)] == [451] * 5
    assert {next(iter(sample.read(video))).shape for video in sample.videos("test")} == {
        (720, 1080, 3),
        (720, 1152, 3),
    }
    assert sample.labels().provenance()["anomalous"] == 200


# a tiny one


def test_a_whole_copy_passes_its_check(tiny):
    assert complaint(tiny) == ""


def test_lists_are_found_in_a_clone_too(tiny):
    (tiny.folder / "scripts").mkdir()
    for path in tiny.folder.glob("*_video_names.txt"):
        path.rename(tiny.folder / "scripts" / path.name)
    assert complaint(tiny) == ""


def test_videos_have_their_scenes(tiny):
    videos = [video for split in SPLITS for video in tiny.videos(split)]
    assert [(video.name, video.frames, video.scene) for video in videos] == [
        (TRAIN, 6, "1"), (ABNORMAL, 6, "2"), (NORMAL, 6, "2")
    ]  # fmt: skip


def test_intervals_are_inclusive_and_count_from_zero(tiny):
    assert {name: values.tolist() for name, values in tiny.labels().videos.items()} == {
        ABNORMAL: [0, 1, 1, 1, 0, 0],
        NORMAL: [0] * 6,
    }


def test_every_anomalous_object_is_an_event_cut_at_the_end_of_its_video(tiny):
    (annotations(tiny.folder) / f"{ABNORMAL}_tracks.txt").write_text("3,1,3\n7,2,6\n")
    assert tiny.events() == [Event(ABNORMAL, 1, 3), Event(ABNORMAL, 2, 5)]
    check_events(tiny.events(), tiny.labels().videos, "ubnormal")


def test_masks_show_the_anomalous_object_alone_and_only_then(tiny):
    abnormal, normal = tiny.videos("test")
    masks = np.stack(list(tiny.masks(abnormal)))
    assert masks.sum(axis=(1, 2)).tolist() == [0, 37, 37, 37, 0, 0]
    assert not np.stack(list(tiny.masks(normal))).any()
    assert tiny.masks(tiny.videos("train")[0]) is None


def test_a_region_is_the_largest_component_of_the_object(tiny):
    assert tiny.tracks().to_numpy().tolist() == [
        [ABNORMAL, 0, frame, 4, 2, 9, 7] for frame in (1, 2, 3)
    ]
    assert tiny.track_source.startswith("object masks")


def test_published_regions_go_first(tiny):
    folder = tiny.root / "tracks/ubnormal/regions"
    folder.mkdir(parents=True)
    (folder / f"{ABNORMAL}.txt").write_text("0,1,2,3,4,5\n")
    assert (len(tiny.tracks()), tiny.track_source) == (1, "published")


def test_an_interval_that_overruns_its_video_is_cut_and_said(tiny):
    (annotations(tiny.folder) / f"{ABNORMAL}_tracks.txt").write_text("3.0, 4.0, 6.0\n")
    labels = tiny.labels()
    assert labels.videos[ABNORMAL].tolist() == [0, 0, 0, 0, 1, 1]
    assert labels.source.endswith("1 intervals cut at the end of their video")


def test_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(BadInput, match=r"lilygeorgescu/UBnormal.*VADBENCH_DATA.*video_names\.txt"):
        UBnormal(tmp_path).videos("test")


# damage


def rewrite(text):
    return lambda base: (annotations(base) / f"{ABNORMAL}_tracks.txt").write_text(text)


def colour(base):
    cv2.imwrite(
        str(annotations(base) / f"{ABNORMAL}_0002_gt.png"),
        np.full((24, 32, 3), (3, 0, 0), np.uint8),
    )


def wide(base):
    cv2.imwrite(str(annotations(base) / f"{ABNORMAL}_0002_gt.png"), np.full((24, 34), 3, np.uint8))


def video(base):
    return base / "Scene2" / f"{ABNORMAL}.mp4"


DAMAGE = {
    **video_faults(f"Scene2/{ABNORMAL}.mp4", 6),
    "wrong size": (
        lambda base: rewrite_video(video(base), 6, (24, 40)),
        r"_gt\.png: a mask: 32 x 24 where video .* has 40 x 24",
    ),
    "renumbered": (
        lambda base: video(base).rename(base / "Scene2/abnormal_scene_2_scenario_2_fog.mp4"),
        r"scenario_1_fog\.mp4: not there; download",
    ),
    "renumbered masks": (
        lambda base: (annotations(base) / f"{ABNORMAL}_0002_gt.png").rename(base / "1.png"),
        r"_0002_gt\.png: cannot be read",
    ),
    "labels missing": (
        lambda base: shutil.rmtree(annotations(base)),
        r"_tracks\.txt: the anomalous objects of .* are missing",
    ),
    "no label": (rewrite("\n"), "names no anomalous object"),
    "label after the end": (
        rewrite("3,6,9"),
        r"line 1 is '3,6,9', expected id, first, last in frames 0 to 5",
    ),
    "label inverted": (rewrite("3,1,3\n3,4,2"), r"line 2 is '3,4,2'"),
    "label of text": (rewrite("fire"), r"line 1 is 'fire'"),
    "mask truncated": (
        lambda base: truncate(annotations(base) / f"{ABNORMAL}_0002_gt.png"),
        r"_0002_gt\.png: truncated",
    ),
    "mask in colour": (colour, r"_0002_gt\.png: 3 channels, expected one"),
    "mask of another size": (wide, r"0002_gt\.png: a mask: 34 x 24 where video .* has 32 x 24"),
    "one frame": (
        lambda base: rewrite_video(video(base), 1),
        r"line 1 is '3,1,3', expected id, first, last in frames 0 to 0",
    ),
    "list missing": (
        lambda base: (base / "normal_test_video_names.txt").unlink(),
        r"normal_test_video_names\.txt: the list of videos is missing",
    ),
    "list cut off": (
        lambda base: (base / "normal_test_video_names.txt").write_text("normal_sce"),
        r"normal_test_video_names\.txt: 'normal_sce' is no name of this list",
    ),
    "list emptied": (
        lambda base: (base / "normal_test_video_names.txt").write_text(""),
        r"1 test videos in .*, the release has 2",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(tiny, kind):
    require_complaint(tiny, DAMAGE[kind])


def test_extra_files_upper_case_and_a_loop_beside_the_videos_do_no_harm(tiny):
    scene = tiny.folder / "Scene2"
    litter(video(tiny.folder))
    video(tiny.folder).rename(scene / f"{ABNORMAL}.MP4")
    (scene / "again").symlink_to(scene)
    assert complaint(tiny) == ""


def test_names_that_leave_no_doubt_are_found(tiny):
    folder = annotations(tiny.folder)
    (folder / f"{ABNORMAL}_0002_gt.png").rename(folder / f"{ABNORMAL}_2_GT.png")
    (folder / f"{ABNORMAL}_tracks.txt").rename(folder / f"{ABNORMAL.title()}_tracks.txt")
    folder.rename(folder.with_name(f"{ABNORMAL}_Annotations"))
    (tiny.folder / "Scene2").rename(tiny.folder / "scene02")
    assert complaint(tiny) == ""


def test_ids_beyond_eight_bits_are_read(tiny):
    for path in annotations(tiny.folder).glob("*_gt.png"):
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16)
        cv2.imwrite(str(path), np.where(ids == 3, 300, ids).astype(np.uint16))
    (annotations(tiny.folder) / f"{ABNORMAL}_tracks.txt").write_text("300,1,3\n")
    assert tiny.tracks()[["frame", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [
        [frame, 4, 2, 9, 7] for frame in (1, 2, 3)
    ]


def test_regions_are_of_the_new_tracks_where_there_are_any(tiny):
    labels, masks = tiny.labels().flat(), [mask.any() for mask in masks_of(tiny)]
    folder = annotations(tiny.folder)
    (folder / f"{ABNORMAL}_new_tracks.txt").write_text("3,1,2\n7,4,5\n3,5,5\n")
    again = Tiny(tiny.root)
    found = again.tracks()
    spans = {track: own["frame"].tolist() for track, own in found.groupby("track")}
    assert spans == {0: [1, 2], 1: [4, 5], 2: [5]}  # a row is a track, whatever its object
    assert (again.labels().flat() == labels).all()
    assert [mask.any() for mask in masks_of(again)] == masks


def test_new_tracks_that_are_damaged_are_named(tiny):
    folder = annotations(tiny.folder)
    (folder / f"{ABNORMAL}_new_tracks.txt").write_text("3,1\n")
    with pytest.raises(BadInput, match=r"_new_tracks\.txt: line 1"):
        Tiny(tiny.root).tracks()


def masks_of(dataset):
    video = next(one for one in dataset.videos("test") if one.name == ABNORMAL)
    return list(dataset.masks(video))


# a part of it


def test_who_has_a_part_runs_it_under_a_name_that_says_so(tiny, tmp_path):
    (tiny.folder / "Scene2" / f"{NORMAL}.mp4").unlink()
    again = Tiny(tiny.root)
    with pytest.raises(BadInput, match="--videos here"):
        again.videos("test")
    name = remember_part(again, choose_videos(again, "here"), tmp_path / "cache")
    part = open_part(Tiny(tiny.root), name, tmp_path / "cache")
    assert name.startswith(f"{again.name}[2 of 3 ")
    assert complaint(part) == ""
    found = {split: [video.name for video in part.videos(split)] for split in SPLITS}
    assert found == {"train": [TRAIN], "test": [ABNORMAL]}
    assert list(part.labels().videos) == found["test"]
