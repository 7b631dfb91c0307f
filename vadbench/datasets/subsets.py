"""Label sets whose rule is published as lists of videos or frames: human-related subsets, and the
scene-dependent anomalies of ShanghaiTech.
"""

from __future__ import annotations

from vadbench.datasets.base import Resplit
from vadbench.datasets.label_sets import LabelSet

_NOT_HUMAN = ("01_0130", "01_0135", "01_0136", "06_0144", "06_0145", "12_0152")
SHANGHAITECH_HR = LabelSet(
    "hr",
    "human-related subset of Morais et al. (CVPR 2019): six test clips are left out",
    left_out=frozenset(_NOT_HUMAN),
)
# what is anomalous in other scenes, and normal in scene 01
_NORMAL_HERE = ("01_0014", "01_0029", "01_0052", "01_0138", "01_0139", "01_0163")
_SCENE_TEST = (
    *_NORMAL_HERE,
    *("06_0147", "06_0150", "06_0155", "10_0037", "10_0074"),
    *(f"12_{clip:04d}" for clip in (142, 148, 151, 154, 173, 174, 175)),
)
_SCENE_TRAIN = (
    *(f"test/01_{clip:04d}" for clip in (16, 51, 63, 73, 76, 129, 131, 134, 177)),
    *(f"train/06_{clip:03d}" for clip in (1, 2, 3, 4, 5, 7, 8, 9, 14)),
    *(f"train/10_{clip:03d}" for clip in (1, 2, 6, 7, 8, 9, 10, 11)),
    *(f"train/12_{clip:03d}" for clip in (*range(2, 10), 15)),
)
SHANGHAITECH_SCENES = LabelSet(
    "scene-dependent",
    "scene-dependent anomalies of Cao et al. (CVPR 2023): 18 test clips, all of six of them normal"
    " in their scene; trained on 35 clips, nine of them released for test",
    cleared=frozenset(_NORMAL_HERE),
    resplit=Resplit(
        "scene-dependent",
        _SCENE_TRAIN,
        tuple(f"test/{clip}" for clip in _SCENE_TEST),
        "one-class",
    ),
)

# frames whose anomaly is not of people: from 0, both ends count
_NOT_HUMAN_FRAMES = {
    "01": ((75, 120), (390, 436), (864, 910), (931, 1000)),
    "02": ((272, 319), (723, 763)),
    "03": ((293, 340),),
    "06": ((561, 624), (814, 1006)),
    "16": ((728, 739),),
}
AVENUE_HR = LabelSet(
    "hr",
    "human-related subset of Morais et al. (CVPR 2019): 616 frames of five videos are left out",
    dropped=_NOT_HUMAN_FRAMES,
)
