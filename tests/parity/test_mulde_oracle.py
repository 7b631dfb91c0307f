"""MULDE against the released code's answers (oracles/README.md): the network, its gradients, five
training steps, sixteen scales.
"""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from vadbench_methods.mlp import NoiseConditionedMLP
from vadbench_methods.mulde import MULDE, mulde_loss

from vadbench.detector import Features, Standardisation

# beta, tolerance
GROUPS = {"f64_d6": (0.1, 1e-10), "f32_d6": (0.1, 1e-5), "f64_d17_b0": (0.0, 1e-10)}
NAMES = {
    "network.network.0.0": "hidden.0",
    "network.network.1.0": "hidden.1",
    "network.network.2": "last",
}


def our_names(weights):
    """The reference's names of layers -> ours."""
    split = {name: name.rsplit(".", 1) for name in weights}
    return {
        f"{NAMES[layer]}.{kind}": torch.from_numpy(weights[name])
        for name, (layer, kind) in split.items()
    }


def under(prefix, arrays):
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def network(weights):
    state = our_names(weights)
    units, inputs = state["hidden.0.weight"].shape
    net = NoiseConditionedMLP(inputs - 1, (units, units)).to(state["hidden.0.weight"].dtype)
    net.load_state_dict(state)
    return net


@pytest.fixture(params=GROUPS)
def oracle(request, oracles):
    with np.load(oracles / "methods" / "mulde_oracle.npz") as arrays:
        return request.param, under(f"{request.param}/", arrays)


@pytest.fixture
def batch(oracle):
    return tuple(torch.from_numpy(oracle[1][name]) for name in ("x", "sigma", "eps"))


def close(found, expected, tolerance):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


def test_values_and_input_gradient(oracle, batch):
    (group, arrays), (x, sigma, eps) = oracle, batch
    net, tolerance = network(under("w/", arrays)), GROUPS[group][1]
    noisy = x + sigma * eps
    close(net(noisy, sigma)[:, None], arrays["f_noisy"], tolerance)
    close(net(x, sigma)[:, None], arrays["f_clean"], tolerance)
    close(-net.input_gradient(noisy, sigma), arrays["score_noisy"][:, :-1], tolerance)


def test_losses_and_all_parameter_gradients(oracle, batch):
    group, arrays = oracle
    net, (beta, tolerance) = network(under("w/", arrays)), GROUPS[group]
    sum(mulde_loss(net, *batch, beta)).backward()
    for name, expected in our_names(under("grad/", arrays)).items():
        gradient = net.get_parameter(name).grad
        close(
            torch.zeros_like(expected) if gradient is None else gradient,
            expected.numpy(),
            tolerance,
        )


def test_five_adam_steps(oracle, batch):
    group, arrays = oracle
    net, (beta, tolerance) = network(under("w/", arrays)), GROUPS[group]
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4, betas=(0.5, 0.9), fused=True)
    losses = []
    for _ in range(5):
        matching, regulariser = mulde_loss(net, *batch, beta)
        losses.append([matching.item(), regulariser.item(), matching.item() + regulariser.item()])
        optimiser.zero_grad()
        (matching + regulariser).backward()
        optimiser.step()
    close(np.array(losses)[:, [0, 2]], arrays["losses"][:, [0, 2]], tolerance)
    for name, expected in our_names(under("w5/", arrays)).items():
        close(net.get_parameter(name), expected.numpy(), tolerance)


def test_values_at_sixteen_scales(oracle, batch):
    group, arrays = oracle
    net = network(under("w5/", arrays))
    scales = MULDE(MULDE.Config(), seed=0).noise_scales()
    np.testing.assert_array_equal(scales.numpy(), arrays["sigma_L"])
    # the reference calls f the log density; it approximates the negative one
    close(net.at_scales(batch[0], scales.to(batch[0])), arrays["logdens_L"], GROUPS[group][1])


def test_squared_norms_of_the_gradient_at_sixteen_scales(oracle, batch):
    group, arrays = oracle
    net, rows = network(under("w5/", arrays)), batch[0]
    scales = torch.from_numpy(arrays["sigma_L"]).to(rows)
    norms = [
        net.input_gradient(rows, sigma.expand(len(rows), 1)).square().sum(1) for sigma in scales
    ]
    close(torch.stack(norms, 1), arrays["score_sqnorm_L"], GROUPS[group][1])


def test_read_outs_on_the_reference_vectors(oracles):
    with np.load(oracles / "methods" / "mulde_oracle.npz") as arrays:
        gmm = under("gmm/", arrays)
    detector = MULDE(MULDE.Config(floor="absolute"), seed=0)
    detector.fit_read_outs(gmm["train"])
    found = dict(zip(detector.read_outs, detector.read_out(gmm["test"]).T, strict=True))
    for components in (1, 3, 5):
        close(found[f"gmm{components}"], gmm[f"nll_{components}"], 1e-6)
    for pool in ("mean", "max", "median"):
        close(found[pool], gmm[f"agg_{pool}"], 1e-10)


def test_real_pose_features_score_as_with_the_reference_weights(oracles, shared_data):
    with np.load(oracles / "methods" / "ped2_pose_mulde_u256_e30_s0.npz") as arrays:
        expected = {split: arrays[f"logdens_{split}"] for split in ("train", "test")}
        net, mean, std = network(under("w/", arrays)), arrays["mean"], arrays["std"]
    detector = MULDE(MULDE.Config(units=(256, 256)), seed=0)
    detector.net, detector.standardisation = (
        net,
        Standardisation(mean.astype(np.float64), std.astype(np.float64) + 1e-8),
    )
    for split in ("train", "test"):
        x = pose(shared_data, split)
        own = Standardisation.fit(pose(shared_data, "train"))
        close(own.mean, mean, 1e-5)
        close(own.scale, std, 1e-5)
        values = detector._values(Features(x, np.zeros(len(x), int), np.arange(len(x))))
        close(values, expected[split], 1e-4)


def pose(shared_data, split):
    with np.load(shared_data / "ped2" / "features" / f"accivad_pose_{split}.npz") as arrays:
        (x,) = (arrays[name] for name in arrays if arrays[name].ndim == 2)
    return np.ascontiguousarray(x, np.float32).reshape(len(x), -1)


@pytest.mark.slow
def test_the_reference_toy_is_solved(oracles):
    with np.load(oracles / "methods" / "mulde_toy_u256_e50_s0.npz") as arrays:
        train, test, labels = arrays["train"], arrays["test"], arrays["labels"]
    detector = MULDE(MULDE.Config(units=(256, 256), max_steps=250, progress="off"), seed=0)
    detector.fit(Features(train, np.zeros(len(train), int), np.arange(len(train))))
    scores = detector.score(Features(test, np.zeros(len(test), int), np.arange(len(test))))
    auc = {
        name: roc_auc_score(labels, column)
        for name, column in zip(detector.read_outs, scores.T, strict=True)
    }
    assert min(auc["gmm5"], auc["gmm3"], auc["gmm1"]) >= 0.999, auc
    assert auc["mean"] >= 0.99, auc
