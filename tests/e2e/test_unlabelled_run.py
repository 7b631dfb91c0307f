"""Own test videos that nobody has labelled: scored, shown, and nothing is measured."""

import pytest
from street import Street, records, write_video

CLIP = '[[clip]]\npath = "{name}.avi"\nsplit = "{split}"\n'


@pytest.fixture
def own(tmp_path):
    """Two training videos, a labelled and an unlabelled test video."""
    folder = tmp_path / "data" / "folder"
    for seed, name in enumerate(("monday", "tuesday", "friday", "today")):
        ran = range(20, 32) if seed > 1 else range(0)
        write_video(folder / f"{name}.avi", Street(seed, ran=ran), "MJPG")
    train = "".join(CLIP.format(name=name, split="train") for name in ("monday", "tuesday"))
    today = CLIP.format(name="today", split="test")
    friday = CLIP.format(name="friday", split="test") + "anomalous = [[20, 31]]\n"
    (folder / "dataset.toml").write_text(train + today + friday)
    return folder


RUN = ("run", "--methods", "gmm", "--datasets", "folder", "--features", "velocity", "--quiet")


def test_videos_without_labels_are_scored_and_nothing_is_measured(vadbench, own, tmp_path):
    checked = vadbench("data", "check", "folder").stdout
    assert "test clips without labels: nothing is measured" in checked
    told = vadbench(*RUN).stdout
    assert "1 of 2 test videos have no labels" in told
    (record,) = records(tmp_path / "results").values()
    whole = [one for one in record.values if one.video is None]
    assert {one.value for one in whole} == {None}
    assert {one.reason for one in whole} == {"1 of 2 test videos have no labels"}
    (friday,) = {
        one.value for one in record.values if (one.video, one.smoothing) == ("friday", "none")
    }
    assert friday > 0.9
    assert record.labels["unlabelled"] == 1

    shown = vadbench("show", "folder", "today", "--method", "gmm", "--out", "today.mp4").stdout
    assert "60 frames" in shown
    vadbench("plot", "timeline", "folder/gmm@velocity", "--video", "today", "--out", "line.png")
    error = vadbench("plot", "roc", "folder/gmm@velocity", "--out", "roc.png", code=2).stderr
    assert "1 of 2 test videos have no labels" in error


def test_labels_that_come_later_are_measured(vadbench, own, tmp_path):
    vadbench(*RUN)
    manifest = own / "dataset.toml"
    clip = CLIP.format(name="today", split="test")
    manifest.write_text(manifest.read_text().replace(clip, f"{clip}anomalous = []\n"))
    vadbench(*RUN)
    (record,) = records(tmp_path / "results").values()
    assert all(one.value is not None for one in record.values if one.metric == "eer")
    assert "unlabelled" not in record.labels
