"""XD-Violence, as released: clips of films and of the web, 3954 for training (2049 of them normal)
and 800 for test with annotations.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Labels, Split, Video
from vadbench.datasets.events import Event
from vadbench.datasets.released_videos import ReleasedVideos, find_folder
from vadbench.datasets.video import SUFFIXES
from vadbench.errors import BadInput
from vadbench.files.text import read_text

FOLDERS = ("XD-Violence", "XD_Violence", "XDViolence")
ANNOTATIONS = "annotations.txt"
NAME = re.compile(r".+_label_([A-Z0-9]+(?:-[A-Z0-9]+)*)", re.DOTALL)
KINDS = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}
Span = tuple[int, int]  # from 0, the end exclusive


class XDViolence(ReleasedVideos):
    """XD-Violence: fights, shooting, riots, abuse, car accidents and explosions are anomalous.

    What is read under `$VADBENCH_DATA/XD-Violence`: video files in any folders, those below a
    folder whose name begins with `test` being the test videos; `annotations.txt`, a line a violent
    test video, `name first end first end ...`, frames from 0, the end exclusive, as the authors'
    builder reads it. What a name has after `label_` says its kind: `A` is normal, and training
    videos of that kind are trained on; the other 1905 are the split `unlabelled`, for the
    unsupervised setting alone.

    An interval that ends after its video is cut, as the labels' source says, and one that begins
    there refused. The authors' own labels drop each clip's last frame and what is left of 16: their
    AP, the data set's metric, is of fewer frames than ours. Frames a second are not confirmed.
    """

    name = "xd_violence"
    title = "XD-Violence"
    revision = "2020"
    citation = (
        "P. Wu et al.: Not only Look, but also Listen: Learning Multimodal Violence Detection under"
        " Weak Supervision. ECCV 2020."
    )
    licence = "for research; cite the paper"
    how_to_get = (
        "download the archives and annotations.txt from the XD-Violence page"
        " (roc-ng.github.io/XD-Violence) and unpack them into XD-Violence in the folder that"
        " $VADBENCH_DATA names"
    )
    smoothing = 15.0
    streams = ("clip",)
    boxes = ""
    splits: ClassVar[tuple[Split, ...]] = (*SPLITS, "unlabelled")

    counts: ClassVar[dict[Split, int]] = {"train": 2049, "test": 800, "unlabelled": 1905}
    violent: ClassVar[int] = 500
    intervals: ClassVar[int] = 1238
    labelled: ClassVar[str] = f"{ANNOTATIONS}, frames from 0, the end exclusive"

    @property
    def folder(self) -> Path:
        """The folder with videos and annotations."""
        return find_folder(self.root, FOLDERS, self.remedy)

    def files(self, split: Split) -> dict[str, Path]:
        """The videos of a split that are here, in the order of their names.

        Raises:
            BadInput: on a video of another name, or two of one name.
        """
        return self._files[split]

    @cached_property
    def _files(self) -> dict[Split, dict[str, Path]]:
        folder = self.folder
        found: dict[Split, dict[str, Path]] = {split: {} for split in self.splits}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            kind = NAME.fullmatch(path.stem)
            if kind is None:
                raise BadInput(
                    f"{path}: expected names as title__#0-10-00_0-10-45_label_B1-0-0.mp4; move the"
                    " file elsewhere"
                )
            above = path.relative_to(folder).parts[:-1]
            tested = any(part.lower().startswith("test") for part in above)
            split: Split = "test" if tested else "train" if kind[1] == "A" else "unlabelled"
            if path.stem in found[split]:
                raise BadInput(f"{path}: is also {found[split][path.stem]}; remove one")
            found[split][path.stem] = path
        return found

    @property
    def total(self) -> int:
        """Videos that are trained or tested on."""
        return sum(self.counts[split] for split in SPLITS)

    def labels_of(self, name: str, frames: int) -> NDArray[np.uint8]:
        """[T] the labels of a test video: as many as frames."""
        labels = np.zeros(frames, np.uint8)
        for first, end in self._spans(name):
            if first >= frames:
                raise BadInput(
                    f"{self.folder / ANNOTATIONS}: interval {first} to {end} of {name} begins after"
                    f" its frames 0 to {frames - 1}"
                )
            labels[first:end] = 1
        return labels

    def labels(self) -> Labels:
        """The official annotations.

        Raises:
            BadInput: if they are missing or damaged, or an interval begins after its video.
        """
        known, videos = super().labels(), self.videos("test")
        cut = sum(end > one.frames for one in videos for _, end in self._spans(one.name))
        told = f"; {cut} intervals cut at the end of their video" if cut else ""
        return Labels(known.name, f"{known.source}{told}", known.videos)

    def events(self) -> list[Event]:
        """Every annotated interval, with the first kind in its video's name: of several, which one
        an interval shows is not said.

        Raises:
            BadInput: as `labels`.
        """
        return [
            Event(video.name, first, min(end, video.frames) - 1, _kind(video))
            for video in self.videos("test")
            for first, end in self._spans(video.name)
        ]

    def _spans(self, name: str) -> list[Span]:
        if name.endswith("_label_A"):
            return []
        if name not in self._annotated:
            raise BadInput(
                f"{self.folder / ANNOTATIONS}: no line of {name}; expected one a violent test"
                f" video; {self.remedy}"
            )
        return self._annotated[name]

    @cached_property
    def _annotated(self) -> dict[str, list[Span]]:
        path = self.folder / ANNOTATIONS
        if not path.is_file():
            raise BadInput(f"{path}: the annotations are missing; {self.remedy}")
        found: dict[str, list[Span]] = {}
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if line.strip():
                name, spans = _read_line(line, f"{path}: line {number}")
                if name in found:
                    raise BadInput(f"{path}: line {number} names {name[:80]} again")
                found[name] = spans
        if self.only is None:
            many = len(found), sum(map(len, found.values()))
            if many != (self.violent, self.intervals):
                raise BadInput(
                    f"{path}: {many[1]} intervals of {many[0]} videos, the release has"
                    f" {self.intervals} of {self.violent}; {self.remedy}"
                )
        return found


def _read_line(line: str, where: str) -> tuple[str, list[Span]]:
    name, *words = line.split()
    try:
        ends = list(map(int, words))
    except ValueError as error:
        raise BadInput(f"{where}: expected name and frame numbers") from error
    if not ends or len(ends) % 2:
        raise BadInput(f"{where}: {len(ends)} numbers; expected first and end of each interval")
    spans = list(zip(ends[::2], ends[1::2], strict=True))
    for first, end in spans:
        if not 0 <= first < end:
            raise BadInput(f"{where}: interval {first} to {end}; expected the end after the first")
    return name.removesuffix(".mp4"), spans


def _kind(video: Video) -> str | None:
    """The first kind in a video's name."""
    found = NAME.fullmatch(video.name)
    codes = found[1].split("-") if found else []
    return next((KINDS[code] for code in codes if code in KINDS), None)
