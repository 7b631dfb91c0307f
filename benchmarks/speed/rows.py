"""Every method at 1e5, 1e6 and 3e6 random rows of a memory map: CPU seconds, and the memory that it
takes beside the map; with the slope of both in rows.

    python benchmarks/speed/rows.py [--rows 1e5,1e6,3e6] [--columns 32] [--methods gmm,knn]
                                    [--limit SECONDS] [--out FILE.json]

Each is a process of its own. Memory is that of the process alone (RssAnon of /proc/self/status,
read every 10 ms): pages of mapped files, which the system may drop, are not in it. What it takes
to load the libraries is, and stands beside it. The goal is 1.5 GiB at any number of rows, and the
exit code 1 where one misses it. What is scored is told: all training rows, or fewer of slow
methods. Networks are small and trained for few steps, mixtures have 4 components: what is asked is
how time and memory grow with rows. A size that would take longer than `--limit`, by the size
before, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

GOAL = 1.5 * 2**30  # bytes beside the map
BLOCK = 2**24  # values written at a time
POSES = (2, 4, 18)
VIDEOS = 40
NETWORK = {"units": (64, 64), "max_steps": 50, "progress": "off"}
FLOW = {"layers": 2, "hidden": 32, "max_steps": 50, "progress": "off"}
MSMA = {**NETWORK, "read_outs": ("gmm", "mean"), "components": (4,)}
SETTINGS: dict[str, dict[str, Any]] = {
    "gmm": {"components": (4,)},
    "directed": {"components": (4,), "columns": (0, 1)},
    "mulde": NETWORK,
    "msma": MSMA,
    "msma-mulde": NETWORK,
    "autoencoder": NETWORK,
    "diffusion": {**NETWORK, "t": (8,), "draws": 1},
    "flow": FLOW,
    "stg-nf": {"layers": 2, "max_steps": 50, "progress": "off"},
    "stg-nf-skeleton": {"layers": 2, "max_steps": 50, "progress": "off"},
    "knn-hnsw": {"index": "hnsw"},
    "knn-ivf": {"index": "ivf"},
}
NORMAL = {"knn": 2000, "knn-hnsw": 20_000, "knn-ivf": 20_000}  # training rows that are scored
OF_POSES = ("spread-x", "stg-nf", "stg-nf-skeleton")
CHEAP_FIRST = (
    *("magnitude", "spread-x", "gaussian", "iforest", "ocsvm", "knn", "knn-ivf", "gmm"),
    *("directed", "autoencoder", "mulde", "msma-mulde", "msma", "flow", "diffusion"),
    *("knn-hnsw", "stg-nf", "stg-nf-skeleton"),
)


def write_rows(path: Path, rows: int, columns: int) -> None:
    """Write float32 rows of eight clusters as .npy, block by block."""
    if path.is_file():
        return
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((8, columns), dtype=np.float32)
    part = path.with_suffix(".part")
    x = np.lib.format.open_memmap(part, "w+", np.float32, (rows, columns))
    step = BLOCK // columns
    for start in range(0, rows, step):
        own = rng.integers(0, 8, min(step, rows - start))
        x[start : start + step] = centres[own] + rng.standard_normal(
            (len(own), columns), dtype=np.float32
        )
    x.flush()
    part.rename(path)


def read_memory() -> tuple[int, int]:
    """Bytes that are the process' own, and bytes of mapped files."""
    words = Path("/proc/self/status").read_text().split()
    anonymous, files = (
        1024 * int(words[words.index(name) + 1]) for name in ("RssAnon:", "RssFile:")
    )
    return anonymous, files


def measure(method: str, path: Path, rows: int) -> dict[str, Any]:
    """Fit and score in this process."""
    from vadbench import registry
    from vadbench.detector import Features
    from vadbench.plans.presets import resolve_config

    warnings.simplefilter("ignore")
    cls = registry.load("detectors", method.partition("-hnsw")[0].partition("-ivf")[0])
    config = resolve_config(cls, "fast", "synthetic", "velocity", SETTINGS.get(method, {}))
    warm_up(cls, config, method in OF_POSES)
    x = np.load(path, mmap_mode="r")[:rows]
    place = np.arange(rows)
    video = (place * VIDEOS // rows).astype(np.int32)
    shape = POSES if method in OF_POSES else None
    train = Features(x, video, place.astype(np.int32), name="random rows", shape=shape)
    before, peak, done = read_memory()[0], [0, 0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[:] = map(max, peak, read_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, cpu = time.perf_counter(), time.process_time()
    detector = cls(config, seed=0)
    detector.fit(train)
    fitted = time.process_time()
    some = min(NORMAL.get(method, rows), rows)
    scored = train if some == rows else train.rows(np.linspace(0, rows - 1, some).astype(int))
    detector.score_normal(scored)
    ended = time.process_time()
    done.set()
    watcher.join()
    return {
        "method": method,
        "rows": rows,
        "columns": x.shape[1],
        "scored": some,
        "seconds": round(time.perf_counter() - began, 2),
        "fit_seconds": round(fitted - cpu, 2),
        "score_seconds": round(ended - fitted, 2),
        "loaded_mib": round(before / 2**20),
        "peak_mib": round(peak[0] / 2**20),
        "file_pages_mib": round(peak[1] / 2**20),
    }


def warm_up(cls: Any, config: Any, poses: bool) -> None:
    """Load what a first fit and its scores load: the libraries are not the rows'."""
    from vadbench.testing import synthetic_poses, synthetic_rows

    few = (synthetic_poses if poses else synthetic_rows)(400, videos=4, seed=0)
    detector = cls(config, seed=0)
    detector.fit(few)
    detector.score_normal(few)


def run_child(method: str, path: Path, rows: int) -> dict[str, Any]:
    """`measure` in a process of its own; what it said where it failed."""
    command = [sys.executable, __file__, f"--child={method}", f"--file={path}", f"--rows={rows}"]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        why = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return {"method": method, "rows": rows, "error": why}
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def slopes(found: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """CPU seconds a million rows of the fit, and bytes a row, from the fewest to the most rows."""
    known = [one for one in found if "error" not in one]
    if len(known) < 2:
        return None
    few, many = known[0], known[-1]
    rows = many["rows"] - few["rows"]
    return {
        "fit_seconds_a_million": round(1e6 * (many["fit_seconds"] - few["fit_seconds"]) / rows, 2),
        "bytes_a_row": round(2**20 * (many["peak_mib"] - few["peak_mib"]) / rows, 1),
    }


def measure_all(
    methods: Sequence[str], sizes: Sequence[int], columns: int, folder: Path, limit: float
) -> list[dict[str, Any]]:
    """A table line, and a document, for each method and number of rows."""
    print(
        "| method | rows | fit, CPU-s | scored | score, CPU-s | memory, MiB | of it loaded, MiB |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    answer = []
    for method in methods:
        wide = int(np.prod(POSES)) if method in OF_POSES else columns
        path = folder / f"{max(sizes)}x{wide}.npy"
        write_rows(path, max(sizes), wide)
        found: list[dict[str, Any]] = []
        for rows in sizes:
            if found and expect(found[-1], rows) > limit:
                print(f"| {method} | {rows:,} | would take longer than {limit:.0f} s | | | | |")
                break
            found.append(run_child(method, path, rows))
            print(describe(found[-1]), flush=True)
            if "error" in found[-1]:
                break
        answer.append({"method": method, "sizes": found, "slopes": slopes(found)})
    return answer


def expect(before: dict[str, Any], rows: int) -> float:
    """Seconds that more rows will take."""
    return float(rows / before["rows"] * before["seconds"])


def describe(one: dict[str, Any]) -> str:
    """A line of the table."""
    if "error" in one:
        return f"| {one['method']} | {one['rows']:,} | {one['error']} | | | | |"
    return (
        f"| {one['method']} | {one['rows']:,} | {one['fit_seconds']:.1f} | {one['scored']:,} |"
        f" {one['score_seconds']:.1f} | {one['peak_mib']} | {one['loaded_mib']} |"
    )


def main() -> int:
    """Print the table and the slopes, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1e5,1e6,3e6")
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--methods", default=",".join(CHEAP_FIRST))
    parser.add_argument("--limit", type=float, default=900, help="seconds")
    parser.add_argument("--folder", type=Path, help="keeps the rows, for another time")
    parser.add_argument("--out", type=Path, help="JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(float(size)) for size in options.rows.split(",")]
    if options.child:
        print(json.dumps(measure(options.child, options.file, sizes[0])))
        return 0
    with tempfile.TemporaryDirectory(prefix="vadbench-rows-") as own:
        folder = options.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        methods = options.methods.split(",")
        found = measure_all(methods, sizes, options.columns, folder, options.limit)
    print("\n| method | fit, CPU-s a million rows | bytes a row |\n|---|---|---|")
    for one in found:
        if one["slopes"]:
            own_slopes = one["slopes"]
            seconds = own_slopes["fit_seconds_a_million"]
            print(f"| {one['method']} | {seconds} | {own_slopes['bytes_a_row']} |")
    over = [
        f"{one['method']} at {size['rows']:,}"
        for one in found
        for size in one["sizes"]
        if size.get("peak_mib", 0) * 2**20 > GOAL
    ]
    print(f"\nmore than {GOAL / 2**30} GiB: {', '.join(over) or 'none'}")
    if options.out:
        threads = os.environ.get("OMP_NUM_THREADS")
        document = {"machine": platform.machine(), "threads": threads, "methods": found}
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
