"""The clips of an extraction, those without a part yet: one after the other, or several processes
at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.extractors.extractor import Advance
from vadbench.features.parts import Arrays, Parts
from vadbench.features.progress import Frames
from vadbench.workers import open_workers

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
        compute: makes a clip's arrays; it can be pickled where there are several processes.
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
    with open_workers(processes, _begin, (compute,)) as workers:
        waiting = [workers.submit(_compute_one, parts, number, video) for number, video in todo]
        try:
            for ended in as_completed(waiting):
                advance(ended.result())
        except BrokenProcessPool as error:
            raise BadInput(
                "a process of the extraction was killed from outside, mostly for lack of memory;"
                " what it has finished is kept: run the same again, with fewer --jobs"
            ) from error


# of a process of the pool: one for all its clips, so that files and weights are read once
_work: list[Compute] = []


def _begin(compute: Compute) -> None:
    """Take up the work."""
    _work[:] = [compute]


def _compute_one(parts: Parts, number: int, video: Video) -> int:
    """Write a clip's part; its number of frames."""
    parts.write(number, _work[0](number, video, lambda frames: None))
    return video.frames
