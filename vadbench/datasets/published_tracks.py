"""The region tracks that were published for RBDC and TBDC, where the user has put them: we ship
none.

They lie in `$VADBENCH_DATA/tracks/<dataset>/regions/`, one txt a test video as published: named
after it, rows `track,frame,x0,y0,x1,y1`, frames from 0, no file or an empty
one for a video without regions. `vadbench score regions` reads the same files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset
from vadbench.datasets.derived_tracks import COLUMNS, check_regions
from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput

SOURCE = "published"


def regions_folder(root: Path, dataset: str) -> Path:
    """Where the published tracks of `dataset` lie, if the user has any; `root` is the folder that
    `$VADBENCH_DATA` names.
    """
    return root / "tracks" / dataset / "regions"


def published_tracks(dataset: Dataset) -> pd.DataFrame | None:
    """The published regions: video (name), track, frame (from 0), x0, y0, x1, y1 (inclusive
    pixels); None where none are in place.

    Args:
        dataset: whose test videos they are of; `1.txt` is as good as `01.txt` for its video 01,
            where that leaves no doubt.

    Raises:
        BadInput: if a file cannot be read, is named after no test video, or has a frame that its
            video has not, boxes of frames of another size, or two boxes of a track in one frame; or
            if the folder has no txt.
    """
    folder = regions_folder(dataset.root, dataset.name)
    if not folder.is_dir():
        return None
    from vadbench.files.tables import read_tracks

    found = read_tracks(folder)
    videos = {video.name: video for video in dataset.videos("test")}
    partner = _partners(folder, dataset, videos)
    if dataset.only is not None:  # the files are of the whole data set
        here = np.isin(found["video"].astype(str), list(partner))
        found = {name: values[here] for name, values in found.items()}
    names = [partner[str(stem)] for stem in found["video"]]
    regions = pd.DataFrame(
        {
            "video": pd.Series(names, dtype="str"),
            **{name: _whole(found[name]) for name in COLUMNS[1:]},
        }
    )
    late = regions["frame"] >= regions["video"].map(
        {name: video.frames for name, video in videos.items()}
    )
    if late.any():
        row = regions[late].iloc[0]
        last = videos[row["video"]].frames - 1
        raise BadInput(
            f"{folder}: frame {row['frame']} of video {row['video']}, which has frames 0 to {last};"
            " expected frames from 0"
        )
    twice = regions.duplicated(["video", "track", "frame"])
    if twice.any():
        row = regions[twice].iloc[0]
        raise BadInput(
            f"{folder}: two boxes of track {row['track']} in frame {row['frame']} of video"
            f" {row['video']}; expected one, remove one"
        )
    check_regions(regions, dataset, str(folder))
    return regions


def _partners(folder: Path, dataset: Dataset, videos: Iterable[str]) -> dict[str, str]:
    """Stem of a txt -> its test video; a video without a file has no regions."""
    stems = [path.stem for path in sorted(folder.glob("*.txt")) if not path.name.startswith(".")]
    matched = match_names(stems, videos)
    if matched.extra and dataset.only is None:
        raise BadInput(
            f"{folder}: names of txt files and test videos of {dataset.name} differ"
            f" ({matched.lone}); expected one txt a video, as named"
        )
    return matched.partner


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64] | NDArray[np.float64]:
    """int64 where all are whole: boxes may be fractional, track and frame numbers are not."""
    named = values.dtype.kind == "U"
    return values if named or (values != np.floor(values)).any() else values.astype(np.int64)
