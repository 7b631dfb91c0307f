"""From pixels to a table, `vadbench run --methods mulde,msma --datasets ped2,avenue`, by the clock:
the whole of it, its first row, and a second run with another method.

usage: python benchmarks/speed/mission.py [--old REVISION] [--again gmm] [--clips FOLDER]

Ped2 is the one under $VADBENCH_DATA. Avenue's videos are drawn, in the number, length, size and
format of the release (one_pass.py draws the clips; 16 + 21 videos of 30,652 frames), so that its
times are Avenue's and its scores say nothing; `--clips` keeps them for the next time. Each run
begins with an empty cache. With `--old` the tree of that revision runs the same commands on the
same machine after it, in a worktree that is removed again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from one_pass import HEIGHT, WIDTH, write_clip
from scipy.io import savemat

from vadbench.datasets.avenue import MASKS, VARIABLE, Avenue
from vadbench.datasets.ped2 import Ped2
from vadbench.errors import BadInput
from vadbench.locations import data_root
from vadbench.threads import count_threads

TREE = Path(__file__).resolve().parents[2]
DATASETS = f"{Ped2.name},{Avenue.name}"
FIRST = "evaluated "  # how the line of a result begins


@dataclass(frozen=True)
class Times:
    """Of one command, in seconds: by the clock, to its first result, of the processors."""

    whole: float
    first: float
    cpu: float


def write_avenue(root: Path) -> None:
    """Videos and masks where Avenue's archives put them; a fifth of each test video is marked."""
    videos, masks = root / "Avenue Dataset", root / MASKS
    each = Avenue.train_frames // Avenue.train_clips
    for folder, lengths in (
        ("training_videos", (each,) * Avenue.train_clips),
        ("testing_videos", Avenue.test_frames),
    ):
        (videos / folder).mkdir(parents=True)
        for number, frames in enumerate(lengths, 1):
            write_clip(videos / folder / f"{number:02d}.avi", frames, number + len(lengths))
    masks.mkdir(parents=True)
    for number, frames in enumerate(Avenue.test_frames, 1):
        cell = np.empty((1, frames), object)
        for frame in range(frames):
            cell[0, frame] = np.zeros((HEIGHT, WIDTH), np.uint8)
            cell[0, frame][:64, :64] = frame < frames // 5
        savemat(masks / f"{number}_label.mat", {VARIABLE: cell}, do_compression=True)


def measure(tree: Path, methods: str, data: Path, work: Path) -> Times:
    """Run the command with the code of a tree."""
    paths = os.pathsep.join(map(str, (tree, tree / "methods")))
    places = {"VADBENCH_DATA": data, "VADBENCH_CACHE": work / "cache", "PYTHONPATH": paths}
    arguments = ["run", "--methods", methods, "--datasets", DATASETS]
    program = "from vadbench.cli import main; main()"
    command = [sys.executable, "-uc", program, *arguments, "--results", str(work / "out")]
    began, before, first = time.perf_counter(), os.times(), None
    with subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, **{name: str(place) for name, place in places.items()}},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        for line in running.stdout or ():
            print("   ", line.rstrip(), flush=True)
            if first is None and line.startswith(FIRST):
                first = time.perf_counter() - began
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    whole = time.perf_counter() - began
    return Times(whole, whole if first is None else first, cpu)


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """The tree of a revision, while it is needed."""
    git = ["git", "-C", str(TREE), "worktree"]
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def measure_tree(name: str, tree: Path, data: Path, again: str) -> list[str]:
    """The lines of a tree: from pixels, and with another method after it."""
    with tempfile.TemporaryDirectory() as place:
        lines = []
        for methods in ("mulde,msma", again):
            print(f"{name}: vadbench run --methods {methods} --datasets {DATASETS}", flush=True)
            took = measure(tree, methods, data, Path(place))
            minutes = (f"{seconds / 60:.1f}" for seconds in (took.first, took.whole, took.cpu))
            lines.append(f"| {name} | {methods} | {' | '.join(minutes)} |")
    return lines


def main() -> None:
    """Draw the videos and measure each tree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", help="a revision to measure beside this tree")
    parser.add_argument("--again", default="gmm", help="the method of the second run")
    parser.add_argument("--clips", type=Path, help="where the videos are, or are left")
    asked = parser.parse_args()
    ped2 = Ped2(data_root())
    inside = ped2.folder.relative_to(ped2.root).parts[0]
    lines = []
    with tempfile.TemporaryDirectory() as place:
        data = asked.clips or Path(place)
        if not (data / "Avenue Dataset").is_dir():
            write_avenue(data)
        if not (data / inside).exists():
            (data / inside).symlink_to(ped2.root / inside)
        lines += measure_tree("this tree", TREE, data, asked.again)
        if asked.old:
            with checkout(asked.old) as tree:
                lines += measure_tree(asked.old, tree, data, asked.again)
    print(f"{count_threads()} threads; minutes")
    print("| tree | methods | first result | whole | CPU |", "|---|---|---|---|---|", sep="\n")
    print("\n".join(lines))


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        print(f"not measured: {error}")
