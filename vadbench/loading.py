"""Rows on their way to a GPU: held there where they fit, else sent ahead in pinned blocks.

Nothing here decides what is trained on: the batches are the same, in the same order, on any device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vadbench.ahead import ahead

SHARE = 0.5  # of a GPU's free memory that training rows may take; the network needs the rest
CPU = torch.device("cpu")


def fits_on(device: torch.device, size: int) -> bool:
    """Whether rows of so many bytes are held on a GPU; never on another device, whose memory is
    the processor's.
    """
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size <= SHARE * free


def hold(blocks: Iterable[NDArray[Any]], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Consecutive blocks of rows as one float32 tensor of a shape on the device; beside it, one
    block at a time is in memory.
    """
    held = torch.empty(shape, dtype=torch.float32, device=device)
    start = 0
    for block in blocks:
        held[start : start + len(block)] = torch.from_numpy(np.asarray(block, np.float32))
        start += len(block)
    return held


def move(values: Tensor, device: torch.device) -> Tensor:
    """Values on the device; a GPU is not waited for, which may still have much to do."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def send(batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Batches that are read on the processor, in order, on the device.

    A GPU gets them while it computes: a thread reads and pins the next ones, and they are copied on
    a stream of their own. The pinned memory is torch's, which takes a block again when its copy
    has ended; as `ahead` reads two batches at most, two blocks take turns.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch.to(device)
        return
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for pinned in ahead(batch.pin_memory() for batch in batches):
        with torch.cuda.stream(copies):
            there = pinned.to(device, non_blocking=True)
        working = torch.cuda.current_stream(device)
        working.wait_stream(copies)
        there.record_stream(working)  # not freed while it is worked on
        yield there
