"""Training curves in Weights & Biases, offline: they change no score, and its failures fail
nothing.
"""

import contextlib
import errno

import numpy as np
import pytest
import torch
from torch import nn

from vadbench.detector import DetectorInfo, Features
from vadbench.results.records import Results
from vadbench.training import LightningDetector, NeuralConfig

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

from wandb_inspect import transactions  # noqa: E402
from wandb_records import (  # noqa: E402
    Trained,
    folder_of,
    private_folders,
    publish_all,
    run_of,
    store_all,
)

from vadbench.report.wandb import Sink  # noqa: E402
from vadbench.report.wandb.session import ID_LENGTH, Target, start  # noqa: E402
from vadbench.report.wandb.training_curves import CurveLogger  # noqa: E402

# They start W&B's program, which now and then neither ends nor answers on a virtual machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def private(tmp_path, monkeypatch):
    private_folders(tmp_path, monkeypatch)


@pytest.fixture
def results(tmp_path):
    return store_all(tmp_path / "results")


class Distance(LightningDetector):
    """Distance to a learnt centre: the smallest neural method."""

    Config = NeuralConfig
    info = DetectorInfo("distance", "Distance", "none", deterministic=False)

    def build(self, dim):
        return nn.Linear(dim, 1)

    def loss(self, batch):
        return (batch - self.net.weight + 0.1 * torch.randn_like(batch)).square().sum(
            1
        ).mean() + self.net.bias.square().sum()

    def anomaly(self, batch):
        return (batch - self.net.weight).square().sum(1, keepdim=True)


def fitted(logger=None, epochs=3):
    x = np.random.default_rng(0).normal(3, 2, (64, 5)).astype(np.float32)
    train = Features(x, np.zeros(64, int), np.arange(64))
    detector = Distance(NeuralConfig(epochs=epochs, batch_size=16, progress="off"), seed=1)
    detector.logger = logger
    detector.fit(train)
    return detector.score(train)


def history_of(results):
    return [
        entry["history"]["item"]
        for entry in transactions(folder_of(results, Trained.identity))
        if entry["type"] == "history"
    ]


def test_curves_are_logged_and_change_no_score(tmp_path, capfd):
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        scores = fitted(logger)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(scores, fitted())
    history = history_of(Results(sink.folder))
    assert [point["trainer/global_step"] for point in history] == list(range(1, 13))
    assert all(point["train/lr"] == 0.001 and point["train/samples_per_s"] > 0 for point in history)
    assert history[-1]["train/loss"] < history[0]["train/loss"]
    written = transactions(folder_of(Results(sink.folder), Trained.identity))
    (run,) = (entry["run"] for entry in written if entry["type"] == "run")
    assert run["config"]["update"]["config"] == {"lr": 0.001}
    assert (run["run_id"], run["run_group"], run["job_type"]) == (
        Trained.identity[:ID_LENGTH],
        "ped2",
        "distance",
    )


def test_the_networks_of_one_job_follow_each_other_on_the_axis(tmp_path):
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        fitted(logger, epochs=1)
        fitted(logger, epochs=2)
    assert [point["trainer/global_step"] for point in history_of(Results(sink.folder))] == list(
        range(1, 13)
    )


def test_a_long_training_is_about_five_hundred_points(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(CurveLogger, "log_metrics", lambda _, metrics, step: steps.append(step))
    with start(Target("offline", tmp_path), "a" * 12) as run:
        fitted(CurveLogger(run, tmp_path), epochs=151)
    assert len(steps) == 500
    assert steps[-1] == 604


def test_a_training_that_fails_fails_as_without_wandb_and_its_run_is_marked(tmp_path):
    sink = Sink("offline", tmp_path / "results")
    with pytest.raises(FloatingPointError, match="the loss is nan"), sink.curves(Trained()):
        raise FloatingPointError("the loss is nan")
    written = transactions(folder_of(Results(sink.folder), Trained.identity))
    assert [entry["exit"]["exit_code"] for entry in written if entry["type"] == "exit"] == [1]


def test_curves_logged_again_are_followed_by_the_metrics_again(results):
    publish_all(results)
    run = run_of(results, "deep")
    job = Trained()
    job.document, job.identity = run.job, run.identity
    with Sink("offline", results.root).curves(job):
        pass
    assert "1 runs published, 3 there already" in publish_all(results)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["init", "log", "define_metric", "finish"])
@pytest.mark.parametrize(
    "error", [wandb.errors.CommError("no server"), FULL], ids=["server", "disk"]
)
def test_a_failure_is_one_line_and_the_training_goes_on(
    tmp_path, monkeypatch, capfd, broken, error
):
    def raises(*_, **__):
        raise error

    finish = wandb.Run.finish
    runs = []
    monkeypatch.setattr(wandb.Run, "define_metric", lambda run, *_, **__: runs.append(run))
    monkeypatch.setattr(wandb if broken == "init" else wandb.Run, broken, raises)
    sink = Sink("offline", tmp_path / "results")
    scores = []
    for _ in range(2):
        with sink.curves(Trained()) as logger:
            scores.append(fitted(logger))
    sink.publish(set(), "latest", print)
    told = capfd.readouterr()
    for run in runs:
        with contextlib.suppress(Exception):
            finish(run)
    np.testing.assert_array_equal(scores, [fitted()] * 2)
    assert told.out == ""
    assert told.err.splitlines() == [
        f"vadbench: nothing more is logged to Weights & Biases: {type(error).__name__}: {error}"
    ]


def test_online_without_an_account_asks_nobody(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("asked"))
    sink = Sink("online", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        assert logger is None
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "run `wandb login`" in told.err
