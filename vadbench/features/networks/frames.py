"""Frames at the size of a network's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def resize_frame(frame: Image, size: tuple[int, int]) -> Image:
    """A frame [H, W] or [H, W, 3] at (height, width), area means where it shrinks."""
    import cv2

    if frame.shape[:2] == tuple(size):
        return frame
    return np.asarray(cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
