"""UCSD Ped1, as released: 34 training and 36 test clips of a walkway, 158 x 238 grey, with frame
labels, and masks of 10 test clips.
"""

from __future__ import annotations

from vadbench.datasets.base import Check, Labels
from vadbench.datasets.checks import masks_agree, observe
from vadbench.datasets.ucsd import UCSD


class Ped1(UCSD):
    """UCSD Pedestrian 1: pedestrians are normal; cyclists, skaters, wheelchairs and carts are not.

    The release has masks of 10 of the 36 test clips (its README.txt), so there are no region
    tracks. Who adds masks of all others in the same layout (`Test/Test001_gt/001.bmp`; the README
    names a complete annotation by others) gets tracks derived from them.

    How many frames are anomalous is not checked: 4005 of 7200 is often read, a public copy of
    UCSDped1.m gives 4045, and we have no release to count. Nor is it known whether the released
    masks agree with the labels in every frame; the check tells in how many they do.
    """

    name = "ped1"
    title = "UCSD Ped1"
    smoothing = 3.0
    fps = 10.0

    part = "UCSDped1"
    clips = {"train": (200,) * 34, "test": (200,) * 36}
    size = (158, 238)
    masked = 10

    def _label_checks(self, labels: Labels) -> list[Check]:
        videos, every = self._clips_with_masks(), len(self.clips["test"])
        expected = str(every if len(videos) == every else self.masked)
        return [
            observe(f"anomalous frames ({self.label_file})", lambda: str(int(labels.flat().sum()))),
            Check("test clips with masks", expected, str(len(videos))),
            observe("masks not empty = labels", lambda: self._agreement(labels)),
        ]

    def _agreement(self, labels: Labels) -> str:
        videos = self._clips_with_masks()
        return (
            f"{masks_agree(self, labels, videos)} of {sum(video.frames for video in videos)}"
            if videos
            else "no masks"
        )
