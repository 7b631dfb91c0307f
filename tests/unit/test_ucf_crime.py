"""UCF-Crime: the published annotations and frame counts, and a tiny release damaged in the ways
that a user's copy may be.
"""

import re
from pathlib import Path

import pytest
from damage import complaint, litter, require_complaint, rewrite_video, video_faults
from video_writer import private_cache  # noqa: F401

from vadbench.datasets.base import SPLITS, Resplit
from vadbench.datasets.events import Event, check_events
from vadbench.datasets.part import choose_videos, open_part, remember_part
from vadbench.datasets.resplit import resplit_of
from vadbench.datasets.ucf_crime import UCFCrime
from vadbench.errors import BadInput

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ucf_crime"
FRAMES = {
    "Abuse/Abuse028_x264.mp4": 6,
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4": 4,
    "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4": 5,
    "Training_Normal_Videos_Anomaly/Normal_Videos002_x264.mp4": 3,
}
ABUSE = "Videos/Abuse/Abuse028_x264.mp4"
UNLABELLED = "Videos/Abuse/Abuse001_x264.mp4"
ANNOTATION = "Temporal_Anomaly_Annotation.txt"


class Tiny(UCFCrime):
    counts = {"train": 2, "test": 2, "unlabelled": 1}
    size = (24, 32)
    test_frames = 10
    anomalous = 4


def write_header(base, **more):
    rows = [f"x,{path},{count}" for path, count in [*FRAMES.items(), *more.items()]]
    (base / "header.csv").write_text("\n".join(["video_id,video_path,frame_count", *rows]))


@pytest.fixture
def tiny(tmp_path):
    """The official layout without header.csv; of the second interval the last frame is after the
    video's end.
    """
    base = tmp_path / "UCF_Crimes"
    for path, frames in FRAMES.items():
        rewrite_video(base / "Videos" / path, frames)
    (base / ANNOTATION).write_text(
        "Abuse028_x264.mp4  Abuse  2  3  5  7  \nNormal_Videos_003_x264.mp4  Normal  -1  -1  -1 "
        " -1  \n"
    )
    trained = [path for path in FRAMES if path.startswith("Training")]
    (base / "Anomaly_Train.txt").write_text("\n".join(["Abuse/Abuse001_x264.mp4", *trained]))
    return Tiny(tmp_path)


# the published files


@pytest.fixture
def shared(tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    (tmp_path / "UCF_Crimes").symlink_to(SHARED)
    return UCFCrime(tmp_path)


def test_annotations_and_counts_alone_pass_the_check_without_a_video(shared):
    assert complaint(shared) == ""


def test_the_release_has_its_counts(shared):
    assert [len(shared.videos(split)) for split in ("train", "test", "unlabelled")] == [
        800,
        290,
        810,
    ]
    provenance = shared.labels().provenance()
    assert (provenance["frames"], provenance["anomalous"]) == (1111808, 84338)
    assert provenance["source"].endswith(
        "frames from 1, inclusive; 5 intervals cut at the end of their video"
    )


def test_the_release_has_thirteen_kinds_of_events(shared):
    events = shared.events()
    check_events(events, shared.labels().videos, "ucf_crime")
    assert len({event.category for event in events}) == 13
    assert len({event.video for event in events}) == 140
    assert len(events) == 156  # 16 videos have two


# a tiny one


def test_a_whole_copy_passes_its_check(tiny):
    assert complaint(tiny) == ""


def test_videos_are_named_as_their_files(tiny):
    assert [(video.name, video.frames) for split in SPLITS for video in tiny.videos(split)] == [
        ("Normal_Videos001_x264", 5),
        ("Normal_Videos002_x264", 3),
        ("Abuse028_x264", 6),
        ("Normal_Videos_003_x264", 4),
    ]
    assert tiny.frames(tiny.videos("test")[0]).shape == (6, 24, 32, 3)


def test_intervals_are_inclusive_count_from_one_and_are_cut_at_the_end(tiny):
    labels = tiny.labels()
    assert labels.videos["Abuse028_x264"].tolist() == [0, 1, 1, 0, 1, 1]
    assert "1 intervals cut" in labels.source


def test_events_are_intervals_with_the_class_of_their_video(tiny):
    assert tiny.events() == [
        Event("Abuse028_x264", 1, 2, "Abuse"),
        Event("Abuse028_x264", 4, 5, "Abuse"),
    ]


def test_there_are_neither_masks_nor_regions(tiny):
    assert (tiny.masks(tiny.videos("test")[0]), tiny.tracks(), tiny.track_source) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize("gone", ["Anomaly_Train.txt", "header.csv"])
def test_training_videos_come_from_the_list_the_counts_or_the_folder(tiny, gone):
    write_header(tiny.folder)
    (tiny.folder / gone).unlink()
    assert [video.name for video in tiny.videos("train")] == [
        "Normal_Videos001_x264",
        "Normal_Videos002_x264",
    ]


def test_an_empty_list_is_passed_over(tiny):
    (tiny.folder / "Anomaly_Train.txt").write_text("")
    assert len(tiny.videos("train")) == 2


def test_without_videos_all_but_reading_works(tiny):
    write_header(tiny.folder)
    (tiny.folder / "Videos").rename(tiny.root / "elsewhere")
    assert complaint(tiny) == ""
    with pytest.raises(
        BadInput,
        match=(
            r"no Abuse028_x264\.mp4 in its folders; only imported features do without videos;"
            r" download"
        ),
    ) as raised:
        next(iter(tiny.read(tiny.videos("test")[0])))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("source", ["Anomaly_Train.txt", "header.csv", "Videos"])
def test_without_labels_all_training_videos_are_trained_on(tiny, source):
    rewrite_video(tiny.folder / UNLABELLED, 7)
    if source != "Anomaly_Train.txt":
        (tiny.folder / "Anomaly_Train.txt").unlink()
    if source == "header.csv":
        write_header(
            tiny.folder,
            **{
                UNLABELLED.removeprefix("Videos/"): 7,
                "Normal_Videos_Event/Normal_Videos_900_x264.mp4": 5,
            },
        )
    split = resplit_of(tiny)
    assert split.name == "all-training-videos"
    assert split.train == (
        "train/Normal_Videos001_x264",
        "train/Normal_Videos002_x264",
        "unlabelled/Abuse001_x264",
    )
    assert split.test == ("test/Abuse028_x264", "test/Normal_Videos_003_x264")
    assert split.splits == ("train", "test", "unlabelled")
    assert tiny.frames(tiny.videos("unlabelled")[0]).shape == (7, 24, 32, 3)


def test_only_the_unsupervised_setting_misses_the_unlabelled_videos(tiny):
    assert complaint(tiny) == ""
    assert resplit_of(tiny) == Resplit("all-training-videos", (), ())  # old tables need no more
    with pytest.raises(BadInput, match=r"no Abuse001_x264\.mp4 in its folders"):
        tiny.videos("unlabelled")


def test_unlabelled_videos_that_are_there_are_checked(tiny):
    rewrite_video(tiny.folder / UNLABELLED, 7, (24, 40))
    assert re.search(r"Abuse001_x264\.mp4: frames of shape \(24, 40, 3\)", complaint(tiny))


def test_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(
        BadInput,
        match=r"temporal annotations are missing; download .*crcv\.ucf\.edu.*VADBENCH_DATA",
    ):
        UCFCrime(tmp_path).videos("test")


# damage


def annotated(first):
    return lambda base: (base / ANNOTATION).write_text(
        f"{first}\nNormal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1\n"
    )


def header_lacks_a_video(base):
    write_header(base)
    path = base / "header.csv"
    path.write_text(
        "\n".join(line for line in path.read_text().splitlines() if "Abuse028" not in line)
    )


def header_lies(base):
    write_header(base)
    path = base / "header.csv"
    path.write_text(path.read_text().replace("Abuse028_x264.mp4,6", "Abuse028_x264.mp4,7"))


def header_of_another_kind(base):
    (base / "header.csv").write_text("a,b\n1,2\n")


DAMAGE = {
    **video_faults(ABUSE, 6),
    "renumbered": (
        lambda base: (base / ABUSE).rename(base / "Videos/Abuse/Abuse029_x264.mp4"),
        r"no Abuse028_x264\.mp4 in its folders",
    ),
    "labels missing": (
        lambda base: (base / ANNOTATION).unlink(),
        r"Temporal_Anomaly_Annotation\.txt: the temporal annotations are missing",
    ),
    "label missing": (
        lambda base: (base / ANNOTATION).write_text("Abuse028_x264.mp4 Abuse 2 3 5 6\n"),
        r"1 test videos, the release has 2",
    ),
    "label cut off": (
        annotated("Abuse028_x264.mp4 Abuse 2 3"),
        r"line 1 is 'Abuse028_x264\.mp4 Abuse 2 3', expected name\.mp4, class and four",
    ),
    "label twice": (
        annotated("Normal_Videos_003_x264.mp4 Normal -1 -1 -1 -1"),
        r"line 2 names Normal_Videos_003_x264\.mp4 again",
    ),
    "label far after the end": (
        annotated("Abuse028_x264.mp4 Abuse 2 9 -1 -1"),
        r"interval 2 9 of Abuse028_x264 is outside its frames 1 to 6",
    ),
    "label from zero": (
        annotated("Abuse028_x264.mp4 Abuse 0 3 -1 -1"),
        r"interval 0 3 of Abuse028_x264 is outside",
    ),
    "one frame": (
        lambda base: rewrite_video(base / ABUSE, 1),
        r"interval 2 3 of Abuse028_x264 is outside its frames 1 to 1",
    ),
    "counts lack a video": (header_lacks_a_video, r"header\.csv: has no line of Abuse028_x264"),
    "counts lie": (header_lies, r"11|clip Abuse028_x264 decodes to 6 frames, expected 7"),
    "counts of another kind": (header_of_another_kind, r"header\.csv: line 2 has no video_path"),
    "training videos missing": (
        lambda base: (base / "Anomaly_Train.txt").write_text("Training_Normal_Videos/a.mp4"),
        r"1 train videos, the release has 2",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(tiny, kind):
    require_complaint(tiny, DAMAGE[kind])


def test_extra_files_upper_case_and_a_loop_beside_the_videos_do_no_harm(tiny):
    videos = tiny.folder / "Videos"
    litter(tiny.folder / ABUSE, videos)
    (tiny.folder / ABUSE).rename(videos / "Abuse/Abuse028_x264.MP4")
    (videos / "again").symlink_to(videos)
    assert complaint(tiny) == ""


def test_names_that_leave_no_doubt_are_found(tiny):
    (tiny.folder / ABUSE).rename(tiny.folder / "Videos/Abuse/abuse28_X264.mp4")
    assert complaint(tiny) == ""


def test_the_file_of_another_video_is_not_taken(tiny):
    (tiny.folder / ABUSE).rename(tiny.folder / "Videos/Abuse/Abuse0028_x264.mp4")
    train = tiny.folder / "Anomaly_Train.txt"
    train.write_text(train.read_text().replace("Abuse001", "Abuse0028"))
    assert "no Abuse028_x264.mp4 in its folders" in complaint(tiny)


@pytest.mark.parametrize("file", [ANNOTATION, "Anomaly_Train.txt", "header.csv"])
def test_a_byte_order_mark_is_passed_over(tiny, file):
    write_header(tiny.folder)
    (tiny.folder / file).write_bytes(b"\xef\xbb\xbf" + (tiny.folder / file).read_bytes())
    assert complaint(tiny) == ""


def test_annotations_in_another_encoding_are_refused(tiny):
    (tiny.folder / ANNOTATION).write_bytes((tiny.folder / ANNOTATION).read_text().encode("utf-16"))
    assert "written as UTF-16; expected UTF-8" in complaint(tiny)


# a part of it


def test_who_has_a_part_runs_it_under_a_name_that_says_so(tiny, tmp_path):
    (tiny.folder / "Videos" / "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4").unlink()
    again = Tiny(tiny.root)
    with pytest.raises(BadInput, match="--videos here"):
        again.videos("train")
    name = remember_part(again, choose_videos(again, "here"), tmp_path / "cache")
    part = open_part(Tiny(tiny.root), name, tmp_path / "cache")
    assert name.startswith(f"{again.name}[3 of 4 ")
    assert complaint(part) == ""
    found = {split: [video.name for video in part.videos(split)] for split in SPLITS}
    assert found == {
        "train": ["Normal_Videos002_x264"],
        "test": ["Abuse028_x264", "Normal_Videos_003_x264"],
    }
    assert list(part.labels().videos) == found["test"]
