"""A GPU is fed and never waited for: what a step asks of the processor, where rows lie, how batches
are sent, and what a precision means.

No test needs a GPU: on torch's device `meta`, which computes nothing, every copy to or from the
processor and every number that is read shows.
"""

import inspect
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_checkpoints import Noisy
from test_training import Distance, features, fit_on
from torch.utils._python_dispatch import TorchDispatchMode
from vadbench_methods import mixture_device
from vadbench_methods.mixture import fit_mixture

from vadbench import loading, registry, trainer
from vadbench.errors import BadInput
from vadbench.loading import CPU, fits_on, hold, move, send
from vadbench.testing import small_config, synthetic_maps, synthetic_rows
from vadbench.training import (
    Batches,
    LightningDetector,
    NeuralConfig,
    require_precision,
    rounding,
)

META, CUDA = torch.device("meta"), torch.device("cuda")


class Watched(TorchDispatchMode):
    """Counts numbers that are read, and copies between devices."""

    def __init__(self):
        super().__init__()
        self.read, self.copied = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name
        self.read += name in ("aten::_local_scalar_dense", "aten::nonzero")
        given = {each.device.type for each in (*args, *kwargs.values()) if torch.is_tensor(each)}
        if "device" in kwargs and name == "aten::_to_copy":
            given.add(torch.device(kwargs["device"] or "cpu").type)
        # a tensor without dimensions is a number that goes along with a kernel
        if len(given) > 1 and name in ("aten::_to_copy", "aten::copy_"):
            self.copied.append(name)
        return func(*args, **kwargs)


NEURAL = [
    name
    for name in registry.names("detectors")
    if issubclass(registry.load("detectors", name), LightningDetector)
    and registry.load("detectors", name).takes == "any"
]


def prepared(method, rows, **settings):
    """A detector as it is when its training begins, and its first batch."""
    cls = registry.load("detectors", method)
    detector = cls(small_config(cls).model_copy(update=settings), seed=0)
    train = detector.without_outliers(rows)
    detector.standardisation = detector.standardise(train.x)
    if hasattr(detector, "shape"):
        detector.shape = train.shape
    with torch.random.fork_rng():
        torch.manual_seed(0)
        detector.net = detector.build(train.x.shape[1]).train()
        batch = next(iter(detector._batches(train)))
        detector.loss(batch)  # the first of a flow starts its norms
    return detector, batch


def one_constant(rows):
    x = rows.x.copy()
    x[:, 2] = 3.0
    return replace(rows, x=x)


@pytest.mark.parametrize("constant", [False, True], ids=["all vary", "a constant"])
@pytest.mark.parametrize("method", NEURAL)
def test_a_step_reads_no_number_and_copies_nothing(method, constant):
    rows = synthetic_rows(200, videos=4, seed=0)
    detector, batch = prepared(method, one_constant(rows) if constant else rows)
    detector.net.to(META)
    with Watched() as watched:
        detector.loss(batch.to(META)).backward()
    assert watched.copied == ["aten::_to_copy"]  # the batch's own, above
    assert watched.read == 0


@pytest.mark.parametrize("architecture", ["glow-maps", "nsf", "maf", "realnvp"])
def test_a_step_of_any_flow_reads_no_number(architecture):
    make = synthetic_maps if architecture == "glow-maps" else synthetic_rows
    detector, batch = prepared("flow", make(200, videos=4, seed=0), architecture=architecture)
    detector.net.to(META)
    with Watched() as watched:
        detector.loss(batch.to(META)).backward()
    assert (watched.read, watched.copied) == (0, ["aten::_to_copy"])


def test_the_moving_average_reads_no_number():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(META)
    average = trainer.Average(net, 0.99)
    with Watched() as watched:
        for _ in range(3):
            average.update(net)
    assert (watched.read, watched.copied) == (0, [])


@pytest.fixture
def seldom(monkeypatch):
    """Losses are read every 5 steps on the processor too; how many at a time."""
    counts = []

    class Seldom(trainer.Module):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.every = 5

        def read_losses(self):
            counts.append(len(self.unread))
            return super().read_losses()

    monkeypatch.setattr(trainer, "Module", Seldom)
    return counts


@pytest.mark.parametrize(("steps", "counts"), [(4, [4]), (5, [5, 0]), (12, [5, 5, 2])], ids=str)
def test_a_training_reads_its_losses_every_so_many_steps_and_nothing_else(seldom, steps, counts):
    class Counting(Distance):
        def loss(self, batch):
            self.before = getattr(self, "before", watched.read)
            return super().loss(batch)

    config = NeuralConfig(
        batch_size=16, max_steps=steps, ema=0.9, gradient_clip=1.0, progress="off", device="cpu"
    )
    detector = Counting(config, seed=1)
    with Watched() as watched:
        detector.fit(features(64))
    assert watched.read == detector.before  # of Lightning's before the first step
    assert seldom == counts


@pytest.mark.usefixtures("seldom")
@pytest.mark.parametrize(("wrong", "ends"), [(1, 5), (4, 5), (5, 5), (6, 10), (11, 12), (12, 12)])
def test_the_first_loss_that_is_not_finite_is_named_though_it_is_read_later(wrong, ends):
    class Diverging(Distance):
        def loss(self, batch):
            return super().loss(batch) * (float("inf") if len(self.seen) >= wrong else 1.0)

    detector = Diverging(NeuralConfig(batch_size=16, epochs=3, progress="off"), seed=0)
    with pytest.raises(FloatingPointError, match=rf"the loss is (inf|nan) at step {wrong};"):
        detector.fit(features(64))
    assert len(detector.seen) == ends


class DivergingNoisy(Noisy):
    """Its loss is infinite from the 8th step of the whole training on."""

    def loss(self, batch):
        return super().loss(batch) * (float("inf") if self.steps >= 8 - self.before else 1.0)


def diverge(path, before):
    detector = DivergingNoisy(
        NeuralConfig(epochs=5, batch_size=16, progress="off", device="cpu"), seed=3
    )
    detector.checkpoint, detector.before = path, before
    with pytest.raises(FloatingPointError, match="at step 8;"):
        detector.fit(features(70))


@pytest.mark.usefixtures("seldom")
def test_no_state_is_kept_that_came_about_by_a_loss_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.Keeper, "COPIES", 0.0)
    path = tmp_path / "kept.safetensors"
    diverge(path, before=0)
    kept = trainer.read_checkpoint(path)
    assert kept.step == 7
    assert all(np.isfinite(values).all() for values in kept.arrays.values())
    diverge(path, before=7)  # goes on there, and names the step of the whole


@pytest.mark.usefixtures("seldom")
def test_lines_and_curves_show_the_loss_of_their_own_step(capsys, monkeypatch):
    fit_on(features(64), epochs=3, progress="lines", report_lines=4)
    seldom = [line.split(", ")[1] for line in capsys.readouterr().err.splitlines()]
    monkeypatch.undo()
    fit_on(features(64), epochs=3, progress="lines", report_lines=4)
    assert seldom == [line.split(", ")[1] for line in capsys.readouterr().err.splitlines()]
    assert len(set(seldom)) == 4


def test_rows_that_are_held_on_the_device_are_chosen_there_in_the_same_order():
    rows = torch.arange(70.0)[:, None]
    asked = []

    def read(index):
        asked.append(index.device.type)
        return rows.to(index.device)[index]

    near = Batches(read, rows=70, size=16, steps=12, seed=1, begin=3)
    there = [batch[:, 0].tolist() for batch in replace(near, held=True)]
    assert there == [batch[:, 0].tolist() for batch in near]
    assert [len(batch) for batch in replace(near, device=META, held=True)] == list(map(len, there))
    assert asked == 18 * ["cpu"] + 9 * ["meta"]


def test_batches_are_pinned_for_a_gpu_alone(monkeypatch):
    def refuse(self):
        raise AssertionError("pinned")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    batches = [torch.ones(3), torch.zeros(2)]
    assert all(one is other for one, other in zip(send(batches, CPU), batches, strict=True))
    assert [batch.device for batch in send(batches, META)] == [META, META]
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    with pytest.raises(AssertionError, match="pinned"):
        next(send(batches, CUDA))
    with pytest.raises(AssertionError, match="pinned"):
        move(batches[0], CUDA)
    assert move(batches[0], CPU) is batches[0]
    assert move(batches[0], META).device == META


@pytest.mark.parametrize(("size", "fits"), [(0, True), (50, True), (51, False)])
def test_rows_are_held_on_a_gpu_up_to_half_of_its_free_memory(monkeypatch, size, fits):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    assert fits_on(CUDA, size) is fits
    assert not fits_on(CPU, size)
    assert not fits_on(META, size)


def test_rows_are_held_block_by_block():
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    held = hold((x[start : start + 4] for start in (0, 4, 8)), x.shape, CPU)
    assert np.array_equal(held.numpy(), x)
    assert hold([], (0, 3), CPU).shape == (0, 3)


def test_threads_end_with_a_training_that_is_ended():
    before = threading.active_count()
    interrupted = Noisy(NeuralConfig(batch_size=16, progress="off"), seed=0)
    interrupted.ends_at = 2
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(features(64))
    assert threading.active_count() == before


def test_tf32_is_refused_where_nothing_computes_in_it():
    with pytest.raises(BadInput, match="tf32 is of NVIDIA GPUs since Ampere, and this runs on cpu"):
        fit_on(features(64), precision="tf32", device="cpu")
    require_precision("32-true", CPU)
    require_precision("bf16-mixed", CPU)


def test_precision_is_part_of_what_a_result_is():
    chosen = [NeuralConfig(precision=name) for name in ("32-true", "tf32", "bf16-mixed")]
    assert [config.settings("fit")["precision"] for config in chosen] == [
        "32-true",
        "tf32",
        "bf16-mixed",
    ]


def flags():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("users", ["highest", "high", "medium"])
def test_products_are_rounded_where_asked_for_and_the_users_flags_come_back(users):
    first = flags()
    try:
        torch.set_float32_matmul_precision(users)
        before = flags()
        with rounding(CUDA):
            assert flags() == ("highest", False)
            with rounding(CUDA, tf32=True):
                assert flags() == ("high", True)
            assert flags() == ("highest", False)
        with pytest.raises(KeyError), rounding(CUDA, tf32=True):
            raise KeyError
        with rounding(CPU, tf32=True):
            assert flags() == before
        assert flags() == before
    finally:
        torch.set_float32_matmul_precision(first[0])


def test_no_other_module_asks_torch_where_to_compute():
    """Device handling stands in few places; methods know none."""
    for name in NEURAL:
        source = inspect.getsource(inspect.getmodule(registry.load("detectors", name)))
        assert "torch.cuda" not in source
        assert ".cuda(" not in source
    assert loading.SHARE < 1


@pytest.mark.slow
@pytest.mark.parametrize(("components", "dim"), [(1, 1), (3, 5), (5, 16)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_mixtures_likelihood_is_the_same_by_torch(monkeypatch, components, dim, kind):
    monkeypatch.setattr(mixture_device, "VALUES", 64 * dim)  # several blocks
    x = np.random.default_rng(0).normal(1e3, [1, 30][dim > 1], (200, dim)).astype(kind)
    mixture = fit_mixture(x, components, 0)
    expected = mixture.nll(x)
    np.testing.assert_allclose(mixture_device.nll_on(mixture, x, CPU), expected, rtol=1e-10)
    assert len(mixture_device.nll_on(mixture, x[:0], CPU)) == 0
    assert np.array_equal(mixture_device.nll(mixture, x, "auto"), expected)


def test_few_rows_ask_for_no_gpu_and_many_refuse_one_that_is_missing(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    x = np.random.default_rng(0).normal(size=(200, 3))
    mixture = fit_mixture(x, 2, 0)
    mixture_device.nll(mixture, x, "cuda")
    monkeypatch.setattr(mixture_device, "WORTH", 0.0)
    with pytest.raises(BadInput, match="device: cuda is not available"):
        mixture_device.nll(mixture, x, "cuda")
