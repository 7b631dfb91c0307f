"""UCF-Crime without a video: annotations, frame counts and released C3D features, a miniature of
them, to a table.

A clip has 320 frames, so that each of the 32 rows of its file is ten frames long; rows of an
anomalous interval lie far from all others.
"""

import json

import numpy as np
import pytest
from street import measured, records

from vadbench.datasets.ucf_crime import UCFCrime
from vadbench.errors import BadInput
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

pytestmark = pytest.mark.slow  # half a minute together; `make test-all` runs them

FRAMES, SEGMENTS, ROW = 320, 32, 10
NORMAL = (
    "Training_Normal_Videos_Anomaly/Normal_Videos001_x264",
    "Training_Normal_Videos_Anomaly/Normal_Videos002_x264",
)
# of the training videos; the release does not say when
ABNORMAL = {"Abuse/Abuse001_x264": (101, 200), "Fighting/Fighting002_x264": (1, 50)}
TEST = {
    "Abuse/Abuse028_x264": (101, 160, 201, 230),
    "Arson/Arson011_x264": (241, 320, -1, -1),
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264": (-1, -1, -1, -1),
}
COUNTS = {
    "counts": {"train": 2, "test": 3, "unlabelled": 2},
    "test_frames": 3 * FRAMES,
    "anomalous": 60 + 30 + 80,
}
RUN = (
    "run",
    "--methods",
    "gmm,magnitude",
    "--datasets",
    "ucf_crime",
    "--features",
    "clip@import.c3d",
    "--quiet",
)


def c3d(random, spans):
    """[32, 4]: rows of the frames that the spans (first, last, from 1) name are five standard
    deviations and more from the others.
    """
    x = random.normal(1, 0.2, (SEGMENTS, 4))
    for first, last in zip(spans[::2], spans[1::2], strict=True):
        if first > 0:
            x[(first - 1) // ROW : last // ROW] += 2
    return x


@pytest.fixture
def ucf_crime(tmp_path, shrunk):
    """Runs the command line on the miniature."""
    base = tmp_path / "data" / "UCF_Crimes"
    base.mkdir(parents=True)
    videos = {**dict.fromkeys(NORMAL, ()), **ABNORMAL, **TEST}
    lines = [
        f"{path.rpartition('/')[2]}.mp4  {path.partition('/')[0]}  {'  '.join(map(str, spans))}  \n"
        for path, spans in TEST.items()
    ]
    (base / "Temporal_Anomaly_Annotation.txt").write_text("".join(lines))
    (base / "Anomaly_Train.txt").write_text(
        "".join(f"{path}.mp4\n" for path in (*ABNORMAL, *NORMAL))
    )
    rows = [f"{number},{path}.mp4,{FRAMES}\n" for number, path in enumerate(videos)]
    (base / "header.csv").write_text("".join(["video_id,video_path,frame_count\n", *rows]))
    random = np.random.default_rng(0)
    for path, spans in videos.items():
        part = "train" if path in NORMAL else "unlabelled" if path in ABNORMAL else "test"
        file = tmp_path / "c3d" / part / f"{path}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(file, c3d(random, spans))
    return shrunk("ucf_crime", COUNTS)


IMPORT = (
    "features",
    "import",
    "ucf_crime",
    "clip@import.c3d",
    "--train",
    "c3d/train",
    "--test",
    "c3d/test",
    "--format",
    "c3d",
)


def test_imported_features_are_run(ucf_crime, tmp_path):
    checked = ucf_crime("data", "check", "ucf_crime").stdout
    assert "BAD" not in checked
    assert "no videos here: imported features only" in checked
    assert "`vadbench features import ucf_crime clip@import.c3d" in ucf_crime(*RUN, code=2).stderr
    assert "test: 96 windows of 4 numbers" in ucf_crime(*IMPORT).stdout
    assert "labels `official`" in ucf_crime(*RUN).stdout
    found = records(tmp_path / "results")
    assert set(found) == {"gmm@clip@import.c3d", "magnitude@clip@import.c3d"}
    for record in found.values():
        assert (record.labels["frames"], record.labels["anomalous"]) == (960, 170)
        # rows and intervals meet to the frame, and no normal row lies near an anomalous one
        assert measured(record, "micro_auc") == 1
        assert measured(record, "rbdc") is None


def test_features_of_a_clip_too_few_are_one_line(ucf_crime, tmp_path):
    (tmp_path / "c3d" / "test" / "Arson" / "Arson011_x264.txt").unlink()
    error = ucf_crime(*IMPORT, code=2).stderr.strip()
    assert "no file for test clip Arson011_x264" in error
    assert "\n" not in error


@pytest.fixture
def without_labels(ucf_crime, tmp_path, monkeypatch):
    """Runs a Gaussian mixture in the unsupervised setting, in this process."""
    for name, value in COUNTS.items():
        monkeypatch.setattr(UCFCrime, name, value)
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    ucf_crime(*IMPORT)
    suite = make_suite(
        {
            "methods": ("gmm",),
            "datasets": ("ucf_crime",),
            "features": ("clip@import.c3d",),
            "setting": "unsupervised",
        }
    )
    return lambda: run_suite(plan_suite(suite), Results(tmp_path / "results"), quiet=True, say=str)


def test_without_labels_the_anomalous_training_videos_are_trained_on_too(
    without_labels, ucf_crime, tmp_path
):
    with pytest.raises(
        BadInput,
        match=r"unlabelled features not imported .*--train FILE --test FILE --unlabelled FILE",
    ):
        without_labels()
    assert (
        "unlabelled: 64 windows of 4 numbers"
        in ucf_crime(*IMPORT, "--unlabelled", "c3d/unlabelled").stdout
    )
    told = without_labels().table.caption
    assert (
        "trained without labels on 4 videos, some anomalous, and tested on 3 others (split"
        " `all-training-videos`)" in told
    )
    (record,) = Results(tmp_path / "results").all_records()
    assert (record.labels["videos"], record.labels["anomalous"]) == (3, 170)
    (trained,) = (
        json.loads(path.read_text()) for path in (tmp_path / "results").glob("runs/**/run.json")
    )
    assert trained["train_rows"] == 4 * SEGMENTS


def test_without_labels_a_training_video_that_is_missing_is_told(without_labels, tmp_path):
    path = tmp_path / "data" / "UCF_Crimes" / "Anomaly_Train.txt"
    path.write_text(path.read_text().replace("Fighting/Fighting002_x264.mp4", ""))
    with pytest.raises(BadInput, match="1 unlabelled videos, the release has 2; download"):
        without_labels()


def test_a_data_set_without_unlabelled_videos_takes_none(vadbench):
    error = vadbench(
        "features", "import", "synthetic", *IMPORT[3:], "--unlabelled", "c3d", code=2
    ).stderr
    assert "--unlabelled: synthetic has no unlabelled videos" in error
