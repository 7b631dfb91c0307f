"""What a learnt extractor trains with: frames for random access, and a loop that can be interrupted
at any moment and ends equal to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vadbench.checkpoints import (
    Checkpoint,
    put_state,
    read_checkpoint,
    take_state,
    write_checkpoint,
)
from vadbench.errors import BadInput
from vadbench.features.footage import Footage
from vadbench.features.networks.frames import FrameMap, map_frames
from vadbench.features.progress import Frames
from vadbench.features.store import explain_disk_errors
from vadbench.threads import count_threads

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

POINTS = 100  # of the loss curve that is kept


class Session:
    """One training of one network.

    Attributes:
        folder: where its frames and checkpoints lie until it ends.
        what: the network, as progress and messages name it.
        seed: of the network's weights and of the order of its data.
        device: where it is trained.
        quiet: no progress.
        log: what has been seen so far; goes on with an interrupted training.
        seconds_between_checkpoints: of the state on disk.
        seconds_between_copies: of the state in memory, which a training that is interrupted writes.
    """

    seconds_between_checkpoints: ClassVar[float] = 60.0
    seconds_between_copies: ClassVar[float] = 2.0

    def __init__(
        self, folder: Path, what: str, seed: int, device: torch.device, quiet: bool
    ) -> None:
        self.folder = folder
        self.what = what
        self.seed = seed
        self.device = device
        self.quiet = quiet
        self.log = Log()
        self._fits = 0

    def map_frames(
        self, videos: Sequence[Footage], size: tuple[int, int], colour: bool = False
    ) -> FrameMap:
        """The frames of the training videos at (height, width), for random access.

        Raises:
            BadInput: if they do not fit on the disk, or cannot be read.
        """
        path = self.folder / f"frames-{size[0]}x{size[1]}{'-rgb' if colour else ''}.raw"
        return map_frames(videos, size, colour, path, self.what, self.quiet)

    def fit(
        self,
        net: nn.Module,
        batch: Callable[[int], Tensor],
        loss: Callable[[Tensor], Tensor],
        *,
        steps: int,
        optimiser: Optimizer,
        schedule: LRScheduler | None = None,
        items: int = 1,
    ) -> None:
        """Train a network for so many steps; an interrupted training goes on where it stood.

        Torch's generator is seeded anew before each step, so that the step's number is all the
        state that chance has.

        Args:
            net: on `device`.
            batch: the data of a step, from 0: a function of its number alone.
            loss: a scalar of a batch.
            steps: how many.
            optimiser: of the network's parameters.
            schedule: of its learning rate, moved on after each step.
            items: clips in a batch, for the progress.

        Raises:
            BadInput: if the loss is not finite, or the disk is full.
            KeyboardInterrupt: as it comes; the state is kept.
        """
        path = self.folder / f"checkpoint-{self._fits}.safetensors"
        self._fits += 1
        net.train()
        with Frames(self.what, steps * items, self.quiet, "clips") as progress:
            state = self._resume(path, progress, net, optimiser, schedule)
            progress.reuse(state.step * items)
            kept = copied = time.monotonic()
            try:
                for step in range(state.step, steps):
                    value = self._step(step, net, batch, loss, optimiser, schedule)
                    self.log.add(step + 1, value, steps)
                    progress.advance(items, f"loss {value:.4g}")
                    last = step + 1 == steps
                    if (now := time.monotonic()) - copied > self.seconds_between_copies or last:
                        state = take_state(step + 1, net, optimiser, schedule)
                        state, copied = state.with_facts(self.log.document), now
                    if now - kept > self.seconds_between_checkpoints or last:
                        _keep(path, state)
                        kept = now
            except KeyboardInterrupt:
                if state.step:
                    _keep(path, state)
                raise

    def _resume(
        self,
        path: Path,
        progress: Frames,
        net: nn.Module,
        optimiser: Optimizer,
        schedule: LRScheduler | None,
    ) -> Checkpoint:
        """Where an interrupted training stood; its beginning where there was none."""
        state = read_checkpoint(path)
        if state is None:
            state = Checkpoint(0, {}, {})
        else:
            put_state(state, net, optimiser, schedule)
            self.log = Log.of(state.facts["log"])
            progress.say(f"{self.what}: goes on after {state.step} steps")
        others = [count for count in self.log.threads if count != count_threads()]
        if others:
            progress.say(
                f"{self.what}: {count_threads()} threads where it began with {others[0]}; the last"
                " digits may be others than those of an uninterrupted training"
            )
        self.log.begin(count_threads())
        return state

    def _step(
        self,
        step: int,
        net: nn.Module,
        batch: Callable[[int], Tensor],
        loss: Callable[[Tensor], Tensor],
        optimiser: Optimizer,
        schedule: LRScheduler | None,
    ) -> float:
        """One step; its loss."""
        import torch

        torch.manual_seed(int(np.random.SeedSequence((self.seed, step)).generate_state(1)[0]))
        found = loss(batch(step).to(self.device))
        value = float(found.detach())
        if not math.isfinite(value):
            rate = optimiser.param_groups[0]["lr"]
            raise BadInput(
                f"{self.what}: the loss is {value} at step {step + 1}, learning rate {rate:.2g};"
                " try a tenth of the learning rate, or look at the frames (vadbench data check)"
            )
        optimiser.zero_grad(set_to_none=True)
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if schedule is not None:
            schedule.step()
        return value


def _keep(path: Path, state: Checkpoint) -> None:
    with explain_disk_errors(path):
        write_checkpoint(path, state)


@dataclass
class Log:
    """What a training says of itself.

    Attributes:
        curve: [step, mean loss since the point before].
        seconds, cpu_seconds: that its steps have taken.
        threads: how many they have taken, each number once: several where it was continued under
            another.

    >>> log = Log()
    >>> log.begin(threads=2)
    >>> log.add(1, 0.5, steps=2)
    >>> log.curve, log.threads
    ([[1, 0.5]], [2])
    """

    curve: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    threads: list[int] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)  # losses since the curve's last point
    _last: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Log:
        """The log that gave `document`."""
        return cls(**document)

    @property
    def document(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        kept = ("curve", "seconds", "cpu_seconds", "threads", "waiting")
        return {"log": {name: deepcopy(getattr(self, name)) for name in kept}}

    def begin(self, threads: int) -> None:
        """Time runs from here."""
        self._last = time.monotonic(), time.process_time()
        if threads not in self.threads:
            self.threads.append(threads)

    def add(self, step: int, loss: float, steps: int) -> None:
        """Take note of a step, from 1, of so many."""
        now = time.monotonic(), time.process_time()
        self.seconds += now[0] - self._last[0]
        self.cpu_seconds += now[1] - self._last[1]
        self._last = now
        self.waiting.append(loss)
        if step % max(steps // POINTS, 1) == 0 or step == steps:
            self.curve.append([step, float(np.mean(self.waiting))])
            self.waiting = []
