"""Files that change beneath cached features and finished records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.datasets.contents import contents_of
from vadbench.errors import BadInput
from vadbench.features.current import check_current, outdated_folders
from vadbench.features.extract import ensure
from vadbench.features.store import read_manifest, stored
from vadbench.features.stream import plan_stream


class Yard(Dataset):
    """Clips of ten numbered images, or of one raw array where `raw`."""

    name, title, revision, raw = "yard", "Yard", "1", False
    suffix = ".png"

    def videos(self, split: Split) -> tuple[Video, ...]:
        return (Video(f"{split}1", split, 10), Video(f"{split}2", split, 10))

    def path(self, video: Video) -> Path | None:
        return None if self.raw else self.root / video.name

    def read(self, video: Video) -> Any:
        if self.raw:
            return iter(np.load(self.root / f"{video.name}.npy"))
        return (
            cv2.imread(str(self.root / video.name / f"{t}{self.suffix}"), cv2.IMREAD_GRAYSCALE)
            for t in range(1, 11)
        )

    def labels(self) -> Labels:
        raise NotImplementedError

    def check(self) -> list[Check]:
        return []


def clip(seed: int) -> np.ndarray[Any, Any]:
    frames = np.full((10, 40, 60), 90, np.uint8)
    frames += np.random.default_rng(seed).integers(0, 5, frames.shape, np.uint8)
    for t in range(10):
        frames[t, 10:26, 4 * t : 4 * t + 10] = 220
    return frames


def make(dataset: Dataset, suffix: str = ".png") -> None:
    for seed, video in enumerate([*dataset.videos("train"), *dataset.videos("test")]):
        folder = dataset.root / video.name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        np.save(dataset.root / f"{video.name}.npy", clip(seed))
        for t, frame in enumerate(clip(seed), 1):
            assert cv2.imwrite(str(folder / f"{t}{suffix}"), frame)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    dataset = Yard(tmp_path / "data")
    make(dataset)
    return dataset


def blacken(path: Path) -> None:
    assert cv2.imwrite(str(path), np.zeros((40, 60), np.uint8))


def later(path: Path) -> None:
    moment = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(moment, moment))


def test_another_picture_is_other_contents(yard: Yard, tmp_path: Path) -> None:
    before = contents_of(yard, "test", tmp_path)
    blacken(yard.root / "test2" / "7.png")
    assert contents_of(yard, "test", tmp_path) != before
    assert contents_of(yard, "train", tmp_path) == contents_of(yard, "train", tmp_path)


def test_a_file_that_was_only_touched_is_the_same(yard: Yard, tmp_path: Path) -> None:
    before = contents_of(yard, "test", tmp_path)
    later(yard.root / "test1" / "3.png")
    assert contents_of(yard, "test", tmp_path) == before


def test_another_lossless_packing_of_the_same_pixels_is_the_same(
    yard: Yard, tmp_path: Path
) -> None:
    before = contents_of(yard, "test", tmp_path)
    make(yard, ".tif")
    assert contents_of(yard, "test", tmp_path) == before


def test_a_change_that_keeps_size_and_time_is_seen_by_a_thorough_look(
    yard: Yard, tmp_path: Path
) -> None:
    path = yard.root / "test1" / "3.png"
    before, status = contents_of(yard, "test", tmp_path), path.stat()
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    for changed in (pixels ^ 1, pixels[::-1], pixels[:, ::-1], np.roll(pixels, 1)):
        cv2.imwrite(str(path), changed)
        with path.open("ab") as file:
            file.write(b"\0" * max(0, status.st_size - path.stat().st_size))
        if path.stat().st_size == status.st_size:
            break
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert contents_of(yard, "test", tmp_path) == before
    assert contents_of(yard, "test", tmp_path, thorough=True) != before


def test_a_data_set_without_paths_is_compared_by_its_frames(yard: Yard, tmp_path: Path) -> None:
    yard.raw = True
    before = contents_of(yard, "test", tmp_path)
    frames = clip(2)
    frames[0] = 0
    np.save(yard.root / "test1.npy", frames)
    assert contents_of(yard, "test", tmp_path) != before


def test_a_change_in_the_middle_of_a_data_set_without_paths_is_seen_by_its_files(
    yard: Yard, tmp_path: Path
) -> None:
    class Named(Yard):
        raw = True

        def read(self, video: Video) -> Any:
            return iter(np.load(self.root / "yard" / f"{video.name}.npy"))

    folder = yard.root / "yard"
    folder.mkdir()
    named = Named(yard.root)
    for seed, video in enumerate([*named.videos("train"), *named.videos("test")]):
        np.save(folder / f"{video.name}.npy", clip(seed))
    before = contents_of(named, "test", tmp_path)
    (folder / "labels.txt").write_text("of no clip")
    assert contents_of(named, "test", tmp_path) == before
    frames = clip(2)
    frames[5] = 0
    np.save(folder / "test1.npy", frames)
    assert contents_of(named, "test", tmp_path) != before


def test_files_that_are_not_here_are_not_compared(yard: Yard, tmp_path: Path) -> None:
    for path in (yard.root / "test1").iterdir():
        path.unlink()
    (yard.root / "test1").rmdir()
    assert contents_of(yard, "test", tmp_path) is None


def test_cached_features_of_changed_files_are_refused_and_made_anew(
    yard: Yard, tmp_path: Path
) -> None:
    plan, cache = plan_stream(yard, "velocity@grid", {}), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    before = read_manifest(plan.folder(cache, "test"))["contents"]
    check_current(yard, plan, cache)

    blacken(yard.root / "test1" / "4.png")
    command = "vadbench features extract --datasets yard --features velocity@grid --again"
    with pytest.raises(
        BadInput, match=f"yard velocity@grid: test features in .* are of other files .*`{command}`"
    ):
        ensure(yard, plan, cache, quiet=True)

    ensure(yard, plan, cache, quiet=True, again=True)
    check_current(yard, plan, cache)
    assert read_manifest(plan.folder(cache, "test"))["contents"] != before


def test_making_anew_keeps_the_split_that_has_not_changed(yard: Yard, tmp_path: Path) -> None:
    plan, cache = plan_stream(yard, "velocity@grid", {}), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    train = plan.folder(cache, "train").stat().st_mtime_ns
    blacken(yard.root / "test1" / "4.png")
    ensure(yard, plan, cache, quiet=True, again=True)
    assert plan.folder(cache, "train").stat().st_mtime_ns == train


def test_parts_of_changed_files_are_not_gone_on_with(yard: Yard, tmp_path: Path) -> None:
    plan, cache = plan_stream(yard, "velocity@grid", {}), tmp_path / "cache"
    read, calls = Yard.read, []

    class Broken(Yard):
        def read(self, video: Video) -> Any:
            calls.append(video.name)
            if video.name == "train2":
                raise BadInput("stop")
            return read(self, video)

    with pytest.raises(BadInput, match="stop"):
        ensure(Broken(yard.root), plan, cache, quiet=True)
    blacken(yard.root / "train1" / "4.png")
    ensure(yard, plan, cache, quiet=True)
    ensure(yard, plan, tmp_path / "whole", quiet=True)
    vectors = [
        np.load(plan.folder(where, "train") / "x.npy") for where in (cache, tmp_path / "whole")
    ]
    np.testing.assert_array_equal(*vectors)


def test_boxes_of_changed_files_are_seen_where_the_vectors_are_not_there(
    yard: Yard, tmp_path: Path
) -> None:
    plan, cache = plan_stream(yard, "velocity@grid", {}), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    other = plan_stream(yard, "velocity.hof8@grid", {})
    blacken(yard.root / "train1" / "4.png")
    with pytest.raises(BadInput, match="boxes"):
        ensure(yard, other, cache, quiet=True)


def test_all_outdated_stages_are_listed(yard: Yard, tmp_path: Path) -> None:
    plan, cache = plan_stream(yard, "velocity@grid", {}), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    assert outdated_folders(yard, stored(cache), cache) == []
    blacken(yard.root / "train1" / "4.png")
    found = {
        folder.relative_to(cache).parts[1:]
        for folder in outdated_folders(yard, stored(cache), cache)
    }
    assert {parts[-1] for parts in found} == {"train"}
    assert len(found) == 2
