"""CPU-seconds of the commands that should feel instant: --help, list methods, and a run whose
results all exist.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

VADBENCH = str(Path(sys.executable).with_name("vadbench"))
RUN = [
    "run",
    "--methods",
    "mulde,knn,gmm,magnitude",
    "--datasets",
    "synthetic",
    "--set",
    "mulde.max_steps=5",
    "--quiet",
]
TARGETS = {"--help": 0.5, "list methods": 0.5, "run, all results exist": 6.0}


def cpu_seconds(*arguments: str) -> float:
    """User and system time of one call, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([VADBENCH, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the best of a few calls beside its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as results:
        cached = [*RUN, "--results", results]
        cpu_seconds(*cached)
        calls = {
            "--help": ["--help"],
            "list methods": ["list", "methods"],
            "run, all results exist": cached,
        }
        for name, arguments in calls.items():
            best = min(cpu_seconds(*arguments) for _ in range(repeats))
            print(
                f"{name:24} {best:.2f} CPU-s (target {TARGETS[name]}:"
                f" {'met' if best < TARGETS[name] else 'MISSED'})"
            )


if __name__ == "__main__":
    main()
