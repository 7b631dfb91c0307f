"""A network that takes as long as it is told to and is kept at every step, installed for a test as
a package is.
"""

from pathlib import Path

METHOD = '''
"""Noisy: learns with noise, dropout and a schedule."""

import os
import time

import torch
from torch import nn

from vadbench.detector import DetectorInfo, runtime
from vadbench.training import LightningDetector, NeuralConfig


class NoisyConfig(NeuralConfig):
    epochs: int = 1000
    max_steps: int = 60
    batch_size: int = 32
    nap: float = runtime(0.0, "seconds of sleep a step")


class Noisy(LightningDetector):
    Config = NoisyConfig
    info = DetectorInfo("noisy", "noisy", "nobody", deterministic=False, threads=1)

    def build(self, dim):
        return nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, dim))

    def fit(self, train):
        from vadbench.trainer import Keeper

        Keeper.COPIES, Keeper.SECONDS = 0.0, 0.3
        super().fit(train)

    def loss(self, batch):
        time.sleep(float(os.environ.get("NOISY_NAP", self.config.nap)))
        noise = torch.randn_like(batch)
        return (self.net(batch + noise) + noise).square().mean()

    def anomaly(self, batch):
        return self.net(batch).square().sum(1, keepdim=True)

    def schedule(self, optimiser, steps):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
'''


def write(folder: Path) -> None:
    """Install it into a folder of the path."""
    (folder / "noisy_method.py").write_text(METHOD)
    described = folder / "noisy-0.1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 0.1\n")
    (described / "entry_points.txt").write_text(
        "[vadbench.detectors]\nnoisy = noisy_method:Noisy\n"
    )
