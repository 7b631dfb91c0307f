"""MULDE: the closed-form gradient, the loss, the read-outs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from vadbench_methods.mlp import NoiseConditionedMLP, RegularisedMLP, TimesSlope
from vadbench_methods.mulde import MULDE, log_uniform, mulde_loss

from vadbench.detector import Features, Nature
from vadbench.features.stream import declared_nature

SMALL = {"units": (32, 32), "max_steps": 60, "batch_size": 128, "lr": 2e-3, "progress": "off"}


def features(rows, dim=4, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 2)) @ generator.normal(size=(2, dim)) + 0.1 * generator.normal(
        size=(rows, dim)
    )
    return Features(x.astype(np.float32), np.zeros(rows, int), np.arange(rows))


def fit_on(rows=400, **changes):
    detector = MULDE(MULDE.Config(**{**SMALL, **changes}), seed=0)
    detector.fit(features(rows))
    return detector


@given(
    dim=st.integers(1, 6),
    units=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_input_gradient_is_that_of_autograd_and_differentiable(dim, units, seed):
    torch.manual_seed(seed)
    net = NoiseConditionedMLP(dim, tuple(units)).double()
    x, sigma = (
        torch.randn(5, dim, dtype=torch.float64, requires_grad=True),
        torch.rand(5, 1, dtype=torch.float64),
    )
    (expected,) = torch.autograd.grad(net(x, sigma).sum(), x, create_graph=True)
    gradient = net.input_gradient(x.detach(), sigma)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)
    weights = list(net.parameters())[:-1]  # the last bias moves no gradient
    ours = torch.autograd.grad(
        gradient.sin().sum(), weights, allow_unused=True, materialize_grads=True
    )
    theirs = torch.autograd.grad(
        expected.sin().sum(), weights, allow_unused=True, materialize_grads=True
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rows", [1, 6])
def test_slope_has_the_right_gradients(rows):
    u, a = (
        torch.randn(rows, 5, dtype=torch.float64, requires_grad=True),
        torch.randn(6, 5, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(TimesSlope.apply, (u, a))


def test_scales_together_equal_scales_one_by_one():
    net, x, scales = (
        NoiseConditionedMLP(4, (16, 8, 16)).double(),
        torch.randn(7, 4, dtype=torch.float64),
        torch.rand(16, dtype=torch.float64),
    )
    one_by_one = torch.stack([net(x, scale.expand(7, 1)) for scale in scales], 1)
    torch.testing.assert_close(net.at_scales(x, scales), one_by_one, rtol=1e-12, atol=1e-12)


def test_loss_is_half_the_dimension_at_the_start():
    torch.manual_seed(0)
    x = torch.randn(4096, 64)
    matching, _ = mulde_loss(
        NoiseConditionedMLP(64, (256, 256)), x, log_uniform(1e-3, 1, x), torch.randn_like(x), 0.1
    )
    assert 2 * matching.item() / 64 == pytest.approx(1, abs=0.02)


def test_loss_survives_the_smallest_noise():
    x = torch.randn(8, 3)
    matching, regulariser = mulde_loss(
        NoiseConditionedMLP(3, (8,)), x, torch.full((8, 1), 1e-30), torch.randn_like(x), 0.1
    )
    assert torch.isfinite(matching + regulariser)


def test_noise_scales_are_log_uniform():
    torch.manual_seed(0)
    sigma = log_uniform(1e-3, 1.0, torch.zeros(20000, 3))
    assert sigma.shape == (20000, 1)
    assert np.histogram(sigma.log10(), bins=3, range=(-3, 0))[0] == pytest.approx(
        20000 / 3, rel=0.05
    )


def test_without_regulariser_the_clean_branch_is_left_out():
    net = NoiseConditionedMLP(3, (8,))
    net.forward = None
    matching, regulariser = mulde_loss(
        net, torch.randn(4, 3), torch.rand(4, 1), torch.randn(4, 3), 0.0
    )
    assert regulariser == 0
    matching.backward()


def test_read_outs_are_the_chosen_columns_in_order():
    everything = fit_on()
    some = fit_on(read_outs=("median", "gmm3"))
    test = features(50, seed=1)
    columns = dict(zip(everything.read_outs, everything.score(test).T, strict=True))
    assert everything.read_outs == ("gmm5", "gmm3", "gmm1", "mean", "max", "median")
    assert np.array_equal(some.score(test), np.stack([columns["median"], columns["gmm3"]], 1))


def test_scores_rank_distance_from_the_data():
    detector = fit_on(max_steps=300)
    near = features(200, seed=0).x
    far = Features((near + 6 * near.std(0)).astype(np.float32), np.zeros(200, int), np.arange(200))
    scores = detector.score(far)
    assert np.isfinite(scores).all()
    assert (
        np.median(scores, axis=0) > np.quantile(detector.score(features(200)), 0.95, axis=0)
    ).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.0},
        {"precision": "bf16-mixed"},
        {"units": (8,)},
        {"units": (8, 8, 8)},
        {"scales": 1},
        {"floor": "absolute"},
    ],
)
def test_every_setting_gives_finite_scores(settings):
    assert np.isfinite(fit_on(**settings, epochs=2).score(features(20))).all()


def test_two_rows_are_enough():
    assert np.isfinite(fit_on(rows=2, epochs=3).score(features(20))).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma_low": 2.0}, "sigma_low must be below sigma_high"),
        ({"read_outs": ("mean", "mean")}, "read_outs must differ"),
        ({"read_outs": ()}, "at least 1 item"),
        ({"units": ()}, "at least 1 item"),
        ({"beta": -1}, "greater than or equal to 0"),
        ({"epoch": 3}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        MULDE.Config(**settings)


def test_presets():
    assert MULDE.preset("paper", "ped2", declared_nature("deep"))["lr"] == 5e-4
    assert MULDE.preset("paper", "ucf_crime", declared_nature("clip"))["lr"] == 1e-4
    fast = MULDE.Config(**MULDE.preset("fast", "ped2", Nature()))
    assert (fast.units, fast.max_steps, fast.batch_size, fast.beta) == ((256, 256), 2000, 2048, 0.1)


def test_paper_network_has_the_published_size():
    with torch.device("meta"):
        assert (
            sum(weights.numel() for weights in NoiseConditionedMLP(512, (4096, 4096)).parameters())
            == 18_890_753
        )
        assert (
            sum(weights.numel() for weights in NoiseConditionedMLP(1152, (4096, 4096)).parameters())
            == 21_512_193
        )


def plain_and_regularised():
    plain = NoiseConditionedMLP(4, (16, 8)).double()
    other = RegularisedMLP(4, (16, 8), layer_norm=False, dropout=0.0).double()
    other.load_state_dict(dict(zip(other.state_dict(), plain.state_dict().values(), strict=True)))
    return plain, other


def test_the_double_backward_network_is_the_closed_form_one_without_its_flags():
    plain, other = plain_and_regularised()
    x, sigma, eps = (
        torch.randn(9, 4, dtype=torch.float64),
        torch.rand(9, 1, dtype=torch.float64),
        torch.randn(9, 4, dtype=torch.float64),
    )
    gradients = []
    for net in (plain, other):
        sum(mulde_loss(net, x, sigma, eps, 0.1)).backward()
        gradients.append([weights.grad for weights in net.parameters()])
    for ours, double in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, double)
    scales = torch.rand(3, dtype=torch.float64)
    torch.testing.assert_close(plain.at_scales(x, scales), other.at_scales(x, scales))


@pytest.mark.parametrize("flag", [{"layer_norm": True}, {"dropout": 0.5}])
def test_layer_norm_and_dropout_change_what_is_learnt(flag):
    train = Features(
        np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32),
        np.zeros(64, int),
        np.arange(64),
    )
    small = {"units": (8,), "epochs": 2, "progress": "off", "read_outs": ("mean",)}
    scores = []
    for changed in ({}, flag):
        detector = MULDE(MULDE.Config(**small, **changed), seed=0)
        detector.fit(train)
        scores.append(detector.score(train))
    assert np.isfinite(scores[1]).all()
    assert not np.allclose(*scores)


def test_every_scale_can_be_a_column():
    train = Features(
        np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32),
        np.zeros(64, int),
        np.arange(64),
    )
    detector = MULDE(
        MULDE.Config(units=(8,), epochs=2, progress="off", scales=3, read_outs=("mean", "scales")),
        seed=0,
    )
    detector.fit(train)
    assert detector.read_outs == ("mean", "f@0.001", "f@0.5005", "f@1")
    scores = detector.score(train)
    z = (scores[:, 1:] - scores[:, 1:].mean(0)) / scores[:, 1:].std(0)
    np.testing.assert_allclose(scores[:, 0], z.mean(1), atol=1e-6)


def test_mixtures_of_a_subsample_leave_the_pools_as_they_are():
    every, some = (
        fit_on(read_outs=("gmm1", "mean")),
        fit_on(read_outs=("gmm1", "mean"), mixture_rows=50),
    )
    test = features(60, seed=1)
    (all_gmm, all_mean), (some_gmm, some_mean) = every.score(test).T, some.score(test).T
    np.testing.assert_array_equal(all_mean, some_mean)
    assert not np.array_equal(all_gmm, some_gmm)
    assert np.corrcoef(all_gmm, some_gmm)[0, 1] > 0.9
