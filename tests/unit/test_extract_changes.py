"""What changes while features are extracted, or before an interrupted extraction goes on: clips,
videos, the files of boxes and tracks, and the cache itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput
from vadbench.features import of_clip
from vadbench.features.cached import list_cached, remove_cached
from vadbench.features.extract import Extraction, ensure
from vadbench.features.parts import remove_stage
from vadbench.features.stream import StreamPlan, open_stream, plan_stream


class Drawn(Dataset):
    """A textured patch that moves over a still texture, lower where `moved`; its frames are
    compared, as those of files are.
    """

    name = "drawn"
    revision = "1"
    moved = 0
    clips: dict[Split, dict[str, int]] = {"train": {"a": 6, "b": 4, "c": 5}, "test": {"d": 5}}

    def videos(self, split: Split) -> tuple[Video, ...]:
        return tuple(Video(name, split, frames) for name, frames in self.clips[split].items())

    def read(self, video: Video) -> Any:
        random = np.random.default_rng(video.frames)
        clip = np.repeat(random.integers(90, 110, (1, 48, 72), np.uint8), video.frames, axis=0)
        patch, top = random.choice(np.array([0, 240], np.uint8), (12, 8)), 16 + self.moved
        for t in range(video.frames):
            clip[t, top : top + 12, 6 + 8 * t : 14 + 8 * t] = patch
        return iter(clip)

    def labels(self) -> Labels:
        raise NotImplementedError

    def check(self) -> list[Check]:
        return []


@pytest.fixture
def dataset(tmp_path: Path) -> Drawn:
    (tmp_path / "data").mkdir()
    return Drawn(tmp_path / "data")


def require_alike(dataset: Dataset, plan: StreamPlan, cache: Path, other: Path) -> None:
    for split in ("train", "test"):
        one, two = (
            open_stream(f"{dataset.name}@1", plan, root, split).features for root in (cache, other)
        )
        np.testing.assert_array_equal(one.x, two.x)
        np.testing.assert_array_equal(one.video, two.video)
        assert one.box is not None
        assert two.box is not None
        np.testing.assert_array_equal(one.box, two.box)


def extract_until(
    name: str, dataset: Dataset, plan: StreamPlan, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin an extraction that is interrupted at a clip."""
    find = of_clip.BoxesOfClip.find

    def find_until(self: Any, footage: Any) -> Any:
        if footage.video.name == name:
            raise KeyboardInterrupt
        return find(self, footage)

    with monkeypatch.context() as patch:
        patch.setattr(of_clip.BoxesOfClip, "find", find_until)
        with pytest.raises(KeyboardInterrupt):
            ensure(dataset, plan, cache, quiet=True)


def test_one_pass_goes_on_in_one_pass(
    dataset: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, cache = plan_stream(dataset, "velocity", {}), tmp_path / "cache"
    extract_until("c", dataset, plan, cache, monkeypatch)
    found: list[str] = []
    find = of_clip.BoxesOfClip.find

    def note(self: Any, footage: Any) -> Any:
        found.append(footage.video.name)
        return find(self, footage)

    with monkeypatch.context() as patch:
        patch.setattr(of_clip.BoxesOfClip, "find", note)
        ensure(dataset, plan, cache, quiet=True)
    assert found == ["c", "d"]
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    require_alike(dataset, plan, cache, tmp_path / "whole")


def test_videos_that_change_between_boxes_and_vectors_are_refused_and_made_again(
    dataset: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, cache = plan_stream(dataset, "velocity", {}), tmp_path / "cache"
    boxes = Extraction.boxes

    def boxes_then_others(self: Extraction, split: Split, videos: tuple[Video, ...]) -> None:
        boxes(self, split, videos)
        if split == "test":
            monkeypatch.setattr(Drawn, "moved", 5)

    with monkeypatch.context() as patch:
        patch.setattr(Extraction, "is_one_pass", lambda *_: False)
        patch.setattr(Extraction, "boxes", boxes_then_others)
        with pytest.raises(BadInput, match=r"of other files .* --again` extracts again"):
            ensure(dataset, plan, cache, quiet=True)
    ensure(dataset, plan, cache, quiet=True, again=True)
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    require_alike(dataset, plan, cache, tmp_path / "whole")


def test_with_boxes_of_other_files_go_the_vectors_that_were_made_of_them(
    dataset: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, cache = plan_stream(dataset, "velocity", {}), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr("vadbench.features.extract.check_current", lambda *_: None)
        patch.setattr(Extraction, "is_one_pass", lambda *_: False)
        work = Extraction(dataset, plan, cache, quiet=True, processes=1)
        for split in ("train", "test"):
            work.boxes(split, dataset.videos(split))
        monkeypatch.setattr(Drawn, "moved", 5)
        for split in ("train", "test"):
            work.vectors(split, dataset.videos(split))
    ensure(dataset, plan, cache, quiet=True, again=True)
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    require_alike(dataset, plan, cache, tmp_path / "whole")


class Tracked(Drawn):
    """Its boxes are those of a file of tracks."""

    clips: dict[Split, dict[str, int]] = {"train": {"b": 6, "c": 6}, "test": {"d": 6}}


def write_tracks(dataset: Dataset, step: int = 1) -> None:
    folder = dataset.root / "tracks" / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    for split, clips in {"train": ("b", "c"), "test": ("d",)}.items():
        rows = [
            f"{clip},{t},0,{10 * place + t * step * place},5,{10 * place + t * step * place + 8},25"
            for place, clip in enumerate(clips, 1)
            for t in range(6)
        ]
        text = "\n".join(["video,frame,track,x0,y0,x1,y1", *rows, ""])
        (folder / f"x_{split}.csv").write_text(text)


@pytest.fixture
def tracked(tmp_path: Path) -> Tracked:
    (tmp_path / "data").mkdir()
    dataset = Tracked(tmp_path / "data")
    write_tracks(dataset)
    return dataset


def test_kept_parts_are_of_the_clips_that_there_were(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, cache = plan_stream(tracked, "tracks@tracks.x", {}), tmp_path / "cache"
    extract_until("c", tracked, plan, cache, monkeypatch)
    clips: dict[Split, dict[str, int]] = {"train": {"a": 6, "b": 6, "c": 6}, "test": {"d": 6}}
    monkeypatch.setattr(Tracked, "clips", clips)  # nobody is in the new one
    ensure(tracked, plan, cache, quiet=True)
    video = open_stream("drawn@1", plan, cache, "train").features.video
    assert np.bincount(video).tolist() == [0, 5, 5]
    ensure(tracked, plan, tmp_path / "whole", quiet=True)
    require_alike(tracked, plan, cache, tmp_path / "whole")


def test_tracks_that_change_after_the_stream_got_its_name_are_refused(
    tracked: Tracked, tmp_path: Path
) -> None:
    plan = plan_stream(tracked, "tracks@tracks.x", {})
    write_tracks(tracked, step=3)
    with pytest.raises(BadInput, match=r"x_train\.csv has changed since this command began"):
        ensure(tracked, plan, tmp_path / "cache", quiet=True)


@pytest.mark.parametrize("which", ["drawn@1/velocity", "drawn@1/boxes"])
def test_what_is_being_extracted_is_not_removed(
    dataset: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    plan, cache = plan_stream(dataset, "velocity", {}), tmp_path / "cache"
    describe = of_clip.VectorsOfClip.describe
    refused: list[str] = []

    def describe_beside_a_removal(self: Any, footage: Any, *more: Any) -> Any:
        if footage.video.name == "d":
            (name,) = (one.name for one in list_cached(cache) if one.name.startswith(which))
            with pytest.raises(BadInput, match="another process writes it just now"):
                remove_cached(cache, name)
            refused.append(name)
        return describe(self, footage, *more)

    monkeypatch.setattr(of_clip.VectorsOfClip, "describe", describe_beside_a_removal)
    ensure(dataset, plan, cache, quiet=True)
    assert len(refused) == 1


def test_a_stage_that_another_process_has_removed_or_made_anew_stays(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    looks: list[bool] = []

    def is_outdated() -> bool:
        looks.append(True)
        return len(looks) == 1

    assert not remove_stage(folder, is_outdated)
    assert folder.is_dir()
    assert len(looks) == 2
    assert remove_stage(folder, lambda: True)
    assert not remove_stage(folder, lambda: True)
