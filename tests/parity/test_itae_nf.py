"""Glow on maps against an implementation in NumPy alone, in float64: `oracles/itae/nf.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vadbench_methods.flow_blocks import glow_maps
from vadbench_methods.flow_maps import MapFlow

pytest.importorskip("normflows", reason="normflows is not installed (the extra [flow])")
CASES = {"L1": (1, 2, 3), "L3": (3, 1, 2), "linear": (1, 3, 2)}  # levels, layers, hidden
Oracle = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def oracle(oracles: Path) -> Oracle:
    with np.load(oracles / "itae" / "nf.npz", allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def load_step(step: Any, weights: Oracle) -> None:
    """A step's weights: the oracle's ActNorm is (x + bias) exp(logs), its linear map one matrix."""
    coupling, linear, norm = step.flows
    convolutions = [part for part in coupling.modules() if isinstance(part, torch.nn.Conv2d)]
    permutation, lower, upper = torch.linalg.lu(weights["W"])
    with torch.no_grad():
        norm.t.copy_(-weights["bias"].reshape(norm.t.shape))
        norm.s.copy_(-weights["logs"].reshape(norm.s.shape))
        for name, values in (("P", permutation), ("L", lower), ("U", upper.triu(1))):
            getattr(linear, name).copy_(values)
        linear.log_S.copy_(upper.diagonal().abs().log())
        linear.sign_S.copy_(upper.diagonal().sign())
        for place, convolution in enumerate(convolutions, 1):
            convolution.weight.copy_(weights[f"w{place}"])
            convolution.bias.copy_(weights[f"b{place}"])


def load_flow(oracle: Oracle, case: str) -> MapFlow:
    levels, layers, _ = CASES[case]
    maps, height, width = oracle[f"{case}.x"].shape[1:]
    hidden = len(oracle[f"{case}.0.0.b1"])
    flow = glow_maps(maps, height, width, levels, layers, hidden).double()
    stacks = [flow.flows] if levels == 1 else list(reversed(flow.flows))
    for level, stack in enumerate(stacks):
        steps = [block for block in reversed(stack) if hasattr(block, "flows")]
        for place, step in enumerate(steps):
            prefix = f"{case}.{level}.{place}."
            own = {
                name.removeprefix(prefix): values
                for name, values in oracle.items()
                if name.startswith(prefix)
            }
            load_step(step, own)
    return MapFlow(flow, torch.ones(maps, dtype=torch.bool), (maps, height, width))


@pytest.mark.parametrize("case", CASES)
def test_log_density_is_the_oracles(oracle: Oracle, case: str) -> None:
    net = load_flow(oracle, case)
    found = net.log_prob(oracle[f"{case}.x"].flatten(1))
    torch.testing.assert_close(found, oracle[f"{case}.log_prob"], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_latents_are_the_oracles_in_the_order_they_leave(oracle: Oracle, case: str) -> None:
    z, _ = load_flow(oracle, case).latent(oracle[f"{case}.x"].flatten(1))
    names = sorted(name for name in oracle if name.startswith(f"{case}.z"))
    expected = torch.cat([oracle[name].flatten(1) for name in names], 1)
    torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)


def test_a_linear_flow_is_the_gaussian_of_its_closed_form(oracle: Oracle) -> None:
    found = load_flow(oracle, "linear").log_prob(oracle["linear.x"].flatten(1))
    torch.testing.assert_close(found, oracle["linear.closed_form_log_prob"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("maps", "expected"), [(2, 10_195_968), (3, 11_086_336)])
def test_parameters_of_the_papers_flows(maps: int, expected: int) -> None:
    """The paper prints 10.16 and 11.05 million; with biases and both factors of each matrix."""
    flow = glow_maps(maps, 60, 90, levels=1, layers=32, hidden=512)
    assert sum(weights.numel() for weights in flow.parameters()) == expected
