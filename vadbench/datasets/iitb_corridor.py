"""IITB-Corridor, as released: 208 training and 150 test videos of one corridor, with frame
labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Split
from vadbench.datasets.paths import find_path
from vadbench.datasets.released_videos import ReleasedVideos, find_folder, load_labels
from vadbench.datasets.video_files import video_paths
from vadbench.errors import BadInput

PARTS: dict[str, tuple[str, ...]] = {
    "train": ("Train_IITB_Corridor", "Train_IITB-Corridor"),
    "test": ("Test_IITB-Corridor", "Test_IITB_Corridor"),
}
ANNOTATION = "Test_Annotation/Annotation"
FIRST = {"train": 1, "test": 209}  # videos are numbered on through the splits


class IITBCorridor(ReleasedVideos):
    """IITB-Corridor: walking and standing are normal; protest, fights, chasing, loitering, things
    left behind and the like are not.

    What is read under `$VADBENCH_DATA`: `Train_IITB_Corridor/Train/000001/000001.avi` to 000208,
    `Test_IITB-Corridor/Test/000209/000209.avi` to 000358 (or all of it in a folder
    `IITB_Corridor`), and `Test_IITB-Corridor/Test_Annotation/Annotation/000209/000209.npy`, 1 =
    anomalous, a label a frame. Labels of another length than the decoded video are refused: a known
    reader leaves out the first frame, and which one is missing cannot be told.

    Frames a second are not known, nor is a smoothing of the authors': sigma 3 is our default.
    """

    name = "iitb_corridor"
    title = "IITB-Corridor"
    revision = "2020"
    citation = (
        "R. Rodrigues, N. Bhargava, R. Velmurugan, S. Chaudhuri: Multi-timescale Trajectory"
        " Prediction for Abnormal Human Activity Detection. WACV 2020."
    )
    licence = "for research; the archives' password is on the page"
    how_to_get = (
        "download the archives from the IITB-Corridor page and unpack them into the folder that"
        " $VADBENCH_DATA names"
    )

    counts: ClassVar[dict[Split, int]] = {"train": 208, "test": 150}
    test_frames: ClassVar[int | None] = 181567
    anomalous: ClassVar[int | None] = 108278
    labelled: ClassVar[str] = f"{ANNOTATION}/*/*.npy"

    @property
    def folder(self) -> Path:
        """The folder with both parts."""
        above = (self.root, self.root / "IITB_Corridor", self.root / "IITB-Corridor")
        names = [name for part in PARTS.values() for name in part]
        found = next((one for one in above if any((one / name).is_dir() for name in names)), None)
        if found is None:
            raise BadInput(f"{self.root / names[0]}: not there; {self.remedy}")
        return found

    def files(self, split: Split) -> dict[str, Path]:
        """The videos of a split that are here.

        Raises:
            BadInput: on a folder of another name or without a video of its name.
        """
        above = self._part(split) / split.title()
        if not above.is_dir():
            raise BadInput(f"{above}: not there; {self.remedy}")
        first = FIRST[split]
        known = [f"{number:06d}" for number in range(first, first + self.counts[split])]
        found = {}
        for folder in sorted(path for path in above.iterdir() if path.is_dir()):
            if folder.name.startswith("."):
                continue
            if folder.name not in known:
                raise BadInput(
                    f"{folder}: no {split} video of the release, which has {known[0]} to"
                    f" {known[-1]}; move the folder elsewhere"
                )
            paths = video_paths(folder)
            if folder.name not in paths:
                raise BadInput(f"{folder / folder.name}.avi: not there; {self.remedy}")
            found[folder.name] = paths[folder.name]
        return found

    def labels_of(self, name: str, frames: int) -> NDArray[np.uint8]:
        """[T] the labels of a test video."""
        path = find_path(self._part("test"), f"{ANNOTATION}/{name}/{name}.npy")
        return load_labels(path, self.remedy)

    def _part(self, split: Split) -> Path:
        return find_folder(self.folder, PARTS[split], self.remedy)
