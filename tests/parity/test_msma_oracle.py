"""MSMA against the arrays that the released code gives (oracles/methods/msma_oracle.npz), and both
claims of MULDE's toy.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from vadbench_methods.msma import (
    MSMA,
    MSMAInMULDE,
    dsm_loss,
    kth_distance,
    noise_ladder,
    score_norms,
)
from vadbench_methods.mulde import MULDE
from vadbench_methods.nearest import Nearest

from vadbench.detector import Features

VARIANCE, LEFT_SHARE = 0.04, 0.05  # of the oracle's two Gaussians at (-1, 0) and (1, 0)


@pytest.fixture(scope="module")
def oracle(oracles: Path) -> dict[str, np.ndarray]:
    with np.load(oracles / "methods" / "msma_oracle.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def toy(oracles: Path) -> tuple[Features, Features, np.ndarray]:
    with np.load(oracles / "methods" / "mulde_toy_u256_e50_s0.npz", allow_pickle=False) as arrays:
        train, test = (
            Features(arrays[name], np.zeros(len(arrays[name]), int), np.arange(len(arrays[name])))
            for name in ("train", "test")
        )
        return train, test, arrays["labels"]


def analytic_score(y: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """[B, 2] score of two Gaussians of unequal weight, blurred by sigma [B, 1]."""
    variance = VARIANCE + sigma**2
    right = torch.sigmoid(2 * y[:, :1] / variance + np.log(1 / LEFT_SHARE - 1))
    centre = torch.cat([2 * right - 1, torch.zeros_like(right)], 1)
    return (centre - y) / variance


def test_ladder(oracle: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(
        noise_ladder("geometric", 0.01, 1.0, 10), oracle["sigmas_geometric_L10"], rtol=1e-10
    )


def test_denoising_loss(oracle: dict[str, np.ndarray]) -> None:
    x, eps, sigma, score = (
        torch.from_numpy(oracle[f"toy/{name}"]) for name in ("x", "eps", "sigma", "score")
    )
    np.testing.assert_allclose(analytic_score(x + sigma * eps, sigma), score, rtol=1e-10)
    np.testing.assert_allclose(dsm_loss(score, sigma, eps), oracle["toy/dsm_loss"], rtol=1e-10)


def test_weighted_norms_of_an_analytic_score(oracle: dict[str, np.ndarray]) -> None:
    x, scales = torch.from_numpy(oracle["toy/x"]), torch.from_numpy(oracle["sigmas_geometric_L10"])
    score = torch.stack([analytic_score(x, sigma.expand(len(x), 1)) for sigma in scales], 1)
    np.testing.assert_allclose(
        score_norms(score, scales, "weighted"), oracle["toy/score_norms_sigma_weighted"], rtol=1e-10
    )


@pytest.mark.parametrize("name", ["cifar", "svhn"])
def test_distance_to_the_fifth_nearest_norms(oracle: dict[str, np.ndarray], name: str) -> None:
    squared = Nearest(oracle["real/train_sub"]).squares(oracle[f"real/{name}_sub"], 5)
    np.testing.assert_allclose(kth_distance(squared), oracle[f"real/kd5_{name}_sub"], rtol=1e-10)


# the oracle's 50 epochs
QUICK = {
    "units": (256, 256),
    "epochs": 1000,
    "max_steps": 250,
    "batch_size": 2048,
    "progress": "off",
    "score_batch": 2048,
}


def toy_aucs(
    detector: MULDE | MSMA, toy: tuple[Features, Features, np.ndarray]
) -> dict[str, float]:
    train, test, labels = toy
    detector.fit(train)
    return dict(
        zip(
            detector.read_outs,
            (roc_auc_score(labels, column) for column in detector.score(test).T),
            strict=True,
        )
    )


@pytest.mark.slow
def test_log_densities_see_anomalies_between_the_modes(
    toy: tuple[Features, Features, np.ndarray],
) -> None:
    assert toy_aucs(MULDE(MULDE.Config(**QUICK, read_outs=("mean",)), seed=0), toy)["mean"] >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("network", ["score", "log-density"])
def test_single_score_norms_do_not(
    toy: tuple[Features, Features, np.ndarray], network: str
) -> None:
    aucs = toy_aucs(
        MSMAInMULDE(MSMAInMULDE.Config(**QUICK, network=network, read_outs=("scales",)), seed=0),
        toy,
    )
    assert len(aucs) == 16
    assert max(aucs.values()) <= 0.75
