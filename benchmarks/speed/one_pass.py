"""What one pass over the videos saves: boxes by foreground and velocity on them, from video files
of Avenue's format and size (640 x 360, colour).

usage: python benchmarks/speed/one_pass.py [--clips 4] [--frames 600]

In one run, into empty caches: boxes first and then vectors, a clip at a time; both of a clip in one
pass over it; and so with a core a clip, as `vadbench run` does. Frames/s by the clock, and CPU
milliseconds a frame over all processes; the features are compared byte for byte.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from vadbench.datasets.base import Dataset
from vadbench.datasets.folder import Folder
from vadbench.features.extract import Extraction, ensure
from vadbench.features.stream import plan_stream
from vadbench.threads import count_threads

HEIGHT, WIDTH, WALKERS = 360, 640, 12


def write_clip(path: Path, frames: int, seed: int) -> None:
    """Rectangles that walk over a still texture, as MPEG-4 in AVI."""
    random = np.random.default_rng(seed)
    still = random.integers(60, 180, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    still = still.repeat(8, 0).repeat(8, 1)
    places = random.uniform(0, (WIDTH, HEIGHT), (WALKERS, 2))
    steps = random.uniform(-2, 2, (WALKERS, 2))
    looks = random.integers(0, 256, (WALKERS, 64, 36, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 2_000_000
        for _ in range(frames):
            frame = still.copy()
            for (x, y), look in zip(places.astype(int), looks, strict=True):
                part = frame[max(y, 0) : y + 64, max(x, 0) : x + 36]
                part[:] = look[: part.shape[0], : part.shape[1]]
            places = (places + steps) % (WIDTH, HEIGHT)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def write_dataset(root: Path, clips: int, frames: int) -> Dataset:
    """So many training clips and half as many test clips of the data set `folder`."""
    places = root / Folder.name
    places.mkdir(parents=True)
    splits = ["train"] * clips + ["test"] * max(clips // 2, 1)
    lines = []
    for number, split in enumerate(splits):
        write_clip(places / f"{number:02d}.avi", frames, number)
        lines += ["[[clip]]", f'path = "{number:02d}.avi"', f'split = "{split}"']
        lines += ["anomalous = []"] if split == "test" else []
    (places / "dataset.toml").write_text("\n".join(lines), encoding="utf-8")
    return Folder(root)


def cpu_seconds() -> float:
    """Of this process and of those that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(name: str, frames: int, work: Callable[[], None]) -> float:
    """Print what a way takes; its seconds by the clock."""
    began, cpu = time.perf_counter(), cpu_seconds()
    work()
    took, used = time.perf_counter() - began, cpu_seconds() - cpu
    print(f"  {name:42s} {frames / took:6.1f} frames/s, {1000 * used / frames:5.1f} CPU ms a frame")
    return took


def contents(cache: Path) -> dict[str, bytes]:
    """Every file of the features."""
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and path.name in ("x.npy", "index.parquet")
    }


def main() -> None:
    """Write the clips and measure the three ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=600)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        dataset = write_dataset(root / "data", asked.clips, asked.frames)
        plan = plan_stream(dataset, "velocity", {})
        frames = sum(v.frames for split in ("train", "test") for v in dataset.videos(split))

        def apart() -> None:
            work = Extraction(dataset, plan, root / "apart", quiet=True, processes=1)
            for split in ("train", "test"):
                work.boxes(split, dataset.videos(split))
            for split in ("train", "test"):
                work.vectors(split, dataset.videos(split))

        print(f"{frames} frames of {WIDTH} x {HEIGHT}, {count_threads()} threads")
        first = measure("boxes, then vectors", frames, apart)
        measure(
            "one pass, a clip at a time",
            frames,
            lambda: ensure(dataset, plan, root / "one", quiet=True, processes=1),
        )
        last = measure(
            "one pass, a core a clip",
            frames,
            lambda: ensure(dataset, plan, root / "many", quiet=True),
        )
        same = contents(root / "apart") == contents(root / "one") == contents(root / "many")
        print(f"  {first / last:.2f} times as fast; the same bytes: {same}")


if __name__ == "__main__":
    main()
