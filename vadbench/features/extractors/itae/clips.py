"""Which clips a video is cut into, which of them speaks for a frame, and what is read off a clip.

Source: Cho et al. (2022), Sec. 4; how test clips overlap is not in it (see `latent_places`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.int64]
Image = NDArray[np.uint8]
LUMA = (0.299, 0.587, 0.114)  # of red, green, blue


def clip_starts(frames: int, clip: int, stride: int) -> Ints:
    """First frames of a video's clips: every `stride`-th, and one that ends at the last frame.

    A video shorter than a clip has one, from 0, that repeats its last frame.

    >>> clip_starts(37, 16, 8).tolist(), clip_starts(9, 16, 8).tolist()
    ([0, 8, 16, 21], [0])
    """
    last = max(frames - clip, 0)
    return np.append(np.arange(0, last, stride), last).astype(np.int64)


def latent_places(frames: int, clip: int, stride: int) -> tuple[Ints, Ints]:
    """[T] number of the clip whose latents describe a frame, and [T] the frame's place in it.

    Of the clips that contain the frame, the one in which it is nearest to the middle (place 8 of
    16, itself an input of the static path), the earlier of two.
    """
    starts = clip_starts(frames, clip, stride)
    t = np.arange(frames)
    # clips are in order, so the nearest is the last at or before t - clip / 2 or the one after
    after = np.searchsorted(starts, t - clip // 2, side="left").clip(max=len(starts) - 1)
    before = np.maximum(after - 1, 0)
    nearer = abs(t - starts[after] - clip // 2) < abs(t - starts[before] - clip // 2)
    left = t - starts[before] >= clip  # where clips do not overlap
    chosen = np.where(nearer | left, after, before).astype(np.int64)
    return chosen, t - starts[chosen]


def cut(frames: Iterable[Image], starts: Ints, clip: int) -> Iterator[Image]:
    """[clip, h, w(, 3)] each clip in turn: one pass over the frames, holding as many as a clip."""
    held: deque[Image] = deque(maxlen=clip)
    waiting = iter(starts.tolist())
    start = next(waiting)
    for t, frame in enumerate(frames):
        held.append(frame)
        if t == start + clip - 1:
            yield np.stack(held)
            start = next(waiting, -clip)
    if 0 < len(held) < clip:
        yield np.stack([*held, *[held[-1]] * (clip - len(held))])


class FrameMeans:
    """Means over clips of what each says of its frames, given out as soon as no further clip
    contains the frame.

    Memory holds the frames of the clips that overlap.

    >>> means = FrameMeans(frames=4, starts=np.array([0, 1]))
    >>> means.add(0, np.array([1.0, 2.0, 3.0])).tolist()
    [1.0]
    >>> means.add(1, np.array([4.0, 5.0, 6.0])).tolist()
    [3.0, 4.0, 6.0]

    Args:
        frames: of the video; what a clip says beyond them is of repeated frames, and not used.
        starts: first frame of each clip, rising.
    """

    def __init__(self, frames: int, starts: Ints) -> None:
        self.frames = frames
        self.ends = [*starts[1:].tolist(), frames]  # the frames that each clip completes
        self.starts = starts.tolist()
        self.pending: deque[tuple[NDArray[np.float64], int]] = deque()

    def add(self, number: int, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """The means [n, ...] of the frames that clip `number` completes, which follow those given
        before.

        Args:
            number: of the clip; all before it have been added.
            values: [clip, ...], one a frame of the clip.
        """
        start, end = self.starts[number], self.ends[number]
        for k, value in enumerate(values[: self.frames - start]):
            if k < len(self.pending):
                total, count = self.pending[k]
                self.pending[k] = total + value, count + 1
            else:
                self.pending.append((value.astype(np.float64), 1))
        done = [self.pending.popleft() for _ in range(end - start)]
        return np.stack([total / count for total, count in done])


class Patch(NamedTuple):
    """The window of a frame with the largest mean error.

    Attributes:
        error: [...] its mean.
        row: [...] of its first pixel.
        column: [...] of its first pixel.
    """

    error: Tensor
    row: Tensor
    column: Tensor


def frame_errors(frames: Tensor, reconstruction: Tensor, squared: bool = False) -> Tensor:
    """[B, T, H, W] error of each pixel, of values in [0, 1], averaged over the colours.

    Args:
        frames: [B, C, T, H, W] in [-1, 1].
        reconstruction: of the same shape.
        squared: else absolute.
    """
    difference = (frames - reconstruction) / 2
    return (difference.square() if squared else difference.abs()).mean(1)


def worst_patch(errors: Tensor, side: int) -> Patch:
    """The largest mean of any side x side window of each error map [..., H, W], and its place."""
    from torch.nn import functional

    *batch, height, width = errors.shape
    means = functional.avg_pool2d(errors.reshape(-1, 1, height, width), side, stride=1)
    largest, place = means.flatten(1).max(1)
    across = means.shape[-1]
    found = largest, place // across, place % across
    return Patch(*(values.reshape(batch) for values in found))


def pooled_maps(latents: Tensor) -> Tensor:
    """[B, T, 2, h, w] largest and mean value over the channels of latents [B, C, T, h, w]."""
    import torch

    return torch.stack([latents.amax(1), latents.mean(1)], dim=2)


def intensity(frames: Tensor, cell: int = 4) -> Tensor:
    """[B, T, H / cell, W / cell] luma in [-1, 1], area means of cell x cell pixels.

    Args:
        frames: [B, C, T, H, W] in [-1, 1].
        cell: pixels along either side.
    """
    from torch.nn import functional

    grey = frames[:, 0]
    if frames.shape[1] == len(LUMA):
        grey = sum(weight * frames[:, c] for c, weight in enumerate(LUMA))  # type: ignore[assignment]
    return functional.avg_pool2d(grey, cell)
