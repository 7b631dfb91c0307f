"""A user's own three videos, from the manifest to the table."""

import json

import cv2
import numpy as np
import pytest

MANIFEST = """
[[clip]]
path = "monday.avi"
split = "train"

[[clip]]
path = "tuesday.avi"
split = "train"

[[clip]]
path = "friday.avi"
split = "test"
anomalous = [[20, 31]]
"""


def film(path, seed, runner=False):
    """60 frames of people (light blocks) who walk by at 2 pixels a frame, and of one who runs at 8 in frames 20 to 31."""
    random = np.random.default_rng(seed)
    background = random.integers(60, 90, (120, 160)).astype(np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    for frame in range(60):
        image = background.copy()
        for start, row in ((0, 10), (-70, 50)):
            x = start + 2 * frame + seed
            image[row : row + 26, max(x, 0) : max(x + 12, 0)] = 200
        if runner and 20 <= frame <= 31:
            x = 20 + 8 * (frame - 20)
            image[85:111, x : x + 12] = 230
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()


@pytest.fixture
def own(tmp_path):
    """The folder with the manifest, where the command line looks for it."""
    folder = tmp_path / "data" / "folder"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("monday", "tuesday", "friday")):
        film(folder / f"{name}.avi", seed, runner=name == "friday")
    (folder / "dataset.toml").write_text(MANIFEST)
    return folder


RUN = ("run", "--methods", "gmm,magnitude", "--datasets", "folder", "--features", "velocity", "--quiet")


def test_own_videos_are_checked_run_and_evaluated(vadbench, own, tmp_path):
    checked = vadbench("data", "check", "folder").stdout
    assert "ok  test frames decoded" in checked
    assert "BAD" not in checked
    told = vadbench(*RUN).stdout
    assert "| gmm" in told
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("recipes/folder/*/*/metrics.json")]
    assert len(records) == 2
    for record in records:
        assert record["labels"]["source"] == "dataset.toml: intervals"
        assert (record["labels"]["frames"], record["labels"]["anomalous"]) == (60, 12)
        micro = [row["value"] for row in record["rows"] if row["metric"] == "micro_auc" and row["smoothing"] == "none" and row["video"] is None]
        assert min(micro) > 0.9  # who runs at four times the speed of the others stands out


def test_changed_videos_are_never_taken_for_the_old_ones(vadbench, own):
    vadbench(*RUN)
    assert "2 jobs (2 done, 0 failed, 0 missing)" in vadbench("plan", *RUN[1:-1]).stdout
    film(own / "friday.avi", 5, runner=True)
    assert "2 jobs (0 done, 0 failed, 2 missing)" in vadbench("plan", *RUN[1:-1]).stdout


def test_a_mistake_in_the_manifest_is_one_line(vadbench, own):
    (own / "dataset.toml").write_text(MANIFEST.replace("anomalous", "anomalus"))
    error = vadbench("data", "check", "folder", code=2).stderr.strip()
    assert "did you mean anomalous?" in error
    assert "\n" not in error
