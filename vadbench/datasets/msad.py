"""MSAD, as released: 360 normal training videos of 14 scenarios, 120 normal and 240 anomalous test
videos of 11 kinds.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Split
from vadbench.datasets.events import Event
from vadbench.datasets.label_sets import LabelSet
from vadbench.datasets.paths import find_path
from vadbench.datasets.released_videos import ReleasedVideos
from vadbench.datasets.video_files import video_paths
from vadbench.errors import BadInput
from vadbench.files.text import read_text

FOLDERS = ("MSAD Dataset/MSAD_blur", "MSAD Dataset", "MSAD/MSAD_blur", "MSAD", "MSAD_blur")
TRAIN, NORMAL, ANOMALOUS = (
    "MSAD_normal_training_blur",
    "MSAD_normal_testing_blur",
    "MSAD_anomaly_blur",
)
ANNOTATION = "anomaly_annotation.csv"
HEADER = (
    "name",
    "scenario",
    "total frames",
    "starting frame of anomaly",
    "ending frame of anomaly",
)
CLASSES = (
    *("Assault", "Explosion", "Fighting", "Fire", "Object_falling", "People_falling"),
    *("Robbery", "Shooting", "Traffic_accident", "Vandalism", "Water_incident"),
)
NOT_HUMAN = ("Explosion", "Fire", "Object_falling", "Water_incident")
WEAK_LIST = "weak_test.txt"


@dataclass(frozen=True)
class Annotation:
    """A line of the annotation: frames of the video, and the anomalous ones, from 1, inclusive."""

    frames: int
    first: int
    last: int


class MSAD(ReleasedVideos):
    """MSAD: traffic, shops, parks and fronts of many cameras; fights, falls, fire and the like are
    anomalous.

    What is read in one of the folders `MSAD Dataset`, `MSAD` or `MSAD_blur` (or in `MSAD_blur` of
    these) under `$VADBENCH_DATA`: `MSAD_normal_training_blur/` and `MSAD_normal_testing_blur/` with
    a file a video, `MSAD_anomaly_blur/<kind>/<kind>_<n>.mp4`, and `anomaly_annotation.csv` there or
    above it: a line an anomalous video, one interval each, frames from 1 and inclusive. Normal
    videos have no line; theirs are as many frames as they decode to.

    The authors' first protocol, as others understand it: trained on 360 normal videos, tested on
    120 normal and 240 anomalous ones. Label set `weak` leaves out of these the 120 anomalous videos
    that are for training in their second, by a list of the test videos in
    `$VADBENCH_DATA/labels/msad/weak_test.txt` (the authors' repository has it). Of the
    human-related subset it is not known whether it has the normal videos: `hr-with-normals` and
    `hr-anomalies` are both.

    A scenario is in the names of normal training videos alone, so scenes are not told apart. Frames
    a second are not stated.
    """

    name = "msad"
    title = "MSAD"
    revision = "2024"
    citation = (
        "L. Zhu, L. Wang, A. Raj, T. Gedeon, C. Chen: Advancing Video Anomaly Detection: A Concise"
        " Review and a New Dataset. NeurIPS 2024."
    )
    licence = "academic, no redistribution; by an application form"
    how_to_get = (
        "apply on the MSAD page (msad-dataset.github.io) and unpack `MSAD Dataset` into the folder"
        " that $VADBENCH_DATA names"
    )

    counts: ClassVar[dict[Split, int]] = {"train": 360, "test": 360}
    of_class: ClassVar[dict[str, int]] = dict(
        zip(CLASSES, (15, 15, 13, 25, 22, 43, 29, 17, 39, 12, 10), strict=True)
    )
    weak: ClassVar[int] = 240
    most_cut: ClassVar[int] = 2
    labelled: ClassVar[str] = f"{ANNOTATION}, frames from 1, inclusive"

    @property
    def folder(self) -> Path:
        """The folder with the three folders of videos."""
        for name in FOLDERS:
            if any((self.root / name / part).is_dir() for part in (TRAIN, NORMAL, ANOMALOUS)):
                return self.root / name
        raise BadInput(f"{self.root / 'MSAD Dataset' / TRAIN}: not there; {self.remedy}")

    def files(self, split: Split) -> dict[str, Path]:
        """The videos of a split that are here, by the numbers in their names; of the test split the
        normal ones first.

        Raises:
            BadInput: on a file of another name.
        """
        if split == "train":
            return self._videos(TRAIN, r"MSAD_normal_\w+")
        found = self._videos(NORMAL, r"MSAD_normal_testing_\d+")
        for kind in CLASSES:
            found |= self._videos(f"{ANOMALOUS}/{kind}", rf"{kind}_\d+")
        return found

    def _videos(self, below: str, pattern: str) -> dict[str, Path]:
        folder = find_path(self.folder, below)
        paths = video_paths(folder) if folder.is_dir() else {}
        for name, path in paths.items():
            if not re.fullmatch(pattern, name):
                raise BadInput(f"{path}: no name of the release's; move the file elsewhere")
        return dict(sorted(paths.items(), key=lambda item: _by_number(item[0])))

    def labels_of(self, name: str, frames: int) -> NDArray[np.uint8]:
        """[T] the labels of a test video; a normal one has as many as frames."""
        if name.startswith("MSAD_normal"):
            return np.zeros(frames, np.uint8)
        line = self._line(name)
        labels = np.zeros(line.frames, np.uint8)
        labels[line.first - 1 : line.last] = 1
        return labels

    def events(self) -> list[Event]:
        """Every annotated interval, with the kind of its video.

        Raises:
            BadInput: as `labels`.
        """
        events = []
        for video in self.videos("test"):
            if not video.name.startswith("MSAD_normal"):
                line = self._line(video.name)
                if line.first <= video.frames:
                    kind = video.name.rpartition("_")[0]
                    last = min(line.last, video.frames)
                    events.append(Event(video.name, line.first - 1, last - 1, kind))
        return events

    def label_sets(self) -> tuple[LabelSet, ...]:
        """The test videos of the weak protocol, and the human-related subset in two readings."""
        names = [f"{kind}_{number}" for kind in NOT_HUMAN for number in range(1, 1000)]
        normal = [f"MSAD_normal_testing_{number}" for number in range(1, 1000)]
        told = "human-related subset: videos of seven kinds"
        return (
            LabelSet(
                "weak",
                f"test videos of the authors' weakly supervised protocol, {WEAK_LIST}",
                keep=lambda name, frames: np.full(frames, name in self._weak),
                paths=(self._weak_path,),
            ),
            LabelSet("hr-with-normals", f"{told}, and the normal ones", left_out=frozenset(names)),
            LabelSet("hr-anomalies", f"{told} alone", left_out=frozenset((*names, *normal))),
        )

    @property
    def _weak_path(self) -> Path:
        return self.root / "labels" / self.name / WEAK_LIST

    @cached_property
    def _weak(self) -> frozenset[str]:
        path = self._weak_path
        if not path.is_file():
            raise BadInput(
                f"{path}: the list of the weak protocol's test videos is missing; copy it from the"
                " authors' repository, a video a line"
            )
        words = read_text(path).split()
        names = [word.replace("\\", "/").rpartition("/")[2].partition(".")[0] for word in words]
        known = {video.name for video in self.videos("test")}
        strange = [name for name in names if name not in known]
        if strange and self.only is None:
            raise BadInput(f"{path}: {strange[0][:60]} is no test video of the release")
        if len(set(names)) != self.weak:
            raise BadInput(
                f"{path}: {len(set(names))} videos, the protocol has {self.weak}; copy the list of"
                " the test videos"
            )
        return frozenset(names)

    def _line(self, name: str) -> Annotation:
        if name not in self._annotated:
            raise BadInput(
                f"{self._annotation}: no line of {name}; expected one an anomalous video;"
                f" {self.remedy}"
            )
        return self._annotated[name]

    @property
    def _annotation(self) -> Path:
        places = (self.folder, self.folder.parent)
        found = next((one for one in places if (one / ANNOTATION).is_file()), None)
        if found is None:
            raise BadInput(f"{self.folder / ANNOTATION}: the annotation is missing; {self.remedy}")
        return found / ANNOTATION

    @cached_property
    def _annotated(self) -> dict[str, Annotation]:
        path, found = self._annotation, {}
        reader = csv.reader(read_text(path).splitlines())
        header = tuple(word.strip().lower() for word in next(reader, []))
        if header != HEADER:
            columns = ", ".join(header)[:100]
            raise BadInput(f"{path}: columns {columns}; expected {', '.join(HEADER)}")
        for number, words in enumerate(reader, 2):
            if not any(word.strip() for word in words):
                continue
            name, annotation = _read_line(words, f"{path}: line {number}")
            if name in found:
                raise BadInput(f"{path}: line {number} names {name} again; expected it once")
            found[name] = annotation
        return found


def _read_line(words: list[str], where: str) -> tuple[str, Annotation]:
    try:
        name, _, *numbers = (word.strip() for word in words)
        frames, first, last = map(int, numbers)
    except ValueError as error:
        raise BadInput(f"{where} is {','.join(words)[:60]!r}; expected name and numbers") from error
    if not 1 <= first <= last <= frames:
        raise BadInput(f"{where}: interval {first} to {last} of {name} is outside 1 to {frames}")
    return name.partition(".")[0], Annotation(frames, first, last)


def _by_number(name: str) -> tuple[tuple[str, int], ...]:
    """Names in the order of their numbers: `Assault_2` before `Assault_10`."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D+)(\d*)", name))
