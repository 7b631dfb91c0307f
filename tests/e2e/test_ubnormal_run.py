"""UBnormal in the official layout, a miniature of two scenes, from mp4, masks and object intervals
to a table.
"""

import cv2
import pytest
from street import FRAMES, RUNNER, Street, measured, records, write_video

pytestmark = pytest.mark.slow  # half a minute together; `make test-all` runs them

LISTS = {
    "normal_training": {
        "normal_scene_1_scenario_1": Street(1),
        "normal_scene_2_scenario_1_fog": Street(2),
    },
    "normal_test": {"normal_scene_1_scenario_2": Street(3)},
    "abnormal_test": {"abnormal_scene_2_scenario_1": Street(4, ran=range(20, 32))},
}
COUNTS = {"counts": {"train": 2, "test": 2}, "scenes": 2}


@pytest.fixture
def ubnormal(tmp_path, shrunk):
    """Runs the command line on the miniature."""
    base = tmp_path / "data" / "UBnormal"
    for file, streets in LISTS.items():
        for name, street in streets.items():
            write_video(base / f"Scene{name.split('_')[2]}" / f"{name}.mp4", street, "mp4v")
        (base / f"{file}_video_names.txt").write_text("\n".join(streets) + "\n")
    for name, street in LISTS["abnormal_test"].items():
        folder = base / f"Scene{name.split('_')[2]}" / f"{name}_annotations"
        folder.mkdir()
        (folder / f"{name}_tracks.txt").write_text(
            f"{RUNNER},{street.ran.start},{street.ran.stop - 1}\n"
        )
        for t in range(FRAMES):
            cv2.imwrite(str(folder / f"{name}_{t:04d}_gt.png"), street.ids(t))
    return shrunk("ubnormal", COUNTS)


def test_a_run_goes_from_videos_to_a_table(ubnormal, tmp_path):
    checked = ubnormal("data", "check", "ubnormal").stdout
    assert "BAD" not in checked
    assert "120, 12 of them anomalous" in checked
    assert "12 not empty" in checked
    told = ubnormal("run", "--methods", "gmm,magnitude", "--datasets", "ubnormal", "--quiet").stdout
    assert "sigma 15" in told
    found = records(tmp_path / "results")
    assert set(found) == {"gmm@velocity", "magnitude@velocity"}
    for record in found.values():
        assert (
            record.labels["tracks"]
            == "object masks: the largest component of each anomalous object"
        )
        assert (record.labels["frames"], record.labels["anomalous"]) == (120, 12)
        assert measured(record, "micro_auc") > 0.9  # who runs is four times as fast as the walkers
        assert 0 < measured(record, "rbdc") <= 1


def test_a_lost_mask_is_one_line(ubnormal, tmp_path):
    (lost,) = (tmp_path / "data").rglob("*_0025_gt.png")
    lost.unlink()
    broken = ubnormal("data", "check", "ubnormal", code=2)
    (bad,) = (line for line in broken.stdout.splitlines() if line.startswith("BAD"))
    assert lost.name in bad
