"""Reading videos with a trained network: one pass over the frames, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vadbench.ahead import ahead
from vadbench.features.extractors.itae.clips import (
    FrameMeans,
    clip_starts,
    cut,
    frame_errors,
    intensity,
    latent_places,
    pooled_maps,
    worst_patch,
)
from vadbench.features.extractors.itae.network import ITAE, Latents
from vadbench.features.extractors.itae.options import ItaeOptions
from vadbench.features.extractors.itae.training import scale
from vadbench.features.extractors.reconstruction import Reconstruction
from vadbench.features.footage import Footage
from vadbench.features.networks.frames import resize_frame

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Advance = Callable[[int], None]

BATCH = 4  # clips at a time
LEAST = 2  # torch unfolds the maps of a single clip on a CPU: slower, in 27 times the memory
LARGEST = 2**28  # bytes of a batch's largest map: fewer clips at a time where frames are large


class Reader:
    """Reads footage with a network.

    Args:
        net: trained, in evaluation mode, on `device`.
        options: with which it was trained, and how to read.
        device: where it runs.
    """

    def __init__(self, net: ITAE, options: ItaeOptions, device: torch.device | str) -> None:
        self.net = net
        self.options = options
        self.device = device

    def errors(self, footage: Footage, advance: Advance) -> Floats:
        """[T, 1] mean over the clips that contain a frame of its worst square's error, Eq. 12."""
        starts = self._starts(footage)
        means, rows = FrameMeans(len(footage), starts), []
        for number, values in self._each(footage, starts, self._clip_errors):
            rows.append(means.add(number, values))
            advance(len(rows[-1]))
        return np.concatenate(rows).astype(np.float32)[:, None]

    def latents(self, footage: Footage, variant: str, columns: int, advance: Advance) -> Floats:
        """[T, columns] what `variant` reads off the clip that describes each frame."""
        count, options = len(footage), self.options
        chosen, place = latent_places(count, options.clip, options.stride)
        read = LATENTS[variant]

        def clip_rows(frames: Tensor) -> Tensor:
            return read(frames, self.net.encode(frames), options.tau)

        rows = np.empty((count, columns), np.float32)
        for number, values in self._each(footage, self._starts(footage), clip_rows):
            first, end = np.searchsorted(chosen, [number, number + 1])
            rows[first:end] = values[place[first:end]]
            advance(int(end - first))
        return rows

    def pictures(self, footage: Footage) -> Iterator[Reconstruction]:
        """What the network makes of every frame, in order: reconstruction and each pixel's error,
        of values between 0 and 1, are means over the clips that contain the frame.
        """
        starts = self._starts(footage)
        means = FrameMeans(len(footage), starts)
        for number, values in self._each(footage, starts, self._clip_pictures):
            yield from map(self._picture, means.add(number, values))

    def _starts(self, footage: Footage) -> NDArray[np.int64]:
        return clip_starts(len(footage), self.options.clip, self.options.stride)

    def _clip_errors(self, frames: Tensor) -> Tensor:
        """[B, T] error of the worst square."""
        squared = self.options.error == "squared"
        errors = frame_errors(frames, self.net(frames)[0], squared)
        return worst_patch(errors, self.options.side).error

    def _clip_pictures(self, frames: Tensor) -> Tensor:
        """[B, T, 2C + 2, h, w]: frames and reconstructions in [-1, 1], errors, and the worst
        square's error all over a map.
        """
        out = self.net(frames)[0]
        errors = frame_errors(frames, out, self.options.error == "squared")
        worst = worst_patch(errors, self.options.side).error[..., None, None].expand_as(errors)
        maps = [frames, out, errors[:, None], worst[:, None]]
        return torch.cat(maps, dim=1).transpose(1, 2)

    def _picture(self, maps: NDArray[np.float64]) -> Reconstruction:
        """Of the means [2C + 2, h, w] of a frame."""
        channels, side = self.options.channels, self.options.side
        error = maps[-2].astype(np.float32)
        worst = worst_patch(torch.from_numpy(error), side)
        return Reconstruction(
            _grey_levels(maps[:channels]),
            _grey_levels(maps[channels:-2]),
            error,
            (int(worst.row), int(worst.column), side),
            float(np.float32(maps[-1, 0, 0])),
        )

    def _each(
        self, footage: Footage, starts: NDArray[np.int64], read: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[int, Floats]]:
        """Number of each clip and what `read` gives for it, [clip, ...]."""
        size = batch_size(self.options)
        number = 0
        for clips in ahead(_batches(footage, starts, self.options, size)):
            values = self._run(clips, size, read)
            for value in values[: len(clips)]:
                yield number, value
                number += 1

    @torch.inference_mode()
    def _run(self, clips: Image, size: int, read: Callable[[Tensor], Tensor]) -> Floats:
        """A last, partial batch is filled up with its first clip: all batches have one shape, so
        that a clip's values do not depend on how many come after it.
        """
        full = np.concatenate([clips, np.repeat(clips[:1], size - len(clips), axis=0)])
        frames = scale(torch.from_numpy(full).to(self.device).permute(0, 4, 1, 2, 3))
        values: Floats = read(frames).cpu().numpy()
        return values


def batch_size(options: ItaeOptions) -> int:
    """Clips read at a time."""
    from vadbench.features.extractors.itae.network import Widths

    widest = Widths().scaled(options.width).static[0]
    bytes_a_clip = 4 * widest * options.clip * options.size[0] * options.size[1]
    return min(max(LARGEST // bytes_a_clip, LEAST), BATCH)


def _batches(
    footage: Footage, starts: NDArray[np.int64], options: ItaeOptions, size: int
) -> Iterator[Image]:
    """[B, clip, h, w, C] all clips in order."""
    whole = footage.rgb() if options.colour else footage.grey()
    frames = (resize_frame(frame, options.size) for frame in whole)
    clips = cut(frames, starts, options.clip)
    while some := list(islice(clips, size)):
        yield np.stack(some).reshape(len(some), options.clip, *options.size, options.channels)


def static_rows(frames: Tensor, latents: Latents, tau: int) -> Tensor:
    """[B, T, 3 h w] largest and mean value over the channels and intensity of the slice that covers
    each frame.
    """
    own = intensity(frames[:, :, ::tau])[:, :, None]
    maps = torch.cat([pooled_maps(latents[0]), own], dim=2)
    return maps.flatten(2).repeat_interleave(tau, dim=1)


def dynamic_rows(frames: Tensor, latents: Latents, tau: int) -> Tensor:
    """[B, T, 2 h w] largest and mean value over the channels of each frame's slice."""
    if latents[1] is None:
        raise ValueError("a network of one path has no dynamic latents")
    return pooled_maps(latents[1]).flatten(2)


def pooled_rows(frames: Tensor, latents: Latents, tau: int) -> Tensor:
    """[B, T, D] largest and mean value over the channels of both paths, averaged over 2 x 2 cells;
    at an odd side the last cells are those that are left.
    """
    static, dynamic = latents
    maps = [_halved(pooled_maps(static)).flatten(2).repeat_interleave(tau, dim=1)]
    if dynamic is not None:
        maps.append(_halved(pooled_maps(dynamic)).flatten(2))
    return torch.cat(maps, dim=2)


def _halved(maps: Tensor) -> Tensor:
    """[B, T, M, h, w] averaged over 2 x 2 cells."""
    cells = functional.avg_pool2d(maps.flatten(0, 1), 2, ceil_mode=True)
    return cells.reshape(*maps.shape[:3], *cells.shape[-2:])


def _grey_levels(values: NDArray[np.float64]) -> Image:
    """[h, w] or [h, w, 3] uint8 of [C, h, w] in [-1, 1]."""
    levels = np.rint((values + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)


LATENTS = {"static": static_rows, "dynamic": dynamic_rows, "pooled": pooled_rows}
