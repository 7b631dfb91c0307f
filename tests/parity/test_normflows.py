"""Flows against normflows' answers: the stored weights, loaded into our builders, give the stored
latents and log-densities.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vadbench_methods.flow import DensityFlow
from vadbench_methods.flow_blocks import glow, glow_maps

pytest.importorskip("normflows", reason="normflows is not installed (the extra [flow])")
F64 = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(scope="module")
def oracle(oracles: Path) -> Any:
    with np.load(oracles / "methods" / "normflows_oracle.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def weights(oracle: dict[str, torch.Tensor], group: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{group}/w/"): values
        for name, values in oracle.items()
        if name.startswith(f"{group}/w/")
    }


def ours(reference: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights under our linear map's names: P as a permutation, S's parts, no stored
    identity.
    """
    renamed = {"log_S": "log_scale", "sign_S": "sign"}
    out = {}
    for name, values in reference.items():
        owner, _, last = name.rpartition(".")
        if last == "P":
            out[f"{owner}.permutation"] = values.argmax(0)
        elif last != "eye":
            out[f"{owner}.{renamed.get(last, last)}"] = values
    return out


def load_flow(state: dict[str, torch.Tensor], dim: int, layers: int, hidden: int) -> DensityFlow:
    flow = glow(dim, layers, hidden).double()
    flow.load_state_dict(state)
    return DensityFlow(flow, torch.ones(dim, dtype=torch.bool))


@pytest.mark.parametrize("dim", [6, 7])
def test_vector_glow_equals_normflows(oracle: Any, dim: int) -> None:
    group = f"vec_d{dim}"
    net = load_flow(ours(weights(oracle, group)), dim, layers=4, hidden=16)
    z, log_det = net.latent(oracle[f"{group}/x"])
    torch.testing.assert_close(z, oracle[f"{group}/z"], **F64)
    torch.testing.assert_close(log_det, oracle[f"{group}/logdet"], **F64)
    torch.testing.assert_close(
        net.log_prob(oracle[f"{group}/x"]), oracle[f"{group}/log_prob"], **F64
    )
    torch.testing.assert_close(net.flow.forward(z), oracle[f"{group}/x"], rtol=1e-8, atol=1e-8)


def test_vector_glow_equals_image_blocks_on_single_pixels(oracle: Any) -> None:
    """On a 1x1 map only the centre of a 3x3 kernel meets data: the same function without the eight
    ninths of its weights.
    """
    group = "glowblock_d6_1x1"
    state = {}
    for name, values in weights(oracle, group).items():
        if name.startswith("flows."):
            _, block, _, part, *rest = name.split(".")
            name = ".".join(["flows", str(3 * int(block) + int(part)), *rest])
        if values.ndim == 4:
            values = values[:, :, values.shape[2] // 2, values.shape[3] // 2]
        state[name] = values
    # a convolution multiplies W z, vectors are z W: the factors of W transposed
    for block in range(4):
        keys = {
            part: f"flows.{3 * block + 1}.{part}" for part in ("P", "L", "U", "log_S", "sign_S")
        }
        diagonal = torch.diag(state[keys["sign_S"]] * state[keys["log_S"]].exp())
        matrix = (
            state[keys["P"]]
            @ (state[keys["L"]].tril(-1) + torch.eye(6).double())
            @ (state[keys["U"]].triu(1) + diagonal)
        )
        permutation, lower, upper = torch.linalg.lu(matrix.T)
        parts = {
            "P": permutation,
            "L": lower,
            "U": upper,
            "log_S": upper.diagonal().abs().log(),
            "sign_S": upper.diagonal().sign(),
        }
        state.update({keys[part]: values for part, values in parts.items()})
    x = oracle[f"{group}/x"].flatten(1)
    net = load_flow(ours(state), 6, layers=4, hidden=16)
    z, log_det = net.latent(x)
    torch.testing.assert_close(z, oracle[f"{group}/z"].flatten(1), **F64)
    torch.testing.assert_close(log_det, oracle[f"{group}/logdet"], **F64)
    torch.testing.assert_close(net.log_prob(x), oracle[f"{group}/log_prob"], **F64)


def test_one_level_of_maps_equals_normflows(oracle: Any) -> None:
    group = "itae_2ch_L1"
    flow = glow_maps(2, 8, 8, levels=1, layers=3, hidden=16).double()
    flow.load_state_dict(weights(oracle, group))
    z, log_det = DensityFlow(flow, torch.ones(2, dtype=torch.bool)).latent(oracle[f"{group}/x"])
    torch.testing.assert_close(z, oracle[f"{group}/z"], **F64)
    torch.testing.assert_close(log_det, oracle[f"{group}/logdet"], **F64)
    torch.testing.assert_close(
        flow.log_prob(oracle[f"{group}/x"]), oracle[f"{group}/log_prob"], **F64
    )


def test_three_levels_of_maps_equal_normflows(oracle: Any) -> None:
    group = "itae_2ch_L3"
    flow = glow_maps(2, 16, 16, levels=3, layers=2, hidden=16).double()
    flow.load_state_dict(weights(oracle, group))
    torch.testing.assert_close(
        flow.log_prob(oracle[f"{group}/x"], None), oracle[f"{group}/log_prob"], **F64
    )
