"""A user's own three videos, from the manifest to the table."""

import pytest
from street import Street, measured, records, write_video

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


@pytest.fixture
def own(tmp_path):
    """The folder with the manifest, where the command line looks for it."""
    folder = tmp_path / "data" / "folder"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("monday", "tuesday", "friday")):
        write_video(
            folder / f"{name}.avi",
            Street(seed, ran=range(20, 32) if name == "friday" else range(0)),
            "MJPG",
        )
    (folder / "dataset.toml").write_text(MANIFEST)
    return folder


RUN = (
    "run",
    "--methods",
    "gmm,magnitude",
    "--datasets",
    "folder",
    "--features",
    "velocity",
    "--quiet",
)


def test_own_videos_are_checked_run_and_evaluated(vadbench, own, tmp_path):
    checked = vadbench("data", "check", "folder").stdout
    assert "ok  test frames decoded" in checked
    assert "BAD" not in checked
    told = vadbench(*RUN).stdout
    assert "| gmm" in told
    found = records(tmp_path / "results")
    assert set(found) == {"gmm@velocity", "magnitude@velocity"}
    for record in found.values():
        assert record.labels["source"] == "dataset.toml: intervals"
        assert (record.labels["frames"], record.labels["anomalous"]) == (60, 12)
        # who runs at four times the speed of the others stands out
        assert measured(record, "micro_auc") > 0.9


def test_changed_videos_are_never_taken_for_the_old_ones(vadbench, own):
    vadbench(*RUN)
    assert "2 jobs (2 done, 0 failed, 0 missing)" in vadbench("plan", *RUN[1:-1]).stdout
    write_video(own / "friday.avi", Street(5, ran=range(20, 32)), "MJPG")
    assert "2 jobs (0 done, 0 failed, 2 missing)" in vadbench("plan", *RUN[1:-1]).stdout


def test_a_mistake_in_the_manifest_is_one_line(vadbench, own):
    (own / "dataset.toml").write_text(MANIFEST.replace("anomalous", "anomalus"))
    error = vadbench("data", "check", "folder", code=2).stderr.strip()
    assert "did you mean anomalous?" in error
    assert "\n" not in error
