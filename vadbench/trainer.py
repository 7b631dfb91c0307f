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
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as lightning
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vadbench.files.printable import visible
from vadbench.training import Batches, LightningDetector


def train_network(detector: LightningDetector, batches: Batches, device: torch.device) -> None:
    """Train `detector.net` in place, quietly: no checkpoint, no log folder, no tips.

    Raises:
        FloatingPointError: if the loss stops being finite.
        KeyboardInterrupt: on Ctrl-C, which Lightning turns into an exit of the process.
    """
    config = detector.config
    interrupt = Interrupt()
    callbacks: list[lightning.Callback] = [
        interrupt,
        *reporters(detector),
        *([] if detector.logger is None else [Curve()]),
    ]
    average = Average(detector.net, config.ema) if config.ema is not None else None
    handler = signal.getsignal(signal.SIGINT)
    with quiet():
        trainer = lightning.Trainer(
            accelerator=device.type,
            devices=1,
            precision=config.precision,
            # a job is one process, also where SLURM's variables are set
            plugins=[LightningEnvironment()],
            # `Batches` holds all epochs: Lightning's work between two of them is saved
            max_epochs=1,
            gradient_clip_val=config.gradient_clip,
            callbacks=[*callbacks, average] if average else callbacks,
            logger=False if detector.logger is None else detector.logger,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(Module(detector, len(batches)), batches)
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
    if average:
        detector.net.load_state_dict(average.model.module.state_dict())


class Module(lightning.LightningModule):
    """A detector as Lightning wants it."""

    def __init__(self, detector: LightningDetector, steps: int) -> None:
        super().__init__()
        self.net = detector.net
        self.detector = detector
        self.steps = steps

    def training_step(self, batch: Tensor, step: int) -> Tensor:
        """The detector's loss.

        Raises:
            FloatingPointError: if it is not finite.
        """
        loss = self.detector.loss(batch)
        self.latest = float(loss.detach())
        if not math.isfinite(self.latest):
            name, lr = self.detector.info.name, self.detector.config.lr
            raise FloatingPointError(
                f"{name}: the loss is {self.latest} at step {step + 1}; lower lr (now {lr:g}) or"
                " set gradient_clip"
            )
        return loss

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
    """

    def __init__(self, net: torch.nn.Module, largest: float) -> None:
        @torch.no_grad()
        def update(averages: Any, weights: Any, step: Any) -> None:
            torch._foreach_lerp_(
                averages, weights, 1 - min(largest, 1 - (1 + int(step)) ** -0.6667)
            )

        self.model = AveragedModel(net, multi_avg_fn=update)

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, *_: Any) -> None:
        """Take in the weights after a step."""
        self.model.to(module.device).update_parameters(module.net)


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
    """A rich progress bar with the loss and samples/s."""

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

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the bar."""
        self.task = self.progress.add_task(
            "training",
            total=int(trainer.num_training_batches),
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
        total = int(trainer.num_training_batches)
        if (step + 1) * self.count // total > step * self.count // total:
            rate = self.rows / (time.perf_counter() - self.began)
            sys.stderr.write(
                f"{visible(self.name)}: step {step + 1}/{total}, loss {module.latest:.4g},"
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
        total = int(trainer.num_training_batches)
        if (
            trainer.logger is None
            or (step + 1) * self.POINTS // total == step * self.POINTS // total
        ):
            return
        now = time.perf_counter()
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        values = {
            "train/loss": module.latest,
            "train/lr": lr,
            "train/samples_per_s": self.rows / (now - self.began),
        }
        trainer.logger.log_metrics(values, step=step + 1)
        self.rows, self.began = 0, now


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
