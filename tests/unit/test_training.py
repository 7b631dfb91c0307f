"""`LightningDetector`: batches, seeds, streaming, interruption, reports, and nothing left
behind.
"""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vadbench.detector import DetectorInfo, Features
from vadbench.errors import BadInput
from vadbench.trainer import frees_much
from vadbench.training import Batches, LightningDetector, NeuralConfig


class Distance(LightningDetector):
    """Distance to a learnt centre: the smallest neural method."""

    Config = NeuralConfig
    info = DetectorInfo("distance", "Distance", "none", deterministic=False)

    def build(self, dim):
        return nn.Linear(dim, 1)

    def loss(self, batch):
        self.seen = [*getattr(self, "seen", []), len(batch)]
        return (batch - self.net.weight + 0.1 * torch.randn_like(batch)).square().sum(
            1
        ).mean() + self.net.bias.square().sum()

    def anomaly(self, batch):
        return (batch - self.net.weight).square().sum(1, keepdim=True)


def features(rows, dim=5, seed=0):
    x = np.random.default_rng(seed).normal(3, 2, (rows, dim)).astype(np.float32)
    return Features(x, np.zeros(rows, int), np.arange(rows))


def fit_on(train, **settings):
    detector = Distance(
        NeuralConfig(**{"epochs": 3, "batch_size": 16, "progress": "off", **settings}), seed=1
    )
    detector.fit(train)
    return detector


@given(rows=st.integers(1, 40), size=st.integers(1, 50), steps=st.integers(1, 30))
def test_each_epoch_has_every_row_once_in_whole_batches(rows, size, steps):
    batches = list(Batches(lambda index: index, rows, size, steps, seed=0))
    assert len(batches) == steps
    a_pass = -(-rows // size)
    for start in range(0, steps - a_pass + 1, a_pass):
        assert torch.cat(batches[start : start + a_pass]).sort().values.tolist() == list(
            range(rows)
        )


def test_the_last_batch_is_kept_even_with_one_row():
    assert fit_on(features(33), epochs=2).seen == [16, 16, 1, 16, 16, 1]


def test_a_batch_larger_than_the_data_is_all_of_the_data():
    assert fit_on(features(7), epochs=2, batch_size=1000).seen == [7, 7]


def test_max_steps_ends_training_within_an_epoch():
    assert len(fit_on(features(64), max_steps=6).seen) == 6


def test_a_streamed_training_equals_one_from_memory_to_the_bit(tmp_path):
    train = features(100)
    np.save(tmp_path / "x.npy", train.x)
    mapped = Features(np.load(tmp_path / "x.npy", mmap_mode="r"), train.video, train.frame)
    held, streamed = fit_on(train), fit_on(mapped, memory_gib=0)
    assert np.array_equal(held.score(train), streamed.score(train))


def test_training_finds_the_minimum_of_the_loss():
    centre = fit_on(features(200), epochs=300, batch_size=200, lr=0.02).net.weight.detach()
    assert centre.abs().max() < 0.02  # the mean of standardised rows is 0


@pytest.mark.parametrize("rows", [1, 2, 129, 300])
def test_a_row_scores_the_same_among_any_others(rows):
    test = features(300, seed=2)
    detector = fit_on(features(50), score_batch=128)
    assert np.allclose(
        detector.score(test.rows(slice(0, rows))), detector.score(test)[:rows], rtol=1e-6
    )


def test_gradient_clipping_and_moving_average_change_the_weights():
    weights = [
        fit_on(features(64), **settings).net.weight.detach().numpy()
        for settings in ({}, {"gradient_clip": 1e-7}, {"ema": 0.9})
    ]
    assert not np.allclose(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_moving_average_follows_the_warm_up_of_k_diffusion():
    path = []

    class Recorded(Distance):
        def loss(self, batch):
            path.append(self.net.weight.detach().clone())
            return super().loss(batch)

    detector = Recorded(NeuralConfig(epochs=1, batch_size=16, ema=0.5, progress="off"), seed=1)
    plain = Recorded(NeuralConfig(epochs=1, batch_size=16, progress="off"), seed=1)
    detector.fit(features(64))
    path.clear()
    plain.fit(features(64))
    after = [*path[1:], plain.net.weight.detach()]  # the weights after each of the four steps
    expected = after[0]
    for step, weights in enumerate(after):
        decay = min(0.5, 1 - (1 + step) ** (-2 / 3))
        expected = decay * expected + (1 - decay) * weights
    assert torch.allclose(detector.net.weight, expected, rtol=1e-6)


def test_a_loss_that_is_not_finite_stops_with_the_step():
    class Diverging(Distance):
        def loss(self, batch):
            return super().loss(batch) * (float("nan") if len(self.seen) == 4 else 1.0)

    detector = Diverging(NeuralConfig(batch_size=16, progress="off"), seed=0)
    with pytest.raises(
        FloatingPointError,
        match=r"distance: the loss is nan at step 4; lower lr \(now 0.001\) or set gradient_clip",
    ):
        detector.fit(features(64))


def test_fit_leaves_generators_flags_logs_and_handlers_alone(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    train = features(64)
    before = state_of_the_process()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_on(train, progress="lines", report_lines=0)
    assert state_of_the_process() == before
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def state_of_the_process():
    return (
        torch.get_rng_state().tolist(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        (
            logging.getLogger("pytorch_lightning").level
            if "pytorch_lightning" in sys.modules
            else logging.INFO
        ),
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
    )


def test_lines_tell_step_loss_and_rate_about_ten_times(capsys):
    fit_on(features(640), epochs=10, progress="auto")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("distance: step 400/400, loss ")
    assert lines[-1].endswith(" samples/s")


def test_the_bar_is_taken_away(capsys):
    fit_on(features(64), progress="bar")
    assert capsys.readouterr().out == ""


def test_training_works_outside_the_main_thread():
    scores = []
    thread = threading.Thread(target=lambda: scores.append(fit_on(features(64)).score(features(8))))
    thread.start()
    thread.join()
    assert np.isfinite(scores[0]).all()


def test_slurm_variables_do_not_matter(monkeypatch):
    for name, value in {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_ID": "1",
        "SLURM_PROCID": "0",
        "SLURM_JOB_NAME": "vadbench",
    }.items():
        monkeypatch.setenv(name, value)
    assert len(fit_on(features(64)).seen) == 12


def test_a_missing_device_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(BadInput, match="device: cuda is not available to torch"):
        fit_on(features(64), device="cuda")


def test_other_columns_than_in_training_are_refused():
    with pytest.raises(BadInput, match="4 columns, distance was trained on 5"):
        fit_on(features(64)).score(features(8, dim=4))


def test_rows_just_fitted_are_not_passed_through_the_network_again():
    train = features(64)
    detector = fit_on(train)
    expected = detector.score(train)
    detector.anomaly = None
    assert np.array_equal(detector.score_normal(train), expected)


INTERRUPTED = """
    import os, signal, sys
    sys.path.insert(0, {folder!r})
    from test_training import Distance, NeuralConfig, features

    class Interrupted(Distance):
        def loss(self, batch):
            if len(getattr(self, "seen", [])) == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(batch)

    # a shell's background process inherits an ignored one
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT)
    try:
        Interrupted(NeuralConfig(batch_size=16), seed=0).fit(features(64))
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is before)
"""


def test_ctrl_c_is_a_keyboard_interrupt_again_and_again():
    script = textwrap.dedent(INTERRUPTED.format(folder=os.path.dirname(__file__)))  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "interrupted True\n"
    assert "Traceback" not in done.stderr


FAULTS = """
import resource, torch
from vadbench.freed import keep_freed
def fill():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(10_000_000).fill_(1.0)  # 40 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
fill()
plain = fill()
with keep_freed():
    kept = [fill() for _ in range(30)][-1]  # where the heap meets other mappings it takes a few
print(plain, kept, fill())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_memory_is_kept_in_a_training_and_given_back_afterwards():
    """Pages that the system clears for one block, in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    plain, kept, after = map(int, told.stdout.split())
    if plain < 5000:
        pytest.skip("another allocator, or large pages, keep it anyway")
    assert kept < plain / 10
    assert after > plain / 2


@pytest.mark.parametrize(
    ("units", "batch", "device", "much"),
    [
        (4096, 2048, "cpu", True),
        (4096, 2048, "cuda", False),
        (4096, 64, "cpu", True),  # its gradients
        (256, 2048, "cpu", False),
        (256, 65536, "cpu", True),
    ],
)
def test_it_is_kept_where_steps_free_large_tensors(units, batch, device, much):
    net = nn.Sequential(nn.Linear(8, units, device="meta"), nn.Linear(units, units, device="meta"))
    batches = Batches(lambda index: index, 10**6, batch, 1, 0, device=torch.device(device))
    assert frees_much(net, batches) is much
    assert not frees_much(nn.Identity(), replace(batches, size=1))


def test_a_training_that_keeps_freed_memory_ends_in_the_same_bits(monkeypatch):
    expected = fit_on(features(64)).score(features(8))
    monkeypatch.setattr("vadbench.trainer.LARGEST", 0)
    assert np.array_equal(fit_on(features(64)).score(features(8)), expected)
