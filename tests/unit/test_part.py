"""A part of a data set: its name says so everywhere, and it never stands for the whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from avenue_files import TEST, MiniatureAvenue, write_avenue
from damage import complaint, use
from record_builder import make_result
from ucsd_files import TinyPed2, write_ucsd
from video_writer import private_cache  # noqa: F401

from vadbench.datasets import open as opening
from vadbench.datasets.base import SPLITS
from vadbench.datasets.part import (
    PartOf,
    base_of,
    choose_videos,
    is_part,
    open_part,
    remember_part,
)
from vadbench.datasets.resplit import labels_tested
from vadbench.errors import BadInput
from vadbench.plans.plan import _refuse_mixture
from vadbench.report.leaderboard.entries import _why_unranked
from vadbench.results.identity import identity_of
from vadbench.suite import make_suite, vary


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("avenue")
    write_avenue(root)
    return root


@pytest.fixture
def avenue(written: Path, tmp_path: Path) -> MiniatureAvenue:
    """A copy that lacks a training and a test video."""
    root = tmp_path / "data"
    shutil.copytree(written, root)
    (root / "Avenue Dataset/training_videos/02.avi").unlink()
    (root / "Avenue Dataset/testing_videos/01.avi").unlink()
    return MiniatureAvenue(root)


def part_of(whole: MiniatureAvenue, text: str, tmp_path: Path) -> PartOf:
    name = remember_part(whole, choose_videos(whole, text), tmp_path / "cache")
    return open_part(type(whole)(whole.root), name, tmp_path / "cache")


def test_the_whole_is_refused_with_both_ways_round(avenue: MiniatureAvenue) -> None:
    with pytest.raises(BadInput, match=r"02\.avi: video 2 of 3 is missing.*--videos here.*folder"):
        avenue.videos("train")


def test_what_is_here_is_a_part_with_a_name_that_says_so(
    avenue: MiniatureAvenue, tmp_path: Path
) -> None:
    part = part_of(avenue, "here", tmp_path)
    assert part.name.startswith("avenue[3 of 5 ")
    named = {split: [video.name for video in part.videos(split)] for split in SPLITS}
    assert named == {"train": ["01", "03"], "test": ["02"]}
    assert list(part.labels().videos) == ["02"]
    assert set(part.tracks()["video"]) == {"02"}  # type: ignore[index]
    assert part.labels().lengths().tolist() == [TEST[1]]
    use(part)
    assert complaint(part) == ""


def test_labels_of_videos_that_are_not_of_the_part_need_not_be_here(
    avenue: MiniatureAvenue, tmp_path: Path
) -> None:
    (avenue.root / "ground_truth_demo/testing_label_mask/1_label.mat").unlink()
    assert list(part_of(avenue, "here", tmp_path).labels().videos) == ["02"]


def test_files_of_the_whole_serve_a_part(avenue: MiniatureAvenue, tmp_path: Path) -> None:
    folder = avenue.root / "tracks/avenue/regions"
    folder.mkdir(parents=True)
    (folder / "01.txt").write_text("0,3,1,1,9,9\n")
    (folder / "02.txt").write_text("0,3,1,1,9,9\n0,4,2,1,9,9\n")
    part = part_of(avenue, "here", tmp_path)
    assert part.track_source == "published"
    tracks = part.tracks()
    assert tracks is not None
    assert tracks[["video", "frame"]].to_numpy().tolist() == [["02", 3], ["02", 4]]


def test_a_label_set_is_of_the_videos_of_the_part(
    avenue: MiniatureAvenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (avenue.root / "labels/avenue").mkdir(parents=True)
    flat = np.ones(sum(TEST), np.uint8)
    np.save(avenue.root / "labels/avenue/frame_labels_avenue.npy", flat)
    monkeypatch.setattr(MiniatureAvenue, "other_anomalous", len(flat))
    part = part_of(avenue, "here", tmp_path)
    labels = labels_tested(part, None, "mnad-interval")
    assert {name: values.tolist() for name, values in labels.videos.items()} == {
        "02": [1] * TEST[1]
    }


def test_a_chosen_video_that_goes_missing_is_named(avenue: MiniatureAvenue, tmp_path: Path) -> None:
    name = remember_part(avenue, choose_videos(avenue, "here"), tmp_path / "cache")
    (avenue.root / "Avenue Dataset/training_videos/03.avi").unlink()
    part = open_part(MiniatureAvenue(avenue.root), name, tmp_path / "cache")
    with pytest.raises(BadInput, match=r"03\.avi: video 3 of 3 is missing"):
        part.videos("train")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("train/01,test/02", ("train/01", "test/02")),
        ("test/02, train/03 ,train/01", ("train/01", "train/03", "test/02")),
        ("03,02", ("train/03", "test/02")),
        ("01,01,02", ("train/01", "test/02")),
        ("train/*,test/0?", ("train/01", "train/03", "test/02")),
        ("*3,*/02", ("train/03", "test/02")),
    ],
)
def test_videos_are_chosen_by_name(
    avenue: MiniatureAvenue, text: str, chosen: tuple[str, ...]
) -> None:
    assert choose_videos(avenue, text) == chosen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("01", "no test video"),
        ("test/02", "no train video"),
        ("01,test/01", "unknown video of avenue here 'test/01'"),
        ("train/02,test/02", "unknown video of avenue here 'train/02'"),
        ("1,2", "unknown video"),
        ("here,01", "unknown video of avenue here 'here'"),
        (",", "no train video"),
        ("../01,test/02", "unknown video"),
        ("9*,02", "unknown video of avenue here '9\\*'"),
    ],
)
def test_what_is_not_here_is_refused(avenue: MiniatureAvenue, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        choose_videos(avenue, text)


def test_other_videos_are_another_part(avenue: MiniatureAvenue, tmp_path: Path) -> None:
    names = {part_of(avenue, text, tmp_path).name for text in ("01,02", "03,02", "02, 01")}
    assert len(names) == 2
    assert all(name.startswith("avenue[2 of 5 ") for name in names)
    one, other = (make_result(dataset=name) for name in sorted(names))
    assert len({one.key, other.key, make_result(dataset="avenue").key}) == 3
    assert identity_of(one, ("a",)) == identity_of(other, ("a",))  # the runs' identities differ


def test_a_name_that_is_not_known_here_says_what_helps(
    avenue: MiniatureAvenue, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="which videos these are is not known here"):
        open_part(avenue, "avenue[8 of 37 3fa2c1]", tmp_path)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"videos": 3}', '{"videos": [1]}', '{"videos": ["test/02"]}', "{", ""]
)
def test_a_damaged_memory_is_refused(avenue: MiniatureAvenue, tmp_path: Path, text: str) -> None:
    name = remember_part(avenue, choose_videos(avenue, "here"), tmp_path / "cache")
    (memory,) = (tmp_path / "cache" / "parts").iterdir()
    memory.write_text(text)
    with pytest.raises(BadInput, match=memory.name):
        open_part(avenue, name, tmp_path / "cache")


def test_all_videos_are_the_whole(written: Path, tmp_path: Path) -> None:
    whole = MiniatureAvenue(written)
    assert remember_part(whole, choose_videos(whole, "here"), tmp_path) == "avenue"
    assert not (tmp_path / "parts").exists()


def test_names_of_parts_are_told_from_others() -> None:
    assert base_of("ucf_crime[3 of 1090 00ff00]") == "ucf_crime"
    names = ["avenue", "avenue[]", "avenue[8 of 37]", "avenue[8 of 37 3fa2c1]x", "[1 of 2 aaaaaa]"]
    assert not any(map(is_part, names))
    assert [base_of(name) for name in names] == names


def test_a_part_never_stands_beside_its_whole() -> None:
    parts = ("avenue[8 of 37 3fa2c1]", "avenue[7 of 37 aaaaaa]")
    for pair in (("avenue", parts[0]), parts):
        with pytest.raises(BadInput, match="not comparable; run each by itself"):
            _refuse_mixture(pair)
    _refuse_mixture(("ped2", parts[0], "ped2"))


def test_a_part_is_ranked_nowhere() -> None:
    assert "a part of a data set" in str(
        _why_unranked({"dataset": "avenue[8 of 37 3fa2c1]"}, (0,), None)
    )


def test_a_suites_table_is_called_after_the_part() -> None:
    suite = make_suite({"name": "mine", "methods": ["knn"], "datasets": ["avenue"]})
    varied = vary(suite, datasets=("avenue[8 of 37 3fa2c1]",))
    assert varied.name == "mine--avenue-8of37-3fa2c1"


def test_a_part_of_ucsd_takes_its_labels_by_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_ucsd(tmp_path / "data", TinyPed2)
    shutil.rmtree(whole.folder / "Test/Test001")
    shutil.rmtree(whole.folder / "Train/Train002")
    monkeypatch.setattr(opening, "data_root", lambda: tmp_path / "data")
    monkeypatch.setattr(opening.registry, "load", lambda kind, name: TinyPed2)
    name = remember_part(whole, choose_videos(whole, "here"), tmp_path / "cache")
    part = opening.open_dataset(name)
    assert part is opening.open_dataset(name)
    assert (part.name, opening.open_dataset("ped2").name) == (name, "ped2")
    assert opening.open_dataset("ped2").only is None
    np.testing.assert_array_equal(part.labels().flat(), np.ones(3))
    assert part.track_source == "derived from the masks"
    assert complaint(part) == ""
