"""Where objects are: the grid, the foreground detector, boxes files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shown import footage

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput
from vadbench.features.boxes.file import BoxesFile, FileOptions
from vadbench.features.boxes.foreground import (
    Foreground,
    ForegroundOptions,
    background,
    drop_covered,
)
from vadbench.features.boxes.grid import Grid, GridOptions
from vadbench.features.footage import Footage
from vadbench.features.stream import require


def still(frames: int = 12, noise: float = 2.0, shape: tuple[int, int] = (240, 360)) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.clip(120 + random.normal(0, noise, (frames, *shape)), 0, 255).astype(np.uint8)


def with_block(
    clip: np.ndarray, height: int, width: int, speed: int = 4, x: int = 100, y: int = 90
) -> np.ndarray:
    clip = clip.copy()
    for t in range(len(clip)):
        left = x + speed * t
        clip[t, y : y + height, left : left + width] = 220
    return clip


def test_grid_has_cells_of_24_every_12_pixels_that_scale_with_the_frame() -> None:
    cells = Grid(GridOptions()).cells(240, 360)
    assert len(cells) == 19 * 29
    assert cells[:2].tolist() == [[0, 0, 24, 24], [12, 0, 36, 24]]
    assert cells[-1].tolist() == [336, 216, 360, 240]
    assert np.array_equal(Grid(GridOptions()).cells(480, 720), 2 * cells)


@given(st.integers(5, 500), st.integers(5, 500), st.floats(1, 100), st.floats(0.5, 50))
def test_grid_cells_lie_in_any_frame(height: int, width: int, cell: float, step: float) -> None:
    cells = Grid(GridOptions(cell=cell, step=step)).cells(height, width)

    assert len(cells)
    assert (cells[:, :2] >= 0).all()
    assert (cells[:, 2:] > cells[:, :2]).all()
    assert (cells[:, 2] <= width).all()
    assert (cells[:, 3] <= height).all()


def test_grid_keeps_the_cells_that_move_and_no_noise() -> None:
    boxes = Grid(GridOptions()).objects(footage(with_block(still(), 30, 20))).boxes

    assert np.array_equal(boxes[0], boxes[1])
    for t, found in enumerate(boxes):
        assert len(found)
        left = 100 + 4 * t
        centre = (found[:, :2] + found[:, 2:]) / 2
        assert (np.abs(centre - (left + 10, 105)) <= (10 + 24 + 4, 15 + 24)).all()


def test_grid_finds_next_to_nothing_in_a_still_scene() -> None:
    boxes = Grid(GridOptions()).objects(footage(still(40))).boxes

    assert sum(map(len, boxes)) < 0.001 * 40 * 551


def test_grid_needs_two_frames() -> None:
    with pytest.raises(BadInput, match="1 frame"):
        Grid(GridOptions()).objects(footage(still(1))).boxes


@pytest.mark.parametrize("scale", [1, 2])
def test_foreground_finds_a_walker_to_the_pixel(scale: int) -> None:
    clip = with_block(
        still(30, shape=(240 * scale, 360 * scale)), 36 * scale, 16 * scale, 6 * scale
    )

    boxes = Foreground(ForegroundOptions()).objects(footage(clip)).boxes

    for t, found in enumerate(boxes):
        left = 100 + 6 * scale * t
        np.testing.assert_allclose(found, [[left, 90, left + 16 * scale, 90 + 36 * scale]], atol=1)


def test_foreground_splits_what_is_larger_than_a_person() -> None:
    mask = np.zeros((240, 360), bool)
    mask[50:130, 40:112] = True  # 80 high, 72 wide: 2 x 3 people

    found = Foreground(ForegroundOptions()).components(mask)

    assert sorted(found.tolist()) == sorted(
        [x, y, x + 24, y + 40] for y in (50, 90) for x in (40, 64, 88)
    )


def test_foreground_drops_what_is_small_low_or_thin() -> None:
    mask = np.zeros((240, 360), bool)
    mask[10:20, 10:20] = True  # 100 pixels
    mask[50:60, 50:80] = True  # 10 high
    mask[100:200, 200:209] = True  # 11 times as high as wide

    assert Foreground(ForegroundOptions()).components(mask).shape == (0, 4)


@given(arrays(np.bool_, (60, 90), elements=st.booleans(), fill=st.just(False)))
def test_foreground_boxes_lie_in_the_frame_and_hold_foreground(mask: np.ndarray) -> None:
    found = Foreground(ForegroundOptions(min_area=1, min_height=1)).components(mask).astype(int)

    for x0, y0, x1, y1 in found:
        assert 0 <= x0 < x1 <= 90
        assert 0 <= y0 < y1 <= 60


def test_covered_boxes_are_dropped_and_equal_ones_kept_once() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [0, 0, 10, 10], [8, 0, 12, 10], [0, 0, 6, 10], [50, 50, 60, 60]],
        np.float32,
    )

    assert drop_covered(boxes, 0.6).tolist() == [
        [0, 0, 10, 10],
        [8, 0, 12, 10],
        [50, 50, 60, 60],
    ]


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(3), st.just(4))))
def test_background_is_the_median_of_every_pixel(clip: np.ndarray) -> None:
    assert np.array_equal(background(clip), np.sort(clip, axis=0)[(len(clip) - 1) // 2])


@pytest.mark.parametrize("frames", [1, 2, 254, 255, 256, 257])
@pytest.mark.parametrize("levels", [1, 2, 256])
def test_background_of_many_frames_counts_past_a_byte(frames: int, levels: int) -> None:
    clip = 256 - np.random.default_rng(0).integers(1, levels + 1, (frames, 5, 7), np.int64)
    clip = clip.astype(np.uint8)
    assert np.array_equal(background(clip), np.sort(clip, axis=0)[(frames - 1) // 2])


class Counted(Dataset):
    """Two training clips of 3 and 2 frames, one test clip of 2; only counts."""

    name = "counted"
    revision = "1"

    def videos(self, split: Split) -> tuple[Video, ...]:
        return (
            (Video("a", "train", 3), Video("b", "train", 2))
            if split == "train"
            else (Video("c", "test", 2),)
        )

    def read(self, video: Video) -> Any:
        raise BadInput("no frames on this machine")

    def labels(self) -> Labels:
        raise NotImplementedError

    def check(self) -> list[Check]:
        return []


def put(root: Path, split: Split, count: list[int], boxes: int | None = None) -> Path:
    path = root / "boxes" / "counted" / f"bboxes_mine_{split}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum(count) if boxes is None else boxes
    xyxy = np.arange(number)[:, None] + np.array([0.0, 0.5, 2, 3], np.float32)
    np.savez(path, xyxy=xyxy.astype(np.float32), count=np.array(count, np.int32))
    return path


def read(root: Path, name: str = "a") -> list[np.ndarray]:
    video = next(video for video in Counted(root).videos("train") if video.name == name)
    return (
        BoxesFile(FileOptions(), Counted(root), "mine").objects(Footage(Counted(root), video)).boxes
    )


def test_a_boxes_file_is_cut_into_clips_and_frames(tmp_path: Path) -> None:
    put(tmp_path, "train", [1, 0, 2, 0, 1])

    assert [len(found) for found in read(tmp_path, "a")] == [1, 0, 2]
    assert [found.tolist() for found in read(tmp_path, "b")] == [[], [[3, 3.5, 5, 6]]]


def test_a_missing_boxes_file_says_where_to_put_it(tmp_path: Path) -> None:
    put(tmp_path, "train", [1, 0, 2, 0, 1])

    with pytest.raises(
        BadInput, match=r"boxes/counted/bboxes_mine_test.npz: no such boxes file; put it there"
    ):
        require(BoxesFile(FileOptions(), Counted(tmp_path), "mine").files())


@pytest.mark.parametrize(
    ("count", "boxes", "told"),
    [
        ([1, 1, 1, 1], None, "end within clip b"),
        ([1] * 6, None, "6 frames, train"),
        ([1] * 5, 7, "adds up to 5 boxes"),
    ],
)
def test_counts_that_do_not_fit_name_the_first_mismatch(
    tmp_path: Path, count: list[int], boxes: int | None, told: str
) -> None:
    put(tmp_path, "train", count, boxes)

    with pytest.raises(BadInput, match=told):
        read(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_boxes_file_gives_one_line(tmp_path: Path, damage: str) -> None:
    path = put(tmp_path, "train", [40] * 5)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(
        {"cut": content[:-200], "flip": content, "empty": b"", "text": b"x,y\n1,2\n"}[damage]
    )

    with pytest.raises(
        BadInput, match=r"bboxes_mine_train\.npz: not a readable boxes file"
    ) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_boxes_that_are_none_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "train", [1] * 5)
    xyxy = np.tile(np.array([0, 0, 2, 3], np.float32), (5, 1))
    xyxy[3, 2] = 0
    np.savez(path, xyxy=xyxy, count=np.ones(5, np.int32))

    with pytest.raises(BadInput, match="box 3 is"):
        read(tmp_path)


class Sized(Counted):
    """Clips of frames of 8 x 10."""

    size = (8, 10)


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        (0.1, "clip a: all boxes lie within one pixel, the frames are 10 x 8"),
        (4.0, r"clip a: frame 2: box \[4.0, 6.0, 12.0, 16.0\] lies outside, the frames are 10 x 8"),
    ],
)
def test_boxes_of_other_frames_are_refused(tmp_path: Path, scale: float, told: str) -> None:
    path = put(tmp_path, "train", [1, 0, 2, 0, 1])
    with np.load(path) as arrays:
        np.savez(path, xyxy=arrays["xyxy"] * np.float32(scale), count=arrays["count"])

    data = Sized(tmp_path)
    with pytest.raises(BadInput, match=told):
        BoxesFile(FileOptions(), data, "mine").objects(Footage(data, data.videos("train")[0]))


def test_boxes_of_the_frames_size_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "train", [1, 0, 2, 0, 1])
    data = Sized(tmp_path)

    assert (
        len(
            BoxesFile(FileOptions(), data, "mine")
            .objects(Footage(data, data.videos("train")[0]))
            .boxes
        )
        == 3
    )
