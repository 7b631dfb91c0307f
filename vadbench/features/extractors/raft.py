"""Optical flow by RAFT, torchvision's large network with weights from disk.

Source: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow (ECCV 2020).
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadbench.features.weights import (
    VISION_EXTRA,
    fill,
    load_package,
    load_state,
    torch_device,
    torchvision_file,
)

if TYPE_CHECKING:
    import torch

    from vadbench.features.boxes.provider import NeededFile

LEAST = 128  # pixels a side: the coarsest of the four correlation levels needs 2 cells of 64


class Raft:
    """Flow from one grey frame to the next, on a GPU where there is one; frame pairs that threads
    ask for at once are taken in turn.

    Args:
        path: the weights.
        updates: how often the flow is refined; 12 is torchvision's default.

    Raises:
        BadInput: if torchvision is not installed, or the weights are missing or of another network.
    """

    def __init__(self, path: Path, updates: int = 12) -> None:
        optical_flow = load_package("torchvision.models.optical_flow", VISION_EXTRA)
        self.net = fill(
            optical_flow.raft_large(weights=None),
            load_state(path),
            path,
            "torchvision's raft_large",
        )
        self.updates = updates
        self.device = torch_device()
        self._turn = threading.Lock()  # the network keeps the pair's correlations in itself

    def __call__(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """[H, W, 2] float32 (u right, v down) in pixels of the given frames, both [H, W] uint8."""
        import torch

        height, width = previous.shape
        (top, bottom), (left, right) = padding = _padding(height), _padding(width)
        pair = [self._picture(np.pad(frame, padding, mode="edge")) for frame in (previous, current)]
        with self._turn, torch.inference_mode():
            # [2, H, W] after the last update
            flow = self.net(*pair, num_flow_updates=self.updates)[-1][0]
        inside = flow[:, top : flow.shape[1] - bottom, left : flow.shape[2] - right].permute(
            1, 2, 0
        )
        return np.ascontiguousarray(inside.cpu().numpy(), np.float32)

    def _picture(self, frame: NDArray[np.uint8]) -> torch.Tensor:
        """[1, 3, H, W] from -1 to 1."""
        import torch

        return (torch.from_numpy(frame).to(self.device).float() / 127.5 - 1).expand(1, 3, -1, -1)


def file() -> NeededFile:
    """The weights: trained on FlyingChairs, FlyingThings3D, Sintel, KITTI and HD1K."""
    return torchvision_file(
        "raft_large", "torchvision's raft_large C_T_SKHT_V2", "raft_large_C_T_SKHT_V2-ff5fadd5.pth"
    )


def load_once() -> Raft:
    """The process's RAFT, loaded once for all clips.

    Raises:
        BadInput: as `Raft`.
    """
    path = file().path
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _load(path: Path, modified: int) -> Raft:
    return Raft(path)


def _padding(side: int) -> tuple[int, int]:
    """Pixels before and after, so that a side is a multiple of 8 and long enough."""
    more = max(-side % 8, LEAST - side)
    return more // 2, more - more // 2
