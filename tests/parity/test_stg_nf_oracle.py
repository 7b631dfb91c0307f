"""STG-NF against arrays of an implementation in NumPy loops: latents, log-determinants, densities,
ActNorm's start, batch statistics.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from vadbench_methods.stg_nf_net import PoseFlow, adjacency, pose_flow

FILE = Path(__file__).resolve().parents[3] / "shared/oracles/stgnf/model.npz"
PLAIN = {"hidden": 0, "permutation": "reverse", "edges": False}
RICH = {"hidden": 3, "permutation": "matrix", "edges": True}
CASES = {
    "st": (("uniform", 8), PLAIN),
    "ub": (("uniform", 8), PLAIN),
    "onehop": (("uniform", 1), PLAIN),
    "options": (("distance", 2), RICH),
    "plain": (("uniform", 8), PLAIN),
    "first": (("uniform", 8), PLAIN),
}


@pytest.fixture(scope="module")
def arrays():
    if not FILE.is_file():
        pytest.skip(f"{FILE} is not on this machine")
    with np.load(FILE) as file:
        return dict(file)


@pytest.fixture
def _wide():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


pytestmark = pytest.mark.usefixtures("_wide")


def build(arrays, case, *, pooled=True) -> PoseFlow:
    """The flow with the case's weights, float64."""
    near, options = CASES[case]
    shape = arrays[f"{case}.x"].shape[1:]
    graph = adjacency(*near)
    if not pooled:  # one number apart: no longer one average, and the same to 1e-15
        graph = graph * (1 + 1e-16 * torch.arange(18.0))
        graph[0, 0, 0] += 1e-17
    flow = pose_flow(
        shape,
        graph,
        layers=int(arrays[f"{case}.K"]),
        kernel=shape[1] // 2 + 1,
        prior_mean=float(arrays[f"{case}.R"]),
        **options,
    )
    for number, step in enumerate(flow.steps):
        fill_step(arrays, f"{case}.w.{number}", step)
    return flow.eval()


@torch.no_grad()
def fill_step(arrays, where, step):
    def put(target, name):
        values = torch.from_numpy(arrays[f"{where}.{name}"])
        target.copy_(values.reshape(target.shape))

    if f"{where}.actnorm.bias" in arrays:
        put(step.act_norm.bias, "actnorm.bias")
        put(step.act_norm.logs, "actnorm.logs")
    if step.matrix is not None:
        put(step.matrix, "W")
    for number, unit in enumerate(step.network):
        pairs = [("graph", "bn1", unit.graph, unit.norm_graph)]
        pairs += [("time", "bn2", unit.time, unit.norm_time)]
        pairs += [] if unit.residual is None else [("res", "bn3", *unit.residual)]
        for convolution, norm, weights, statistics in pairs:
            put(weights.weight, f"{number}.{convolution}.weight")
            put(weights.bias, f"{number}.{convolution}.bias")
            gamma, beta, mean, variance = arrays[f"{where}.{number}.{norm}"]
            for target, values in (
                (statistics.weight, gamma),
                (statistics.bias, beta),
                (statistics.running_mean, mean),
                (statistics.running_var, variance),
            ):
                target.copy_(torch.from_numpy(values))
        if unit.edge is not None:
            put(unit.edge, f"{number}.edge")


def rows(arrays, case):
    return torch.from_numpy(arrays[f"{case}.x"])


@pytest.mark.parametrize("case", CASES)
def test_the_adjacency_is_theirs(arrays, case):
    np.testing.assert_array_equal(adjacency(*CASES[case][0]), arrays[f"{case}.A"])


@pytest.mark.parametrize("case", ["st", "ub", "onehop", "options"])
def test_latents_and_log_determinants_are_theirs(arrays, case):
    z, log_det = build(arrays, case).latent(rows(arrays, case))
    np.testing.assert_allclose(z.detach(), arrays[f"{case}.z"], rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(log_det.detach(), arrays[f"{case}.logdet"], rtol=1e-10)


@pytest.mark.parametrize("case", ["st", "ub", "onehop", "options", "plain"])
def test_log_densities_are_theirs(arrays, case):
    flow = build(arrays, case)
    expected = arrays[f"{case}.log_prob"]
    found = flow.log_prob(rows(arrays, case)).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    single = flow.float().log_prob(rows(arrays, case).float()).detach()
    np.testing.assert_allclose(single, expected, rtol=1e-6)


@pytest.mark.parametrize("case", ["st", "ub", "onehop", "options"])
def test_the_count_of_parameters_is_theirs(arrays, case):
    count = sum(weights.numel() for weights in build(arrays, case).parameters())
    assert count == int(arrays[f"{case}.parameters"])


def test_couplings_that_do_nothing_leave_a_gaussian(arrays):
    found = build(arrays, "plain").log_prob(rows(arrays, "plain")).detach()
    np.testing.assert_allclose(found, arrays["plain.closed_form"], rtol=1e-12)


def test_the_released_prior_differs_by_a_millionth(arrays):
    for case in ("st", "ub", "onehop", "options"):
        ratio = arrays[f"{case}.log_prob"] / arrays[f"{case}.log_prob_code"] - 1
        assert np.abs(ratio).max() < 2e-6


def test_act_norm_starts_and_batch_statistics_are_theirs(arrays):
    flow, x = build(arrays, "first").train(), rows(arrays, "first")
    flow.start(x)
    for number, step in enumerate(flow.steps):
        for name in ("bias", "logs"):
            expected = arrays[f"first.actnorm.{number}.{name}"]
            found = getattr(step.act_norm, name).detach()
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    found = flow.log_prob(x).detach()
    np.testing.assert_allclose(found, arrays["first.log_prob"], rtol=1e-10)
    bits = -found.mean() / (x[0].numel() * np.log(2))
    np.testing.assert_allclose(bits, arrays["first.loss"], rtol=1e-10)


def test_the_average_of_all_joints_is_the_graph_convolution_itself(arrays):
    pooled, direct = build(arrays, "st"), build(arrays, "st", pooled=False)
    assert pooled.steps[0].network[0].mean
    assert not direct.steps[0].network[0].mean
    x = rows(arrays, "st")
    found = pooled.log_prob(x).detach()
    np.testing.assert_allclose(found, direct.log_prob(x).detach(), rtol=1e-12)


def test_exchanged_joints_change_nothing_at_eight_hops_and_much_at_one(arrays):
    chance = np.random.default_rng(0)
    for case, differs in (("st", False), ("onehop", True), ("options", True)):
        x = rows(arrays, case)
        mixed = x.clone()
        for pose in range(x.shape[2]):  # another exchange in every frame
            mixed[:, :, pose] = x[:, :, pose, torch.from_numpy(chance.permutation(18))]
        flow = build(arrays, case)
        apart = (flow.log_prob(x) - flow.log_prob(mixed)).abs().min().item()
        assert (apart > 0.1) if differs else (apart < 1e-9)


def test_windows_of_half_the_width_started_anew_move_the_density_by_a_constant(arrays):
    x, densities = rows(arrays, "first"), []
    for scale in (1.0, 0.5607):
        flow = build(arrays, "first").train()
        scaled = x * torch.tensor([scale, 1.0])[:, None, None]
        flow.start(scaled)
        densities.append(flow.log_prob(scaled).detach())
    constant = -x.shape[2] * x.shape[3] * np.log(0.5607)
    np.testing.assert_allclose(densities[1] - densities[0], constant, atol=1e-3)
