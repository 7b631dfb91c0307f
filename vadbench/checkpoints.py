"""Where a training stands, so that one that is interrupted goes on and ends equal to the bit."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.files.atomic import replace_file

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from vadbench.detector import Detector

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after so many steps.

    Attributes:
        step: steps that are done.
        arrays: weights and the optimiser's moments, by name.
        facts: what else goes on: learning rate, seconds, losses; JSON-ready.
    """

    step: int
    arrays: Arrays
    facts: dict[str, Any]

    def with_facts(self, more: dict[str, Any]) -> Checkpoint:
        """This state with further facts."""
        return replace(self, facts={**self.facts, **more})


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Keep a state, one safetensors file: written aside, flushed, renamed.

    Raises:
        OSError: if the disk is full; what was there stays.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(values) for name, values in checkpoint.arrays.items()}
    facts = {**checkpoint.facts, "step": checkpoint.step}
    kept = {**facts, "digest": _digest(facts, arrays)}
    data = save(arrays, {"facts": json.dumps(kept)})
    with replace_file(path) as aside:
        aside.write_bytes(data)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The state that was kept; None where there is none, or it is damaged: the training begins
    anew.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            facts = json.loads(file.metadata()["facts"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        whole = facts.pop("digest") == _digest(facts, arrays)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return Checkpoint(facts.pop("step"), arrays, facts) if whole else None


def write_finished(path: Path, detector: Detector, seconds: float) -> None:
    """Keep a detector that is fitted in the place of its training; where the disk takes nothing, it
    is fitted again if need be.
    """
    import torch

    facts = {"finished": True, "torch": str(torch.__version__), "seconds": seconds}
    with suppress(OSError):
        write_checkpoint(path, Checkpoint(0, detector.arrays(), facts))


def read_finished(path: Path, detector: Detector) -> float | None:
    """Restore a detector from what `write_finished` wrote, and give the seconds that its training
    took; None: there is nothing, or of another torch, or its training is not at its end.
    """
    import torch

    kept = read_checkpoint(path)
    if kept is None or not kept.facts.get("finished") or kept.facts["torch"] != torch.__version__:
        return None
    detector.restore(kept.arrays)
    return float(kept.facts["seconds"])


def take_state(
    step: int, net: nn.Module, optimiser: Optimizer, schedule: LRScheduler | None
) -> Checkpoint:
    """A copy of where a training stands."""
    arrays = {f"net.{name}": _copy(values) for name, values in net.state_dict().items()}
    moments = optimiser.state_dict()["state"]
    for parameter, state in moments.items():
        arrays |= {f"moments.{parameter}.{name}": _copy(values) for name, values in state.items()}
    facts = {
        "rates": [float(group["lr"]) for group in optimiser.param_groups],
        "schedule": None if schedule is None else _plain(schedule.state_dict()),
    }
    return Checkpoint(step, arrays, facts)


def put_state(
    checkpoint: Checkpoint, net: nn.Module, optimiser: Optimizer, schedule: LRScheduler | None
) -> None:
    """Go on from a copy that `take_state` made of the same network, optimiser and schedule."""
    import torch

    weights: dict[str, torch.Tensor] = {}
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, values in checkpoint.arrays.items():
        kind, _, own = name.partition(".")
        tensor = torch.from_numpy(np.array(values))
        if kind == "net":
            weights[own] = tensor
        else:
            parameter, _, what = own.partition(".")
            moments.setdefault(int(parameter), {})[what] = tensor
    net.load_state_dict(weights)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    for group, rate in zip(optimiser.param_groups, checkpoint.facts["rates"], strict=True):
        group["lr"] = rate
    if schedule is not None:
        schedule.load_state_dict(checkpoint.facts["schedule"])


def _copy(values: Any) -> NDArray[Any]:
    """An array of a tensor's or a number's own."""
    return np.array(values.detach().cpu() if hasattr(values, "detach") else values)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Of a schedule's state what JSON can hold: its counters and rates."""
    kept = (int, float, list, str, bool)
    return {name: value for name, value in state.items() if isinstance(value, kept)}


def _digest(facts: dict[str, Any], arrays: Arrays) -> str:
    """sha256 of all that is kept: a changed rate or shape would go on as if nothing were amiss."""
    listed = [[name, str(arrays[name].dtype), list(arrays[name].shape)] for name in sorted(arrays)]
    digest = hashlib.sha256(json.dumps([facts, listed], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
