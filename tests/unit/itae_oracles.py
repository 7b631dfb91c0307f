"""The arrays that ITAE is tested against where they lie beside the repository: made by NumPy alone,
each checked against a second implementation. `itae_by_hand` needs no file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vadbench.features.extractors.itae.network import ITAE, Widths

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "itae"
NAMES = {"s": "static.conv", "d": "dynamic.conv", "u": "decoder.deconv"}
LATERAL = {"l1": "lateral.conv1", "lf": "lateral.conv4"}


def oracle(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file; a test that asks for them is skipped where they are not."""
    if not FOLDER.is_dir():
        pytest.skip(f"{FOLDER} is not on this machine")
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def tiny_network(arrays: dict[str, np.ndarray]) -> ITAE:
    """The network of `model.npz`, float64, in evaluation mode."""
    net = ITAE(1, widths=Widths((3, 4, 5, 5), (2, 2, 3, 3))).double()
    state = net.state_dict()
    for name, values in arrays.items():
        if name.startswith("w."):
            layer, rest = name.removeprefix("w.").split(".", 1)
            own = LATERAL.get(layer) or NAMES[layer[0]] + layer[1]
            state[f"{own}.{rest}"] = torch.from_numpy(values)
    net.load_state_dict(state)
    return net.eval()
