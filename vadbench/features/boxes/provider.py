"""Where objects are: the dense grid's moving cells, and published box files.

Boxes are [n, 4] float32 pixels x0, y0, x1, y1 with x right, y down and the ends exclusive.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from vadbench.datasets.geometry import check_boxes
from vadbench.errors import BadInput
from vadbench.features.boxes.foreground import REFERENCE
from vadbench.features.extractors.extractor import NeededFile, Objects
from vadbench.files.npz import open_npz

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset, Split, Video
    from vadbench.features.footage import Footage


class GridOptions(BaseModel):
    """Sizes are pixels of a 240 x 360 frame and scale with the frame.

    Defaults: specs/features.md section 2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: PositiveFloat = Field(24.0, description="side of a cell")
    step: PositiveFloat = Field(12.0, description="distance between neighbouring cells")
    noise: NonNegativeFloat = Field(
        5.0,
        description=(
            "a cell moves where its mean absolute temporal difference is this many robust standard"
            " deviations (1.4826 x median absolute deviation) above the median, both over all cells"
            " of the clip: most cells show a still scene, so these are the clip's own noise"
        ),
    )


class Grid:
    """Overlapping cells of one size, of which those that move are objects."""

    name: ClassVar[str] = "grid"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    labelled: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = GridOptions

    def __init__(
        self, options: GridOptions, dataset: Dataset | None = None, label: str = ""
    ) -> None:
        self.options = options

    def files(self) -> tuple[NeededFile, ...]:
        """None: it looks at the frames alone."""
        return ()

    def objects(self, footage: Footage) -> Objects:
        """The moving cells of each frame; the first frame has those of the second.

        Raises:
            BadInput: on a clip of one frame.
        """
        footage.require(2, "a temporal difference")
        frames = footage.grey()
        previous = next(frames)
        cells = self.cells(*previous.shape)
        change = np.empty((len(footage) - 1, len(cells)))
        for t, frame in enumerate(frames):
            change[t] = _cell_means(_difference(previous, frame), cells)
            previous = frame
        typical = np.median(change)
        floor = typical + self.options.noise * 1.4826 * np.median(np.abs(change - typical))
        moving = [cells[of_frame > floor] for of_frame in change]
        return Objects([moving[0], *moving])

    def cells(self, height: int, width: int) -> NDArray[np.float32]:
        """[n, 4] all cells that lie in a frame, row by row."""
        down, right = height / REFERENCE[0], width / REFERENCE[1]
        tops, cell_height = _lattice(height, self.options.cell * down, self.options.step * down)
        lefts, cell_width = _lattice(width, self.options.cell * right, self.options.step * right)
        y, x = (corner.ravel() for corner in np.meshgrid(tops, lefts, indexing="ij"))
        return np.stack([x, y, x + cell_width, y + cell_height], 1).astype(np.float32)


class FileOptions(BaseModel):
    """A boxes file has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BoxesFile:
    """Boxes from `<data>/boxes/<data set>/bboxes_<label>_<split>.npz`: `xyxy` [M, 4] and `count`
    per frame over all clips in order.
    """

    name: ClassVar[str] = "file"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = False
    labelled: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = FileOptions

    def __init__(self, options: FileOptions, dataset: Dataset, label: str) -> None:
        self.dataset = dataset
        self.label = label

    def path(self, split: Split) -> Path:
        """Where the file of a split has to be."""
        return self.dataset.root / "boxes" / self.dataset.name / f"bboxes_{self.label}_{split}.npz"

    def files(self) -> tuple[NeededFile, ...]:
        """Both splits' files."""
        what = (
            "no such boxes file; put it there (npz with xyxy [M, 4] and count per frame over all"
            " clips in order)"
        )
        return tuple(NeededFile(self.path(split), what) for split in ("train", "test"))

    def objects(self, footage: Footage) -> Objects:
        """The file's boxes of this clip.

        Raises:
            BadInput: if the file is damaged or does not fit the data set's frame counts or the
                frames' size.
        """
        video = footage.video
        boxes = self._clips(video.split)[video.name]
        frame = np.repeat(np.arange(len(boxes)), [len(of_frame) for of_frame in boxes])
        check_fit(np.concatenate(boxes), frame, self.dataset, video, self.path(video.split))
        return Objects(boxes)

    def _clips(self, split: Split) -> dict[str, list[NDArray[np.float32]]]:
        if split == "unlabelled":
            raise BadInput(
                f"{self.path(split)}: boxes of unlabelled videos are not read from files; name"
                " boxes that are found in frames: foreground"
            )
        return self._train if split == "train" else self._test

    @cached_property
    def _train(self) -> dict[str, list[NDArray[np.float32]]]:
        return self._read("train")

    @cached_property
    def _test(self) -> dict[str, list[NDArray[np.float32]]]:
        return self._read("test")

    def _read(self, split: Split) -> dict[str, list[NDArray[np.float32]]]:
        """Clip -> boxes of each frame."""
        path = self.path(split)
        xyxy, count = _read_boxes(path)
        per_frame = np.split(xyxy, np.cumsum(count)[:-1])
        clips, start = {}, 0
        for video in self.dataset.videos(split):
            clips[video.name] = per_frame[start : start + video.frames]
            start += video.frames
            if start > len(count):
                raise BadInput(
                    f"{path}: counts of {len(count)} frames end within clip {video.name}, whose"
                    f" last frame is the {start}th of {split}; the file belongs to another version"
                    f" of {self.dataset.name}"
                )
        if start < len(count):
            raise BadInput(
                f"{path}: counts of {len(count)} frames, {split} of {self.dataset.name} has"
                f" {start}; the file belongs to another version"
            )
        return clips


def check_fit(
    box: NDArray[np.float32], frame: NDArray[np.int64], dataset: Dataset, video: Video, path: Path
) -> None:
    """Refuse boxes of a file that are not in pixels of their clip's frames; passed over where the
    frames are not on this machine.

    Args:
        box: [N, 4] x0, y0, x1, y1.
        frame: [N] which frame each is in.
        dataset: whose frames.
        video: the clip.
        path: the file, for the message.

    Raises:
        BadInput: as `vadbench.datasets.geometry.check_boxes`, naming the clip and the frame.
    """
    try:
        size = dataset.frame_size(video)
    except BadInput:
        return
    check_boxes(box, size, f"{path}: clip {video.name}", lambda row: f"frame {frame[row]}")


def _read_boxes(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Xyxy [M, 4] and count [frames] of a boxes file, checked against each other."""
    try:
        with open_npz(path) as arrays:
            xyxy, count = (
                np.asarray(arrays["xyxy"], np.float32),
                np.asarray(arrays["count"], np.int64),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(
            f"{path}: not a readable boxes file (npz with xyxy and count):"
            f" {' '.join(str(error).split())}; get it anew"
        ) from error
    if xyxy.ndim != 2 or xyxy.shape[1] != 4 or count.ndim != 1 or (count < 0).any():
        raise BadInput(
            f"{path}: expected xyxy [M, 4] and count [frames] of at least 0, found {xyxy.shape} and"
            f" {count.shape}"
        )
    if count.sum() != len(xyxy):
        raise BadInput(
            f"{path}: count adds up to {count.sum()} boxes, xyxy has {len(xyxy)}; get the file anew"
        )
    bad = ~np.isfinite(xyxy).all(1) | (xyxy[:, 2:] <= xyxy[:, :2]).any(1)
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInput(
            f"{path}: box {row} is {xyxy[row].tolist()}; expected finite x0 < x1, y0 < y1"
        )
    return xyxy, count


def _lattice(length: int, cell: float, step: float) -> tuple[NDArray[np.int64], int]:
    """Starts of the cells on one side of a frame, and their size, in whole pixels."""
    size = min(max(1, round(cell)), length)
    return np.arange(0, length - size + 1, max(1, round(step))), size


def _difference(previous: NDArray[np.uint8], current: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(previous, current) - np.minimum(previous, current)


def _cell_means(image: NDArray[np.uint8], cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n] mean of a uint8 image over each cell, by an integral image."""
    import cv2

    sums = cv2.integral(image, sdepth=cv2.CV_64F)  # [H + 1, W + 1], exact for uint8
    x0, y0, x1, y1 = cells.astype(int).T
    area = (x1 - x0) * (y1 - y0)
    return np.asarray(
        (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / area, np.float64
    )
