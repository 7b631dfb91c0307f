"""Fuzz for some minutes, each round with another seed: `python tests/fuzz/for_minutes.py 10`.

A round that fails ends it, with the seed that shows it again.
"""

import subprocess
import sys
import time
from pathlib import Path


def main(minutes: float, seed: int) -> int:
    """Rounds until the time is up; the exit code of the last."""
    ends = time.monotonic() + 60 * minutes
    rounds = 0
    while time.monotonic() < ends:
        options = [f"--hypothesis-seed={seed + rounds}", "-q", "-x", "-n", "2"]
        run = [sys.executable, "-m", "pytest", str(Path(__file__).parent), *options]
        code = subprocess.run([*run, "--hypothesis-profile", "long"]).returncode
        rounds += 1
        if code:
            print(f"failed with {options[0]}")
            return code
    print(f"{rounds} rounds, seeds {seed} to {seed + rounds - 1}: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
