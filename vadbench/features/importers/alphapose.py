"""AlphaPose's files of poses: tracked persons, as STG-NF's users have them, and its own results.

    <clip>_alphapose_tracked_person.json: {person: {frame: {"keypoints": 51 numbers, "scores": 1}}}
    alphapose-results.json: [{"image_id": "12.jpg", "keypoints": 51 numbers, "idx": person}, ...]

The 51 numbers are x, y in pixels and a confidence of each of COCO's 17 joints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.datasets.base import Video
from vadbench.datasets.poses import JOINTS, Poses
from vadbench.errors import BadInput, quote
from vadbench.features.importers.joints import Pose, check_poses
from vadbench.features.sequences.link import link_boxes
from vadbench.files.documents import read_json

NUMBER, DIGITS = re.compile(r"[0-9]{1,9}"), re.compile(r"[0-9]+")
LARGE = 1e15  # what is beyond is neither a coordinate nor a person's number
AGAIN = "expected AlphaPose's {person: {frame: {keypoints}}} or its list of results"
LEAST_OVERLAP, GAP = 0.3, 2  # of results without tracks: as the extractor `skeletons` links


def read_alphapose(path: Path, clip: Video) -> Poses:
    """The poses of a clip; a file of no person is one.

    Persons may be lists of dictionaries, merged in their order. Results that were made without
    tracking are linked by the overlap of the joints' extents.

    Raises:
        BadInput: naming the file, person and frame of what is damaged or beyond the clip.
    """
    try:
        document = read_json(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); get it anew") from error
    if isinstance(document, dict):
        return check_poses(path, clip, list(_tracked(path, document)))
    if isinstance(document, list):
        found = list(_results(path, document))
        tracked = len({one.person for one in found}) > 1
        poses = check_poses(path, clip, found, together=not tracked)
        return poses if tracked else link_persons(poses, clip)
    raise BadInput(f"{path}: holds {quote(document)}; {AGAIN}")


def link_persons(poses: Poses, clip: Video) -> Poses:
    """The poses with persons numbered by overlap from frame to frame."""
    ordered = poses.by_frame()
    boxes = np.split(ordered.boxes(), np.searchsorted(ordered.frame, np.arange(1, clip.frames)))
    return Poses(ordered.frame, link_boxes(boxes, GAP, LEAST_OVERLAP), ordered.joints)


def _tracked(path: Path, document: dict[str, Any]) -> Iterator[Pose]:
    """The entries of a file of tracked persons, persons numbered in the file's order."""
    for number, (name, person) in enumerate(document.items()):
        where = f"person {quote(name)}"
        merged: dict[str, Any] = {}
        for part in person if isinstance(person, list) else [person]:
            if not isinstance(part, dict):
                raise BadInput(f"{path}: {where} is {quote(part)}; {AGAIN}")
            merged |= part
        for frame, entry in merged.items():
            if not NUMBER.fullmatch(frame):
                raise BadInput(f"{path}: {where}: frame {quote(frame)}; expected a whole number")
            place = f"{where}, frame {int(frame)}"
            yield Pose(number, int(frame), read_keypoints(path, place, entry), place)


def _results(path: Path, document: list[Any]) -> Iterator[Pose]:
    """The entries of AlphaPose's own list, as its results are numbered."""
    for row, entry in enumerate(document):
        if not isinstance(entry, dict):
            raise BadInput(f"{path}: entry {row} is {quote(entry)}; {AGAIN}")
        image = str(entry.get("image_id", ""))
        digits = DIGITS.findall(Path(image).stem)
        if not digits or not NUMBER.fullmatch(digits[-1]):
            raise BadInput(
                f"{path}: entry {row}: image_id {quote(image)}; expected the frame's number, such"
                " as 12.jpg"
            )
        place = f"entry {row}, image {image[:40]!r}"
        person = _person(path, place, entry.get("idx", 0))
        yield Pose(person, int(digits[-1]), read_keypoints(path, place, entry), place)


def _person(path: Path, place: str, idx: Any) -> float:
    """A person's number; older results have it in a list of lists."""
    while isinstance(idx, list) and len(idx) == 1:
        idx = idx[0]
    if type(idx) not in (int, float) or abs(idx) >= LARGE or idx != idx // 1:
        raise BadInput(f"{path}: {place}: idx {quote(idx)}; expected a person's number")
    return float(idx)


def read_keypoints(path: Path, place: str, entry: Any) -> list[float]:
    """The 51 numbers of an entry.

    Raises:
        BadInput: if there are others, or something else.
    """
    given: Any = entry.get("keypoints") if isinstance(entry, dict) else entry
    good = isinstance(given, list) and len(given) == 3 * JOINTS
    if not good or not all(type(each) in (int, float) and abs(each) < LARGE for each in given):
        many = f"a list of {len(given)}" if isinstance(given, list) else quote(given)
        raise BadInput(
            f"{path}: {place}: keypoints are {many}; expected {3 * JOINTS} numbers, x, y and"
            f" confidence of COCO's {JOINTS} joints"
        )
    return [float(each) for each in given]
