"""Boxes and masks against the size of the frames they belong to: in pixels of these frames, or
refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

Size = tuple[int, int]  # height and width in pixels
ROUNDING = 1.0  # pixels that a box may lie beyond the border


def check_boxes(
    box: NDArray[Any], size: Size, where: str, place: Callable[[int], str] = "row {}".format
) -> None:
    """Refuse boxes that are not in pixels of frames of this size.

    A box may overrun the frame, as those of detectors and trackers do, by up to half the frame's
    side; it may not lie outside as a whole, and not all boxes may lie within the first pixel (then
    they are fractions).

    Args:
        box: [N, 4] x0, y0, x1, y1 in pixels, x right, y down.
        size: of the frames.
        where: the file, for the message.
        place: says where box k stands in it.

    Raises:
        BadInput: naming both sizes and, of a box outside, its place.
    """
    if not len(box):
        return
    height, width = size
    frame = f"the frames are {width} x {height} (width x height)"
    if np.abs(box).max() < 2 <= min(size):  # fractions may overrun the frame as pixels do
        told = f"{where}: all boxes lie within one pixel, {frame}"
        raise BadInput(f"{told}; expected pixels, multiply fractions by the frame's size")
    beyond = np.array([height, width])[::-1]  # right and down
    outside = (box[:, 2:] < -ROUNDING).any(1) | (box[:, :2] > beyond + ROUNDING).any(1)
    outside |= (box[:, :2] < -beyond / 2).any(1) | (box[:, 2:] > 1.5 * beyond).any(1)
    if outside.any():
        row = int(np.argmax(outside))
        right, down = box[:, 2].max(), box[:, 3].max()
        told = f"{where}: {place(row)}: box {np.asarray(box[row]).tolist()} lies outside, {frame}"
        raise BadInput(
            f"{told} and the boxes reach to {right:g} x {down:g}; expected boxes of these frames"
        )


def check_size(found: Size, expected: Size, what: str, of: str) -> None:
    """Refuse a picture, such as a mask, of another size than the frames.

    Raises:
        BadInput: with both sizes, as width x height.
    """
    if tuple(found) != tuple(expected):
        sizes = f"{found[1]} x {found[0]} where {of} has {expected[1]} x {expected[0]}"
        raise BadInput(f"{what}: {sizes} (width x height); expected the frames' size")
