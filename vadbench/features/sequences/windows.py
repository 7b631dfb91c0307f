"""Where the windows of one person's poses begin.

Source: STG-NF's released code (`starts = released`), and the same without its losses (`whole`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vadbench.features.sequences.options import SequenceOptions

Places = NDArray[np.int64]


def window_starts(frame: Places, options: SequenceOptions, stride: int) -> Places:
    """Index of the first pose of every window of a person.

    Args:
        frame: [n] frames of the person's poses, rising.
        options: of the windows.
        stride: poses from one window's first to the next one's.

    >>> window_starts(np.array([0, 1, 2, 3, 9, 10, 11]), SequenceOptions(window=3, missing=0), 1)
    array([0, 1, 4])
    """
    length, poses = options.window, len(frame)
    if options.starts == "released":
        starts = np.arange(max(0, -(-(poses - length) // stride)), dtype=np.int64) * stride
        inside = np.searchsorted(frame, frame[starts] + length) - starts
        together: Places = starts[np.minimum(inside, length) >= length - options.missing]
        return together
    starts = np.arange(0, poses - length + 1, stride, dtype=np.int64)
    span = frame[starts + length - 1] - frame[starts]
    kept: Places = starts[span <= length - 1 + options.missing]
    return kept
