"""`flow` on maps; its numbers are held against an oracle in tests/parity/test_itae_nf.py."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from vadbench_methods.flow import Config, Flow
from vadbench_methods.flow_blocks import glow_maps
from vadbench_methods.flow_maps import MapFlow, map_flops, standardise_maps

from vadbench.detector import Features, LeftOut, Nature
from vadbench.errors import BadInput
from vadbench.testing import CLAUSES, Trial, every_field_counts, small_config, synthetic_maps

pytest.importorskip("normflows", reason="normflows is not installed (the extra [flow])")
SMALL = {"architecture": "glow-maps", "layers": 2, "hidden": 8, "device": "cpu", "progress": "off"}


def detector(**settings: Any) -> Flow:
    return Flow(Config(**{**SMALL, "epochs": 2, "batch_size": 64, **settings}), seed=0)


def fitted(train: Features, **settings: Any) -> Flow:
    flow = detector(**settings)
    flow.fit(train)
    return flow


def maps(rows: int = 200, seed: int = 0) -> Features:
    return synthetic_maps(rows, 4, seed)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_maps_keep_the_contract(clause: Any) -> None:
    if clause is not every_field_counts:
        clause(contract_trial())


def contract_trial() -> Trial:
    settings = {**SMALL, "batch_size": 64}
    return Trial(Flow, small_config(Flow, settings), synthetic_maps)


def test_levels_change_scores_of_maps_and_only_of_maps() -> None:
    one, two = (fitted(maps(), levels=levels).score(maps(seed=1)) for levels in (1, 2))
    assert not np.array_equal(one, two)
    assert "levels" in Config(**SMALL).settings("fit")
    assert "levels" not in Config().settings("fit")


@pytest.mark.parametrize("levels", [1, 2])
def test_log_determinant_is_that_of_the_jacobian(levels: int) -> None:
    torch.manual_seed(0)
    flow = glow_maps(2, 4, 4, levels, 2, 4)
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    net = MapFlow(flow.double(), torch.ones(2, dtype=torch.bool), (2, 4, 4))
    x = torch.randn(32, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda row: net.latent(row[None])[0][0], x)
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(net.latent(x[None])[1][0], expected, rtol=1e-9, atol=1e-9)


def test_log_determinants_add_up_in_float64() -> None:
    net = MapFlow(glow_maps(2, 8, 8, 1, 3, 4), torch.ones(2, dtype=torch.bool), (2, 8, 8))
    norms = [block for block in net.flow.modules() if hasattr(block, "data_dep_init_done")]
    with torch.no_grad():
        for norm, log_scale in zip(norms, (9.0, -9.0, 8.9), strict=True):
            norm.s.fill_(log_scale)  # large terms that cancel: a float32 sum rounds to their size
        x = torch.randn(9, 128)
        z, terms = x.reshape(9, 2, 8, 8), []
        for part in (part for level in net._levels() for part in level):
            z, log_det = part.inverse(z)
            terms.append(log_det)
        total = net.latent(x)[1]
    assert total.dtype == torch.float64
    assert torch.equal(total, sum(torch.as_tensor(term).double() for term in terms).expand(9))
    assert not torch.equal(total, sum(terms).double().expand(9))


def test_an_outlier_as_far_as_floats_go_scores_a_finite_number() -> None:
    flow = fitted(maps(), levels=2)
    far = replace(maps(4, seed=1), x=np.full((4, 64), 1e6, np.float32))
    assert np.isfinite(flow.score(far)).all()


def test_each_map_has_one_mean_and_one_deviation() -> None:
    x = maps().x
    scale = standardise_maps(x, (2, 4, 8))
    of_maps = x.astype(np.float64).reshape(200, 2, 32)
    mean, deviation = of_maps.mean((0, 2)), of_maps.std((0, 2), ddof=1)
    np.testing.assert_allclose(scale.mean, np.repeat(mean, 32), rtol=1e-9)
    np.testing.assert_allclose(scale.scale, np.repeat(deviation, 32), rtol=1e-7)


def test_a_map_that_never_changes_takes_no_part() -> None:
    train, test = maps(), maps(seed=1)
    pattern = np.tile(np.arange(32, dtype=np.float32), (200, 1))  # constant in time, not in space
    wide = replace(train, x=np.concatenate([pattern, train.x], 1), shape=(3, 4, 8))
    shown = replace(test, x=np.concatenate([pattern + 9, test.x], 1), shape=(3, 4, 8))
    assert np.array_equal(fitted(wide).score(shown), fitted(train).score(test))


def test_maps_that_all_stand_still_are_refused() -> None:
    still = replace(maps(), x=np.ones((200, 64), np.float32))
    with pytest.raises(BadInput, match="all 2 maps are constant in training"):
        fitted(still)


def test_a_cell_that_changes_once_leaves_every_row_in() -> None:
    train = maps(2000)
    x = train.x.copy()
    x[:, 5] = 1e-3 * x[:, 6]
    x[7, 5] = 5
    vectors = replace(train, x=x, shape=None)
    with pytest.warns(LeftOut):
        detector(architecture="glow").without_outliers(vectors)
    assert len(detector().without_outliers(replace(train, x=x))) == 2000


def test_a_row_that_decides_a_maps_deviation_alone_is_left_out() -> None:
    train = maps(2000)
    x = train.x.copy()
    x[7] *= 1e4
    with pytest.warns(LeftOut, match="row 7"):
        kept = detector().without_outliers(replace(train, x=x))
    assert len(kept) == 1999
    assert kept.shape == (2, 4, 8)


def test_a_stream_without_maps_is_refused() -> None:
    with pytest.raises(BadInput, match=r"rows are no maps; architecture glow-maps needs .*itae"):
        fitted(replace(maps(), shape=None))


def test_maps_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(BadInput, match=r"maps of 4 x 8 with levels 3; .* multiples of 8"):
        fitted(maps(), levels=3)


def test_maps_of_another_shape_are_not_scored() -> None:
    other = replace(maps(seed=1), shape=(2, 8, 4))
    with pytest.raises(
        BadInput, match=r"maps of shape \(2, 8, 4\), flow was trained on \(2, 4, 8\)"
    ):
        fitted(maps()).score(other)


def test_maps_need_normflows_as_backend() -> None:
    assert Config(architecture="glow-maps").backend == "normflows"
    with pytest.raises(ValidationError, match="architecture must be nsf or maf"):
        Config(backend="zuko", architecture="glow-maps")


@pytest.mark.parametrize("levels", [1, 2])
def test_saved_and_loaded_scores_the_same(levels: int, tmp_path: Path) -> None:
    flow = fitted(maps(), levels=levels)
    flow.save(tmp_path)
    scores = flow.score(maps(seed=1))
    assert np.array_equal(Flow.load(tmp_path).score(maps(seed=1)), scores)
    assert scores.shape == (200, 1)


def test_act_norms_start_from_the_first_batch_alone() -> None:
    flow = detector(levels=2)
    flow.net = MapFlow(glow_maps(2, 4, 8, 2, 1, 4), torch.tensor([True, True]), (2, 4, 8))
    first = 5 + 3 * torch.randn(64, 64)
    flow.loss(first)
    norm = flow.net.flow.flows[-1][0].flows[-1]
    before = norm.s.clone()
    assert before.abs().max() > 0.5  # of a deviation of 3
    flow.loss(100 * torch.randn(64, 64))
    assert torch.equal(norm.s, before)


def test_a_trained_flow_prefers_what_it_was_trained_on() -> None:
    train, held_out = maps(400), maps(100, seed=1)
    flow = fitted(train, epochs=20, lr=2e-3)
    shuffled = np.random.default_rng(0).permuted(held_out.x.reshape(100, 2, 32), axis=2)
    other = flow.score(replace(held_out, x=shuffled.reshape(100, 64)))
    assert np.median(other) > np.median(flow.score(held_out)) + 5
    assert flow.score(held_out).mean() < 64 * (0.5 * math.log(2 * math.pi) + 0.5)


@pytest.mark.parametrize(
    ("dataset", "levels", "lr", "batch"),
    [
        ("ped1", 1, 5e-4, 8),
        ("ped2", 1, 5e-4, 8),
        ("avenue", 3, 5e-4, 5),
        ("shanghaitech", 3, 1e-4, 8),
    ],
)
def test_the_papers_preset_of_maps(dataset: str, levels: int, lr: float, batch: int) -> None:
    config = Config(**Flow.preset("paper", dataset, Nature(maps=True)))
    assert (config.levels, config.lr, config.batch_size) == (levels, lr, batch)
    assert (config.architecture, config.layers, config.hidden) == ("glow-maps", 32, 512)


def test_the_presets_of_vectors_have_no_maps() -> None:
    for preset in ("fast", "paper"):
        assert Config(**Flow.preset(preset, "ped2", Nature())).architecture is None


def test_operations_are_those_of_the_convolutions() -> None:
    """Multiply-adds a row as counted by hand: 13.7 G for two maps of 60 x 90 at K = 32, 512."""
    net = [9 * 4 * 512, 512 * 512, 9 * 512 * 8, 8 * 8]
    adds = 32 * 30 * 45 * sum(net)
    assert adds == pytest.approx(13.7e9, rel=0.01)
    found = map_flops(2 * 60 * 90, 2, 1, 32, 512)
    assert 2 * adds < found < 1.5 * 2 * adds
    assert Flow(Config(architecture="glow-maps"), seed=0).flops(2310, 10_800, 2010) is not None
