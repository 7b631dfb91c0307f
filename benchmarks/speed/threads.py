"""What a second thread gives each method's job, on a quiet machine and on a busy one.

For each method, with the preset `fast` and networks for 100 steps: seconds of fit and score of
random rows with one thread, with two, and with as many as `vadbench run` takes
(`DetectorInfo.threads`, and OpenMP's threads asleep while they wait). Busy: so many other processes
that compute without end run beside it. The best of the repeats counts; each measurement is a
process of its own, since OpenMP reads its variables once.

Targets: the method takes two threads only where they give 1.3 times the speed on the quiet machine;
on the busy one what it takes is never slower than one thread by more than 1.5 times.

Run: python benchmarks/speed/threads.py [--methods mulde,gmm] [--rows 20000] [--dim 64] [--busy 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from vadbench import registry

SPIN = "while True: pass"
JOB = """
import sys, time
import numpy as np
from vadbench import registry
from vadbench.detector import Features
from vadbench.plans.presets import resolve_config
from vadbench.threads import limit_threads

name, rows, dim, threads = sys.argv[1], *map(int, sys.argv[2:])
method = registry.load("detectors", name)
def features(seed):
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=(rows, dim))).astype(np.float32)
    video = np.repeat(np.arange(10, dtype=np.int32), rows // 10)
    return Features(x, video, np.arange(rows, dtype=np.int32) % (rows // 10), None, "rows")
train, test = features(0), features(1)
steps = {"max_steps": 100} if "max_steps" in method.Config.model_fields else {}
config = resolve_config(method, "fast", "synthetic", "velocity", steps)
with limit_threads(threads or method.info.threads):
    detector = method(config, seed=0)
    began = time.perf_counter()
    detector.fit(train)
    fitted = time.perf_counter()
    detector.score(test)
print(fitted - began, time.perf_counter() - fitted)
"""


def measure(name: str, rows: int, dim: int, threads: int, repeats: int) -> tuple[float, float]:
    """Seconds of fit and of score, the best of some processes."""
    times = []
    for _ in range(repeats):
        command = [sys.executable, "-c", JOB, name, str(rows), str(dim), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        fit, score = map(float, done.stdout.split()[-2:])
        times.append((fit, score))
    return min(fit for fit, _ in times), min(score for _, score in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(registry.names("detectors")))
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--busy", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    size = options.rows, options.dim
    print(f"{options.rows} rows of {options.dim}, {os.cpu_count()} cores")
    heads = "", "1 thread", "gain of 2", "taken", f"1, {options.busy} busy", "taken", "ratio"
    print("{:14} {:>10} {:>10} {:>8} {:>10} {:>8} {:>8}".format(*heads))
    for name in options.methods.split(","):
        one, two, taken = (
            sum(measure(name, *size, threads, options.repeats)) for threads in (1, 2, 0)
        )
        others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(options.busy)]
        try:
            alone, busy = (sum(measure(name, *size, threads, 1)) for threads in (1, 0))
        finally:
            for other in others:
                other.kill()
        print(
            f"{name:14} {one:9.2f}s {one / two:9.2f}x {taken:7.2f}s {alone:9.2f}s {busy:7.2f}s"
            f" {busy / alone:7.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
