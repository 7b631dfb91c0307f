"""A clip's poses to rows: windows of T poses of one person, normalised each by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.poses import Poses
from vadbench.features.sequences.joints import NAMES, to_openpose
from vadbench.features.sequences.options import SequenceOptions
from vadbench.features.sequences.windows import window_starts

# the deviation of y, in its largest absolute value, below which all joints lie on one line
FLAT = 1e-9


class Rows(NamedTuple):
    """The windows of a clip.

    Attributes:
        x: [m, 2 T 18] float32, each [2, T, 18] in C order: x of every pose and joint, then y.
        frame: [m] the frame f0 + T // 2 that a window stands at, f0 being its first pose's.
        middle: [m] which pose of the clip is the window's T // 2-th.
        nearest: [m] which pose of the window is nearest to that frame.
        flat: how many windows have no row, for their joints lie on one line.
    """

    x: NDArray[np.float32]
    frame: NDArray[np.int64]
    middle: NDArray[np.int64]
    nearest: NDArray[np.int64]
    flat: int


def make_rows(poses: Poses, options: SequenceOptions, stride: int) -> Rows:
    """The windows of all persons of a clip, person by person.

    A pose that lacks a joint is no pose but a gap: no guess enters a window.

    Args:
        poses: of the clip, in any order.
        options: of the windows.
        stride: poses from one window's first to the next one's.
    """
    members = [_windows(poses, own, options, stride) for own in _persons(poses)]
    windows = np.concatenate([np.zeros((0, options.window), np.int64), *members])
    x, good = normalise(to_openpose(poses.joints[windows]), options.ratio)
    kept, half = windows[good], options.window // 2
    frames = poses.frame[kept]
    frame = frames[:, 0] + half
    nearest = np.abs(frames - frame[:, None]).argmin(1)
    return Rows(
        x[good].reshape(len(kept), 2 * options.window * len(NAMES)),
        frame,
        kept[:, half],
        kept[np.arange(len(kept)), nearest],
        int((~good).sum()),
    )


def normalise(
    joints: NDArray[np.float64], ratio: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """[m, 2, T, V] windows about their own mean, both coordinates divided by the deviation of y
    over all poses and joints; and [m] which are good: joints on one level have no deviation.

    So y has mean 0 and variance 1 in every window, x what is left: the extent across in units of
    the one upwards.

    Args:
        joints: [m, T, V, 2] in pixels.
        ratio: of x.
    """
    planes = joints.transpose(0, 3, 1, 2) * np.array([ratio, 1.0])[:, None, None]
    centred = planes - planes.mean((2, 3), keepdims=True)
    spread = centred[:, 1].std((1, 2))
    good = spread > FLAT * np.maximum(np.abs(planes[:, 1]).max((1, 2), initial=0), 1e-300)
    scale = np.where(good, spread, 1.0)[:, None, None, None]
    with np.errstate(over="ignore"):  # what is no float32 is refused where rows are checked
        return (centred / scale).astype(np.float32), good


def column_names(window: int) -> tuple[str, ...]:
    """Names of the 2 T 18 columns."""
    return tuple(
        f"{axis}_{pose}_{joint}" for axis in "xy" for pose in range(window) for joint in NAMES
    )


def _persons(poses: Poses) -> list[NDArray[np.int64]]:
    """For each person which poses, by frame, are whole."""
    order = np.lexsort((poses.frame, poses.person))
    order = order[poses.whole[order]]
    return np.split(order, np.flatnonzero(np.diff(poses.person[order])) + 1)


def _windows(
    poses: Poses, own: NDArray[np.int64], options: SequenceOptions, stride: int
) -> NDArray[np.int64]:
    """[m, T] which poses of the clip the windows of a person hold."""
    starts = window_starts(poses.frame[own], options, stride)
    members: NDArray[np.int64] = own[starts[:, None] + np.arange(options.window)]
    return members
