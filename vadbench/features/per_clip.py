"""The clips of an extraction, those without a part yet: one after the other, or several processes
at a time.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from vadbench.datasets.base import Video
from vadbench.features.extractors.extractor import Advance
from vadbench.features.parts import Arrays, Parts
from vadbench.features.progress import Frames

# the clip's index, the clip, and who is told of finished frames
Compute = Callable[[int, Video, Advance], Arrays]


def compute_clips(
    parts: Parts,
    videos: tuple[Video, ...],
    compute: Compute,
    what: str,
    quiet: bool,
    processes: int,
) -> None:
    """Compute the clips that have no part yet, each written as it ends.

    Args:
        parts: where finished clips go.
        videos: the split's clips.
        compute: makes a clip's arrays; picklable where there are several processes.
        what: the stage, for the progress.
        quiet: no progress.
        processes: clips at a time; each process gets its share of the cores.
    """
    with Frames(what, sum(video.frames for video in videos), quiet) as progress:
        todo = []
        for number, video in enumerate(videos):
            if parts.read(number) is None:
                todo.append((number, video))
            else:
                progress.reuse(video.frames)
        if processes > 1 and len(todo) > 1:
            _in_processes(parts, todo, compute, progress.advance, min(processes, len(todo)))
            return
        for number, video in todo:
            parts.write(number, compute(number, video, progress.advance))


def _in_processes(
    parts: Parts, todo: list[tuple[int, Video]], compute: Compute, advance: Advance, processes: int
) -> None:
    # spawn: a forked copy of a process that has used OpenMP threads hangs
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for share in _shares(processes):
        shares.put(share)
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(shares, compute)
    ) as pool:
        waiting = {pool.submit(_one, parts, number, video): video for number, video in todo}
        try:
            for future in as_completed(waiting):
                future.result()
                advance(waiting[future].frames)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one(parts: Parts, number: int, video: Video) -> None:
    parts.write(number, _work[0](number, video, lambda frames: None))


def _shares(processes: int) -> list[set[int]]:
    """The cores of each process; empty where the system cannot bind a process to cores."""
    if not hasattr(os, "sched_getaffinity"):
        return [set()] * processes
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[k::processes]) or {cores[k % len(cores)]} for k in range(processes)]


# of a process of the pool: one for all its clips, so that files and weights are read once
_work: list[Compute] = []


def _begin(shares: Any, compute: Compute) -> None:
    """Take up the work, and a share of the cores."""
    _work[:] = [compute]
    cores = shares.get()
    if cores:
        os.sched_setaffinity(0, cores)
