"""A training that is ended goes on where it stood, and ends in the same bits."""

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import nn

from vadbench import trainer
from vadbench.checkpoints import read_checkpoint
from vadbench.detector import DetectorInfo, Features
from vadbench.training import Batches, LightningDetector, NeuralConfig


class Noisy(LightningDetector):
    """Learns with noise, dropout and a schedule: all that chance and time have a part in."""

    Config = NeuralConfig
    info = DetectorInfo("noisy", "Noisy", "none", deterministic=False)
    ends_at = None  # the step at which the user presses Ctrl-C
    steps = 0

    def build(self, dim):
        return nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, dim))

    def loss(self, batch):
        self.steps += 1
        if self.steps == self.ends_at:
            raise KeyboardInterrupt
        noise = torch.randn_like(batch)
        return (self.net(batch + noise) + noise).square().mean()

    def anomaly(self, batch):
        return self.net(batch).square().sum(1, keepdim=True)

    def schedule(self, optimiser, steps):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(trainer.Keeper, "COPIES", 0.0)


def rows():
    x = np.random.default_rng(0).normal(3, 2, (70, 5)).astype(np.float32)
    return Features(x, np.zeros(70, int), np.arange(70))


def train(path=None, ends_at=None, **config):
    config = {"epochs": 5, "batch_size": 16, "progress": "off", "device": "cpu", **config}
    detector = Noisy(NeuralConfig(**config), seed=3)
    detector.checkpoint, detector.ends_at = path, ends_at
    if ends_at is None:
        detector.fit(rows())
        return detector
    with pytest.raises(KeyboardInterrupt):
        detector.fit(rows())
    return detector


def require_same(one, other):
    for name, values in one.arrays().items():
        np.testing.assert_array_equal(values, other.arrays()[name], err_msg=name)
    np.testing.assert_array_equal(one.score(rows()), other.score(rows()))


@pytest.mark.parametrize("ema", [None, 0.99], ids=["weights", "average"])
@pytest.mark.parametrize("ends", [[2], [6], [24], [3, 4, 9]], ids=str)
def test_it_ends_in_the_same_bits(tmp_path, ends, ema):
    path = tmp_path / "kept.safetensors"
    for ends_at in ends:
        train(path, ends_at, ema=ema)
    require_same(train(path, ema=ema), train(ema=ema))


def test_what_is_kept_changes_nothing(tmp_path):
    require_same(train(tmp_path / "kept.safetensors"), train())


def test_it_says_where_it_goes_on_unless_it_is_quiet(tmp_path, capsys):
    path = tmp_path / "kept.safetensors"
    train(path, ends_at=8)
    assert read_checkpoint(path).step == 7
    kept = path.read_bytes()
    detector = train(path)
    assert capsys.readouterr().err == ""
    assert detector.steps == 25 - 7
    path.write_bytes(kept)
    train(path, progress="lines")
    assert "noisy: goes on after 7 steps" in capsys.readouterr().err


class Steps:
    """A logger that keeps the steps it is told."""

    def __init__(self):
        self.steps = []

    def __getattr__(self, name):
        return lambda *_, **__: None

    def log_metrics(self, metrics, step=None):
        self.steps.append(step)


def test_lines_and_curve_count_the_steps_of_the_whole_training(tmp_path, capsys):
    path = tmp_path / "kept.safetensors"
    train(path, ends_at=8)
    detector = Noisy(
        NeuralConfig(epochs=5, batch_size=16, device="cpu", progress="lines", report_lines=5),
        seed=3,
    )
    detector.checkpoint, detector.logger = path, Steps()
    detector.fit(rows())
    lines = [line for line in capsys.readouterr().err.splitlines() if "samples/s" in line]
    assert [line.split(",")[0] for line in lines] == [
        f"noisy: step {step}/25" for step in (10, 15, 20, 25)
    ]
    assert detector.logger.steps == list(range(8, 26))


def test_the_bar_goes_on_where_the_training_does(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    train(path, ends_at=8)
    seen = []
    stop = Progress.stop

    def note(self):
        seen.extend((task.completed, task.total) for task in self.tasks)
        stop(self)

    monkeypatch.setattr(trainer.Progress, "start", note)
    monkeypatch.setattr(trainer.Progress, "stop", note)
    train(path, progress="bar")
    assert (seen[0], seen[-1]) == ((7, 25), (25, 25))


def test_the_time_before_is_part_of_what_it_took(tmp_path):
    path = tmp_path / "kept.safetensors"
    train(path, ends_at=8)
    first = read_checkpoint(path).facts["seconds"]
    detector = train(path, ends_at=4)
    assert detector.seconds_before == first > 0
    assert read_checkpoint(path).facts["seconds"] > first


def test_it_is_written_from_time_to_time_and_not_only_at_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.Keeper, "SECONDS", 0.0)
    path = tmp_path / "kept.safetensors"
    train(path)
    assert read_checkpoint(path).step == 25


class Stopped(Noisy):
    """Is interrupted after its last step."""

    def fit_read_outs(self, values):
        raise KeyboardInterrupt


@pytest.mark.parametrize("ema", [None, 0.99], ids=["weights", "average"])
def test_one_that_ends_after_its_last_step_trains_no_more(tmp_path, ema):
    path = tmp_path / "kept.safetensors"
    config = NeuralConfig(epochs=5, batch_size=16, progress="off", device="cpu", ema=ema)
    stopped = Stopped(config, seed=3)
    stopped.checkpoint = path
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(rows())
    detector = train(path, ema=ema)
    assert (read_checkpoint(path).step, detector.steps) == (25, 0)
    assert detector.seconds_before > 0
    require_same(detector, train(ema=ema))


def test_a_training_of_no_time_is_not_written_at_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.Keeper, "COPIES", 30.0)
    train(tmp_path / "kept.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_finite_at_the_last_step_is_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"

    def loss(self, batch):
        self.steps += 1
        return self.net(batch).square().mean() * (float("nan") if self.steps == 25 else 1)

    monkeypatch.setattr(Noisy, "loss", loss)
    with pytest.raises(FloatingPointError):
        train(path)
    assert read_checkpoint(path).step < 25


def test_a_damaged_file_and_one_of_another_torch_begin_anew(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    whole = train()
    train(path, ends_at=8)
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"12345")
    require_same(train(path), whole)
    path.write_bytes(data)
    monkeypatch.setattr(torch, "__version__", "0.1")
    detector = train(path)
    assert detector.steps == 25


def test_a_disk_that_takes_nothing_ends_no_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trainer.Keeper, "SECONDS", 0.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer, "write_checkpoint", full)
    require_same(train(tmp_path / "kept.safetensors"), train())
    assert "not kept (No space left on device)" in capsys.readouterr().err


def test_batches_that_were_trained_on_are_left_out_and_the_others_are_the_same():
    def batches(begin):
        return Batches(lambda index: index, rows=10, size=4, steps=8, seed=1, begin=begin)

    whole = [batch.tolist() for batch in batches(0)]
    for begin in range(9):
        assert [batch.tolist() for batch in batches(begin)] == whole[begin:]
        assert len(batches(begin)) == 8 - begin
