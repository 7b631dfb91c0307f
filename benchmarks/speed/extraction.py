"""Speed and memory of extraction: boxes, velocity and embeddings, on Ped2 where $VADBENCH_DATA has
it, else on the synthetic street.

usage: python benchmarks/speed/extraction.py [--clips N]

Prints per set-up: frames/s of both stages together (decoding and the store included), CPU time a
frame over all threads, and the process's peak memory. On a busy machine frames/s say little; CPU
time a frame times the cores in use is the bound.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vadbench.datasets.base import Dataset, Split, Video
from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput
from vadbench.features.extract import ensure
from vadbench.features.stream import open_stream, plan_stream
from vadbench.locations import cache_root, data_root

SETUPS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "grid, DIS medium (target 60 frames/s)": (
        "velocity@grid",
        {"velocity": {"flow": "medium", "enlarge_below": 0}},
    ),
    "grid, DIS fast x2 (target 25)": ("velocity@grid", {}),
    "foreground, DIS fast x2 (target 25)": ("velocity", {}),
    "foreground, DIS fast": ("velocity", {"velocity": {"enlarge_below": 0}}),
    "grid, DIS fast x2, hof8": ("velocity.hof8@grid", {}),
    "grid, Farneback": ("velocity@grid", {"velocity": {"flow": "farneback", "enlarge_below": 0}}),
    "foreground, EfficientNet-Lite0, 64 px": ("deep@foreground", {}),
    "foreground, EfficientNet-Lite0, 96 px": ("deep@foreground", {"deep": {"size": 96}}),
    "EfficientNet-Lite0 of three frames": ("clip", {}),
}


def dataset(clips: int) -> Dataset:
    """Ped2 or the synthetic street, the first clips of each split."""
    found: Dataset = Ped2(data_root())
    try:
        found.videos("train")
    except BadInput:
        found = Synthetic(cache_root())
    every = found.videos

    def first(split: Split) -> tuple[Video, ...]:
        return every(split)[:clips]

    found.videos = first  # type: ignore[method-assign]
    return found


def measure(setup: str, clips: int) -> None:
    stream, settings = SETUPS[setup]
    data = dataset(clips)
    frames = sum(video.frames for split in ("train", "test") for video in data.videos(split))
    data.frames(data.videos("train")[0])  # the synthetic street is made on first use
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_stream(data, stream, settings)
        began, worked = time.perf_counter(), time.process_time()
        ensure(data, plan, Path(folder), quiet=True)
        seconds, busy = time.perf_counter() - began, time.process_time() - worked
        rows = sum(
            len(open_stream(plan.dataset, plan, Path(folder), split).features)
            for split in ("train", "test")
        )
        size = sum(
            path.stat().st_size
            for path in Path(folder).rglob("*")
            if path.is_file() and path.suffix != ".onnx"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed, busy_ms = f"{frames / seconds:.0f}", f"{busy / frames * 1e3:.1f}"
    print(
        f"| {data.name} | {setup} | {speed} | {busy_ms} | {peak:.0f} | {rows / frames:.1f} |"
        f" {size / frames / 1e3:.1f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=4, help="clips of each split")
    parser.add_argument("--setup", help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.setup:
        measure(options.setup, options.clips)
        return
    print(
        "| data set | set-up | frames/s | CPU ms a frame | peak MiB | rows a frame | MB a thousand"
        " frames |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for setup in SETUPS:  # a process each, so that peaks are each one's own
        subprocess.run(
            [sys.executable, __file__, "--clips", str(options.clips), "--setup", setup], check=True
        )


if __name__ == "__main__":
    main()
