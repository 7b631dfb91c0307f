"""Diffusion: schedule and solvers, the preconditioned denoiser, its likelihood, and the detector
around them.
"""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import multivariate_normal, spearmanr
from vadbench_methods.denoiser import Denoiser
from vadbench_methods.diffusion import RELEASED_STD, Config, Diffusion, overall_std
from vadbench_methods.folded import FoldedDenoiser
from vadbench_methods.samplers import SAMPLERS, karras_sigmas, lms_coefficients

from vadbench.detector import Features, Nature
from vadbench.features.stream import declared_nature

SMALL = {"units": (32, 16), "epochs": 1000, "max_steps": 30, "lr": 1e-3, "progress": "off"}
CONDITIONINGS = ("fourier", "concatenated", "film")
falling = st.lists(
    st.floats(1e-3, 100), min_size=2, max_size=9, unique_by=lambda sigma: round(math.log(sigma), 1)
).map(lambda levels: (*sorted(levels, reverse=True), 0.0))


def features(x):
    x = np.asarray(x, np.float32)
    return Features(x, np.zeros(len(x), int), np.arange(len(x)))


def rows(count=200, dim=5, seed=0):
    return features(
        np.random.default_rng(seed).normal(size=(count, dim)) * np.linspace(0.5, 3, dim) + 2
    )


def fit_on(train=None, **settings):
    detector = Diffusion(Config(**{**SMALL, **settings}), seed=1)
    detector.fit(rows() if train is None else train)
    return detector


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return fit_on(t=(4, 6, 9))


def denoiser(conditioning="fourier", dim=3):
    torch.manual_seed(0)
    net = Denoiser(dim, (16, 8), conditioning, 0.7)
    for _ in range(5):
        # running statistics
        net.loss(torch.randn(64, dim), torch.rand(64, 1) + 0.1, torch.randn(64, dim))
    for name, weights in net.named_parameters():
        if ".film." in name:
            torch.nn.init.normal_(weights, std=0.1)  # otherwise FiLM does nothing yet
    return net.eval()


# the schedule and the solvers


@given(p_mean=st.floats(-5, 0), p_std=st.floats(0.5, 2), steps=st.integers(2, 30))
def test_noise_levels_fall_from_one_end_of_the_range_to_the_other_and_to_zero(p_mean, p_std, steps):
    sigmas = karras_sigmas(p_mean, p_std, steps)
    assert len(sigmas) == steps + 1
    assert sigmas[-1] == 0
    assert all(a > b for a, b in pairwise(sigmas))
    np.testing.assert_allclose(
        np.log([sigmas[0], sigmas[-2]]), [p_mean + 5 * p_std, p_mean - 5 * p_std], atol=1e-9
    )


@given(sigmas=falling, polynomial=st.lists(st.floats(-2, 2), min_size=1, max_size=4))
def test_lms_integrates_polynomials_below_its_order_exactly(sigmas, polynomial):
    for i, weights in enumerate(lms_coefficients(sigmas)):
        slope = np.polynomial.Polynomial(polynomial[: len(weights)])
        exact = slope.integ()(sigmas[i + 1]) - slope.integ()(sigmas[i])
        terms = [weight * slope(sigmas[i - j]) for j, weight in enumerate(weights)]
        assert sum(terms) == pytest.approx(exact, rel=1e-9, abs=1e-9 * (1 + np.abs(terms).max()))


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2), ("lms", 4)])
def test_solvers_converge_with_their_order(sampler, order):
    """The flow of an ideal Gaussian is x sqrt(1 + sigma^2); the error falls by 2^order with twice
    the steps.
    """

    def error(steps):
        sigmas = tuple(np.linspace(2, 1, steps + 1).tolist())
        found = SAMPLERS[sampler](
            lambda x, sigma: x * sigma / (1 + sigma**2),
            torch.ones(1, 1, dtype=torch.float64),
            sigmas,
        )
        return abs(float(found) - math.sqrt(2 / 5))

    rate = math.log2(error(40) / error(80))
    # the first, low-order steps of lms set its rate
    assert rate == pytest.approx(order, abs=0.3) if order < 4 else rate > 1.9
    assert error(80) < 1e-2


@pytest.mark.parametrize("t", [0, 6, 9])
def test_lms_costs_one_evaluation_a_step_left(model, t, monkeypatch):
    calls = []
    monkeypatch.setattr(FoldedDenoiser, "slope", lambda _, x, sigma: calls.append(sigma) or x)
    sigmas = karras_sigmas(-1, 1.5)[t:]
    model.reconstruct(torch.randn(4, 5), torch.randn(5), sigmas)
    assert tuple(calls) == sigmas[:-1]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("units", [(8,), (16, 8), (16, 8, 4)])
@torch.no_grad()
def test_folded_weights_give_the_network_s_slope(conditioning, units):
    torch.manual_seed(0)
    net = Denoiser(3, units, conditioning, 0.6).double()
    for values in net.parameters():
        values.add_(0.3 * torch.randn_like(values))  # film, too, then depends on sigma
    # running statistics
    net.loss(
        torch.randn(64, 3).double(), torch.rand(64, 1).double() + 0.1, torch.randn(64, 3).double()
    )
    folded, x = FoldedDenoiser(net.eval()), torch.randn(7, 3).double()
    for sigma in (1e-3, 0.5, 300.0):
        torch.testing.assert_close(
            folded.slope(x, sigma), net.slope(x, x.new_tensor(sigma)), rtol=1e-9, atol=1e-12
        )


def test_folded_weights_follow_the_network(model):
    model.net.eval()
    before = model.folded()
    assert model.folded() is before
    kept = model.net.network.last.bias.detach().clone()
    with torch.no_grad():
        model.net.network.last.bias.add_(1.0)
    x, sigma = torch.randn(4, 5), 0.5
    with torch.inference_mode():
        torch.testing.assert_close(
            model.folded().slope(x, sigma),
            model.net.slope(x, torch.tensor(sigma)),
            rtol=1e-4,
            atol=1e-5,
        )
    with torch.no_grad():
        model.net.network.last.bias.copy_(kept)


# the denoiser


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@torch.no_grad()
def test_one_sigma_for_all_rows_is_the_same_as_one_a_row(conditioning):
    net, x = denoiser(conditioning), torch.randn(7, 3)
    for sigma in (1e-3, 0.5, 300.0):
        torch.testing.assert_close(net(x, torch.tensor(sigma)), net(x, torch.full((7, 1), sigma)))


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@torch.no_grad()
def test_sigma_matters_and_is_embedded_once_for_all_rows(conditioning):
    net, x = denoiser(conditioning), torch.randn(7, 3)
    assert not torch.allclose(
        net.network_at(x, torch.tensor(0.1)), net.network_at(x, torch.tensor(1.0)), atol=1e-3
    )
    if conditioning == "film":
        shapes = []
        net.network.embed.register_forward_hook(
            lambda _module, _inputs, out: shapes.append(out.shape)
        )
        net(x, torch.tensor(0.5))
        assert shapes == [(256,)]


@torch.no_grad()
def test_loss_is_the_weighted_denoising_error():
    net = denoiser().double()
    x, sigma, eps = (
        torch.randn(6, 3).double(),
        torch.rand(6, 1).double() + 0.1,
        torch.randn(6, 3).double(),
    )
    weight = (sigma**2 + net.sigma_data**2) / (sigma * net.sigma_data) ** 2
    torch.testing.assert_close(
        net.loss(x, sigma, eps), (weight * (net(x + sigma * eps, sigma) - x) ** 2).mean(1)
    )


@torch.no_grad()
def test_slope_is_the_denoising_direction_over_sigma():
    net, x = denoiser().double(), torch.randn(6, 3).double()
    for sigma in (torch.tensor(0.05).double(), torch.tensor(20.0).double()):
        torch.testing.assert_close(net.slope(x, sigma), (x - net(x, sigma)) / sigma)


@torch.no_grad()
def test_loss_stays_finite_at_every_noise():
    net, x, eps = denoiser(), torch.randn(4, 3), torch.randn(4, 3)
    for sigma in (1e-8, 1e-4, 1.0, 1e4):
        assert net.loss(x, torch.full((4, 1), sigma), eps).isfinite().all()


# the likelihood


def ideal_for_gaussian(net, variances):
    """Replace F by what the ideal denoiser of N(0, diag(variances)) needs it to be."""

    def network_at(scaled, sigma):
        spread = net.spread(sigma)
        ideal = variances / (variances + sigma**2)
        return (
            (ideal - (net.sigma_data / spread) ** 2)
            * spread
            / (sigma * net.sigma_data)
            * (scaled * spread)
        )

    net.network_at = network_at
    return net


@torch.no_grad()
def test_likelihood_of_a_gaussian_with_the_ideal_denoiser():
    variances = torch.tensor([0.09, 0.5, 2.0], dtype=torch.float64)
    net = ideal_for_gaussian(denoiser().double(), variances)
    x = torch.randn(50, 3, dtype=torch.float64) * 1.5
    found = net.log_likelihood(x, 1e-3, 300.0, math.sqrt(3) * torch.eye(3).double())
    np.testing.assert_allclose(
        found, multivariate_normal(np.zeros(3), np.diag(variances)).logpdf(x), rtol=1e-3, atol=1e-3
    )


@torch.no_grad()
def test_hutchinson_probes_average_to_the_exact_trace():
    net, x = denoiser().double(), torch.randn(5, 3).double()
    # all of them: the expectation
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    exact = net.log_likelihood(x, 0.1, 10.0, math.sqrt(3) * torch.eye(3).double())
    torch.testing.assert_close(net.log_likelihood(x, 0.1, 10.0, signs), exact)


def test_many_features_take_hutchinson_probes(model):
    model = Diffusion(Config(), seed=0)
    model.build(100)
    probes = model.probes(torch.zeros(2, 100))
    assert probes.shape == (16, 100)
    assert set(probes.unique().tolist()) == {-1.0, 1.0}
    model.build(20)
    torch.testing.assert_close(
        model.probes(torch.zeros(2, 20)).T @ model.probes(torch.zeros(2, 20)) / 20, torch.eye(20)
    )


@pytest.mark.slow
def test_trained_likelihood_of_a_gaussian_to_one_percent():
    rng, std = np.random.default_rng(0), np.array([0.3, 2.0])
    train, test = (rng.normal(size=(count, 2)) * std for count in (8000, 500))
    detector = fit_on(
        features(train),
        units=(128, 64),
        batch_size=512,
        max_steps=1500,
        scaling="component",
        also=("likelihood",),
        t=(9,),
    )
    # the density is of the scaled features
    to_scaled = np.log(std / detector.standardisation.scale).sum()
    exact = (
        -multivariate_normal(np.zeros(2), np.diag(std**2)).logpdf(test)
        - np.log(std).sum()
        + to_scaled
    )
    found = detector.score(features(test))[:, detector.read_outs.index("likelihood")]
    assert found.mean() == pytest.approx(exact.mean(), rel=0.01)
    assert spearmanr(found, exact).statistic > 0.99


# the detector


def test_columns_are_named_by_t_and_agree_with_models_of_one_t(model):
    test = rows(20, seed=3)
    assert model.read_outs == ("t4", "t6", "t9")
    alone = Diffusion(Config(**SMALL, t=(6,)), seed=1)
    alone.restore(model.arrays())
    np.testing.assert_array_equal(alone.score(test)[:, 0], model.score(test)[:, 1])


def test_further_columns(model):
    more = Diffusion(Config(**SMALL, t=(6, 9), also=("scaled", "likelihood")), seed=1)
    more.restore(model.arrays())
    scores, sigmas = more.score(rows(20, seed=3)), karras_sigmas(-1, 1.5)
    assert more.read_outs == ("t6", "t9", "t6-scaled", "t9-scaled", "likelihood")
    np.testing.assert_allclose(
        scores[:, 2:4], scores[:, :2] / np.square([sigmas[6], sigmas[9]]), rtol=1e-12
    )
    assert np.isfinite(scores).all()


def test_noise_comes_in_opposite_pairs_and_draws_are_averaged(model):
    np.testing.assert_array_equal(model.noise[::2], -model.noise[1::2])
    test = rows(20, seed=3)
    first, second = (
        Diffusion(Config(**SMALL, draws=1), seed=1),
        Diffusion(Config(**SMALL, draws=1), seed=1),
    )
    both = Diffusion(Config(**SMALL, draws=2), seed=1)
    for detector in (first, second, both):
        detector.restore(model.arrays())
    second.noise = second.noise[1:]
    np.testing.assert_allclose(
        both.score(test), (first.score(test) + second.score(test)) / 2, rtol=1e-12
    )


@torch.no_grad()
def test_a_pair_of_draws_ranks_a_gaussian_by_the_distance_to_its_mean():
    """One draw does not where features are few: its direction counts. So the default is a pair."""
    rank = {}
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for draws in (1, 2):
        detector = Diffusion(Config(draws=draws), seed=0)
        net = ideal_for_gaussian(detector.build(2).double(), torch.ones(2).double())
        detector.net, detector.folded = (
            net,
            lambda net=net: SimpleNamespace(
                slope=lambda x, sigma: net.slope(x, x.new_tensor(sigma))
            ),
        )
        detector.noise = np.float32([[1.0, 0.5], [-1.0, -0.5]])
        rank[draws] = spearmanr(detector.anomaly(x)[:, 0], x.square().sum(1)).statistic
    assert rank[2] > 0.999
    assert rank[1] < 0.9


@pytest.mark.parametrize(("t", "rtol"), [(6, 1e-5), (9, 1e-6)])
def test_float64_where_the_noise_is_fine(model, t, rtol):
    """Against the same network in float64 throughout; at t = 9 a float32 residual alone is off by
    more than 1e-5.
    """
    test, sigmas = (
        torch.from_numpy(model.standardisation.apply(rows(50, seed=3).x)),
        karras_sigmas(-1, 1.5)[t:],
    )
    double = Denoiser(5, SMALL["units"], "fourier")
    double.load_state_dict(model.net.state_dict())
    exact = Diffusion(model.config, seed=1)
    exact.net, exact.noise = double.double().eval(), model.noise
    model.net.eval()
    with torch.inference_mode():
        np.testing.assert_allclose(
            model.error(test, sigmas), exact.error(test.double(), sigmas), rtol=rtol
        )


@pytest.mark.parametrize(
    ("count", "batch", "sizes"), [(50, 8192, [50]), (9, 8, [5, 4]), (1000, 300, [250] * 4)]
)
def test_batches_are_capped_at_the_rows_and_of_equal_size(count, batch, sizes):
    detector = Diffusion(Config(**{**SMALL, "epochs": 2, "batch_size": batch}), seed=0)
    detector.net, detector.standardisation = detector.build(5), detector.standardise(rows(count).x)
    assert [len(found) for found in detector._batches(rows(count))] == sizes * 2


def test_a_batch_larger_than_the_data_trains():
    untrained = fit_on(max_steps=1, warmup=0.999999)
    trained = fit_on(batch_size=8192)
    assert not np.allclose(untrained.score(rows(10)), trained.score(rows(10)), rtol=1e-3)


def test_two_rows_in_batches_of_one():
    assert np.isfinite(fit_on(rows(2), batch_size=1).score(rows(5))).all()


def test_global_scaling_is_one_factor_to_the_released_deviation(model):
    x, scaling = rows().x, model.standardisation
    assert len(np.unique(scaling.scale)) == 1
    assert not scaling.mean.any()
    assert scaling.apply(x).std(dtype=np.float64, ddof=1) == pytest.approx(RELEASED_STD, rel=1e-6)
    assert float(model.net.sigma_data) == pytest.approx(RELEASED_STD, rel=1e-6)


def test_other_scalings():
    x = rows().x
    component, none = fit_on(scaling="component", max_steps=1), fit_on(scaling="none", max_steps=1)
    np.testing.assert_allclose(
        component.standardisation.apply(x).std(0, ddof=1), RELEASED_STD, rtol=1e-5
    )
    np.testing.assert_array_equal(none.standardisation.apply(x), x)
    assert float(none.net.sigma_data) == pytest.approx(x.std(dtype=np.float64, ddof=1), rel=1e-6)
    assert float(fit_on(sigma_data=0.4, max_steps=1).net.sigma_data) == pytest.approx(0.4)


def test_overall_std_of_a_constant_is_one():
    detector = fit_on(features(np.full((10, 2), 7.0)), max_steps=1)
    assert overall_std(np.full((10, 2), 7.0, np.float32), detector.standardisation) == 1.0
    assert np.isfinite(detector.score(rows(3, 2))).all()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_rows_are_independent_and_saving_is_exact(conditioning, tmp_path):
    detector, test = fit_on(conditioning=conditioning), rows(40, seed=3)
    scores = detector.score(test)
    np.testing.assert_allclose(detector.score(test.rows(slice(5, 6))), scores[5:6], rtol=1e-5)
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_allclose(detector.score(test.rows(order)), scores[order], rtol=1e-5)
    detector.save(tmp_path)
    np.testing.assert_array_equal(Diffusion.load(tmp_path).score(test), scores)


def test_far_rows_score_higher_on_all_sides():
    detector = fit_on(features(np.random.default_rng(0).normal(size=(500, 5))), max_steps=100)
    far = 20 * np.concatenate([np.eye(5), -np.eye(5)])
    assert detector.score(features(far)).min() > np.quantile(detector.score(rows(100)), 0.99)


@settings(max_examples=10)
@given(t=st.integers(10, 20))
def test_t_beyond_the_schedule_is_refused(t):
    with pytest.raises(ValidationError, match="t must be below steps"):
        Config(t=(t,))


def test_repeated_columns_are_refused():
    with pytest.raises(ValidationError, match="must differ"):
        Config(t=(6, 6))


@pytest.mark.parametrize(
    ("preset", "dataset", "nature", "t"),
    [
        ("paper", "shanghaitech", Nature(network="r3d-18"), (6,)),
        ("paper", "shanghaitech", declared_nature("clip.r3d-18"), (6,)),
        ("paper", "shanghaitech", Nature(network="r3d-resnext101"), (9,)),
        ("paper", "ucf_crime", Nature(network="r3d-18"), (9,)),
        ("fast", "ped2", Nature(), (6,)),
    ],
)
def test_presets(preset, dataset, nature, t):
    config = Config(**Diffusion.preset(preset, dataset, nature))
    assert config.t == t
    assert (
        (config.max_steps or math.inf) <= 2000
        if preset == "fast"
        else (config.lr, config.epochs, config.batch_size) == (2e-4, 50, 8192)
    )


@pytest.mark.parametrize(
    ("stream", "scaling"),
    [
        ("velocity@grid", "component"),
        ("tracks", "component"),
        ("deep@file.vec", "global"),
        ("pose", "global"),
    ],
)
def test_columns_of_several_units_are_scaled_each_by_its_own_deviation(stream, scaling):
    assert Diffusion.preset("fast", "ped2", declared_nature(stream))["scaling"] == scaling
    assert "scaling" not in Diffusion.preset("paper", "ped2", declared_nature(stream))
