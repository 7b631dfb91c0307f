"""Imported streams: identities of what was read, boxes that join, natures that are inherited or
stated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips_to_import import Toy

from vadbench.datasets.base import Split, Video
from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.importers import import_features
from vadbench.features.nature import parse_nature
from vadbench.features.stream import StreamPlan, declared_nature, plan_stream

CLIPS: dict[Split, list[tuple[str, int]]] = {
    split: [(video.name, video.frames) for video in Toy(Path()).videos(split)]
    for split in ("train", "test")
}


class WithoutFrames(Toy):
    """Clips whose pixels are not on this machine."""

    def read(self, video: Video) -> Any:
        raise BadInput("no frames here")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    return WithoutFrames(tmp_path)


def rows_of(split: Split, dim: int = 4) -> np.ndarray[Any, Any]:
    frames = sum(count for _, count in CLIPS[split])
    return np.random.default_rng(len(split)).normal(size=(frames, dim)).astype(np.float32)


def write_counts(path: Path, split: Split, x: np.ndarray[Any, Any], box: bool = False) -> Path:
    boxes = {"xyxy": np.tile(np.float32([2, 3, 20, 30]), (len(x), 1))} if box else {}
    np.savez(path, x=x, count=np.ones(len(x), int), **boxes)
    return path


def write_indexed(path: Path, split: Split, x: np.ndarray[Any, Any]) -> Path:
    names = np.repeat([name for name, _ in CLIPS[split]], [count for _, count in CLIPS[split]])
    frame = np.concatenate([np.arange(count) for _, count in CLIPS[split]])
    shuffled = np.random.default_rng(0).permutation(len(x))
    np.savez(path, x=x[shuffled], video=names[shuffled], frame=frame[shuffled])
    return path


def imported(
    toy: Toy,
    stream: str,
    write: Any,
    given: dict[str, Any] | None = None,
    format: str = "",
    **how: Any,
) -> StreamPlan:
    nature = how.pop("nature", None)
    shift = how.pop("shift", 0)
    paths: dict[Split, Path] = {
        split: write(
            toy.root / f"{stream}-{write.__name__}-{split}.npz",
            split,
            rows_of(split) + np.float32(shift),
            **how,
        )
        for split in CLIPS
    }
    import_features(toy, stream, paths, format, given or {}, toy.root / "cache", nature)
    return plan_stream(toy, stream, {})


def test_the_same_rows_have_one_identity_however_the_format_was_named(toy: Toy) -> None:
    guessed = imported(toy, "pose@import.mine", write_counts)
    named = imported(toy, "pose@import.mine", write_counts, format="npz")
    assert guessed.fingerprint == named.fingerprint


def test_the_same_rows_have_one_identity_in_any_layout_and_order(toy: Toy) -> None:
    counts = imported(toy, "pose@import.mine", write_counts)
    indexed = imported(toy, "pose@import.mine", write_indexed, {"rows": "objects"})
    assert counts.fingerprint == indexed.fingerprint


def test_the_same_rows_as_windows_are_another_stream(toy: Toy) -> None:
    objects = imported(toy, "pose@import.mine", write_indexed, {"rows": "objects"})
    windows = imported(toy, "pose@import.mine", write_indexed, {"rows": "windows"})
    assert objects.fingerprint != windows.fingerprint


def test_another_number_is_another_identity(toy: Toy) -> None:
    assert (
        imported(toy, "pose@import.mine", write_counts).fingerprint
        != imported(toy, "pose@import.mine", write_counts, shift=1e-3).fingerprint
    )


def test_streams_on_equal_frames_and_boxes_join(toy: Toy) -> None:
    deep = imported(toy, "deep@import.mine", write_counts, box=True)
    velocity = imported(toy, "velocity@import.other", write_counts, box=True, shift=1)
    assert deep.fingerprint != velocity.fingerprint
    assert deep.boxes_fingerprint == velocity.boxes_fingerprint


def test_streams_with_and_without_boxes_do_not_join(toy: Toy) -> None:
    boxed = imported(toy, "deep@import.mine", write_counts, box=True)
    assert (
        boxed.boxes_fingerprint
        != imported(toy, "velocity@import.mine", write_counts).boxes_fingerprint
    )


def test_an_import_inherits_what_its_extractor_says_of_all_variants(toy: Toy) -> None:
    assert imported(toy, "deep@import.mine", write_counts).nature == Nature(
        one_unit=True, embedding=True
    )
    assert imported(toy, "pose@import.mine", write_counts).nature == Nature(one_unit=True)
    assert imported(toy, "velocity@import.mine", write_counts).nature == Nature()


def test_whether_rows_are_windows_is_what_was_imported(toy: Toy) -> None:
    assert imported(toy, "deep@import.mine", write_indexed, {"rows": "windows"}).nature.windows
    assert not imported(toy, "clip@import.mine", write_counts).nature.windows


def test_a_stated_nature_goes_before_the_inherited_one(toy: Toy) -> None:
    plan = imported(
        toy, "velocity@import.mine", write_counts, nature=parse_nature("mixed,speeds=1-2")
    )
    assert plan.nature.speeds == (1, 2)
    assert plan.fingerprint != imported(toy, "velocity@import.mine", write_counts).fingerprint


def test_a_speed_that_is_no_column_is_refused(toy: Toy) -> None:
    with pytest.raises(BadInput, match="column 7 is no column of these vectors, which have 0 to 3"):
        imported(toy, "velocity@import.mine", write_counts, nature=parse_nature("mixed,speeds=7"))


@pytest.mark.parametrize(
    "text",
    ["", "embeding", "network=r3d-18", "mixed,network=x", "mixed,speeds=a", "one-unit,speed=3"],
)
def test_a_nature_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="for example embedding,network=r3d-18"):
        parse_nature(text)


def test_natures_are_declared_by_extractors_and_variants() -> None:
    assert declared_nature("velocity").speeds == (0, 1, 2, 3)
    assert declared_nature("velocity.hof8").speeds is None
    assert declared_nature("tracks@tracks.deepsort").speeds == (0,)
    assert declared_nature("clip.r3d-18") == Nature(True, True, True, None, "r3d-18")
    assert declared_nature("clip@import.r3d-18").network == ""
