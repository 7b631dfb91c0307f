"""UCSD Ped2, as released: 16 training and 12 test clips of a walkway, 240 x 360 grey, with frame labels and masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.datasets.folders import count_frames, iterate_clip, read_clip
from vadbench.datasets.regions import derive_tracks
from vadbench.errors import BadInput

RELEASE = "UCSD_Anomaly_Dataset.v1p2"
LABEL_FILE = "Test/UCSDped2.m"


class Ped2(Dataset):
    """UCSD Pedestrian 2: pedestrians are normal; cyclists, skaters and a cart are not.

    Attributes:
        clips: frames of every clip of the release, in order.
        size: height and width of a frame.
        anomalous: frames labelled anomalous.
    """

    name = "ped2"
    title = "UCSD Ped2"
    revision = "v1p2"
    citation = "V. Mahadevan, W. Li, V. Bhalodia, N. Vasconcelos: Anomaly Detection in Crowded Scenes. CVPR 2010."
    licence = "free for research; cite the paper"
    how_to_get = (
        "download UCSD_Anomaly_Dataset.tar.gz from the UCSD Anomaly Detection Dataset page (svcl.ucsd.edu/projects/anomaly) "
        "and unpack it into the folder that $VADBENCH_DATA names"
    )
    smoothing = 3.0
    track_source = "derived from the masks"

    clips: ClassVar[dict[Split, tuple[int, ...]]] = {
        "train": (120, 150, 150, 180, 180, 150, 150, 120, 180, 180, 180, 180, 180, 150, 150, 150),
        "test": (180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180),
    }
    size: ClassVar[tuple[int, int]] = (240, 360)
    anomalous: ClassVar[int] = 1648

    @property
    def folder(self) -> Path:
        """The folder with Train and Test: as the archive unpacks it, or UCSDped2 alone.

        Raises:
            BadInput: if there is neither.
        """
        candidates = (self.root / RELEASE / "UCSDped2", self.root / "UCSDped2")
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise BadInput(f"{candidates[0]}: {self.title} is not there; {self.how_to_get} (now {self.root})")

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split, after a look at the folders: every clip there, every frame listed, nothing decoded.

        Raises:
            BadInput: naming the first clip that is missing or has another number of frames than the release.
        """
        return tuple(self._listed(split, number, expected) for number, expected in enumerate(self.clips[split], 1))

    def _listed(self, split: Split, number: int, expected: int) -> Video:
        video = Video(f"{split.title()}{number:03d}", split, expected)
        folder = self._clip(video)
        if not folder.is_dir():
            raise BadInput(f"{folder}: clip {number} of {len(self.clips[split])} is missing; {self.how_to_get} (now {self.root})")
        found = count_frames(folder)
        if found != expected:
            raise BadInput(f"{folder}: {found} frames, the release has {expected}; {self.how_to_get} (now {self.root})")
        return video

    def _clip(self, video: Video) -> Path:
        return self.folder / video.split.title() / video.name

    def frames(self, video: Video) -> NDArray[np.uint8]:
        """[T, 240, 360] grey.

        Raises:
            BadInput: naming the frame that is damaged or has another size.
        """
        clip = read_clip(self._clip(video))
        if clip.shape[1:] != self.size:
            raise BadInput(f"{self._clip(video)}: frames of shape {clip.shape[1:]}, the release has {self.size} grey; {self.how_to_get}")
        return clip

    def labels(self) -> Labels:
        """The official frame labels.

        Raises:
            BadInput: if UCSDped2.m is missing, lists another number of clips, or an interval outside its clip.
        """
        path = self.folder / LABEL_FILE
        if not path.is_file():
            raise BadInput(f"{path}: the file of the frame labels is missing; {self.how_to_get} (now {self.root})")
        names = [f"Test{number:03d}" for number in range(1, len(self.clips["test"]) + 1)]
        intervals = parse_intervals(path)
        if len(intervals) != len(names):
            raise BadInput(f"{path}: gt_frame of {len(intervals)} clips, expected {len(names)}; {self.how_to_get}")
        clips = zip(names, self.clips["test"], intervals, strict=True)
        return Labels("official", LABEL_FILE, {name: _frame_labels(path, name, frames, spans) for name, frames, spans in clips})

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [240, 360], non-zero = anomalous; None for training clips.

        Raises:
            BadInput: while iterating, naming the mask that is missing or damaged.
        """
        if video.split == "train":
            return None
        return (mask if mask.ndim == 2 else mask.max(axis=2) for mask in iterate_clip(self._clip(video).with_name(f"{video.name}_gt")))

    def tracks(self) -> pd.DataFrame:
        """Anomalous regions, derived from the masks (`vadbench.datasets.regions`): Ped2 was released without tracks."""
        return derive_tracks({video.name: masks for video in self.videos("test") if (masks := self.masks(video)) is not None})

    def check(self) -> list[Check]:
        """Counts, every frame and mask decoded, and masks against labels; reads all of it.

        Raises:
            BadInput: if clips or the label file are missing (`videos`, `labels`); damage within a clip is a line of the answer.
        """
        labels = self.labels()
        checks = []
        for split, expected in self.clips.items():
            videos = self.videos(split)
            checks.append(Check(f"{split} clips", str(len(expected)), str(len(videos))))
            height, width = self.size
            wanted = f"{sum(expected)} frames, {height} x {width} grey"
            checks.append(Check(f"{split} frames decoded", wanted, self._decoded(videos)))
        checks.append(Check(f"anomalous frames ({LABEL_FILE})", str(self.anomalous), str(int(labels.flat().sum()))))
        agreed = f"{sum(self.clips['test'])} frames agree"
        return [*checks, Check("masks not empty = labels", agreed, self._masks_agree(labels))]

    def _decoded(self, videos: tuple[Video, ...]) -> str:
        try:
            shapes = [self.frames(video).shape for video in videos]
        except BadInput as error:
            return str(error)
        return f"{sum(shape[0] for shape in shapes)} frames, {shapes[0][1]} x {shapes[0][2]} grey"

    def _masks_agree(self, labels: Labels) -> str:
        agreeing = 0
        try:
            for video in self.videos("test"):
                marked = np.array([mask.any() for mask in self.masks(video) or ()])
                if len(marked) != video.frames:
                    return f"{video.name}_gt: {len(marked)} masks, {video.frames} frames"
                agreeing += int((marked == labels.videos[video.name]).sum())
        except BadInput as error:
            return str(error)
        return f"{agreeing} frames agree"


def parse_intervals(path: Path) -> list[list[tuple[int, int]]]:
    """The anomalous intervals of every clip of a UCSD `.m` file: first and last frame, both inclusive, counted from 1.

    Args:
        path: MATLAB source with one `….gt_frame = [a:b c:d …];` a clip.

    Raises:
        BadInput: if an interval is written in another way.
    """
    source = re.sub(r"%.*", "", path.read_text(encoding="utf-8", errors="replace"))
    clips: list[list[tuple[int, int]]] = []
    for listed in re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", source):
        spans = [re.fullmatch(r"(\d+)(?::(\d+))?", word) for word in re.sub(r"\s*:\s*", ":", listed).replace(",", " ").split()]
        if not all(spans):
            raise BadInput(f"{path}: gt_frame = [{listed}] of clip {len(clips) + 1} is not understood; expected intervals as 61:180")
        clips.append([(int(span[1]), int(span[2] or span[1])) for span in spans if span])
    return clips


def _frame_labels(path: Path, name: str, frames: int, spans: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """[T] uint8 from inclusive intervals counted from 1."""
    labels = np.zeros(frames, np.uint8)
    for first, last in spans:
        if not 1 <= first <= last <= frames:
            raise BadInput(f"{path}: interval {first}:{last} of {name} is outside its frames 1:{frames}; unpack the data set again")
        labels[first - 1 : last] = 1
    return labels
