"""What UCSD Ped1 and Ped2 share: the layout of their release, frame labels in a MATLAB source file,
masks as images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, masks_agree, report
from vadbench.datasets.derived_tracks import derive_tracks
from vadbench.datasets.folders import count_frames, iterate_clip
from vadbench.datasets.masks import iterate_masks
from vadbench.datasets.paths import find_path
from vadbench.errors import BadInput
from vadbench.files.text import read_text

RELEASE = "UCSD_Anomaly_Dataset.v1p2"


class UCSD(Dataset):
    """One of the two walkways, as released: `<folder>/Train/Train001/001.tif`,
    `<folder>/Test/Test001/001.tif`, masks in `Test001_gt`.

    Attributes:
        part: the release's folder of this walkway.
        clips: frames of every clip of the release, in order.
        masked: test clips that the release has masks of.
    """

    revision = "v1p2"
    citation = (
        "V. Mahadevan, W. Li, V. Bhalodia, N. Vasconcelos: Anomaly Detection in Crowded Scenes."
        " CVPR 2010."
    )
    licence = "free for research; cite the paper"
    how_to_get = (
        "download UCSD_Anomaly_Dataset.tar.gz from the UCSD Anomaly Detection Dataset page"
        " (svcl.ucsd.edu/projects/anomaly) and unpack it into the folder that $VADBENCH_DATA names"
    )
    archives = ("http://www.svcl.ucsd.edu/projects/anomaly/UCSD_Anomaly_Dataset.tar.gz",)

    part: ClassVar[str]
    clips: ClassVar[dict[Split, tuple[int, ...]]]
    size: ClassVar[tuple[int, int]]
    masked: ClassVar[int]

    @property
    def track_source(self) -> str | None:  # type: ignore[override]
        """`derived from the masks` where every test clip has masks; None otherwise: part of the
        regions would make all others false alarms.
        """
        every = len(self.clips["test"]) if self.only is None else len(self.videos("test"))
        return (
            "derived from the masks"
            if self.masked == len(self.clips["test"]) or len(self._clips_with_masks()) == every
            else None
        )

    @property
    def folder(self) -> Path:
        """The folder with Train and Test: as the archive unpacks it, or that of the walkway alone.

        Raises:
            BadInput: if there is neither.
        """
        candidates = (self.root / RELEASE / self.part, self.root / self.part)
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise BadInput(f"{candidates[0]}: {self.title} is not there; {self._remedy}")

    @property
    def label_file(self) -> str:
        """The file of the frame labels, from `folder`."""
        return f"Test/{self.part}.m"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split, after a look at the folders: every clip there, every frame listed,
        nothing decoded.

        Raises:
            BadInput: naming the first clip that is missing or has another number of frames than the
                release.
        """
        return tuple(
            self._find_clip(split, number, expected)
            for number, expected in enumerate(self.clips[split], 1)
            if self.wants(split, f"{split.title()}{number:03d}")
        )

    @property
    def total(self) -> int:
        """Clips of the release."""
        return sum(map(len, self.clips.values()))

    def names_here(self, split: Split) -> list[str]:
        """The clips of a split whose folders are here."""
        names = [f"{split.title()}{number:03d}" for number in range(1, len(self.clips[split]) + 1)]
        return [name for name in names if self._clip(Video(name, split, 0)).is_dir()]

    def _find_clip(self, split: Split, number: int, expected: int) -> Video:
        video = Video(f"{split.title()}{number:03d}", split, expected)
        folder = self._clip(video)
        if not folder.is_dir():
            raise BadInput(
                f"{folder}: clip {number} of {len(self.clips[split])} is missing; {self._remedy};"
                f" {self.partly_hint}"
            )
        found = count_frames(folder)
        if found != expected:
            raise BadInput(f"{folder}: {found} frames, the release has {expected}; {self._remedy}")
        return video

    def path(self, video: Video) -> Path:
        """The clip's folder of images."""
        return self._clip(video)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames of the shape `size`, grey.

        Raises:
            BadInput: while iterating, naming the frame that is damaged or has another size.
        """
        for frame in iterate_clip(self._clip(video)):
            if frame.shape != self.size:
                raise BadInput(
                    f"{self._clip(video)}: frames of shape {frame.shape}, the release has"
                    f" {self.size} grey; {self._remedy}"
                )
            yield frame

    def labels(self) -> Labels:
        """The official frame labels.

        Raises:
            BadInput: if the .m file is missing, lists another number of clips, or an interval
                outside its clip.
        """
        path = find_path(self.folder, self.label_file)
        if not path.is_file():
            raise BadInput(f"{path}: the file of the frame labels is missing; {self._remedy}")
        names = [f"Test{number:03d}" for number in range(1, len(self.clips["test"]) + 1)]
        intervals = parse_intervals(path)
        if len(intervals) != len(names):
            raise BadInput(
                f"{path}: gt_frame of {len(intervals)} clips, expected {len(names)}; {self._remedy}"
            )
        clips = zip(names, self.clips["test"], intervals, strict=True)
        return Labels(
            "official",
            self.label_file,
            {name: _frame_labels(path, name, frames, spans) for name, frames, spans in clips},
        )

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [H, W], non-zero = anomalous; None for training clips, and for test clips
        that the release has no masks of.

        Raises:
            BadInput: while iterating, naming the mask that is missing, damaged or of another size.
        """
        if video.split == "train" or (
            self.masked < len(self.clips["test"]) and not self._mask_folder(video.name).is_dir()
        ):
            return None
        return iterate_masks(self._mask_folder(video.name), self.size, "a frame of the release")

    def tracks(self) -> pd.DataFrame | None:
        """Anomalous regions, derived from the masks (`datasets.derived_tracks`); None unless
        every test clip has masks.
        """
        if self.track_source is None:
            return None
        return derive_tracks(
            {
                video.name: masks
                for video in self.videos("test")
                if (masks := self.masks(video)) is not None
            }
        )

    def truth_paths(self) -> tuple[Path, ...]:
        """The folder of the test clips: labels and masks lie beside the frames."""
        return (self.folder / "Test",)

    def check(self) -> list[Check]:
        """Counts, every frame and mask decoded, and what else the walkway's release promises; reads
        all of it.

        Raises:
            BadInput: if clips or the label file are missing (`videos`, `labels`); damage within a
                clip is a line of the answer.
        """
        labels = self.labels()
        checks = []
        for split, expected in self.clips.items():
            videos = self.videos(split)
            checks.append(Check(f"{split} clips", str(len(expected)), str(len(videos))))
            wanted = f"{sum(expected)} frames, {self.size[0]} x {self.size[1]} grey"
            checks.append(
                Check(
                    f"{split} frames decoded",
                    wanted,
                    report(lambda videos=videos: decode_all(self, videos)),  # type: ignore[misc]
                )
            )
        return [*checks, *self._label_checks(labels)]

    def _label_checks(self, labels: Labels) -> list[Check]:
        """What is known of this walkway's labels and masks."""
        agreed = f"{sum(self.clips['test'])} frames agree"
        return [
            Check(
                "masks not empty = labels",
                agreed,
                report(lambda: masks_agree(self, labels, self.videos("test"))),
            )
        ]

    @property
    def _remedy(self) -> str:
        return f"`vadbench data fetch {self.name}`, or {self.how_to_get} (now {self.root})"

    def _clip(self, video: Video) -> Path:
        return find_path(self.folder, f"{video.split.title()}/{video.name}")

    def _mask_folder(self, name: str) -> Path:
        return find_path(self.folder, f"Test/{name}_gt")

    def _clips_with_masks(self) -> list[Video]:
        """The test clips with masks."""
        return [video for video in self.videos("test") if self.masks(video) is not None]


def parse_intervals(path: Path) -> list[list[tuple[int, int]]]:
    """The anomalous intervals of every clip of a UCSD `.m` file: first and last frame, both
    inclusive, counted from 1.

    Args:
        path: MATLAB source with one `….gt_frame = [a:b c:d …];` a clip.

    Raises:
        BadInput: if an interval is written in another way.
    """
    try:
        source = re.sub(r"%.*", "", read_text(path))
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); expected the frame labels, unpack the data"
            " set again"
        ) from error
    clips: list[list[tuple[int, int]]] = []
    for listed in re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", source):
        spans = [
            re.fullmatch(r"(\d+)(?::(\d+))?", word)
            for word in re.sub(r"\s*:\s*", ":", listed).replace(",", " ").split()
        ]
        if not all(spans):
            raise BadInput(
                f"{path}: gt_frame = [{listed}] of clip {len(clips) + 1} is not understood;"
                " expected intervals as 61:180"
            )
        clips.append([(int(span[1]), int(span[2] or span[1])) for span in spans if span])
    return clips


def _frame_labels(
    path: Path, name: str, frames: int, spans: list[tuple[int, int]]
) -> NDArray[np.uint8]:
    """[T] uint8 from inclusive intervals counted from 1."""
    labels = np.zeros(frames, np.uint8)
    for first, last in spans:
        if not 1 <= first <= last <= frames:
            raise BadInput(
                f"{path}: interval {first}:{last} of {name} is outside its frames 1:{frames};"
                " unpack the data set again"
            )
        labels[first - 1 : last] = 1
    return labels
