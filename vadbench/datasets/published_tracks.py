"""The region tracks that were published for RBDC and TBDC, where the user has put them: we ship none.

They lie in `$VADBENCH_DATA/tracks/<dataset>/regions/`, one txt a test video as published: named after it, rows `track,frame,x0,y0,x1,y1`,
frames from 0 (specs/evaluation.md 1.1), no file or an empty one for a video without regions. `vadbench score regions` reads the same files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.datasets.regions import COLUMNS
from vadbench.errors import BadInput

SOURCE = "published"


def regions_folder(root: Path, dataset: str) -> Path:
    """Where the published tracks of `dataset` lie, if the user has any; `root` is the folder that `$VADBENCH_DATA` names."""
    return root / "tracks" / dataset / "regions"


def published_tracks(root: Path, dataset: str, videos: Iterable[Video]) -> pd.DataFrame | None:
    """The published regions: video (name), track, frame (from 0), x0, y0, x1, y1 (inclusive pixels); None where none are in place.

    Args:
        root: the folder that `$VADBENCH_DATA` names.
        dataset: its name.
        videos: the test split; `1.txt` is as good as `01.txt` for its video 01.

    Raises:
        BadInput: if a file cannot be read, is named after no test video, or has a frame that its video has not,
            or two boxes of a track in one frame; or if the folder has no txt.
    """
    folder = regions_folder(root, dataset)
    if not folder.is_dir():
        return None
    from vadbench.scorefiles import read_tracks

    found = read_tracks(folder)
    known = {video.name: video for video in videos}
    _require_names(folder, dataset, known)
    names = [_name(str(stem), known) or "" for stem in found["video"]]
    regions = pd.DataFrame({"video": pd.Series(names, dtype="str"), **{name: _whole(found[name]) for name in COLUMNS[1:]}})
    late = regions["frame"] >= regions["video"].map({name: video.frames for name, video in known.items()})
    if late.any():
        row = regions[late].iloc[0]
        last = known[row["video"]].frames - 1
        raise BadInput(f"{folder}: frame {row['frame']} of video {row['video']}, which has frames 0 to {last}; expected frames from 0")
    twice = regions.duplicated(["video", "track", "frame"])
    if twice.any():
        row = regions[twice].iloc[0]
        raise BadInput(f"{folder}: two boxes of track {row['track']} in frame {row['frame']} of video {row['video']}; expected one, remove one")
    return regions


def _require_names(folder: Path, dataset: str, known: dict[str, Video]) -> None:
    """Every txt is named after a test video, no two after the same."""
    claimed: dict[str, Path] = {}
    for path in sorted(folder.glob("*.txt")):
        name = _name(path.stem, known)
        if path.name.startswith("."):
            continue
        if name is None:
            raise BadInput(f"{path}: {path.stem} is no test video of {dataset}; expected names as {next(iter(known))}.txt, move the file elsewhere")
        if name in claimed:
            raise BadInput(f"{path}: video {name} is also {claimed[name].name}; expected one file a video, remove one")
        claimed[name] = path


def _name(stem: str, known: Iterable[str]) -> str | None:
    """The video that a file is named after: the same name, or the same number."""
    if stem in known:
        return stem
    return next((name for name in known if stem.isdecimal() and name.isdecimal() and int(stem) == int(name)), None)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64] | NDArray[np.float64]:
    """int64 where all are whole: boxes may be fractional, track and frame numbers are not."""
    named = values.dtype.kind == "U"
    return values if named or (values != np.floor(values)).any() else values.astype(np.int64)
