"""Networks that begin from data: their ActNorms take shift and scale from a first batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class DataStart(nn.Module):
    """A network that the first training batch starts, once: weights that are loaded have started.

    Attributes:
        started: whether it was, by a batch or by the weights of one that had been.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started = False
        self.register_load_state_dict_post_hook(_note_start)  # type: ignore[no-untyped-call]

    def start_once(self, first: Tensor) -> None:
        """Start from a training batch [B, D], unless it has started."""
        if not self.started:
            self.start(first)
            self.started = True

    def start(self, first: Tensor) -> None:
        """Let the ActNorms begin from a training batch [B, D]."""
        raise NotImplementedError


def _note_start(net: DataStart, _: Any) -> None:
    net.started = True
