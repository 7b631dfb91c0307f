"""How much memory a learnt extractor takes on 200,000 frames, beside the map of its frames.

A data set of small frames in one clip, or in many, made as they are read: a network is trained for
a few steps and a stream of every frame is extracted, each in a process of its own. The goal: 1.5
GiB of resident memory at most, whatever the number and the length of the clips.

Run: python benchmarks/speed/learnt_memory.py [--frames 200000] [--clips 1 20 2000]
[--stream itae.static]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Video
from vadbench.features.extract import ensure
from vadbench.features.stream import plan_stream

SIZE = (16, 24)
SETTINGS = {"itae": {"size": SIZE, "width": 0.05, "steps": 20}}
GOAL = 1.5 * 1024  # MiB


class Noise(Dataset):
    """So many training frames in so many clips, and a test clip as long as one of them."""

    name = "noise"
    revision = "1"
    generated = True
    boxes = "grid"

    def __init__(self, root: Path, frames: int, clips: int) -> None:
        super().__init__(root)
        self.frames, self.clips = frames, clips

    def videos(self, split: str) -> tuple[Video, ...]:
        """Clips of equal length."""
        count = self.clips if split == "train" else 1
        return tuple(
            Video(f"{split}{k:05d}", split, self.frames // self.clips)  # type: ignore[arg-type]
            for k in range(count)
        )

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """One picture, moved by a pixel a frame."""
        still = np.random.default_rng(len(video.name)).integers(0, 255, SIZE).astype(np.uint8)
        return (np.roll(still, t, 1) for t in range(video.frames))

    def labels(self) -> Labels:
        """None."""
        raise AssertionError("labels are not read")

    def check(self) -> list[Check]:
        """Nothing to check."""
        return []


def measure(place: str, frames: int, clips: int, stream: str, answers: Any) -> None:
    """Train and extract; peak resident size in MiB, seconds, and the map's size in MiB."""
    dataset = Noise(Path(place), frames, clips)
    began = time.perf_counter()
    ensure(dataset, plan_stream(dataset, stream, SETTINGS), Path(place) / "cache", quiet=True)
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    answers.put((peak, time.perf_counter() - began, frames * SIZE[0] * SIZE[1] / 2**20))


def main() -> None:
    """Print one line a number of clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 20, 2000])
    parser.add_argument("--stream", default="itae.static")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    for clips in options.clips:
        answers = spawn.Queue()
        with tempfile.TemporaryDirectory() as place:
            arguments = (place, options.frames, clips, options.stream, answers)
            process = spawn.Process(target=measure, args=arguments)
            process.start()
            peak, seconds, mapped = answers.get()
            process.join()
        print(
            f"{options.frames} frames in {clips} clips, {options.stream}: peak {peak:.0f} MiB"
            f" (goal {GOAL:.0f}, beside a map of {mapped:.0f} MiB), {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
