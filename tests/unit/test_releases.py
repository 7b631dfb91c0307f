"""NWPU Campus, MSAD, Street Scene and IITB-Corridor: tiny releases in the official layout, and each
damaged in the ways that a user's copy may be.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damage import complaint, litter, require_complaint, truncate, use
from release_files import (
    FIGHT,
    RIOT,
    TinyMSAD,
    TinyNWPU,
    TinyStreet,
    TinyXD,
    write_iitb,
    write_msad,
    write_nwpu,
    write_street,
    write_xd,
)
from video_writer import private_cache, write_video  # noqa: F401

from vadbench.datasets.base import SPLITS, Dataset
from vadbench.datasets.events import Event, check_events
from vadbench.datasets.iitb_corridor import IITBCorridor
from vadbench.datasets.label_sets import find_label_set
from vadbench.datasets.msad import MSAD
from vadbench.datasets.nwpu_campus import NWPUCampus
from vadbench.datasets.part import PartOf, choose_videos, open_part, remember_part
from vadbench.datasets.resplit import labels_tested
from vadbench.datasets.street_scene import StreetScene
from vadbench.datasets.xd_violence import XDViolence
from vadbench.errors import BadInput

WRITERS: dict[str, Callable[[Path], Dataset]] = {
    "nwpu_campus": write_nwpu,
    "msad": write_msad,
    "street_scene": write_street,
    "iitb_corridor": write_iitb,
    "xd_violence": write_xd,
}
GT = "groundtruth/NWPU_Campus_gt.npz"
STREET_GT = "Test/Test001/Test001_gt.txt"
CSV = "anomaly_annotation.csv"
IITB_GT = "Test_IITB-Corridor/Test_Annotation/Annotation"


@pytest.fixture(params=WRITERS)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return WRITERS[request.param](tmp_path / "data")


def test_a_whole_copy_passes_its_check(release: Dataset) -> None:
    assert complaint(release) == ""
    use(release)
    check_events(release.events(), release.labels().videos, release.name)


def test_litter_does_no_harm(release: Dataset) -> None:
    places = [path for path in release.folder.rglob("*") if path.is_file()]  # type: ignore[attr-defined]
    litter(*places)
    assert complaint(type(release)(release.root)) == ""


def test_what_is_not_there_is_said_with_what_helps(release: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = complaint(type(release)(tmp_path / "empty"))
    assert "not there" in said
    assert release.how_to_get in said


def test_a_part_of_a_release_runs_by_its_name(release: Dataset, tmp_path: Path) -> None:
    train, test = (release.videos(split)[-1] for split in SPLITS)
    path = release.path(release.videos("test")[0])
    assert path is not None
    (shutil.rmtree if path.is_dir() else Path.unlink)(path)
    again = type(release)(release.root)
    if release.name == "iitb_corridor":
        path.parent.rmdir()
    with pytest.raises(BadInput, match=r"--videos here .*folder"):
        again.videos("test")
    chosen = choose_videos(again, f"train/{train.name},test/{test.name}")
    name = remember_part(again, chosen, tmp_path / "cache")
    part = open_part(type(release)(release.root), name, tmp_path / "cache")
    assert isinstance(part, PartOf)
    assert part.name.startswith(f"{release.name}[2 of {again.total} ")
    assert complaint(part) == ""


def test_constants_are_those_of_the_releases() -> None:
    sizes = {one: one.counts for one in (NWPUCampus, MSAD, StreetScene, IITBCorridor)}
    assert [tuple(counts.values()) for counts in sizes.values()] == [
        (305, 242), (360, 360), (46, 35), (208, 150)
    ]  # fmt: skip
    assert sum(MSAD.of_class.values()) == 240
    assert (NWPUCampus.test_frames, NWPUCampus.anomalous) == (384059, 65266)


# NWPU Campus


@pytest.fixture
def nwpu(tmp_path: Path) -> NWPUCampus:
    return write_nwpu(tmp_path)


def save(base: Path, **labels: object) -> None:
    usual = {"D001_01": np.array([0, 0, 1, 1, 1, 0]), "D094_01": np.zeros(5)}
    np.savez(base / GT, **{**usual, **labels})


NWPU_FAULTS = {
    "video missing": (lambda b: (b / "videos/Test/D094_01.avi").unlink(), "1 test videos"),
    "video renamed": (
        lambda b: (b / "videos/Test/D094_01.avi").rename(b / "videos/Test/094.avi"),
        "expected names as D001_01",
    ),
    "video cut": (lambda b: truncate(b / "videos/Train/D001_01.avi"), r"D001_01\.avi: .*cut off"),
    "no videos": (lambda b: shutil.rmtree(b / "videos/Train"), "Train: not there"),
    "no labels": (lambda b: (b / GT).unlink(), "the labels are missing"),
    "labels cut": (lambda b: truncate(b / GT), "cut off"),
    "labels of one missing": (
        lambda b: np.savez(b / GT, D001_01=np.zeros(6)),
        "no labels of D094_01",
    ),
    "labels too short": (lambda b: save(b, D001_01=np.zeros(3)), "6 frames, 3 labels"),
    "labels too long": (lambda b: save(b, D001_01=np.zeros(9)), "6 frames, 9 labels"),
    "two-dimensional": (lambda b: save(b, D001_01=np.zeros((6, 1))), "expected 0 or 1"),
    "of another polarity": (lambda b: save(b, D001_01=np.full(6, -1)), "expected 0 or 1"),
    "fractions": (lambda b: save(b, D001_01=np.full(6, 0.5)), "expected 0 or 1"),
    "pickled": (lambda b: save(b, D001_01=np.array([None] * 6)), "NWPU_Campus_gt"),
    "polarity turned": (
        lambda b: save(b, D001_01=np.array([1, 1, 0, 0, 0, 1]), D094_01=np.ones(5)),
        "^8$",
    ),
    "a scene too many": (
        lambda b: (b / "videos/Train/D001_02.avi").rename(b / "videos/Train/D002_02.avi"),
        "^2$",
    ),
}


@pytest.mark.parametrize("fault", NWPU_FAULTS)
def test_damage_of_nwpu_campus_is_told(nwpu: NWPUCampus, fault: str) -> None:
    require_complaint(nwpu, NWPU_FAULTS[fault])


def test_a_name_may_be_there_in_both_splits(nwpu: NWPUCampus) -> None:
    lengths = {split: nwpu.videos(split)[0] for split in SPLITS}
    assert {(one.name, one.split, one.frames) for one in lengths.values()} == {
        ("D001_01", "train", 7),
        ("D001_01", "test", 6),
    }
    assert [video.scene for video in nwpu.videos("test")] == ["D001", "D094"]


@pytest.mark.parametrize("count", [4, 5, 7, 8])
def test_two_frames_of_difference_are_cut_and_said(nwpu: NWPUCampus, count: int) -> None:
    save(nwpu.folder, D001_01=np.ones(count))
    labels = TinyNWPU(nwpu.root).labels()
    assert len(labels.videos["D001_01"]) == min(6, count)
    assert labels.source.endswith("1 videos cut to the shorter of frames and labels")
    use(TinyNWPU(nwpu.root))


# MSAD


@pytest.fixture
def msad(tmp_path: Path) -> MSAD:
    return write_msad(tmp_path)


def lines(base: Path, *rows: str, header: str | None = None) -> None:
    first = (base / CSV).read_text().splitlines()[0] if header is None else header
    (base / CSV).write_text("\n".join([first, *rows]))


FIRE = "Fire_10,mall,4,1,4"
MSAD_FAULTS = {
    "video missing": (
        lambda b: (b / "MSAD_anomaly_blur/Fire/Fire_10.avi").unlink(),
        "3 test videos",
    ),
    "video renamed": (
        lambda b: (b / "MSAD_anomaly_blur/Fire/Fire_10.avi").rename(
            b / "MSAD_anomaly_blur/Fire/Assault_1.avi"
        ),
        "no name of the release",
    ),
    "no training videos": (
        lambda b: shutil.rmtree(b / "MSAD_normal_training_blur"),
        "0 train videos",
    ),
    "video empty": (
        lambda b: (b / "MSAD_normal_testing_blur/MSAD_normal_testing_2.avi").write_bytes(b""),
        "an empty file",
    ),
    "no annotation": (lambda b: (b / CSV).unlink(), "the annotation is missing"),
    "empty annotation": (lambda b: (b / CSV).write_text(""), "expected name, scenario"),
    "other columns": (lambda b: lines(b, FIRE, header="name,a,b,c,d"), "columns name, a, b, c, d"),
    "line missing": (lambda b: lines(b, FIRE), "no line of Assault_2"),
    "line twice": (lambda b: lines(b, FIRE, FIRE), "names Fire_10 again"),
    "line cut": (lambda b: lines(b, "Assault_2,road,6", FIRE), "expected name and numbers"),
    "no number": (lambda b: lines(b, "Assault_2,road,6,a,4", FIRE), "expected name and numbers"),
    "from zero": (lambda b: lines(b, "Assault_2,road,6,0,4", FIRE), "outside 1 to 6"),
    "past the end": (lambda b: lines(b, "Assault_2,road,6,2,7", FIRE), "outside 1 to 6"),
    "turned": (lambda b: lines(b, "Assault_2,road,6,4,2", FIRE), "outside 1 to 6"),
    "another length": (
        lambda b: lines(b, "Assault_2,road,60,2,4", FIRE),
        "6 frames, 60 labels",
    ),
}


@pytest.mark.parametrize("fault", MSAD_FAULTS)
def test_damage_of_msad_is_told(msad: MSAD, fault: str) -> None:
    require_complaint(msad, MSAD_FAULTS[fault])


def test_msads_intervals_are_from_one_and_names_by_number(msad: MSAD) -> None:
    labels = msad.labels().videos
    assert list(labels) == [
        "MSAD_normal_testing_2", "MSAD_normal_testing_10", "Assault_2", "Fire_10"
    ]  # fmt: skip
    assert labels["Assault_2"].tolist() == [0, 1, 1, 1, 0, 0]
    assert labels["Fire_10"].all()
    assert not labels["MSAD_normal_testing_2"].any()
    assert msad.events() == [Event("Assault_2", 1, 3, "Assault"), Event("Fire_10", 0, 3, "Fire")]


def test_msads_subsets_leave_out_whole_videos(msad: MSAD) -> None:
    kept = {name: list(labels_tested(msad, None, name).kept.videos) for name in SETS}
    assert kept == SETS


SETS = {
    "hr-anomalies": ["Assault_2"],
    "hr-with-normals": ["MSAD_normal_testing_2", "MSAD_normal_testing_10", "Assault_2"],
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "the list of the weak protocol's test videos is missing"),
        ("Assault_2\nFire_10", "2 videos, the protocol has 3"),
        ("Assault_2\nFire_10\nFire_11", "Fire_11 is no test video"),
    ],
)
def test_the_weak_protocols_list_has_to_fit(msad: MSAD, text: str | None, says: str) -> None:
    if text is not None:
        (msad.root / "labels/msad").mkdir(parents=True)
        (msad.root / "labels/msad/weak_test.txt").write_text(text)
    with pytest.raises(BadInput, match=says):
        labels_tested(TinyMSAD(msad.root), None, "weak")


def test_the_weak_protocol_leaves_out_what_it_trains_on(msad: MSAD) -> None:
    (msad.root / "labels/msad").mkdir(parents=True)
    names = "MSAD_normal_testing_2.mp4\nMSAD_anomaly_blur/Fire/Fire_10.mp4\nMSAD_normal_testing_10"
    (msad.root / "labels/msad/weak_test.txt").write_text(names)
    labels = labels_tested(msad, None, "weak")
    assert "Assault_2" not in labels.kept.videos
    assert labels.provenance()["dropped"] == 6


# Street Scene


@pytest.fixture
def street(tmp_path: Path) -> StreetScene:
    return write_street(tmp_path)


def add(base: Path, line: str) -> None:
    with (base / STREET_GT).open("a") as file:
        file.write(line + "\n")


STREET_FAULTS = {
    "clip missing": (lambda b: shutil.rmtree(b / "Test/Test002"), "1 clips, the release has 2"),
    "picture missing": (
        lambda b: (b / "Test/Test001/00003.jpg").unlink(),
        "frame 3 is missing",
    ),
    "picture cut": (lambda b: truncate(b / "Train/Train001/00002.jpg"), r"00002\.jpg"),
    "no boxes": (lambda b: (b / STREET_GT).unlink(), r"Test001_gt\.txt: the boxes are missing"),
    "two files of boxes": (
        lambda b: shutil.copy(b / STREET_GT, b / "Test/Test001/old_gt.txt"),
        r"Test001_gt\.txt, old_gt\.txt; expected one",
    ),
    "line cut": (lambda b: add(b, "00004.jpg 0 10 12 8"), "line 5 is .* expected frame.jpg track"),
    "words": (lambda b: add(b, "00004.jpg a 10 12 8 9"), "line 5 is .* expected frame.jpg track"),
    "no such picture": (lambda b: add(b, "00007.jpg 0 10 12 8 9"), "no picture of Test001"),
    "from zero": (lambda b: add(b, "00000.jpg 0 10 12 8 9"), "no picture of Test001"),
    "no number": (lambda b: add(b, "frame.jpg 0 10 12 8 9"), "expected frame.jpg track"),
    "box twice": (lambda b: add(b, "00002.jpg 0 10 12 8 9"), "a second box of track 0"),
    "outside": (lambda b: add(b, "00006.jpg 0 90 12 8 9"), "none of it in a frame of 32 x 24"),
    "no size": (lambda b: add(b, "00006.jpg 0 9 12 0 9"), "w and h above 0"),
    "not finite": (lambda b: add(b, "00006.jpg 0 nan 12 8 9"), "w and h above 0"),
    "a track too many": (lambda b: add(b, "00006.jpg 9 9 12 8 9"), "^4$"),
}


@pytest.mark.parametrize("fault", STREET_FAULTS)
def test_damage_of_street_scene_is_told(street: StreetScene, fault: str) -> None:
    require_complaint(street, STREET_FAULTS[fault])


def test_centres_become_corners_and_numbers_places(street: StreetScene) -> None:
    first = street.tracks().iloc[0]
    # centre 11, 12.5 of 8 x 9 pixels: columns 7 to 14, rows 8 to 16
    assert first.to_dict() == {
        "video": "Test001", "track": 0, "frame": 1, "x0": 7, "y0": 8, "x1": 14, "y1": 16
    }  # fmt: skip
    labels = {name: values.tolist() for name, values in street.labels().videos.items()}
    assert labels == {"Test001": [0, 1, 1, 1, 0, 0], "Test002": [1, 0, 1, 0, 0]}
    assert len(street.events()) == 4


def test_boxes_are_cut_at_the_edge_and_paths_and_commas_do_no_harm(street: StreetScene) -> None:
    (street.folder / STREET_GT).write_text("Test\\Test001\\00002.jpg, 3, 1, 23, 8, 9\n")
    row = TinyStreet(street.root).tracks().iloc[0]
    assert (row["x0"], row["y0"], row["x1"], row["y1"]) == (0, 18.5, 4, 23)


# IITB-Corridor


@pytest.fixture
def iitb(tmp_path: Path) -> IITBCorridor:
    return write_iitb(tmp_path)


TRAIN, TEST = "Train_IITB_Corridor/Train", "Test_IITB-Corridor/Test"
IITB_FAULTS = {
    "folder missing": (lambda b: shutil.rmtree(b / TEST / "000210"), "1 test videos"),
    "video missing": (
        lambda b: (b / TEST / "000210/000210.avi").unlink(),
        r"000210\.avi: not there",
    ),
    "video of another name": (
        lambda b: (b / TEST / "000210/000210.avi").rename(b / TEST / "000210/1.avi"),
        r"000210\.avi: not there",
    ),
    "video cut": (lambda b: truncate(b / TRAIN / "000001/000001.avi"), "cut off"),
    "folder of the other split": (
        lambda b: (b / TRAIN / "000002").rename(b / TRAIN / "000300"),
        "no train video of the release",
    ),
    "no test part": (lambda b: shutil.rmtree(b / "Test_IITB-Corridor"), "Corridor: not there"),
    "labels missing": (
        lambda b: (b / IITB_GT / "000209/000209.npy").unlink(),
        r"000209\.npy: cannot be read",
    ),
    "labels cut": (lambda b: truncate(b / IITB_GT / "000209/000209.npy"), r"000209\.npy: not an"),
    "a label less": (
        lambda b: np.save(b / IITB_GT / "000209/000209.npy", np.zeros(5)),
        "6 frames, 5 labels",
    ),
    "two-dimensional": (
        lambda b: np.save(b / IITB_GT / "000209/000209.npy", np.zeros((6, 2))),
        "expected 0 or 1",
    ),
    "other values": (
        lambda b: np.save(b / IITB_GT / "000209/000209.npy", np.arange(6)),
        "expected 0 or 1",
    ),
    "polarity turned": (
        lambda b: np.save(b / IITB_GT / "000209/000209.npy", np.array([1, 0, 0, 0, 0, 0])),
        "^3$",
    ),
}


@pytest.mark.parametrize("fault", IITB_FAULTS)
def test_damage_of_iitb_corridor_is_told(iitb: IITBCorridor, fault: str) -> None:
    require_complaint(iitb, IITB_FAULTS[fault])


def test_a_label_set_that_there_is_not_is_refused(release: Dataset) -> None:
    with pytest.raises(BadInput, match=f"unknown label set of {release.name}"):
        find_label_set(release, "scene-dependent")


# XD-Violence


@pytest.fixture
def xd(tmp_path: Path) -> XDViolence:
    return write_xd(tmp_path)


def annotate(base: Path, *rows: str) -> None:
    (base / "annotations.txt").write_text("\n".join(rows))


XD_FIGHT, XD_RIOT = f"{FIGHT} 1 3", f"{RIOT} 0 1 3 9"
XD_FAULTS = {
    "video missing": (lambda b: (b / f"test_videos/{RIOT}.avi").unlink(), "2 test videos"),
    "video of another name": (
        lambda b: (b / f"test_videos/{RIOT}.avi").rename(b / "test_videos/riot.avi"),
        "expected names as title",
    ),
    "video twice": (
        lambda b: shutil.copytree(b / "1-1004", b / "1-1004 (2)"),
        "is also .*1-1004",
    ),
    "video cut": (lambda b: truncate(b / f"test_videos/{FIGHT}.avi"), "cut off"),
    "no annotations": (lambda b: (b / "annotations.txt").unlink(), "annotations are missing"),
    "empty annotations": (lambda b: annotate(b), "0 intervals of 0 videos"),
    "line missing": (lambda b: annotate(b, XD_FIGHT), "1 intervals of 1 videos"),
    "of another video": (lambda b: annotate(b, f"other{XD_FIGHT}", XD_RIOT), "no line of Bad"),
    "line twice": (lambda b: annotate(b, XD_FIGHT, XD_FIGHT), "names Bad.* again"),
    "line cut": (lambda b: annotate(b, XD_FIGHT, f"{RIOT} 0 1 3"), "3 numbers"),
    "no numbers": (lambda b: annotate(b, XD_FIGHT, RIOT), "0 numbers"),
    "words": (lambda b: annotate(b, f"{FIGHT} a 3", XD_RIOT), "expected name and frame numbers"),
    "turned": (lambda b: annotate(b, f"{FIGHT} 3 1", XD_RIOT), "the end after the first"),
    "negative": (lambda b: annotate(b, f"{FIGHT} -1 1", XD_RIOT), "the end after the first"),
    "past the video": (lambda b: annotate(b, f"{FIGHT} 6 7", XD_RIOT), "begins after its frames"),
}


@pytest.mark.parametrize("fault", XD_FAULTS)
def test_damage_of_xd_violence_is_told(xd: XDViolence, fault: str) -> None:
    require_complaint(xd, XD_FAULTS[fault])


def test_xd_violences_intervals_are_half_open_and_cut_at_the_end(xd: XDViolence) -> None:
    labels = xd.labels()
    assert labels.videos[FIGHT].tolist() == [0, 1, 1, 0, 0, 0]
    assert labels.videos[RIOT].tolist() == [1, 0, 0, 1, 1, 1]
    assert labels.source.endswith("; 1 intervals cut at the end of their video")
    kinds = {event.category for event in xd.events()}
    assert kinds == {"fighting", "riot"}


def test_normal_videos_are_trained_on_and_the_others_are_unlabelled(xd: XDViolence) -> None:
    names = {split: [video.name for video in xd.videos(split)] for split in xd.splits}
    assert len(names["train"]) == 2
    assert all(name.endswith("_label_A") for name in names["train"])
    assert names["unlabelled"] == ["Loud__#00-00-00_00-01-00_label_G"]
    assert TinyXD(xd.root).total == 5
