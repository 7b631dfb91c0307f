"""Poses as files give them, checked: in frames of their clip, one a person and frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vadbench.datasets.base import Video
from vadbench.datasets.poses import JOINTS, Poses
from vadbench.errors import BadInput

FARTHEST = 1e6  # pixels from the corner: what is beyond is no joint


class Pose(NamedTuple):
    """What a file says of one person in one frame.

    Attributes:
        person: any number.
        frame: from 0.
        numbers: x, y of the 17 joints, each perhaps with a confidence.
        where: the place in the file, for messages.
    """

    person: float
    frame: int
    numbers: Sequence[float]
    where: str


def check_poses(path: Path, clip: Video, found: list[Pose], together: bool = False) -> Poses:
    """The poses of a clip; joints at exactly 0, 0 are missing.

    Args:
        path: of the file, for messages.
        clip: whose frames they are in.
        found: what the file says.
        together: whether one number stands for several persons.

    Raises:
        BadInput: naming the first that lies beyond the clip, is no number of pixels, or is given
            twice.
    """
    frame = np.array([one.frame for one in found], np.int64)
    person = np.array([one.person for one in found], np.float64)
    beyond = (frame < 0) | (frame >= clip.frames)
    if beyond.any():
        one = found[int(np.argmax(beyond))]
        counted = " (they count from 0)" if one.frame == clip.frames else ""
        raise BadInput(
            f"{path}: {one.where}: frame {one.frame}, but {clip.split} clip {clip.name} has frames"
            f" 0 to {clip.frames - 1}{counted}; the file is of another video or counts otherwise"
        )
    each = len(found[0].numbers) // JOINTS if found else 2  # with confidences, or without
    numbers = np.array([one.numbers for one in found], np.float64)
    joints = numbers.reshape(len(found), JOINTS, each)[:, :, :2]
    wild = ~(np.abs(joints) <= FARTHEST).all((1, 2))
    if wild.any():
        one = found[int(np.argmax(wild))]
        raise BadInput(f"{path}: {one.where}: a joint that lies nowhere; expected pixels")
    _, index, count = np.unique(
        np.stack([person, frame], 1), axis=0, return_index=True, return_counts=True
    )
    if not together and (count > 1).any():
        one = found[int(index[np.argmax(count > 1)])]
        told = f"{path}: {one.where}: the person has {count.max()} poses in frame {one.frame}"
        raise BadInput(f"{told}; expected one")
    missing = (joints == 0).all(2)
    joints[missing] = np.nan
    numbered = np.unique(person, return_inverse=True)[1].astype(np.int64)
    return Poses(frame, numbered.reshape(-1), joints)
