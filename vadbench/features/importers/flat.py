"""One array of a row, or a number, a frame: all clips of a split one after the other, in the data
set's order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.lengths import why_total_differs
from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput
from vadbench.features.importers.arrays import read_mat, read_npy, read_npz, read_txt
from vadbench.features.importers.clips import Clips, ImportedRows, Layout, finite, in_order, numbers
from vadbench.features.importers.columns import refuse_telling
from vadbench.features.importers.concatenated import place_entry
from vadbench.features.importers.crops import CROP

KINDS = ".npy, .txt, or .npz or .mat with one array"


def read_frames(path: Path, clips: Clips, layout: Layout) -> ImportedRows:
    """An array [frames, D] or [frames]: of an .npy or .txt file, or the only one of an .npz or .mat
    file.

    Args:
        path: the file.
        clips: what it has to fit.
        layout: not looked at.

    Raises:
        BadInput: on a file that is broken, or of other frames.
    """
    kind = path.suffix.lower()
    if kind == ".npy":
        return split_frames(read_npy(path), str(path), clips)
    if kind == ".txt":
        return split_frames(read_txt(path), str(path), clips)
    if kind not in (".npz", ".mat") or path.is_dir():
        raise BadInput(f"{path}: no array of all frames; expected {KINDS}")
    arrays = read_npz(path) if kind == ".npz" else read_mat(path)
    name = find_frames(arrays, clips)
    if name is None:
        raise BadInput(
            f"{path}: arrays {', '.join(arrays) or 'none'}; expected one array of all frames, or x"
        )
    return split_named(arrays[name], name, path, clips)


def find_frames(arrays: dict[str, NDArray[Any]], clips: Clips) -> str | None:
    """The array that may hold all frames: `x`, or the only one; None where arrays are named after
    clips, say where each row belongs, or are cells.
    """
    if len(arrays) > 1 and {"video", "frame"} & set(arrays):
        return None
    name = "x" if "x" in arrays else next(iter(arrays), None)
    if name is None or (name != "x" and len(arrays) > 1) or arrays[name].dtype.kind == "O":
        return None
    parts = CROP.fullmatch(name)
    called = {name.rpartition("/")[2], parts["clip"].rpartition("/")[2] if parts else name}
    return None if any(match_names([one], clips.names).partner for one in called) else name


def split_named(values: NDArray[Any], name: str, path: Path, clips: Clips) -> ImportedRows:
    """As `split_frames`, of an array of an archive, whose name may say that it holds scores where
    these are numbers.
    """
    where = f"{path}: array {name}"
    values = _straighten(numbers(values, where), clips)
    refuse_telling(name, path, scores=values.ndim == 1 or values.shape[1:] == (1,))
    return split_frames(values, where, clips)


def split_frames(values: NDArray[Any], where: str, clips: Clips) -> ImportedRows:
    """The rows [frames, D], or numbers [frames], of all clips as windows, one a frame.

    Raises:
        BadInput: if there are more or fewer than frames, with the cause that fits; on a number that
            is not finite; on labels.
    """
    values = _straighten(numbers(values, where), clips)
    if values.ndim not in (1, 2) or not values.size:
        raise BadInput(
            f"{where}: an array of shape {list(values.shape)}, expected [frames, features] or"
            " [frames]"
        )
    order = list(enumerate(clips.videos))
    frames = clips.totals[clips.split]
    if len(values) != frames:
        raise BadInput(
            f"{where}: {len(values)} rows, the {len(order)} {clips.split} clips of {clips.dataset}"
            f" have {frames} frames, expected a row each; {_why(values, clips)}"
        )
    x = finite(
        values.reshape(frames, -1), where, lambda row: f"row {row} ({place_entry(row, order)})"
    )
    video = np.concatenate([np.full(clip.frames, number) for number, clip in order])
    frame = np.concatenate([np.arange(clip.frames) for _, clip in order])
    return in_order(x, video, frame, None, windows=True)


def _straighten(values: NDArray[Any], clips: Clips) -> NDArray[Any]:
    """[frames] of a row vector [1, frames], as MATLAB and text files have them."""
    return values[0] if values.shape == (1, clips.totals[clips.split]) else values


def _why(values: NDArray[Any], clips: Clips) -> str:
    """The likely cause of another number of rows."""
    found, totals = len(values), clips.totals
    if values.shape[1:] == (totals[clips.split],):
        return "it is [features, frames], give its transpose"
    other = next((split for split in totals if split != clips.split and totals[split] == found), "")
    if other:
        return f"the {other} clips have as many, is it theirs?"
    if found == sum(totals.values()):
        return f"{' and '.join(totals)} together have as many, give each split a file of its own"
    return why_total_differs(found, {clip.name: clip.frames for clip in clips.videos}, "row")
