"""Training: which clips a step sees, and what is minimised. The loop is the session's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vadbench.errors import BadInput
from vadbench.features.extractors.itae.clips import clip_starts
from vadbench.features.extractors.itae.loss import total
from vadbench.features.extractors.itae.network import ITAE
from vadbench.features.extractors.itae.options import ItaeOptions, count_steps

if TYPE_CHECKING:
    from vadbench.features.footage import Footage


@dataclass
class ClipBatches:
    """The batches of a training: per epoch a permutation of all clips, cut into whole batches.

    A batch is a function of its step and the seed alone.

    Attributes:
        frames: [F, h, w] or [F, h, w, 3] uint8 of all videos, one after the other; memory-mapped.
        lengths: frames of each video.
        clip: frames of a clip.
        size: clips of a batch.
        seed: of the permutations.
        table: [N, 2] video and first frame of every clip, one at each frame where a clip fits.

    Raises:
        BadInput: if there are fewer clips than a batch has.
    """

    frames: NDArray[np.uint8]
    lengths: Sequence[int]
    clip: int
    size: int
    seed: int
    table: NDArray[np.int64] = field(init=False)
    _order: tuple[int, NDArray[np.int64]] = field(init=False, default=(-1, np.zeros(0, np.int64)))

    def __post_init__(self) -> None:
        starts = [clip_starts(length, self.clip, 1) for length in self.lengths]
        videos = np.repeat(np.arange(len(starts)), [len(each) for each in starts])
        self.table = np.stack([videos, np.concatenate(starts)], axis=1)
        self._firsts = np.cumsum([0, *self.lengths])
        if len(self.table) < self.size:
            raise BadInput(
                f"itae: {len(self.table)} training clips of {self.clip} frames, fewer than a batch"
                f" of {self.size}; set itae.batch to {len(self.table)} or less"
            )

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch; clips that fill none are left out, others in each epoch."""
        return len(self.table) // self.size

    def __call__(self, step: int) -> Tensor:
        """[B, C, T, h, w] uint8 of a step, from 0."""
        epoch, place = divmod(step, self.per_epoch)
        chosen = self._permutation(epoch)[place * self.size : (place + 1) * self.size]
        clips = np.stack([self._read(*self.table[number]) for number in chosen])
        clips = clips[..., None] if clips.ndim == 4 else clips
        return torch.from_numpy(clips).permute(0, 4, 1, 2, 3)

    def _read(self, video: int, start: int) -> NDArray[np.uint8]:
        """[T, h, w(, 3)] one clip; a shorter video's last frame is repeated."""
        within = np.minimum(start + np.arange(self.clip), self.lengths[video] - 1)
        clip: NDArray[np.uint8] = self.frames[self._firsts[video] + within]
        return clip

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:  # that of the running epoch is kept
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.table))
            self._order = epoch, order
        return self._order[1]


def build(options: ItaeOptions) -> ITAE:
    """The untrained network, initialised from torch's generator."""
    return ITAE(
        options.channels,
        options.width,
        options.paths,
        options.lateral,
        options.clip,
        options.tau,
    )


def scale(clips: Tensor) -> Tensor:
    """uint8 clips as float32 in [-1, 1]."""
    return clips.float() / 127.5 - 1


def loss_of(net: ITAE, losses: Sequence[str]) -> Callable[[Tensor], Tensor]:
    """The training loss, a scalar, of uint8 clips [B, C, T, h, w]."""

    def loss(clips: Tensor) -> Tensor:
        frames = scale(clips)
        return total(losses, frames, net(frames)[0])

    return loss


def make_optimiser(net: ITAE, rate: float) -> torch.optim.Optimizer:
    """Adam, in one fused kernel where there is one."""
    weights = list(net.parameters())
    fused = all(values.device.type in ("cpu", "cuda") for values in weights)
    return torch.optim.Adam(weights, lr=rate, fused=fused)


def require_colour(videos: Sequence[Footage]) -> None:
    """Refuse to learn colours from grey videos; a network of colours reads a grey test video as
    three equal channels.

    Raises:
        BadInput: if the first frame of every video is grey.
    """
    if all(_is_grey(next(iter(video))) for video in videos):
        raise BadInput(
            f"{videos[0].dataset.name}: itae.colour asks for colour, and its training videos are"
            " grey; leave itae.colour out"
        )


def _is_grey(frame: NDArray[np.uint8]) -> bool:
    """Whether a frame has one channel, or three equal ones."""
    return frame.ndim == 2 or bool((frame == frame[..., :1]).all())


def train_network(options: ItaeOptions, videos: Sequence[Footage], session: Any) -> ITAE:
    """A network trained on clips of the videos.

    Args:
        options: of the training.
        videos: for training, those that are held out not among them.
        session: maps frames, seeds torch, runs the steps and keeps them.

    Raises:
        BadInput: if there are too few clips, or colours are asked of grey videos.
    """
    if options.colour:
        require_colour(videos)
    kept = session.map_frames(videos, options.size, options.colour)
    batches = ClipBatches(kept.frames, kept.lengths, options.clip, options.batch, session.seed)
    steps = count_steps(options, len(batches.table))
    net = build(options).to(session.device)
    optimiser = make_optimiser(net, options.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    session.fit(
        net,
        batches,
        loss_of(net, options.losses),
        steps=steps,
        optimiser=optimiser,
        schedule=schedule,
        items=options.batch,
    )
    return net
