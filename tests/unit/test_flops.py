"""The operations that a method counts from its config agree with the network it then builds, and
with what training does.
"""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from vadbench_methods.autoencoder import Autoencoder
from vadbench_methods.diffusion import Diffusion
from vadbench_methods.flow import Flow
from vadbench_methods.flow_blocks import InvertibleLinear
from vadbench_methods.gmm import GMM
from vadbench_methods.msma import MSMA
from vadbench_methods.mulde import MULDE

from vadbench.detector import Standardisation
from vadbench.training import ACTIVATION, dense_flops

DIM = 10


def multiplications(net: nn.Module) -> int:
    """Weights of the linear layers, each used once a pass."""
    dense = sum(layer.weight.numel() for layer in net.modules() if isinstance(layer, nn.Linear))
    # its two triangles
    return dense + sum(2 * DIM**2 for layer in net.modules() if isinstance(layer, InvertibleLinear))


@pytest.mark.parametrize(
    ("cls", "settings", "training", "hidden"),
    [
        (MULDE, {"units": (32, 16)}, 9, 48),
        (MULDE, {"units": (32, 16), "beta": 0.0}, 6, 48),
        (MSMA, {"units": (32, 16)}, 3, 48),
        (MSMA, {"units": (32, 16), "network": "log-density"}, 9, 48),
        (Autoencoder, {"units": (32, 16), "code": 4}, 3, 96),
        (Diffusion, {"units": (32, 16, 8)}, 3, 104),
        # the widest passes beside the network: coupling and ActNorm
        (Flow, {"layers": 3, "hidden": 16}, 3, 3 * (32 + 3 * DIM)),
    ],
)
def test_a_training_step_costs_its_passes_through_the_built_network(
    cls, settings, training, hidden
):
    detector = cls(cls.Config(**settings), seed=0)
    detector.standardisation = Standardisation(np.zeros(DIM), np.full(DIM, 2.0))
    once = 2 * multiplications(detector.build(DIM)) + ACTIVATION * hidden
    assert detector.row_flops(DIM)[0] == training * once


def test_scoring_counts_scales_steps_and_draws():
    def scored(cls, **settings):
        return cls(cls.Config(**settings), seed=0).row_flops(DIM)[1]

    # 4 steps are left, and 2
    assert scored(Diffusion, t=(6,), draws=2) == 2 * scored(Diffusion, t=(8,), draws=2)
    assert scored(Diffusion, t=(6,), draws=4) == 2 * scored(Diffusion, t=(6,), draws=2)
    assert scored(Diffusion, t=(6,), sampler="heun") == 2 * scored(Diffusion, t=(6,))
    shared = 2 * (DIM + 1) * 32  # of the first layer, once for all scales
    assert scored(MULDE, units=(32, 16), scales=8) - shared == pytest.approx(
        (scored(MULDE, units=(32, 16), scales=16) - shared) / 2
    )


def test_training_ends_with_the_epochs_or_the_steps_whichever_is_first():
    def trained(**settings):
        detector = Autoencoder(Autoencoder.Config(batch_size=100, **settings), seed=0)
        return (detector.flops(1000, DIM) - 1000 * detector.row_flops(DIM)[1]) / detector.row_flops(
            DIM
        )[0]

    assert trained(epochs=3) == pytest.approx(3000)
    assert trained(epochs=3, max_steps=7) == pytest.approx(700)
    assert trained(epochs=3, max_steps=70) == pytest.approx(3000)


def test_test_rows_cost_their_scores():
    detector = MULDE(MULDE.Config(), seed=0)
    assert detector.flops(1000, DIM, 500) - detector.flops(1000, DIM) == pytest.approx(
        500 * detector.row_flops(DIM)[1]
    )


def test_a_method_without_a_network_does_not_know():
    assert GMM(GMM.Config(), seed=0).flops(1000, DIM) is None


def test_dense_layers():
    assert dense_flops((3, 4, 2)) == 2 * (12 + 8) + ACTIVATION * 4
