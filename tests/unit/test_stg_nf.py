"""STG-NF: change of variables, inverse, the joints' exchange, training and refusals."""

from dataclasses import replace
from math import log, pi

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from vadbench_methods.spread_x import SpreadX, SpreadXConfig
from vadbench_methods.stg_nf import STGNF, Config, SkeletonConfig, SkeletonSTGNF
from vadbench_methods.stg_nf_net import EDGES, ActNorm, adjacency, hops, pose_flow

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.testing import synthetic_poses, synthetic_rows

QUICK = {"epochs": 4, "progress": "off", "lr": 1e-2}


@pytest.fixture
def _wide():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_flow(poses=4, joints=18, near=("uniform", 8), **options):
    torch.manual_seed(1)
    usual = {"layers": 3, "hidden": 0, "kernel": 3, "permutation": "reverse", "prior_mean": 3.0}
    flow = pose_flow((2, poses, joints), adjacency(*near, joints), **(usual | options))
    flow.start(torch.randn(32, 2 * poses * joints))
    for weights in flow.parameters():  # away from what it starts with
        weights.data += 0.1 * torch.randn_like(weights)
    return flow.eval()


# the flow


@pytest.mark.usefixtures("_wide")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"near": ("uniform", 1)},
        {"near": ("distance", 1), "edges": True},
        {"hidden": 2, "permutation": "matrix"},
        {"joints": 5},
    ],
)
def test_the_density_is_the_change_of_variables(options):
    flow = some_flow(**options)
    size = 8 * options.get("joints", 18)
    x = torch.randn(size)
    jacobian = torch.autograd.functional.jacobian(lambda row: flow.latent(row[None])[0].ravel(), x)
    z = flow.latent(x[None])[0].detach().ravel()
    gaussian = -0.5 * ((z - 3) ** 2).sum() - size / 2 * log(2 * pi)
    expected = gaussian + torch.linalg.slogdet(jacobian).logabsdet
    assert flow.log_prob(x[None]).item() == pytest.approx(expected.item(), rel=1e-11)


@pytest.mark.usefixtures("_wide")
@pytest.mark.parametrize("options", [{}, {"near": ("distance", 2), "edges": True, "hidden": 3}])
@pytest.mark.parametrize("permutation", ["reverse", "matrix"])
def test_the_inverse_gives_the_rows_back(options, permutation):
    flow, x = some_flow(permutation=permutation, **options), torch.randn(7, 144)
    assert torch.allclose(flow.inverse(flow.latent(x)[0]), x, rtol=0, atol=1e-12)


def test_shifts_are_positive_and_scales_bounded():
    flow, x = some_flow(), torch.randn(50, 1, 4, 18)
    for step in flow.steps:
        shift, scale = step.coupling(x)
        assert (shift >= 0).all()
        assert (scale > 0.88).all()
        assert (scale < 1.00001).all()


def test_the_parameters_are_those_of_the_checkpoints():
    for poses, expected in ((24, 616), (16, 488), (12, 424), (32, 744)):
        flow = pose_flow(
            (2, poses, 18),
            adjacency("uniform", 8),
            layers=8,
            hidden=0,
            kernel=poses // 2 + 1,
            permutation="reverse",
            prior_mean=3.0,
        )
        count = sum(weights.numel() for weights in flow.parameters())
        assert count == expected == 8 * (18 + 4 * (poses // 2 + 1)) + 8 * 7


def test_act_norm_brings_a_batch_to_mean_0_and_deviation_1():
    x = torch.randn(30, 2, 4, 18) * torch.tensor([3.0, 0.2])[:, None, None] + 5
    norm = ActNorm()
    norm.start(x)
    z, log_det = norm(x)
    assert z.mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(z.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-4)
    assert log_det.item() == pytest.approx(72 * norm.logs.sum().item(), rel=1e-6)


def test_the_skeleton_is_a_tree_of_diameter_8():
    apart = hops()
    assert len(EDGES) == 17
    assert apart.max() == 8
    assert (apart == 1).sum() == 34
    assert (apart == apart.T).all()
    assert (adjacency("uniform", 8) == 1 / 18).all()
    one = adjacency("uniform", 1)[0]
    assert torch.allclose(one.sum(0), torch.ones(18, dtype=torch.float64))
    assert one[0, 1] == 1 / 4  # the neck's: nose, both shoulders and itself
    assert not torch.equal(one, one.T)
    split = adjacency("distance", 2)
    assert torch.equal(split.sum(0), adjacency("uniform", 2)[0])


# the detector


@pytest.fixture(scope="module")
def fitted():
    return fit(STGNF, Config(**QUICK))


def fit(cls, config, rows=200, seed=0):
    detector = cls(config, seed=seed)
    detector.fit(synthetic_poses(rows, 4, 0))
    return detector


def exchanged(features):
    """Each row with its joints in another order."""
    chance = np.random.default_rng(3)
    order = np.stack([chance.permutation(18) for _ in range(len(features))])
    x = features.x.reshape(len(features), 2, 4, 18)
    mixed = np.take_along_axis(x, order[:, None, None], 3)
    return replace(features, x=np.ascontiguousarray(mixed.reshape(len(features), -1)))


def test_the_released_graph_does_not_tell_joints_apart_and_ours_does(fitted):
    test = synthetic_poses(40, 4, 1)
    plain, mixed = fitted.score(test), fitted.score(exchanged(test))
    np.testing.assert_allclose(mixed, plain, rtol=1e-4, atol=1e-3)
    skeleton = fit(SkeletonSTGNF, SkeletonConfig(**QUICK))
    plain, mixed = skeleton.score(test), skeleton.score(exchanged(test))
    assert np.abs(mixed - plain).min() > 1e-2


def test_scores_are_negative_log_densities_in_nats(fitted):
    test = synthetic_poses(5, 1, 1)
    with torch.no_grad():
        expected = -fitted.net.log_prob(torch.from_numpy(test.x)).numpy()
    np.testing.assert_allclose(fitted.score(test)[:, 0], expected, rtol=1e-6)


def test_a_loaded_detector_starts_no_act_norm_anew(fitted, tmp_path):
    test = synthetic_poses(50, 5, 2)
    fitted.save(tmp_path)
    loaded = STGNF.load(tmp_path)
    assert loaded.net.started
    assert loaded.shape == (2, 4, 18)
    np.testing.assert_array_equal(loaded.score(test), fitted.score(test))


def test_training_sees_every_window_and_its_mirror_image_once_an_epoch(fitted):
    train = synthetic_poses(10, 2, 0)
    for mirror, copies in ((True, 2), (False, 1)):
        detector = STGNF(Config(mirror=mirror, epochs=1, batch_size=4, progress="off"), seed=1)
        detector.fit(train)
        seen = torch.cat(list(detector._batches(train))).numpy()
        both = [train.x * np.repeat([sign, 1], 72).astype(np.float32) for sign in (1, -1)]
        expected = np.concatenate(both[:copies])
        order = lambda x: x[np.lexsort(x.T)]  # noqa: E731
        np.testing.assert_array_equal(order(seen), order(expected))


def test_the_rate_falls_by_a_hundredth_an_epoch_from_the_third_on():
    detector = STGNF(Config(epochs=5, batch_size=10, progress="off"), seed=0)
    detector.fit(synthetic_poses(20, 2, 0))  # 4 steps an epoch
    optimiser = detector.optimiser()
    assert isinstance(optimiser, torch.optim.Adamax)
    schedule, rates = detector.schedule(optimiser, 20), []
    for _ in range(20):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    np.testing.assert_allclose(rates[::4], 5e-4 * 0.99 ** np.array([0, 0, 1, 2, 3]))


def test_presets_are_the_papers_and_one_for_cpus():
    assert STGNF.preset("paper", "ubnormal", Nature()) == {}
    paper = Config()
    assert (paper.layers, paper.epochs, paper.batch_size, paper.lr) == (8, 8, 256, 5e-4)
    assert (paper.prior_mean, paper.mirror, paper.gradient_clip) == (3.0, True, 100.0)
    assert STGNF.preset("fast", "ubnormal", Nature())["max_steps"] == 1500


def refused(cls, config, features):
    with pytest.raises(BadInput) as told:
        cls(config, seed=0).fit(features)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_rows_that_are_no_pose_sequences_are_refused():
    for cls, config in ((STGNF, Config()), (SpreadX, SpreadXConfig())):
        told = refused(cls, config, synthetic_rows(30, 3, 0))
        assert "no pose sequences" in told
        assert "skeletons" in told
        maps = replace(synthetic_poses(30, 3, 0), shape=(4, 2, 18))
        assert "no pose sequences" in refused(cls, config, maps)


def test_windows_whose_half_is_odd_are_refused():
    features = synthetic_poses(30, 3, 0)
    odd = replace(features, x=features.x[:, :108], shape=(2, 3, 18))
    assert "skeletons.window=24" in refused(STGNF, Config(), odd)
    STGNF(Config(temporal_kernel=3, **QUICK), seed=0).fit(odd)
    with pytest.raises(ValidationError, match="odd"):
        Config(temporal_kernel=4)


def test_other_joints_are_refused_where_the_skeleton_counts():
    features = synthetic_poses(30, 3, 0)
    other = replace(features, x=features.x[:, :136], shape=(2, 4, 17))
    assert "17 joints" in refused(STGNF, Config(max_hops=2), other)
    assert "17 joints" in refused(SkeletonSTGNF, SkeletonConfig(), other)
    assert np.isfinite(fit_other(other).score(other)).all()


def fit_other(features):
    detector = STGNF(Config(**QUICK), seed=0)
    detector.fit(features)
    return detector


def test_scoring_before_fitting_and_of_other_windows_is_refused(fitted):
    with pytest.raises(BadInput, match="not fitted"):
        STGNF(Config(), seed=0).score(synthetic_poses(5, 1, 0))
    test = replace(synthetic_poses(5, 1, 0), shape=(2, 8, 9))
    with pytest.raises(BadInput, match="trained on"):
        fitted.score(test)


def test_costs_count_mirrored_rows_in_training_alone():
    detector = STGNF(Config(epochs=2), seed=0)
    train, score = detector.row_flops(144)
    assert detector.flops(100, 144, 50) == 2 * 200 * train + 150 * score


# the row beside it


def test_spread_is_the_mean_square_of_x():
    features = synthetic_poses(30, 3, 0)
    detector = SpreadX(SpreadXConfig(), seed=0)
    detector.fit(features)
    x = features.x.reshape(30, 2, -1).astype(np.float64)
    np.testing.assert_allclose(detector.score(features)[:, 0], (x[:, 0] ** 2).mean(1), rtol=1e-12)
    assert detector.score(features.rows(slice(0, 0))).shape == (0, 1)


@pytest.mark.usefixtures("_wide")
def test_before_training_windows_are_ranked_by_their_spread_in_x():
    """Couplings that only scale leave -log p an affine function of mean x'^2, whatever R."""
    features = synthetic_poses(200, 1, 0)
    x = torch.from_numpy(features.x).double().reshape(-1, 2, 4, 18)
    x = x - x.mean((2, 3), keepdim=True)
    x = (x / x[:, 1:].std((2, 3), correction=0, keepdim=True)).flatten(1)
    flow = some_flow()
    flow.start(x)
    for step in flow.steps:
        for weights in step.network.parameters():
            weights.data.zero_()
    found = -flow.eval().log_prob(x).detach().numpy()
    spread = x[:, :72].square().mean(1).numpy()
    slope, constant = np.polyfit(spread, found, 1)
    assert slope > 0
    np.testing.assert_allclose(found, slope * spread + constant, rtol=1e-9)
