"""Small data sets, and commands that run on them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

VADBENCH = str(Path(sys.executable).with_name("vadbench"))
RUN = ("run", "--methods", "magnitude,gaussian", "--datasets", "folder", "--quiet")
IMPORT = ("features", "import", "folder", "deep@import.x", "--snippet", "1")
LEARN = ("features", "extract", "--datasets", "folder", "--features", "itae.error")
LEARN += ("--set", "itae.size=[16,24]", "--set", "itae.width=0.01", "--set", "itae.batch=1")
COMMANDS = {  # in which state, and whether the cache belongs to it
    "run": ("empty", False, RUN),
    "rerun": ("full", False, (*RUN, "--existing", "rerun")),
    "evaluate": ("clone", False, ("evaluate",)),
    "evaluate-suite": ("clone", False, ("evaluate", *RUN[1:5])),
    "table": ("full", False, ("table", *RUN[1:5], "--format", "html", "--out", "t.html")),
    "leaderboard": ("full", False, ("leaderboard", "--out", "site")),
    "csv": ("full", False, ("export", "--out", "all.csv")),
    "parquet": ("full", False, ("export", "--out", "all.parquet")),
    "extract": ("empty", True, ("features", "extract", "--datasets", "folder", "--quiet")),
    "learn": ("empty", True, (*LEARN, "--set", "itae.steps=3", "--quiet")),
    "import": ("empty", True, (*IMPORT, "--train", "ROOT/train0", "--test", "ROOT/test")),
}
SUMMED = {".npz", ".npy", ".parquet", ".md", ".csv"}  # run.json holds times


def write_clip(folder, frames, size=(48, 64), fast=range(0)):
    """A square that moves, faster in some frames."""
    folder.mkdir(parents=True)
    height, width = size
    left = 0.0
    for frame in range(frames):
        left += 5 if frame in fast else 1
        image = np.random.default_rng(0).integers(80, 100, (*size, 3)).astype(np.uint8)
        at = int(left) % (width - 16)
        image[height // 3 : height * 2 // 3, at : at + 12] = 220
        assert cv2.imwrite(str(folder / f"{frame + 1:03d}.png"), image)


def write_dataset(data, clips=1, frames=24, size=(48, 64)):
    """The data set `folder`, so many training clips and a test clip, as docs/datasets.md says."""
    fast = range(frames // 3, frames * 2 // 3)
    entries = []
    for number in range(clips):
        write_clip(data / "folder" / f"train{number}", frames, size)
        entries.append(f'[[clip]]\npath = "train{number}"\nsplit = "train"\n')
    write_clip(data / "folder" / "test", frames, size, fast)
    anomalous = f"anomalous = [[{fast[0]}, {fast[-1]}]]\n"
    entries.append(f'[[clip]]\npath = "test"\nsplit = "test"\n{anomalous}')
    (data / "folder" / "dataset.toml").write_text("\n".join(entries))


def make_environment(root):
    """The variables of a program whose data and cache lie here."""
    return {
        **os.environ,
        "VADBENCH_DATA": str(root / "data"),
        "VADBENCH_CACHE": str(root / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "160",
    }


def vadbench(environment, folder, *arguments):
    """Run a command to its end, which is good."""
    done = subprocess.run(
        [VADBENCH, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"


def try_command(script, root, name, number, **variables):
    """What a script of this folder finds wrong with one of the commands, tried so many times."""
    state, cached, words = COMMANDS[name]
    command = [word.replace("ROOT", str(root)) for word in words]
    environment = {**make_environment(root), **variables}
    if cached:
        environment["VADBENCH_CACHE"] = "cache"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name(script), root / state, str(number), *command],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def digests(*folders):
    """The digest of each file of results or of a cache that the command decides, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SUMMED or path.name == "metrics.json"
    }
