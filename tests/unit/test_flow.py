from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_mixture import mixture
from pydantic import ValidationError
from scipy.stats import norm, spearmanr
from vadbench_methods.flow import Config, DensityFlow, Flow
from vadbench_methods.flow_blocks import (
    InvertibleLinear,
    autoregressive,
    glow,
    glow_maps,
    initialise,
)

from vadbench.detector import Features, Nature
from vadbench.errors import BadInput
from vadbench.testing import CLAUSES, Trial, every_field_counts, small_config

pytest.importorskip("normflows", reason="normflows is not installed (the extra [flow])")
pytest.importorskip("zuko", reason="zuko is not installed (the extra [flow])")
ARCHITECTURES = ("glow", "realnvp", "nsf", "maf")


def features(x: np.ndarray) -> Features:
    return Features(x.astype(np.float32), np.zeros(len(x), int), np.arange(len(x)), name="toy")


def detector(**settings: Any) -> Flow:
    small = {
        "layers": 2,
        "hidden": 8,
        "epochs": 1,
        "batch_size": 64,
        "progress": "off",
        "device": "cpu",
    }
    return Flow(Config(**{**small, **settings}), seed=0)


def draw_correlated(rows: int = 300, dim: int = 4, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, dim)) @ generator.normal(size=(dim, dim)) + 3


def random_flow(architecture: str, dim: int, scale_map: str = "sigmoid") -> DensityFlow:
    """A flow in float64 whose every weight is random, so that nothing is the identity."""
    torch.manual_seed(dim)
    if architecture in ("nsf", "maf"):
        flow = autoregressive(architecture, dim, 2, 8)  # type: ignore[arg-type]
    else:
        flow = glow(
            dim,
            3,
            8,
            {"glow": "linear", "permuted": "permutation", "realnvp": "swap"}[architecture],
            scale_map,
        )  # type: ignore[arg-type]
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    return DensityFlow(flow.double(), torch.ones(dim, dtype=torch.bool))


@settings(max_examples=8, deadline=None)
@given(dim=st.integers(1, 7), kind=st.sampled_from([*ARCHITECTURES, "permuted", "exp"]))
def test_log_determinant_is_that_of_the_jacobian(dim: int, kind: str) -> None:
    net = random_flow("glow" if kind == "exp" else kind, dim, "exp" if kind == "exp" else "sigmoid")
    x = torch.randn(dim, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda row: net.latent(row[None])[0][0], x)
    torch.testing.assert_close(
        net.latent(x[None])[1][0], torch.linalg.slogdet(jacobian)[1], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", ["glow", "permuted", "realnvp"])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_sampling_inverts_the_flow(kind: str, dim: int) -> None:
    net, x = random_flow(kind, dim), torch.randn(10, dim, dtype=torch.float64)
    torch.testing.assert_close(net.flow.forward(net.latent(x)[0]), x)


@pytest.mark.parametrize("kind", ["glow", "permuted", "realnvp", "nsf", "maf"])
def test_density_integrates_to_one(kind: str) -> None:
    net, axis = random_flow(kind, 2), torch.linspace(-30, 30, 401, dtype=torch.float64)
    with torch.no_grad():
        density = net.log_prob(torch.cartesian_prod(axis, axis)).exp()
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-2)


def test_linear_map_starts_as_a_rotation() -> None:
    linear = InvertibleLinear(6).double()
    with torch.no_grad():
        matrix, log_det = linear.inverse(torch.eye(6).double())
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(6).double(), atol=1e-5, rtol=0)
    assert log_det == pytest.approx(0, abs=1e-5)


def test_base_is_a_fixed_unit_gaussian() -> None:
    names = [name for name, _ in glow(4, 2, 8).named_parameters()]
    assert not [name for name in names if name.startswith("q0")]
    assert not list(autoregressive("maf", 4, 2, 8).base.parameters())


def test_log_determinants_add_up_in_float64() -> None:
    flow = glow(2, 3, 8)
    with torch.no_grad():
        for block, log_scale in zip(flow.flows[2::3], (20.0, -20.0, 19.9), strict=True):
            # large terms that cancel: a float32 sum would round to their size
            block.s.fill_(log_scale)
        net, x = DensityFlow(flow, torch.tensor([True, True])), torch.randn(9, 2)
        z, terms = x, []
        for block in reversed(flow.flows):
            z, log_det = block.inverse(z)
            terms.append(log_det.expand(9))
        total = net.latent(x)[1]
    assert net.log_prob(x).dtype == torch.float64
    assert torch.equal(total, sum(term.double() for term in terms))
    assert not torch.equal(total, sum(terms).double())


def test_scoring_never_initialises_act_norm() -> None:
    net = DensityFlow(glow(4, 2, 8), torch.ones(4, dtype=torch.bool))
    before = {name: values.clone() for name, values in net.state_dict().items()}
    with torch.no_grad():
        net.eval().log_prob(100 + 7 * torch.randn(50, 4))
    for name, values in net.state_dict().items():
        assert torch.equal(values, before[name]), name


def test_training_starts_act_norm_from_its_first_batch_alone() -> None:
    flow = detector()
    flow.net = DensityFlow(glow(4, 2, 8), torch.ones(4, dtype=torch.bool))
    first = 5 + 3 * torch.randn(64, 4)
    flow.loss(first)
    z, _ = flow.net.flow.flows[-1].inverse(first)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(4), atol=1e-4, rtol=0)
    before = flow.net.flow.flows[-1].s.clone()
    flow.loss(100 * torch.randn(64, 4))
    assert torch.equal(flow.net.flow.flows[-1].s, before)


def test_a_column_constant_in_the_first_batch_keeps_its_scale() -> None:
    flow, first = glow(3, 2, 8), torch.randn(64, 3)
    first[:, 1] = 0.7
    initialise(flow, first)
    assert flow.flows[-1].s[0, 1] == 0
    assert max(float(block.s.detach().abs().max()) for block in (flow.flows[2], flow.flows[5])) < 3


def test_maps_are_initialised_like_vectors() -> None:
    flow = glow_maps(2, 8, 8, levels=2, layers=1, hidden=4)
    initialise(flow, 5 + 3 * torch.randn(16, 2, 8, 8))
    z, _ = flow.inverse_and_log_det(torch.randn(1, 2, 8, 8))  # a batch of one is no trap any more
    assert all(bool(part.isfinite().all()) for part in z)


def test_one_row_cannot_initialise() -> None:
    with pytest.raises(ValueError, match="two rows"):
        initialise(glow(3, 2, 8), torch.randn(1, 3))
    with pytest.raises(ValidationError, match="batch_size"):
        Config(batch_size=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fit_score_save_load(architecture: str, tmp_path: Path) -> None:
    flow, x = detector(architecture=architecture), draw_correlated()
    flow.fit(features(x))
    scores = flow.score(features(x))
    assert scores.shape == (300, 1)
    assert scores.dtype == np.float64
    assert flow.score(features(x[:0])).shape == (0, 1)
    assert flow.score(features(x[:1])) == pytest.approx(scores[:1], rel=1e-5)
    assert flow.score(features(x + 100)).min() > scores.max()
    flow.save(tmp_path)
    assert np.array_equal(Flow.load(tmp_path).score(features(x)), scores)


@pytest.mark.parametrize("architecture", ["realnvp", "nsf", "maf"])
def test_other_architectures_keep_the_contract(architecture: str) -> None:
    """As tests/contract does for the default one; but `every_field_counts`, since `mixing` and
    `scale_map` are not theirs.
    """
    trial = Trial(
        Flow, small_config(Flow, {"layers": 2, "hidden": 8, "architecture": architecture})
    )
    for clause in CLAUSES:
        if clause is not every_field_counts:
            clause(trial)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_same_seed_same_scores(architecture: str) -> None:
    x = features(draw_correlated())
    first, second = detector(architecture=architecture), detector(architecture=architecture)
    first.fit(x)
    second.fit(x)
    assert np.array_equal(first.score(x), second.score(x))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_far_outliers_stay_finite(architecture: str) -> None:
    flow, x = detector(architecture=architecture, epochs=20, lr=5e-3, layers=4), draw_correlated()
    flow.fit(features(x))
    for distance in (1e2, 1e4, 1e6):
        far = distance * np.random.default_rng(1).normal(size=(50, 4))
        assert np.isfinite(flow.score(features(far))).all(), distance


def test_constant_columns_take_no_part() -> None:
    x = draw_correlated()
    wide = np.insert(x, [0, 2], [[7.25, -3e5]], axis=1)
    plain, constant = detector(), detector()
    plain.fit(features(x))
    constant.fit(features(wide))
    assert np.array_equal(plain.score(features(x)), constant.score(features(wide)))
    assert constant.arrays()["net.varies"].tolist() == [False, True, True, False, True, True]
    moved = wide.copy()
    moved[:, 0] += 50
    assert np.array_equal(constant.score(features(moved)), constant.score(features(wide)))


def test_nothing_but_constant_columns_is_refused() -> None:
    with pytest.raises(BadInput, match="all 3 feature columns are constant"):
        detector().fit(features(np.full((20, 3), 2.0)))


@pytest.mark.parametrize("architecture", ["glow", "realnvp"])
def test_one_column_is_a_gaussian(architecture: str) -> None:
    x = np.random.default_rng(0).normal(5, 2, (2000, 1))
    flow = detector(architecture=architecture, epochs=30, lr=5e-3)
    flow.fit(features(x))
    grid = np.linspace(-3, 13, 50)[:, None]
    # of the standardised rows
    expected = -norm(x.mean(), x.std()).logpdf(grid) - math.log(x.std(ddof=1))
    assert flow.score(features(grid)) == pytest.approx(expected, abs=0.1, rel=0.02)


@pytest.mark.parametrize("architecture", ["nsf", "maf"])
def test_one_column_works_with_zuko(architecture: str) -> None:
    x = np.random.default_rng(0).normal(5, 2, (200, 1))
    flow = detector(architecture=architecture)
    flow.fit(features(x))
    assert np.isfinite(flow.score(features(x))).all()


def test_training_lowers_the_loss() -> None:
    x = features(draw_correlated())
    short, long = detector(max_steps=1), detector(epochs=60, lr=5e-3)
    short.fit(x)
    long.fit(x)
    assert long.score(x).mean() < short.score(x).mean() - 0.3


def test_cosine_schedule_ends_at_zero() -> None:
    flow = detector(epochs=3)
    flow.fit(features(draw_correlated()))
    adam = flow.optimiser()
    schedule = flow.schedule(adam, 15)
    for _ in range(15):
        adam.step()
        schedule.step()
    assert adam.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_divergence_stops_with_the_step() -> None:
    flow = detector(lr=1e4, scale_map="exp", gradient_clip=None, epochs=50)
    with pytest.raises(FloatingPointError, match=r"flow: the loss is \S+ at step \d+; lower lr"):
        flow.fit(features(draw_correlated()))


def test_backend_follows_the_architecture() -> None:
    assert Config(architecture="maf").backend == "zuko"
    assert Config(architecture="realnvp").backend == "normflows"
    with pytest.raises(
        ValidationError, match="architecture must be nsf or maf with backend zuko, got glow"
    ):
        Config(backend="zuko", architecture="glow")


def test_default_architectures_are_glow_and_splines() -> None:
    x = features(draw_correlated())
    for backend, architecture in (("normflows", "glow"), ("zuko", "nsf")):
        unnamed, named = detector(backend=backend), detector(architecture=architecture)
        unnamed.fit(x)
        named.fit(x)
        assert np.array_equal(unnamed.score(x), named.score(x))


def test_gradients_are_clipped_in_mixed_precision() -> None:
    x = features(draw_correlated())
    flow = detector(precision="bf16-mixed", gradient_clip=1.0)
    flow.fit(x)
    assert np.isfinite(flow.score(x)).all()


@pytest.mark.parametrize(("package", "architecture"), [("normflows", "glow"), ("zuko", "nsf")])
def test_absent_package_names_the_extra(
    package: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        BadInput, match=rf"{package} is not installed; run pip install 'vadbench\[flow\]'"
    ):
        detector(architecture=architecture).fit(features(draw_correlated()))


def test_a_saved_one_whose_package_is_absent_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = detector(max_steps=2)
    flow.fit(features(draw_correlated()))
    flow.save(tmp_path)
    monkeypatch.setitem(sys.modules, "normflows", None)
    with pytest.raises(BadInput, match=r"^flow: the package normflows is not installed; run pip"):
        Flow.load(tmp_path)


@pytest.mark.slow
def test_ranks_like_the_exact_density_of_a_gaussian_mixture() -> None:
    """Four overlapping Gaussians in 8-d.

    The training: preset `fast` with 64 units (1500 steps of 512 rows) on 50,000 rows.
    """
    x, _ = mixture(50_000, seed=2)
    held_out, exact = mixture(3000, seed=3)
    flow = Flow(
        Config(**{**Flow.preset("fast", "", Nature()), "hidden": 64, "progress": "off"}), seed=0
    )
    flow.fit(features(x))
    scores = flow.score(features(held_out))[:, 0]
    assert spearmanr(scores, exact).statistic > 0.99
    # of the rows as they were before standardising
    raw = scores + np.log(flow.standardisation.scale).sum()
    # nats: the divergence of the learnt density from the true one
    assert (raw - exact).mean() == pytest.approx(0, abs=0.05)
