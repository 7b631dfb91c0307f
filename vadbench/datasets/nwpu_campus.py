"""NWPU Campus, as released: 305 training and 242 test videos of 43 scenes, with events that are
anomalous in some scenes alone.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Split
from vadbench.datasets.paths import find_path
from vadbench.datasets.released_videos import (
    ReleasedVideos,
    binary,
    find_folder,
    open_labels,
)
from vadbench.datasets.video_files import video_paths
from vadbench.errors import BadInput

NAME = re.compile(r"D\d{3}_\d{2}")
LABELS = "groundtruth/NWPU_Campus_gt.npz"
FOLDERS = ("NWPUCampusDataset", "NWPU_Campus", "NWPUCampusDataset/NWPUCampusDataset")


class NWPUCampus(ReleasedVideos):
    """NWPU Campus: walking, cycling and driving are normal in some scenes and not in others.

    What is read under `$VADBENCH_DATA/NWPUCampusDataset`: `videos/{Train,Test}/D001_01.avi`, and
    `groundtruth/NWPU_Campus_gt.npz` with an array a test video, 1 = anomalous. A scene is the part
    of a name before `_`; videos for training and for test are numbered apart, so that most names
    are there twice. Scene D094 has a test video and none for training: one training a scene
    (`--scope scene`) is refused.

    Headers and decoded frames are known to differ in a few videos; where labels and decoded frames
    do by 2 or less, both are cut to the shorter, as the labels' source says. Frame counts and
    smoothing (sigma 9, of 9 frames at a step of 2) are the authors'; that videos have 25 frames a
    second follows from the release's hours and is stated nowhere.
    """

    name = "nwpu_campus"
    title = "NWPU Campus"
    revision = "2023"
    citation = (
        "C. Cao, Y. Lu, P. Wang, Y. Zhang: A New Comprehensive Benchmark for Semi-Supervised Video"
        " Anomaly Detection and Anticipation. CVPR 2023."
    )
    licence = "academic, not commercial"
    how_to_get = (
        "download the volumes from the NWPU Campus page (campusvad.github.io) and unpack them into"
        " the folder that $VADBENCH_DATA names"
    )
    smoothing = 9.0
    fps = 25.0

    counts: ClassVar[dict[Split, int]] = {"train": 305, "test": 242}
    scenes: ClassVar[dict[Split, int] | None] = {"train": 42, "test": 43}
    test_frames: ClassVar[int | None] = 384059
    anomalous: ClassVar[int | None] = 65266
    most_cut: ClassVar[int] = 2
    labelled: ClassVar[str] = LABELS

    @property
    def folder(self) -> Path:
        """The folder with videos and groundtruth."""
        return find_folder(self.root, FOLDERS, self.remedy)

    def scene_of(self, name: str) -> str:
        """The camera: `D001` of `D001_01`."""
        return name.partition("_")[0]

    def files(self, split: Split) -> dict[str, Path]:
        """The videos of a split that are here.

        Raises:
            BadInput: on a file of another name, or a folder that is missing.
        """
        folder = find_path(self.folder, f"videos/{split.title()}")
        if not folder.is_dir():
            raise BadInput(f"{folder}: not there; {self.remedy}")
        paths = video_paths(folder)
        for name, path in paths.items():
            if not NAME.fullmatch(name):
                raise BadInput(f"{path}: expected names as D001_01.avi; move the file elsewhere")
        return paths

    def labels_of(self, name: str, frames: int) -> NDArray[np.uint8]:
        """[T] the labels of a test video."""
        if name not in self._labels:
            raise BadInput(
                f"{self.folder / LABELS}: no labels of {name}; expected an array a test video;"
                f" {self.remedy}"
            )
        return self._labels[name]

    @cached_property
    def _labels(self) -> dict[str, NDArray[np.uint8]]:
        path = find_path(self.folder, LABELS)
        with open_labels(path, self.remedy) as arrays:
            return {name: binary(values, f"{path}: {name}") for name, values in arrays.items()}
