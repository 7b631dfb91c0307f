"""RBDC/TBDC: the closed form against the straightforward loop of tests/unit/test_regions_metric.py,
its growth, and its peak memory.

Run: python benchmarks/speed/regions.py [--no-loop]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.evaluation.metrics.regions import region_metrics

VIDEOS, LENGTH, TRACKS = 107, 381, 160
ROOT = Path(__file__).resolve().parents[2]


def scene(detections: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any], int]:
    """ShanghaiTech-sized ground truth and `detections` boxes, a tenth of them near a region."""
    rng = np.random.default_rng(seed)
    length = rng.integers(40, 160, TRACKS)
    track = np.repeat(np.arange(TRACKS), length)
    video = rng.integers(0, VIDEOS, TRACKS)[track]
    frame = (rng.integers(0, LENGTH - 160, TRACKS))[track] + np.concatenate(
        [np.arange(n) for n in length]
    )
    x, y = rng.uniform(0, 800, TRACKS)[track], rng.uniform(0, 400, TRACKS)[track]
    truth = {
        "video": video,
        "track": track,
        "frame": frame,
        "x0": x,
        "y0": y,
        "x1": x + 40,
        "y1": y + 80,
    }
    made = {
        "video": rng.integers(0, VIDEOS, detections),
        "frame": rng.integers(0, LENGTH, detections),
    }
    made |= {"x0": rng.uniform(0, 800, detections), "y0": rng.uniform(0, 400, detections)}
    near, region = np.arange(detections // 10), rng.integers(0, len(track), detections // 10)
    for name, shift in (("video", 0), ("frame", 0), ("x0", 5), ("y0", 5)):
        made[name][near] = truth[name][region] + shift
    made |= {
        "x1": made["x0"] + 40,
        "y1": made["y0"] + 80,
        "score": np.round(rng.normal(size=detections), 4),
    }
    made["score"][near] += 1
    return made, truth, VIDEOS * LENGTH


def seconds(function: Callable[..., Any], *arguments: Any, repeat: int = 1) -> float:
    """The least CPU-seconds of a few calls."""
    best = np.inf
    for _ in range(repeat):
        start = time.process_time()
        function(*arguments)
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--no-loop",
        action="store_true",
        help="leave out the straightforward loop (it takes about ten seconds)",
    )
    parser.add_argument(
        "--alone", type=int, help="measure this many detections only, and the peak memory"
    )
    options = parser.parse_args()
    if options.alone:
        case = scene(options.alone)
        taken = seconds(region_metrics, *case)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{options.alone:>9,} detections: {taken:6.2f} CPU-s, peak memory of the whole process"
            f" {peak:.2f} GiB"
        )
        return
    region_metrics(*scene(1000))  # imports pandas
    case = scene(300_000)
    closed = seconds(region_metrics, *case, repeat=5)
    print(f"  300,000 detections x {TRACKS} tracks: {closed:.3f} CPU-s")
    if not options.no_loop:
        sys.path.insert(0, str(ROOT / "tests" / "unit"))
        from test_regions_metric import plain_loop

        loop = seconds(plain_loop, *case)
        found = region_metrics(*case, ties="order")
        assert np.allclose(plain_loop(*case), (found.rbdc, found.tbdc), atol=1e-12)
        print(
            f"  straightforward loop: {loop:.2f} CPU-s, {loop / closed:.0f} times the closed form"
            " (goal: 50)"
        )
    for detections in (1_000_000, 3_000_000):
        subprocess.run([sys.executable, __file__, "--alone", str(detections)], check=True)


if __name__ == "__main__":
    main()
