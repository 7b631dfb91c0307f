"""Objects as a published file of boxes says."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from vadbench.datasets.geometry import check_boxes
from vadbench.datasets.part import base_of
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile, Objects
from vadbench.files.npz import open_npz, pick

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset, Split, Video
    from vadbench.features.footage import Footage


class FileOptions(BaseModel):
    """A boxes file has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelledFile:
    """What providers that read a file of objects, known by its label, have in common."""

    reads_frames: ClassVar[bool] = False
    labelled: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = FileOptions

    def __init__(self, options: FileOptions, dataset: Dataset, label: str) -> None:
        self.dataset = dataset
        self.label = label


class BoxesFile(LabelledFile):
    """Boxes from `<data>/boxes/<data set>/bboxes_<label>_<split>.npz`: `xyxy` [M, 4] and `count`
    per frame over all clips in order.
    """

    name: ClassVar[str] = "file"
    version: ClassVar[int] = 1

    def path(self, split: Split) -> Path:
        """Where the file of a split has to be."""
        return (
            self.dataset.root
            / "boxes"
            / base_of(self.dataset.name)
            / f"bboxes_{self.label}_{split}.npz"
        )

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
            xyxy, count = pick(arrays, "xyxy", 2), pick(arrays, "count", 1)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: not a readable boxes file (npz with xyxy and count):"
            f" {' '.join(str(error).split())}; get it anew"
        ) from error
    if xyxy.shape[1] != 4 or not are_counts(count):
        raise BadInput(
            f"{path}: expected xyxy [M, 4] and count [frames] of at least 0, found {xyxy.shape} and"
            f" {count.shape}"
        )
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is no float32 is not finite, and refused below
        xyxy, count = xyxy.astype(np.float32), count.astype(np.int64)
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


def are_counts(values: NDArray[Any]) -> bool:
    """Whether these are whole numbers from 0 that may be added up."""
    return bool(((values >= 0) & (values < 1 << 31) & (values == np.floor(values))).all())
