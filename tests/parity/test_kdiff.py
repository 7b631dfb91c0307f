"""Diffusion against the released code's answers (oracles/methods/kdiff_oracle.npz)."""

import numpy as np
import pytest
import torch
from vadbench_methods.denoiser import Denoiser
from vadbench_methods.diffusion import Config, Diffusion, learning_rate_factor
from vadbench_methods.samplers import SAMPLERS, karras_sigmas, lms_coefficients

from vadbench.evaluation.metrics.binarised import auc_binarised
from vadbench.evaluation.metrics.frame import micro_auc

SIGMA_DATA = 0.6206
PREFIX = "gvad_model.ae."
NAMES = {
    "enc_tembed.weight": "encoder_frequencies",
    "dec_tembed.weight": "decoder_frequencies",
    "decoder.6.weight": "last.weight",
    "decoder.6.bias": "last.bias",
}
BATCH_OF_THE_ORACLE = 400


@pytest.fixture(scope="module")
def oracle(oracles):
    with np.load(oracles / "methods" / "kdiff_oracle.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def sigmas(oracle):
    return tuple(oracle["sched/pm-1.0_ps1.5/karras10"].astype(float).tolist())


def ours(name):
    """Our name of a reference weight."""
    name = name.removeprefix(PREFIX)
    return "network." + NAMES.get(name, name)


@pytest.fixture
def net(oracle):
    """The reference's denoiser with its weights."""
    torch.set_num_threads(1)
    net = Denoiser(32, (1024, 512, 256), "fourier", SIGMA_DATA)
    weights = {
        ours(key.removeprefix("net/w/")): torch.from_numpy(values)
        for key, values in oracle.items()
        if key.startswith("net/w/")
    }
    weights = {
        name: values.squeeze(1) if name.endswith("frequencies") else values
        for name, values in weights.items()
    }
    net.load_state_dict({**weights, "sigma_data": torch.tensor(SIGMA_DATA)})
    return net


def example(oracle):
    return (
        torch.from_numpy(oracle["net/x"]),
        torch.from_numpy(oracle["net/sigma"])[:, None],
        torch.from_numpy(oracle["net/eps"]),
    )


@pytest.mark.parametrize(("p_mean", "p_std"), [(-1.0, 1.5), (-1.2, 1.2), (-5.0, 2.0), (-3.0, 0.5)])
def test_schedule(oracle, p_mean, p_std):
    found = karras_sigmas(p_mean, p_std)
    key = f"sched/pm{p_mean}_ps{p_std}"
    np.testing.assert_allclose([found[-2], found[0]], oracle[f"{key}/minmax"], rtol=1e-12)
    # the reference's is float32, taken to the power 7
    np.testing.assert_allclose(found, oracle[f"{key}/karras10"], rtol=5e-6)


@pytest.mark.parametrize("t", range(10))
def test_lms_coefficients(oracle, sigmas, t):
    expected = oracle[f"lms/coef_t{t}"]
    found = lms_coefficients(sigmas[t:])
    assert [len(weights) for weights in found] == [min(i + 1, 4) for i in range(10 - t)]
    for weights, row in zip(found, expected, strict=True):
        np.testing.assert_allclose(weights, row[: len(weights)], rtol=1e-6)


def test_preconditioning(oracle):
    """Read off D by networks that answer 0 and 1: c_skip x and c_skip x + c_out; c_in is what the
    network is given.
    """
    net = Denoiser(1, (4,), "fourier").double()
    net.sigma_data.fill_(SIGMA_DATA)
    sigma = torch.from_numpy(oracle["precond/sigma"])[:, None]
    seen = []
    answer = 0.0

    def network(scaled, sigma):
        seen.append(scaled)
        return torch.full_like(scaled, answer)

    net.network_at = network
    skip = net(torch.ones_like(sigma), sigma)
    answer = 1.0
    out = net(torch.ones_like(sigma), sigma) - skip
    np.testing.assert_allclose(
        torch.cat([skip, out, seen[0]], 1).T, oracle["precond/c_skip_out_in"], rtol=1e-6
    )
    slope = net.slope(torch.ones_like(sigma), sigma)
    np.testing.assert_allclose(slope, (1 - skip - out) / sigma, rtol=1e-9)


@pytest.mark.parametrize("t", range(10))
@pytest.mark.parametrize(
    ("sampler", "key"), [("lms", "recon"), ("heun", "heun"), ("euler", "euler")]
)
def test_reconstruction_with_the_ideal_denoiser_of_a_gaussian(oracle, sigmas, sampler, key, t):
    x = torch.from_numpy(oracle["gauss/x0"])
    start = x + torch.from_numpy(oracle["gauss/noise"]) * sigmas[t]
    found = SAMPLERS[sampler](
        lambda x, sigma: x * sigma / (sigma**2 + SIGMA_DATA**2), start, sigmas[t:]
    )
    np.testing.assert_allclose(found, oracle[f"gauss/{key}_t{t}"], rtol=0, atol=1e-6)
    if sampler == "lms":
        np.testing.assert_allclose(
            (found - x).square().mean(1), oracle[f"gauss/mse_t{t}"], rtol=1e-5
        )


def test_training_loss_gradients_and_running_statistics(oracle, net):
    loss = net.train().loss(*example(oracle))
    np.testing.assert_allclose(loss.detach(), oracle["net/loss_train_bn"], rtol=1e-4)
    loss.mean().backward()
    found = dict(net.named_parameters())
    for key in (key for key in oracle if key.startswith("net/grad/")):
        expected = oracle[key]
        np.testing.assert_allclose(
            found[ours(key.removeprefix("net/grad/"))].grad,
            expected,
            rtol=1e-4,
            atol=1e-4 * abs(expected).max() + 1e-7,
        )
    state = net.state_dict()
    for key in (key for key in oracle if key.startswith("net/bn_after/")):
        np.testing.assert_allclose(
            state[ours(key.removeprefix("net/bn_after/"))], oracle[key], rtol=1e-4, atol=1e-6
        )


@pytest.fixture
def trained(oracle, net):
    """The same with the running statistics after the oracle's one training batch, in eval mode."""
    after = {
        ours(key.removeprefix("net/bn_after/")): torch.from_numpy(values)
        for key, values in oracle.items()
        if key.startswith("net/bn_after/")
    }
    net.load_state_dict(after, strict=False)
    return net.eval()


@torch.no_grad()
def test_loss_and_denoised_vectors_in_eval_mode(oracle, trained):
    x, sigma, eps = example(oracle)
    np.testing.assert_allclose(trained.loss(x, sigma, eps), oracle["net/loss_eval_bn"], rtol=1e-4)
    np.testing.assert_allclose(
        trained(x + sigma * eps, sigma), oracle["net/D_eval"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("t", [0, 4, 6, 9])
@torch.inference_mode()
def test_reconstruction_and_score(oracle, trained, sigmas, t):
    detector = Diffusion(Config(t=(t,), draws=1), seed=0)
    detector.net, detector.noise = trained, oracle["net/seed_noise"]
    x = torch.from_numpy(oracle["net/x"])
    found = detector.reconstruct(
        x.double(), torch.from_numpy(detector.noise[0]).double(), sigmas[t:]
    )
    np.testing.assert_allclose(found, oracle[f"net/recon_t{t}"], rtol=1e-4, atol=1e-5)
    # theirs rounds in float32
    np.testing.assert_allclose(
        detector.error(x, sigmas[t:]), oracle[f"net/score_t{t}"], rtol=1e-4 if t < 9 else 4e-4
    )
    np.testing.assert_allclose(
        detector.anomaly(x)[:, 0], oracle[f"net/score_t{t}"], rtol=1e-4 if t < 9 else 4e-4
    )


def test_learning_rate(oracle):
    """The sequence that the optimiser itself runs through."""
    detector = Diffusion(Config(), seed=0)
    detector.net = Denoiser(2, (4,), "fourier")
    optimiser = detector.optimiser()
    schedule = detector.schedule(optimiser, len(oracle["lr/inverse"]))
    found = []
    for _ in range(len(oracle["lr/inverse"])):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    np.testing.assert_allclose(found, oracle["lr/inverse"], rtol=1e-10)
    assert found[0] == pytest.approx(2e-4 * learning_rate_factor(0))


def test_ema_decay(oracle):
    """The weight that the moving average keeps of itself, read off the averages of a known
    sequence.
    """
    from vadbench.trainer import Average

    weight = torch.nn.Linear(1, 1, bias=False).double()
    average = Average(weight, Config().ema)
    found, before = [], 0.0
    for step in range(len(oracle["ema/decay"])):
        value = float(step % 2)
        with torch.no_grad():
            weight.weight.fill_(value)
        average.update(weight)
        after = average.net.weight.item()
        found.append((after - value) / (before - value) if step else 0.0)
        before = after
    np.testing.assert_allclose(found, oracle["ema/decay"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("k", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_binarised_auc(oracle, k):
    score, label = oracle["thr/score"], oracle["thr/label"]
    assert micro_auc(score, label) == pytest.approx(float(oracle["thr/auc_raw"]), abs=1e-12)
    assert auc_binarised(score, label, k, BATCH_OF_THE_ORACLE) == pytest.approx(
        float(oracle[f"thr/auc_bin_k{k}"]), abs=1e-12
    )
