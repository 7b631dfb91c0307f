"""A small data set of our own and real records of it, for the tests of figures and of the annotated
video.
"""

import cv2
import numpy as np

from vadbench.plans.plan import plan_suite
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

SIZE, FRAMES = (96, 128), 24
ANOMALOUS = {"a": range(8, 16), "b": range(4, 20), "c": range(0)}
MANIFEST = """
[[clip]]
path = "clips/train"
split = "train"
"""


def write_clip(base, name, fast):
    """Two slow squares; where `fast`, one of them runs and the mask marks it."""
    generator = np.random.default_rng(sum(map(ord, name)))
    for kind in ("clips", "masks"):
        (base / kind / name).mkdir(parents=True)
    x = 10.0
    for frame in range(FRAMES):
        x += 9.0 if frame in fast else 1.0
        image = generator.integers(90, 100, SIZE).astype(np.uint8)
        left = int(x) % (SIZE[1] - 30)
        image[20:44, left : left + 20] = 200 + generator.integers(0, 40, (24, 20))
        image[60:84, 40 + frame : 60 + frame] = 30 + generator.integers(0, 40, (24, 20))
        mask = np.zeros(SIZE, np.uint8)
        mask[20:44, left : left + 20] = 255 * (frame in fast)
        cv2.imwrite(str(base / "clips" / name / f"{frame:03d}.png"), image)
        cv2.imwrite(str(base / "masks" / name / f"{frame:03d}.png"), mask)


def write_dataset(root):
    """The data set `folder` under `root`: a training clip, three test clips with masks."""
    base = root / "folder"
    write_clip(base, "train", range(0))
    clips = [MANIFEST]
    for name, fast in ANOMALOUS.items():
        write_clip(base, name, fast)
        clips.append(f'[[clip]]\npath = "clips/{name}"\nsplit = "test"\nmasks = "masks/{name}"\n')
    (base / "dataset.toml").write_text("\n".join(clips))


def run(results, **fields):
    """Run a suite on the data set; returns its plan."""
    plan = plan_suite(make_suite({"name": "small", "datasets": ("folder",), **fields}))
    outcome = run_suite(plan, results, quiet=True, say=lambda line: None)
    assert not outcome.failed, outcome.failed
    return plan
