"""Files of other labels, in `$VADBENCH_DATA/labels/<data set>`: frame labels that circulate beside
the official ones, and masks of the frames that are measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.files.mat import read_mat
from vadbench.files.npy import load_npy

MOST = 1 << 28  # bytes of a file of labels


def labels_folder(root: Path, dataset: str) -> Path:
    """Where files of other labels of a data set are."""
    return root / "labels" / dataset


def read_flat_labels(path: Path, lengths: dict[str, int]) -> dict[str, NDArray[np.uint8]]:
    """Labels of all frames of all videos in one array, 1 = anomalous.

    Args:
        path: an npy, [T] or [1, T] or [T, 1].
        lengths: video -> frames, in the file's order.

    Raises:
        BadInput: if the file is missing or damaged, or has other values or frames.
    """
    values = _read_array(path)
    total = sum(lengths.values())
    if values.size != total or max(values.shape, default=0) != total:
        raise BadInput(f"{path}: labels of shape {values.shape}; expected {total} frames")
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise BadInput(f"{path}: {values.dtype} values that are not 0 or 1")
    parts = np.split(values.ravel().astype(np.uint8), np.cumsum(list(lengths.values()))[:-1])
    return dict(zip(lengths, parts, strict=True))


def read_interval_labels(path: Path, lengths: dict[str, int]) -> dict[str, NDArray[np.uint8]]:
    """Labels of a mat file with a cell `gt`: of each video [2, n] first and last frame, from 1 and
    inclusive, as ano_pred (CVPR 2018) has them.

    Args:
        path: the file.
        lengths: video -> frames, in the file's order.

    Raises:
        BadInput: if the file is missing or damaged, or has other cells or an interval outside of
            its video.
    """
    if not path.is_file():
        raise BadInput(f"{path}: not there; docs/datasets.md says what it is")
    try:
        cells = read_mat(path, MOST).get("gt")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); copy it again") from error
    if cells is None or cells.dtype != object or cells.size != len(lengths):
        raise BadInput(f"{path}: no cell array gt of {len(lengths)} videos")
    labels = {}
    for (name, frames), cell in zip(lengths.items(), cells.ravel(), strict=True):
        labels[name] = np.zeros(frames, np.uint8)
        spans = np.asarray(cell)
        if spans.ndim != 2 or spans.shape[0] != 2 or spans.dtype.kind not in "iuf":
            raise BadInput(f"{path}: gt of {name} is {spans.dtype} {spans.shape}; expected [2, n]")
        for first, last in spans.T.tolist():
            if not (1 <= first <= last <= frames and first % 1 == last % 1 == 0):
                raise BadInput(
                    f"{path}: interval {first:g} to {last:g} of {name}, which has frames 1 to"
                    f" {frames}"
                )
            labels[name][int(first) - 1 : int(last)] = 1
    return labels


def read_kept(path: Path, frames: int) -> NDArray[np.bool_]:
    """[T] which frames of a video are measured: an npy, true = measured.

    Raises:
        BadInput: if the file is missing or damaged, or has other values or frames.
    """
    values = _read_array(path)
    if values.shape != (frames,) or values.dtype.kind not in "biu" or not _is_binary(values):
        raise BadInput(
            f"{path}: {values.dtype} of shape {values.shape}; expected true (measured) or false"
            f" of each of {frames} frames"
        )
    return values.astype(np.bool_)


def _is_binary(values: NDArray[Any]) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _read_array(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise BadInput(f"{path}: not there; docs/datasets.md says what it is")
    return load_npy(path, "copy it again")
