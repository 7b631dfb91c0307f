"""A data set of two small clips, and a program that runs on it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

VADBENCH = str(Path(sys.executable).with_name("vadbench"))
MANIFEST = """[[clip]]
path = "train"
split = "train"

[[clip]]
path = "test"
split = "test"
anomalous = [[8, 15]]
"""


def write_clip(folder, frames=24, fast=range(0)):
    """A square that moves, faster in some frames."""
    folder.mkdir(parents=True)
    left = 0.0
    for frame in range(frames):
        left += 5 if frame in fast else 1
        image = np.random.default_rng(0).integers(80, 100, (48, 64, 3)).astype(np.uint8)
        image[16:30, int(left) % 48 : int(left) % 48 + 12] = 220
        assert cv2.imwrite(str(folder / f"{frame + 1:03d}.png"), image)


def write_dataset(data):
    """The data set `folder`, as docs/datasets.md says."""
    write_clip(data / "folder" / "train")
    write_clip(data / "folder" / "test", fast=range(8, 16))
    (data / "folder" / "dataset.toml").write_text(MANIFEST)


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
    """Run a command to its end, which is good; what it printed."""
    done = subprocess.run(
        [VADBENCH, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, json.dumps([arguments, done.stdout, done.stderr])
    return done.stdout
