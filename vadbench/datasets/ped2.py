"""UCSD Ped2, as released: 16 training and 12 test clips of a walkway, 240 x 360 grey, with frame
labels and masks.
"""

from __future__ import annotations

from typing import ClassVar

from vadbench.datasets.base import Check, Labels
from vadbench.datasets.ucsd import UCSD


class Ped2(UCSD):
    """UCSD Pedestrian 2: pedestrians are normal; cyclists, skaters and a cart are not.

    Every test clip has masks; tracks are derived from them.

    Attributes:
        anomalous: frames labelled anomalous.
    """

    name = "ped2"
    title = "UCSD Ped2"
    smoothing = 3.0
    fps = 10.0

    part = "UCSDped2"
    clips = {
        "train": (120, 150, 150, 180, 180, 150, 150, 120, 180, 180, 180, 180, 180, 150, 150, 150),
        "test": (180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180),
    }
    size = (240, 360)
    masked = 12
    anomalous: ClassVar[int] = 1648

    def _label_checks(self, labels: Labels) -> list[Check]:
        counted = Check(
            f"anomalous frames ({self.label_file})",
            str(self.anomalous),
            str(int(labels.flat().sum())),
        )
        return [counted, *super()._label_checks(labels)]
