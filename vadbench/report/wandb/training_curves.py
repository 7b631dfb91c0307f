"""Live training curves through pytorch-lightning's WandbLogger.

Importing it costs 5 CPU-seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import WandbLogger

from vadbench.report.wandb.session import failed, warn

if TYPE_CHECKING:
    import wandb

STEP = "trainer/global_step"


class CurveLogger(WandbLogger):
    """Logs to an open run; after the first failure it says so and logs no more.

    The networks of a job with one training a scene follow each other on the axis of steps.
    """

    def __init__(self, run: wandb.Run, folder: Path) -> None:
        run.define_metric(STEP)
        run.define_metric("train/*", step_metric=STEP)
        super().__init__(experiment=run)
        self.folder = folder
        self.latest, self.before = 0, 0  # step of this training, steps of those before it

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the values of one step."""
        if failed(self.folder):
            return
        step = step or 0
        if step <= self.latest:
            self.before += self.latest
        self.latest = step
        try:
            super().log_metrics(metrics, step=self.before + step)
        except Exception as error:  # whatever the library raises: a training does not end for it
            warn(self.folder, error)
