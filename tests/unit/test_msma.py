import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from vadbench_methods.mixture import fit_mixture
from vadbench_methods.msma import (
    MSMA,
    MSMAInMULDE,
    ScoreMLP,
    dsm_loss,
    kth_distance,
    noise_ladder,
    score_norms,
)
from vadbench_methods.mulde import MULDE

from vadbench.detector import Features
from vadbench.report.figures.density import STEPS, toy

SMALL = {"units": (16, 16), "epochs": 5, "max_steps": 10, "batch_size": 64, "progress": "off"}


@pytest.fixture(scope="module")
def train() -> Features:
    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    return Features(x, np.arange(200) // 50, np.arange(200) % 50)


def msma(**settings: object) -> MSMA:
    return MSMA(MSMA.Config(**{**SMALL, "components": (1, 2), "folds": 2, **settings}), seed=0)


def test_geometric_ladder_falls_by_a_constant_factor() -> None:
    ladder = noise_ladder("geometric", 0.01, 1.0, 10)
    assert ladder[0] == 1.0
    np.testing.assert_allclose(ladder[1:] / ladder[:-1], 100 ** (-1 / 9))


def test_linear_ladder_is_that_of_mulde() -> None:
    detector = MSMAInMULDE(MSMAInMULDE.Config(), seed=0)
    np.testing.assert_allclose(detector.noise_scales(), np.linspace(1e-3, 1.0, 16))


def test_loss_is_least_at_the_true_score_of_a_gaussian() -> None:
    torch.manual_seed(0)
    x, eps, sigma = (
        torch.randn(20_000, 2, dtype=torch.float64),
        torch.randn(20_000, 2, dtype=torch.float64),
        torch.full((20_000, 1), 0.5).double(),
    )
    noisy = x + sigma * eps
    losses = [
        float(dsm_loss(factor * noisy / (1 + sigma**2), sigma, eps))
        for factor in (-1.2, -1.0, -0.8, 1.0)
    ]
    assert losses[1] == min(losses)


def test_norms() -> None:
    score = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])
    scales = torch.tensor([0.5, 0.1])
    torch.testing.assert_close(score_norms(score, scales, "weighted"), torch.tensor([[2.5, 0.2]]))
    torch.testing.assert_close(score_norms(score, scales, "squared"), torch.tensor([[25.0, 4.0]]))


def test_all_scales_in_one_pass_equal_one_pass_a_scale() -> None:
    net, x, scales = (
        ScoreMLP(3, (8, 8)).double(),
        torch.randn(5, 3).double(),
        torch.tensor([0.1, 0.7]).double(),
    )
    one_by_one = torch.stack([net(x, sigma.expand(5, 1)) for sigma in scales], 1)
    torch.testing.assert_close(net.at_scales(x, scales), one_by_one)


def test_gradient_of_the_log_density_network_is_the_score(train: Features) -> None:
    detector = msma(network="log-density", norm="squared", read_outs=("scales",))
    detector.fit(train)
    x = torch.from_numpy(detector.standardisation.apply(train.x)).requires_grad_()
    sigma = detector.noise_scales().to(x)[3].expand(len(x), 1)
    (gradient,) = torch.autograd.grad(detector.net(x, sigma).sum(), x)
    np.testing.assert_allclose(
        detector.score(train)[:, 3], gradient.square().sum(1), rtol=1e-4, atol=1e-9
    )


def test_training_noise_is_drawn_from_the_ladder() -> None:
    detector = msma()
    detector.net = detector.build(3)
    drawn = detector._training_scales(torch.zeros(500, 3)).unique()
    torch.testing.assert_close(drawn, detector.noise_scales().flip(0).float())


def test_relative_floor_is_standard_scaling() -> None:
    x = np.random.default_rng(1).normal(size=(400, 3)) * [1, 10, 100] + [0, 5, 3]
    scaled = StandardScaler().fit_transform(x)
    expected = -GaussianMixture(2, random_state=0).fit(scaled).score_samples(scaled)
    difference = fit_mixture(x, 2, 0).nll(x) - expected
    np.testing.assert_allclose(difference, np.log(x.std(0)).sum(), atol=1e-6)


def test_kth_distance_takes_the_farthest_that_exists() -> None:
    np.testing.assert_array_equal(
        kth_distance(np.array([[1.0, 4.0, 9.0], [1.0, 4.0, np.inf]])), [3.0, 2.0]
    )


def test_every_read_out_is_a_column(train: Features) -> None:
    read_outs = (
        "gmm",
        "knn",
        "gmm-raw5",
        "gmm-raw3",
        "gmm-raw1",
        "mean",
        "max",
        "median",
        "scales",
    )
    detector = msma(scales=2, read_outs=read_outs)
    detector.fit(train)
    assert detector.read_outs == (*read_outs[:-1], "norm@1", "norm@0.01")
    assert detector.score(train).shape == (200, 10)


def test_knn_counts_a_row_itself_in_score_but_not_its_video_in_score_normal(
    train: Features,
) -> None:
    detector = msma(read_outs=("knn",), neighbours=1)
    detector.fit(train)
    assert detector.score(train).max() == 0
    norms = detector._values(train)
    others = np.array(
        [
            [np.linalg.norm(norms[train.video != train.video[row]] - norms[row], axis=1).min()]
            for row in range(200)
        ]
    )
    np.testing.assert_allclose(detector.score_normal(train), others, rtol=1e-6)


def test_knn_of_a_single_video_leaves_out_the_row(train: Features) -> None:
    detector = msma(read_outs=("knn",), neighbours=1)
    detector.fit(Features(train.x, np.zeros(200, int), np.arange(200)))
    assert detector.score_normal(train).min() > 0


@pytest.mark.parametrize("cls", [MSMA, MSMAInMULDE])
@pytest.mark.parametrize("network", ["score", "log-density"])
def test_saved_and_loaded_scores_are_equal_to_the_bit(
    cls: type[MSMA], network: str, train: Features, tmp_path
) -> None:
    detector = cls(cls.Config(**SMALL, network=network), seed=0)
    detector.fit(train)
    detector.save(tmp_path)
    loaded = cls.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(train), detector.score(train))
    np.testing.assert_array_equal(loaded.score_normal(train), detector.score_normal(train))


@pytest.mark.parametrize(
    "settings", [{"sigma_low": 1.0}, {"read_outs": ("gmm", "gmm")}, {"read_outs": ()}, {"folds": 1}]
)
def test_inconsistent_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        msma(**settings)


QUICK = {
    "units": (128, 128),
    "epochs": 1000,
    "max_steps": STEPS,
    "batch_size": 512,
    "progress": "off",
    "score_batch": 2048,
}


def test_log_density_sees_between_the_modes_what_its_gradient_does_not() -> None:
    train, test, labels = toy(0)
    mulde = MULDE(MULDE.Config(**QUICK, read_outs=("mean",)), seed=0)
    norms = MSMA(MSMA.Config(**QUICK, read_outs=("scales",)), seed=0)
    for detector in (mulde, norms):
        detector.fit(train)
    assert roc_auc_score(labels, mulde.score(test)[:, 0]) >= 0.99
    assert max(roc_auc_score(labels, column) for column in norms.score(test).T) <= 0.75
