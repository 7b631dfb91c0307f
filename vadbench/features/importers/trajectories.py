"""Trajectories of persons as Morais et al. and MoCoDAD release them: a csv a person, without a
header: frame, then x and y of COCO's 17 joints in pixels; 0, 0 is a joint that is missing.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.datasets.poses import JOINTS, Poses
from vadbench.errors import BadInput
from vadbench.features.importers.clips import Clips
from vadbench.features.importers.joints import Pose, check_poses
from vadbench.files.text import read_text

COLUMNS = 1 + 2 * JOINTS


def trajectory_folders(path: Path, clips: Clips) -> dict[int, Path]:
    """Clip -> its folder: `<camera>/<video>` as Morais et al. have it, or `<scene>-<clip>` or
    `<scene>_<clip>` as MoCoDAD.

    Raises:
        BadInput: if a clip has none (one without persons has an empty folder), or a folder belongs
            to no clip.
    """
    if not path.is_dir():
        raise BadInput(f"{path}: no such folder; expected one with a folder of csv a clip")
    names: dict[str, Path] = {}
    for folder in sorted(each for each in path.rglob("*") if each.is_dir()):
        if any(each.is_dir() for each in folder.iterdir()):
            continue
        name = _clip_name(folder.relative_to(path), clips)
        if name in names:
            raise BadInput(
                f"{path}: two folders for clip {name}: {names[name].relative_to(path)} and"
                f" {folder.relative_to(path)}; take one out"
            )
        names[name] = folder
    matched = clips.match(names, path, "folder")
    return {number: names[name] for number, name in matched.items()}


def _clip_name(place: Path, clips: Clips) -> str:
    """A folder's clip: its name, or camera and video together, in the spelling that is a clip's."""
    video, camera = place.name, place.parent.name
    spellings = [video, video.replace("-", "_")]
    spellings += [f"{camera}_{video}"] if camera else []
    known = {_plain(name) for name in clips.names | {one.name for one in clips.videos}}
    return next((each for each in spellings if _plain(each) in known), spellings[-1])


def _plain(name: str) -> str:
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), name.lower())


def read_trajectories(folder: Path, clip: Video) -> Poses:
    """The poses of a clip; a trajectory may be of one frame, a folder of none.

    Raises:
        BadInput: naming the file and line of what is damaged or beyond the clip.
    """
    found: list[Pose] = []
    files = sorted(folder.glob("*.csv"))
    for person, file in enumerate(files):
        for line, row in enumerate(_read_rows(file), 1):
            frame = float(row[0])
            if frame != frame // 1 or abs(frame) >= 1 << 31:
                raise BadInput(f"{file}: line {line}: frame {frame:g}; expected a whole number")
            where = f"person {file.stem}, line {line}"
            found.append(Pose(person, int(frame), row[1:].tolist(), where))
    return check_poses(folder, clip, found)


def _read_rows(file: Path) -> NDArray[np.float64]:
    """[n, 35] numbers of a file, none where it is empty."""
    try:
        text = read_text(file)
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); get it anew") from error
    rows = []
    for line, written in enumerate(text.splitlines(), 1):
        cells = written.split(",") if written.strip() else []
        if not cells:
            continue
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError as error:
            raise BadInput(f"{file}: line {line}: {error}; expected numbers apart by commas") from (
                error
            )
        if len(numbers) != COLUMNS or not np.isfinite(numbers).all():
            raise BadInput(
                f"{file}: line {line}: {len(numbers)} cells; expected {COLUMNS} finite numbers, the"
                f" frame and x, y of {JOINTS} joints"
            )
        rows.append(numbers)
    return np.array(rows, np.float64).reshape(-1, COLUMNS)
