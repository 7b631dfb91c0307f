"""Files of poses become windows of poses: the rows of the stream `skeletons`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from vadbench import registry
from vadbench.datasets.base import Video
from vadbench.datasets.poses import Poses
from vadbench.errors import BadInput
from vadbench.features.importers.alphapose import read_alphapose
from vadbench.features.importers.clips import Clips, ImportedRows, Layout, finite, in_order
from vadbench.features.importers.per_video import clip_files
from vadbench.features.importers.trajectories import read_trajectories, trajectory_folders
from vadbench.features.sequences.joints import NAMES
from vadbench.features.sequences.options import SequenceOptions
from vadbench.features.sequences.rows import Rows, make_rows

SUFFIX = "_alphapose_tracked_person"
RESULTS = "alphapose-results"  # AlphaPose's own name, in a folder a clip or after the clip's name
FIELDS = ("window", "stride", "train_stride", "missing", "ratio", "starts")


def pose_files(path: Path, clips: Clips, layout: Layout) -> dict[int, list[Path]]:
    """Clip -> its JSON file, `<clip>_alphapose_tracked_person.json`, `<clip>.json`, or
    `<clip>/alphapose-results.json`.

    Raises:
        BadInput: as `per_video.clip_files`.
    """
    if layout.suffix:
        return {
            k: list(own.values()) for k, own in clip_files(path, clips, layout, ".json").items()
        }
    if not path.is_dir():
        raise BadInput(f"{path}: no such folder; expected one with a .json file a clip")
    names: dict[str, Path] = {}
    for file in sorted(path.rglob("*.json")):
        name = file.stem.removesuffix(SUFFIX).removesuffix(RESULTS).rstrip("_-") or file.parent.name
        if name in names:
            raise BadInput(
                f"{path}: two files for clip {name}: {names[name].relative_to(path)} and"
                f" {file.relative_to(path)}; take one out"
            )
        names[name] = file
    matched = clips.match(names, path, "file")
    return {number: [names[name]] for number, name in matched.items()}


def trajectory_files(path: Path, clips: Clips, layout: Layout) -> dict[int, list[Path]]:
    """Clip -> its csv files."""
    folders = trajectory_folders(path, clips)
    return {number: sorted(folder.glob("*.csv")) for number, folder in folders.items()}


def read_pose_files(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """Windows of the persons in a folder with AlphaPose's JSON of every clip.

    Raises:
        BadInput: naming the first clip without a file, and what is wrong with one.
    """
    files = pose_files(path, clips, layout)
    return _windows(path, clips, layout, lambda k, clip: read_alphapose(files[k][0], clip))


def read_trajectory_folders(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """Windows of the persons in a folder of trajectories.

    Raises:
        BadInput: naming the first clip without a folder, and what is wrong with a file.
    """
    folders = trajectory_folders(path, clips)
    return _windows(path, clips, layout, lambda k, clip: read_trajectories(folders[k], clip))


def sequence_options(layout: Layout) -> SequenceOptions:
    """The windows that a layout asks for.

    Raises:
        BadInput: on a value that there is not.
    """
    given: dict[str, Any] = {name: getattr(layout, name) for name in FIELDS}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return SequenceOptions(**given)
    except ValidationError as error:
        raise BadInput(f"--{registry.first_fault(error, SequenceOptions)}") from error


def _windows(
    path: Path, clips: Clips, layout: Layout, read: Callable[[int, Video], Poses]
) -> ImportedRows:
    """All clips' windows; each stands at frame f0 + T // 2, in the box of the pose nearest."""
    options = sequence_options(layout)
    parts, boxes = [], []
    for number, clip in enumerate(clips.videos):
        poses = read(number, clip)
        rows = make_rows(poses, options, options.stride_of(clips.split))
        finite(rows.x, f"{path}: clip {clip.name}", "window {}".format)
        parts.append(rows)
        boxes.append(poses.boxes()[rows.nearest])
    x = np.concatenate([part.x for part in parts])
    frame = np.concatenate([part.frame for part in parts])
    video = np.repeat(np.arange(len(parts)), [len(part.x) for part in parts])
    shape = (2, options.window, len(NAMES))
    made = in_order(x, video, frame, np.concatenate(boxes), windows=False)
    return ImportedRows(
        made.x, made.video, made.frame, made.box, False, note=_tell(parts), shape=shape
    )


def _tell(parts: list[Rows]) -> str:
    """What is to be said of windows without a row."""
    flat = sum(part.flat for part in parts)
    return f"{flat} windows whose joints all lie on one level have no row" if flat else ""
