"""Optical flow between consecutive grey frames: OpenCV's DIS and Farneback, and RAFT from
torchvision.

Sources: Kroeger et al., Fast Optical Flow using Dense Inverse Search (ECCV 2016); Farneback,
Two-Frame Motion Estimation (SCIA 2003).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vadbench.features.extractors import raft
from vadbench.threads import count_cores

Method = Literal["ultrafast", "fast", "medium", "farneback", "raft"]
Result = TypeVar("Result")


class Flow:
    """Flow from one grey frame to the next; each thread has its own solver, for a DIS object keeps
    buffers.

    Args:
        method: a DIS preset, `farneback` or `raft`.
        enlarge_below: frames narrower than this many pixels are enlarged x2 first, because small
            objects vanish on DIS's coarse scales.
    """

    def __init__(self, method: Method, enlarge_below: int) -> None:
        self.method = method
        self.enlarge_below = enlarge_below
        self._local = threading.local()
        if method == "raft":
            raft.load_once()  # loaded here, once, and not by several threads at a time

    def __call__(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """[H, W, 2] float32 (u right, v down) in pixels of the given frames, both [H, W] uint8."""
        height, width = previous.shape
        if width >= self.enlarge_below:
            return self._solve(previous, current)
        doubled = (2 * width, 2 * height)
        enlarged = [
            np.asarray(cv2.resize(frame, doubled, interpolation=cv2.INTER_LINEAR), np.uint8)
            for frame in (previous, current)
        ]
        large = self._solve(*enlarged)
        return np.asarray(
            cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA) / np.float32(2),
            np.float32,
        )

    def _solve(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        if self.method == "raft":
            return raft.load_once()(previous, current)
        if self.method == "farneback":
            start = np.zeros((*previous.shape, 2), np.float32)
            flow = cv2.calcOpticalFlowFarneback(
                previous,
                current,
                start,
                pyr_scale=0.5,
                levels=4,
                winsize=9,
                iterations=3,
                poly_n=5,
                poly_sigma=1.1,
                flags=0,
            )
            return np.asarray(flow, np.float32)
        if not hasattr(self._local, "dis"):
            self._local.dis = cv2.DISOpticalFlow.create(
                getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{self.method.upper()}")
            )
        return np.asarray(
            self._local.dis.calc(
                np.ascontiguousarray(previous), np.ascontiguousarray(current), None
            ),
            np.float32,
        )


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV without threads of its own inside the block; its former number of threads, which is
    global, is put back after it.

    DIS cuts a frame into as many stripes as there are threads, and its result depends on the cut.
    One thread a frame pair, and several pairs at once, gives the same flow on every machine.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def over_pairs(
    work: Callable[[int, NDArray[np.uint8], NDArray[np.uint8]], Result],
    frames: Iterable[NDArray[np.uint8]],
    threads: int | None = None,
) -> Iterator[Result]:
    """work(t, frame t - 1, frame t) for t = 1, 2, ... in order, on all cores, with few
    results waiting at a time.

    Args:
        work: called from several threads at once.
        frames: a clip's frames, read one after the other.
        threads: how many at once; None: as many as computations take here.
    """
    cores = threads or count_cores()
    with one_opencv_thread(), ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[Result]] = deque()
        for t, (previous, current) in enumerate(pairwise(frames), 1):
            waiting.append(pool.submit(work, t, previous, current))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
