"""The pytorch-lightning side of `vadbench.training`: the one place where a Trainer is built.

Importing it costs 5 CPU-seconds.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from vadbench.checkpoints import (
    Checkpoint,
    put_state,
    read_checkpoint,
    take_state,
    write_checkpoint,
)
from vadbench.files.printable import visible
from vadbench.freed import LARGEST, keep_freed
from vadbench.training import Batches, LightningDetector


def train_network(detector: LightningDetector, batches: Batches, device: torch.device) -> None:
    """Train `detector.net` in place, quietly: no log folder, no tips. One that was ended goes on
    from `detector.checkpoint`, where there is one, and ends in the same bits.

    Raises:
        FloatingPointError: if the loss stops being finite.
        KeyboardInterrupt: on Ctrl-C, which Lightning turns into an exit of the process.
    """
    largest = detector.config.ema
    average = Average(detector.net, largest) if largest is not None else None
    keeper = None
    if detector.checkpoint is not None:
        keeper = Keeper(detector.checkpoint, detector, average)
        batches = replace(batches, begin=keeper.steps_done(len(batches)))
    if keeper is not None and not len(batches):
        keeper.put_weights()
    else:
        _run_steps(detector, batches, device, list(filter(None, (average, keeper))))
    if average:
        detector.net.load_state_dict(average.net.state_dict())


def _run_steps(
    detector: LightningDetector,
    batches: Batches,
    device: torch.device,
    last: list[lightning.Callback],
) -> None:
    """Train on the batches; the callbacks in `last` come after those that report."""
    config = detector.config
    interrupt = Interrupt()
    callbacks: list[lightning.Callback] = [
        interrupt,
        *reporters(detector),
        *([] if detector.logger is None else [Curve()]),
        *last,
    ]
    handler = signal.getsignal(signal.SIGINT)
    with quiet():
        trainer = lightning.Trainer(
            accelerator=device.type,
            devices=1,
            precision="32-true" if config.precision == "tf32" else config.precision,
            # a job is one process, also where SLURM's variables are set
            plugins=[LightningEnvironment()],
            # `Batches` holds all epochs: Lightning's work between two of them is saved
            max_epochs=1,
            gradient_clip_val=config.gradient_clip,
            callbacks=callbacks,
            logger=False if detector.logger is None else detector.logger,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            with keep_freed() if frees_much(detector.net, batches) else nullcontext():
                trainer.fit(Module(detector, batches), batches)
        except SystemExit:
            if trainer.received_sigterm and not interrupt.seen:
                sys.exit(128 + signal.SIGTERM)  # Lightning's exit code would say that all is well
            if not interrupt.seen:
                raise
        finally:
            detector.net.to("cpu")
    if interrupt.seen:
        signal.signal(signal.SIGINT, handler)  # Lightning has set it to be ignored
        raise KeyboardInterrupt


def frees_much(net: torch.nn.Module, batches: Batches) -> bool:
    """Whether steps make and free tensors that the C library does not keep, on the processor: of a
    batch's units, or gradients.
    """
    widest = max((max(weights.shape, default=1) for weights in net.parameters()), default=1)
    largest = max((weights.numel() for weights in net.parameters()), default=1)
    return batches.device.type == "cpu" and 4 * max(largest, widest * batches.size) > LARGEST


class Module(lightning.LightningModule):
    """A detector as Lightning wants it.

    Attributes:
        steps, begin: of the whole training, and those of them that were kept of one that ended.
        latest: the last loss that was read; NaN before the first.
        every: steps after which losses are read: reading one lets a GPU stand still until the
            processor has queued the next step.
    """

    EVERY: ClassVar[int] = 50

    def __init__(self, detector: LightningDetector, batches: Batches) -> None:
        super().__init__()
        self.net = detector.net
        self.detector = detector
        self.steps, self.begin, self.done = batches.steps, batches.begin, batches.begin
        self.every = 1 if batches.device.type == "cpu" else self.EVERY
        self.latest = math.nan
        self.unread: list[Tensor] = []

    def training_step(self, batch: Tensor, step: int) -> Tensor:
        """The detector's loss.

        Raises:
            FloatingPointError: if it, or one that was not read before, is not finite.
        """
        loss = self.detector.loss(batch)
        self.unread.append(loss.detach())
        if len(self.unread) >= self.every:
            self.read_losses()
        return loss

    def on_train_end(self) -> None:
        """Read what is left."""
        self.read_losses()

    def read_losses(self) -> float:
        """The loss of the last step.

        Raises:
            FloatingPointError: if one that was not read before is not finite; it names the first.
        """
        if self.unread:
            losses = torch.stack(self.unread).tolist()
            self.unread = []
            for number, loss in enumerate(losses, self.done + 1):
                if not math.isfinite(loss):
                    name, lr = self.detector.info.name, self.detector.config.lr
                    raise FloatingPointError(
                        f"{name}: the loss is {loss} at step {number}; lower lr (now {lr:g}) or"
                        " set gradient_clip"
                    )
            self.done, self.latest = self.done + len(losses), losses[-1]
        return self.latest

    def configure_optimizers(self) -> Any:
        """The detector's optimiser and, if it has one, its schedule."""
        optimiser = self.detector.optimiser()
        schedule = self.detector.schedule(optimiser, self.steps)
        return (
            optimiser
            if schedule is None
            else {
                "optimizer": optimiser,
                "lr_scheduler": {"scheduler": schedule, "interval": "step"},
            }
        )


class Interrupt(lightning.Callback):
    """Remembers that the user pressed Ctrl-C."""

    seen = False

    def on_exception(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Called by Lightning before it shuts down."""
        self.seen = isinstance(exception, KeyboardInterrupt)


class Average(lightning.Callback):
    """Exponential moving average of the weights with the warm-up of k-diffusion: decay min(largest,
    1 - (1 + step)^-0.6667); buffers are copied.

    torch's own (AveragedModel) counts its updates on the device, and reads the count twice a step.
    """

    def __init__(self, net: torch.nn.Module, largest: float) -> None:
        self.net, self.largest, self.updates = deepcopy(net), largest, 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go where the weights are."""
        self.net.to(module.device)

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, *_: Any) -> None:
        """Take in the weights after a step."""
        self.update(module.net)

    @torch.no_grad()
    def update(self, net: torch.nn.Module) -> None:
        """Take in the weights of a network; the first are taken as they are."""
        averages: list[Tensor] = list(self.net.parameters())
        weights: list[Tensor] = list(net.parameters())
        if self.updates:
            kept = min(self.largest, 1 - (1 + self.updates) ** -0.6667)
            torch._foreach_lerp_(averages, weights, 1 - kept)
        else:
            torch._foreach_copy_(averages, weights)
        for own, other in zip(self.net.buffers(), net.buffers(), strict=True):
            own.copy_(other)
        self.updates += 1

    def take_state(self) -> dict[str, Tensor]:
        """The averages and how many were taken in."""
        named = {f"module.{name}": values for name, values in self.net.state_dict().items()}
        return {"n_averaged": torch.tensor(self.updates), **named}

    def put_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `take_state` gave."""
        self.updates = int(state["n_averaged"])
        self.net.load_state_dict(
            {
                name.removeprefix("module."): values
                for name, values in state.items()
                if name.startswith("module.")
            }
        )


class Keeper(lightning.Callback):
    """Keeps where a training stands: every `SECONDS` on disk, every `COPIES` in memory, which is
    what an interrupted one writes. A copy is taken between two steps alone, and is never half of
    one. The state after the last step goes to disk too, unless less than `COPIES` would be lost:
    read-outs and scores, which come next, may be interrupted as well.

    Chance is part of it: the state of torch's generators.
    """

    SECONDS: ClassVar[float] = 300.0
    COPIES: ClassVar[float] = 30.0

    def __init__(self, path: Path, detector: LightningDetector, average: Average | None) -> None:
        self.path, self.detector, self.average = path, detector, average
        self.state = read_checkpoint(path)
        if self.state is not None and self.state.facts.get("torch") != torch.__version__:
            self.state = None  # of another torch: from the beginning
        self.first = 0

    def steps_done(self, steps: int) -> int:
        """Steps that were kept, of so many; 0 where nothing of use was."""
        self.steps = steps
        if self.state is None or not 0 < self.state.step <= steps:
            self.state = None
            return 0
        self.first = self.state.step
        self.detector.seconds_before = float(self.state.facts["seconds"])
        if self.detector.config.progress != "off":
            name = visible(self.detector.info.name)
            sys.stderr.write(f"{name}: goes on after {self.first} steps\n")
        return self.first

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clocks."""
        self.began = self.kept = self.copied = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Tensor, step: int
    ) -> None:
        """Before the first step, take up what was kept."""
        if step or self.state is None:
            return
        put_random(self._kept("random."))
        moments = replace(self.state, arrays=self._kept("net.") | self._kept("moments."))
        put_state(moments, self.detector.net, trainer.optimizers[0], schedule_of(trainer))
        self._put_average()

    def put_weights(self) -> None:
        """Take up what was kept after the last step; read-outs may draw on chance too."""
        put_random(self._kept("random."))
        self.detector.net.load_state_dict(_tensors(self._kept("net."), "net."))
        self._put_average()

    def _kept(self, prefix: str) -> dict[str, Any]:
        arrays = {} if self.state is None else self.state.arrays
        return {name: values for name, values in arrays.items() if name.startswith(prefix)}

    def _put_average(self) -> None:
        if self.average is not None:
            self.average.put_state(_tensors(self._kept("average."), "average."))

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, *arguments: Any) -> None:
        """Copy and write where it is time."""
        now = time.monotonic()
        if now - self.copied < self.COPIES:
            return
        module.read_losses()  # what is kept came about by finite losses
        self.state, self.copied = self._take(trainer, self.first + arguments[-1] + 1), now
        if now - self.kept >= self.SECONDS:
            self._write()
            self.kept = now

    def on_train_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the state after the last step, where the training took a while."""
        if time.monotonic() - self.kept < self.COPIES:
            return
        module.read_losses()
        self.state = self._take(trainer, self.steps)
        self._write()

    def on_exception(self, *_: Any) -> None:
        """Write the last copy: the process is about to end."""
        if self.state is not None and self.state.step > self.first:
            self._write()

    def _take(self, trainer: lightning.Trainer, step: int) -> Checkpoint:
        state = take_state(step, self.detector.net, trainer.optimizers[0], schedule_of(trainer))
        more = take_random()
        if self.average is not None:
            more |= {
                f"average.{name}": np.array(values.detach().cpu())
                for name, values in self.average.take_state().items()
            }
        seconds = self.detector.seconds_before + time.monotonic() - self.began
        facts = {**state.facts, "torch": str(torch.__version__), "seconds": seconds}
        return Checkpoint(step, {**state.arrays, **more}, facts)

    def _write(self) -> None:
        if self.state is None:
            return
        try:
            write_checkpoint(self.path, self.state)
        except OSError as error:  # the training itself needs no disk
            sys.stderr.write(f"{self.path}: not kept ({error.strerror})\n")


def _tensors(arrays: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    """Tensors of their own, under names without the prefix."""
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(values))
        for name, values in arrays.items()
    }


def schedule_of(trainer: lightning.Trainer) -> Any:
    """The schedule of the learning rate, if there is one."""
    known = trainer.lr_scheduler_configs
    return known[0].scheduler if known else None


def take_random() -> dict[str, Any]:
    """The states of torch's generators, of the CPU and of each GPU."""
    states = {"random.cpu": torch.get_rng_state().numpy().copy()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"random.cuda{index}"] = state.numpy().copy()
    return states


def put_random(states: dict[str, Any]) -> None:
    """Give torch's generators the states that `take_random` took."""
    torch.set_rng_state(torch.from_numpy(np.array(states["random.cpu"])))
    others = [name for name in states if name.startswith("random.cuda")]
    for name in others if torch.cuda.is_available() else ():
        index = int(name.removeprefix("random.cuda"))
        torch.cuda.set_rng_state(torch.from_numpy(np.array(states[name])), index)


def reporters(detector: LightningDetector) -> list[lightning.Callback]:
    """The progress bar, the plain lines, or nothing."""
    kind = detector.config.progress
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "lines"
    if kind == "off" or (kind == "lines" and not detector.config.report_lines):
        return []
    return (
        [Bar(detector.info.name)]
        if kind == "bar"
        else [Lines(detector.info.name, detector.config.report_lines)]
    )


class Bar(lightning.Callback):
    """A rich progress bar with the loss that was read last, and samples/s."""

    def __init__(self, name: str) -> None:
        self.name = name
        columns = (
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4g}, {task.fields[rate]:.0f} samples/s"),
        )
        self.progress = Progress(
            *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
        )
        self.rows = 0

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Show the bar."""
        self.task = self.progress.add_task(
            "training",
            total=module.steps,
            completed=module.begin,
            name=visible(self.name),
            loss=math.nan,
            rate=0.0,
        )
        self.progress.start()
        self.began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Tensor, step: int
    ) -> None:
        """Move the bar."""
        self.rows += len(batch)
        self.progress.update(
            self.task,
            advance=1,
            loss=module.latest,
            rate=self.rows / (time.perf_counter() - self.began),
        )

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Take the bar away, also after an error."""
        self.progress.stop()

    def on_exception(self, *_: Any) -> None:
        """Take the bar away."""
        self.progress.stop()


class Lines(lightning.Callback):
    """A few plain lines for logs: step, loss, samples/s."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count, self.rows = name, count, 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Tensor, step: int
    ) -> None:
        """Print where a tenth of the steps is done."""
        self.rows += len(batch)
        done = module.begin + step + 1
        if passes(done, module.steps, self.count):
            rate = self.rows / (time.perf_counter() - self.began)
            sys.stderr.write(
                f"{visible(self.name)}: step {done}/{module.steps},"
                f" loss {module.read_losses():.4g},"
                f" {rate:.0f} samples/s\n"
            )


class Curve(lightning.Callback):
    """Sends loss, learning rate and samples/s to the trainer's logger, at most `POINTS` times and
    always at the last step.
    """

    POINTS = 500

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.rows, self.began = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Tensor, step: int
    ) -> None:
        """Log where another part of the steps is done; samples/s are those since the last point."""
        self.rows += len(batch)
        done = module.begin + step + 1
        if trainer.logger is None or not passes(done, module.steps, self.POINTS):
            return
        now = time.perf_counter()
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        values = {
            "train/loss": module.read_losses(),
            "train/lr": lr,
            "train/samples_per_s": self.rows / (now - self.began),
        }
        trainer.logger.log_metrics(values, step=done)
        self.rows, self.began = 0, now


def passes(step: int, steps: int, points: int) -> bool:
    """Whether a step, counted from 1, is the first at or past the end of one of `points` equal
    parts of all steps.

    >>> [step for step in range(1, 11) if passes(step, 10, 3)]
    [4, 7, 10]
    """
    return step * points // steps > (step - 1) * points // steps


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's notes, tips and warnings are not for our users; levels are restored
    afterwards.
    """
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)(\.|$)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
