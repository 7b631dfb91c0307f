"""Lengths of training videos that are not on this machine, from a file of person tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vadbench.errors import BadInput
from vadbench.files.npz import open_npz, pick


def tracks_path(root: Path, dataset: str) -> Path:
    """The DeepSORT tracks of a data set's training videos."""
    return root / "tracks" / dataset / "deepsort_train.npz"


def tracked_lengths(path: Path, missing: str) -> dict[str, int]:
    """Video -> its last tracked frame + 1: frames after the last person's are not counted; training
    frames without persons have no row either way.

    Args:
        path: an npz with arrays rows, columns, video, count, as `TracksFile` reads it.
        missing: why it is needed, and what helps.

    Raises:
        BadInput: if it is missing or damaged.
    """
    if not path.is_file():
        raise BadInput(missing)
    try:
        with open_npz(path) as arrays:
            columns = pick(arrays, "columns", 1, "U").tolist()
            frame = pick(arrays, "rows", 2)[:, columns.index("Frame_Number")]
            names = pick(arrays, "video", 1, "Uiu").tolist()
            ends = np.cumsum(pick(arrays, "count", 1, "iu").astype(np.int64))
    except (ValueError, IndexError, OSError) as error:
        raise BadInput(
            f"{path}: damaged or not a track file ({error}); expected arrays rows, columns, video,"
            " count"
        ) from error
    if not ((frame >= 0) & (frame < 1 << 31) & (frame == np.floor(frame))).all():
        raise BadInput(f"{path}: Frame_Number of rows that is none; get the file again")
    if (
        len(ends) != len(names)
        or not len(names)
        or ends[-1] != len(frame)
        or (np.diff(ends, prepend=0) < 1).any()
    ):
        raise BadInput(
            f"{path}: counts do not add up to its {len(frame)} rows, or a video has none; get the"
            " file again"
        )
    return {
        str(name): int(frame[start:end].max()) + 1
        for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)
    }
