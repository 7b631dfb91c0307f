"""Crops: how the pixels of a box become the square picture that a network takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Crop = Callable[[Picture, Floats, Colour], Picture]


def square(frame: Picture, box: Floats, colour: Colour) -> Picture:
    """[L, L, 3] RGB: the box, widened to whole pixels, in the middle of a square as wide as its
    longer side.

    What the box does not fill, or lies outside the frame, is `colour`: the network's mean, which is
    0 once normalised, as is the padding that a convolution puts beyond a picture's border. Not the
    scene around the box, because a row is to describe its own object: a cyclist would make the
    walker beside it anomalous. Not the box stretched, because that changes a body's proportions.
    """
    x0, y0, x1, y1 = _whole(box)
    side = max(x1 - x0, y1 - y0)
    out = np.full((side, side, 3), colour, np.uint8)
    top, left = (side - (y1 - y0)) // 2, (side - (x1 - x0)) // 2
    out[top : top + y1 - y0, left : left + x1 - x0] = _cut(frame, (x0, y0, x1, y1), colour)
    return out


def stretch(frame: Picture, box: Floats, colour: Colour) -> Picture:
    """[h, w, 3] RGB: what the frame shows of the box, widened to whole pixels; `resize` makes it
    square. One pixel of `colour` where the box lies outside.

    Source: the code released with AccI-VAD (Reiss and Hoshen, 2022).
    """
    x0, y0, x1, y1 = _whole(box)
    height, width = frame.shape[:2]
    x0, x1 = (min(max(x, 0), width) for x in (x0, x1))
    y0, y1 = (min(max(y, 0), height) for y in (y0, y1))
    if x1 <= x0 or y1 <= y0:
        return np.full((1, 1, 3), colour, np.uint8)
    return _cut(frame, (x0, y0, x1, y1), colour)


def context(frame: Picture, box: Floats, colour: Colour) -> Picture:
    """[L, L, 3] RGB: the scene around the box's middle, as wide as its longer side; `colour`
    outside the frame.
    """
    x0, y0, x1, y1 = _whole(box)
    side = max(x1 - x0, y1 - y0)
    left, top = x0 - (side - (x1 - x0)) // 2, y0 - (side - (y1 - y0)) // 2
    return _cut(frame, (left, top, left + side, top + side), colour)


CROPS: dict[str, Crop] = {"pad": square, "stretch": stretch, "context": context}


def batches(
    frames: Iterable[Picture],
    boxes: list[Floats],
    size: int,
    colour: Colour,
    most: int,
    crop: Crop = square,
) -> Iterator[tuple[Picture, int]]:
    """Crops [at most `most`, size, size, 3] of all frames' boxes, frame by frame, each with how
    many more frames are done with it.
    """
    waiting: list[Picture] = []
    done = 0
    for frame, of_frame in zip(frames, boxes, strict=True):
        for box in of_frame:
            waiting.append(resize(crop(frame, box, colour), size))
            if len(waiting) == most:
                yield np.stack(waiting), done
                waiting, done = [], 0
        done += 1
    yield np.stack(waiting) if waiting else np.zeros((0, size, size, 3), np.uint8), done


def resize(picture: Picture, size: int) -> Picture:
    """The picture squashed to [size, size] or [size, size, 3]: area means where it shrinks, cubic
    where it grows.
    """
    import cv2

    shrinks = max(picture.shape[:2]) > size
    return np.asarray(
        cv2.resize(
            picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        ),
        np.uint8,
    )


def _whole(box: Floats) -> tuple[int, int, int, int]:
    """The box widened to whole pixels, at least one."""
    x0, y0 = np.floor(box[:2]).astype(np.int64).tolist()
    x1, y1 = np.ceil(box[2:]).astype(np.int64).tolist()
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _cut(frame: Picture, place: tuple[int, int, int, int], colour: Colour) -> Picture:
    """[y1 - y0, x1 - x0, 3] RGB of a place in the frame, `colour` where there is none."""
    import cv2

    x0, y0, x1, y1 = place
    out = np.full((y1 - y0, x1 - x0, 3), colour, np.uint8)
    inside = frame[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if inside.size:
        rows, columns = inside.shape[:2]
        down, right = max(-y0, 0), max(-x0, 0)
        out[down : down + rows, right : right + columns] = (
            inside if inside.ndim == 3 else cv2.cvtColor(inside, cv2.COLOR_GRAY2RGB)
        )
    return out
