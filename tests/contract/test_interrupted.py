"""Networks that keep something beside parameters and buffers cannot go on where they stood, and are
refused; settings of our methods that the usual configuration of the contract does not reach can.
"""

from typing import ClassVar

import pytest
import torch
from torch import nn

from vadbench import registry
from vadbench.detector import DetectorInfo
from vadbench.errors import ContractError
from vadbench.testing import Trial, goes_on_where_it_ended, small_config, synthetic_maps
from vadbench.training import LightningDetector, NeuralConfig


class Started(nn.Module):
    """Its first batch decides its shift; that it has been is a buffer, or is forgotten."""

    def __init__(self, dim, kept):
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.shift = nn.Parameter(torch.zeros(dim))
        started = torch.tensor(False)
        if kept:
            self.register_buffer("started", started)
        else:
            self.started = started

    def forward(self, x):
        if not bool(self.started):
            self.shift.data = -x.mean(0)
            self.started = torch.tensor(True)
        return self.linear(x + self.shift)


class Remembers(LightningDetector):
    """Standardises by its first batch."""

    Config = NeuralConfig
    info = DetectorInfo("remembers", "Remembers", "none", deterministic=False)
    kept = True

    def build(self, dim):
        return Started(dim, self.kept)

    def loss(self, batch):
        return (self.net(batch) - batch).square().mean()

    def anomaly(self, batch):
        return (self.net(batch) - batch).square().sum(1, keepdim=True)


class Forgets(Remembers):
    kept = False


class Fails(Remembers):
    """Wants its first batch first."""

    def loss(self, batch):
        if self.optimizer_steps == 0 and self.seconds_before:
            raise ValueError("no first batch")
        self.optimizer_steps += 1
        return super().loss(batch)

    optimizer_steps = 0


def small(cls, **settings):
    return Trial(cls, small_config(cls, {"max_steps": 12, "batch_size": 64, **settings}))


def test_a_network_whose_state_is_kept_goes_on():
    goes_on_where_it_ended(small(Remembers))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Forgets, "Forgets: a training that goes on .* scores differ by up to .* a buffer"),
        (Fails, "Fails: a training that goes on .* it fails with ValueError: no first batch"),
    ],
)
def test_one_that_forgets_is_refused_with_the_reason(cls, message):
    with pytest.raises(ContractError, match=message):
        goes_on_where_it_ended(small(cls))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("flow", {"architecture": "realnvp"}),
        ("flow", {"architecture": "nsf"}),
        ("flow", {"schedule": "cosine"}),
        ("mulde", {"dropout": 0.2, "layer_norm": True}),
        ("mulde", {"precision": "bf16-mixed", "ema": 0.9, "gradient_clip": 1.0}),
        ("msma", {"network": "log-density"}),
        ("diffusion", {"conditioning": "film", "precision": "bf16-mixed"}),
        ("autoencoder", {"algorithm": "rmsprop", "gradient_clip": 0.1}),
        ("stg-nf", {"mirror": True}),
    ],
    ids=str,
)
def test_every_kind_of_network_goes_on(name, settings):
    narrow = {"layers": 2, "hidden": 16} if name == "flow" else {"layers": 2}
    small_net = {"units": (32, 32)} if name in ("mulde", "msma", "diffusion") else {}
    shape = narrow if name in ("flow", "stg-nf") else small_net
    goes_on_where_it_ended(small(registry.load("detectors", name), **shape, **settings))


def test_a_flow_of_maps_goes_on():
    flow = registry.load("detectors", "flow")
    settings = {"architecture": "glow-maps", "layers": 2, "hidden": 8, "score_batch": 64}
    config = small_config(flow, {"max_steps": 12, "batch_size": 64, **settings})
    goes_on_where_it_ended(Trial(flow, config, synthetic_maps))


class Stopped(Remembers):
    """Its user presses Ctrl-C once, before the first step."""

    pressed: ClassVar[list[bool]] = []

    def optimiser(self):
        if not self.pressed:
            self.pressed.append(True)
            raise KeyboardInterrupt
        return super().optimiser()


def test_the_users_own_interruption_ends_the_check():
    with pytest.raises(KeyboardInterrupt):
        goes_on_where_it_ended(small(Stopped))
