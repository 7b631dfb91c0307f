"""The annotated video: what its frames show, how it is encoded, and what is refused."""

import shutil
import weakref
from dataclasses import replace

import av
import numpy as np
import pytest
from figure_records import ANOMALOUS, FRAMES, SIZE, run, write_dataset
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from vadbench.cli import app
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_all
from vadbench.report.figures.detected import read_detected
from vadbench.report.figures.scored import read_scored
from vadbench.report.video.panel import HEIGHT, LEFT, RIGHT
from vadbench.report.video.show import (
    CURSOR,
    NARROW,
    FrameBoxes,
    annotate,
    clip_of,
    enlarge,
    record_of,
    write_show,
    write_video,
)
from vadbench.results.records import Results

RECORD = "gaussian@velocity@grid"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set, features and records, made once."""
    base = tmp_path_factory.mktemp("show")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(base / "data"))
        patch.setenv("VADBENCH_CACHE", str(base / "cache"))
        write_dataset(base / "data")
        run(
            Results(base / "results"),
            methods=("gaussian", "magnitude"),
            features=("velocity@grid",),
        )
    return base


@pytest.fixture
def results(place, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(place / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(place / "cache"))
    return Results(place / "results")


@pytest.fixture
def own(place, results, tmp_path):
    """The same records, to be changed."""
    shutil.copytree(place / "results", tmp_path / "results")
    return Results(tmp_path / "results")


def images(results, video="b"):
    """The annotated frames, as they are before they are encoded; the record; its boxes."""
    (scored,) = read_scored(results, [RECORD])
    found = read_detected(scored, calibrated=True)
    dataset = open_dataset("folder")
    return (
        list(annotate(dataset, clip_of(dataset, scored, video), video, scored, found)),
        scored,
        found,
    )


def without_boxes(results):
    """The run's rows without boxes, as of a stream that describes whole frames."""
    record = next(run for run in results.all_runs() if run.job["method"] == "gaussian")
    rows = {
        name: values for name, values in results.rows(record).items() if not name.endswith("_box")
    }
    shutil.rmtree(results.run_folder(record.job, record.identity))
    results.write_run(record, rows)
    evaluate_all(results, {}, pytest.fail)


def test_the_video_is_h264_of_every_frame(results, tmp_path):
    out = tmp_path / "new" / "b.mp4"
    told = write_show(results, "folder", RECORD, "b", out, fps=7)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert (
            stream.codec_context.name,
            stream.codec_context.pix_fmt,
            int(stream.average_rate),
        ) == ("h264", "yuv420p", 7)
        sizes = [(frame.height, frame.width) for frame in container.decode(video=0)]
    factor = NARROW // SIZE[1]
    assert sizes == [(SIZE[0] * factor + HEIGHT, SIZE[1] * factor)] * FRAMES
    assert [path.name for path in out.parent.iterdir()] == ["b.mp4"]
    assert (
        told
        == f"b of folder, gaussian on velocity@grid, seed 0: {FRAMES} frames; boxes coloured by"
        " their objects' calibrated scores."
    )


def test_boxes_are_drawn_where_they_are(results):
    shown, _, found = images(results)
    boxes = FrameBoxes.of(found, "b")
    frame = next(frame for frame in range(FRAMES) if len(boxes.at(frame)[0]))
    box, share = boxes.at(frame)
    assert (np.diff(share) >= 0).all()
    factor = NARROW // SIZE[1]
    left, top = (round(value * factor) for value in box[-1][:2])
    pixel = shown[frame][top + 1, left + 1].astype(int)
    assert np.ptp(pixel) > 60, "the footage is grey, a box is not"


def test_the_highest_scores_are_warm_and_the_lowest_cold(results):
    shown, _, found = images(results)
    boxes = FrameBoxes.of(found, "b")
    warm = [
        np.count_nonzero(image[:-HEIGHT, :, 0].astype(int) - image[:-HEIGHT, :, 2] > 120)
        for image in shown
    ]
    has_warm = [
        bool(len(share)) and share[-1] > 0.95
        for share in (boxes.at(frame)[1] for frame in range(FRAMES))
    ]
    assert any(has_warm)
    assert not all(has_warm)
    assert min(count for count, top in zip(warm, has_warm, strict=True) if top) > 100


def test_the_boxes_of_a_frame_are_those_of_the_rows(results):
    (scored,) = read_scored(results, [RECORD])
    found = read_detected(scored, calibrated=True)
    boxes = [FrameBoxes.of(found, video) for video in ANOMALOUS]
    assert sum(len(of_video.frame) for of_video in boxes) == len(found.boxes["score"])
    everything = np.concatenate(
        [
            share
            for of_video in boxes
            for frame in range(FRAMES)
            for share in [of_video.at(frame)[1]]
        ]
    )
    assert len(everything) == len(found.boxes["score"])
    assert (everything.min(), everything.max()) >= (0, 0)
    assert (everything == 1).mean() == (found.boxes["score"] >= found.top).mean()


def test_the_top_of_the_scale_is_what_one_training_object_in_a_thousand_exceeds(results):
    (scored,) = read_scored(results, ["magnitude@velocity@grid"])
    assert read_detected(scored, calibrated=True).top == pytest.approx(1.0), (
        "its calibration divides by the 99.9th percentile"
    )
    record = next(run for run in results.all_runs() if run.job["method"] == "magnitude")
    assert read_detected(scored).top == pytest.approx(
        np.percentile(results.rows(record)["train_scores"][:, 0], 99.9)
    )


def test_the_cursor_runs_from_left_to_right(results):
    shown, _, _ = images(results)
    red = [np.flatnonzero((image[-HEIGHT + 60] == CURSOR).all(1)) for image in shown]
    assert all(len(columns) for columns in red)
    places = [columns.mean() for columns in red]
    assert (np.diff(places) > 0).all()


def test_anomalous_frames_are_shaded(results):
    shown, _, _ = images(results)
    timeline = shown[0][-HEIGHT + 60 : -HEIGHT + 130].astype(int)
    shaded = ((timeline[..., 0] > 235) & (timeline[..., 2] < 215)).any(0)
    assert shaded.sum() / (len(shaded) - LEFT - RIGHT) == pytest.approx(
        len(ANOMALOUS["b"]) / FRAMES, abs=0.03
    )


def test_a_stream_without_boxes_shows_the_timeline_alone(own, tmp_path):
    without_boxes(own)
    told = write_show(own, "folder", RECORD, "a", tmp_path / "a.mp4")
    assert told.endswith("no boxes: its features describe whole frames.")
    shown, _, found = images(own, "a")
    assert found is None
    grey = shown[0][:-HEIGHT].astype(int)
    assert np.ptp(grey, axis=2).max() == 0


def test_frames_are_encoded_while_they_come(tmp_path):
    alive = []

    def frames():
        for number in range(60):
            image = np.full((64, 64, 3), number, np.uint8)
            alive.append(weakref.ref(image))
            yield image
            del image
            assert sum(reference() is not None for reference in alive) <= 3

    write_video(tmp_path / "v.mp4", frames(), 10)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60


def test_narrow_frames_are_enlarged_and_odd_sides_cut():
    assert enlarge(np.zeros((96, 128), np.uint8)).shape == (480, 640, 3)
    assert enlarge(np.zeros((481, 857, 3), np.uint8)).shape == (480, 856, 3)


def test_without_row_scores_the_error_names_the_command_and_nothing_is_written(own, tmp_path):
    for path in own.root.rglob("rows.npz"):
        path.unlink()
    with pytest.raises(
        BadInput,
        match=(
            r"rows\.npz: not there .* vadbench run --methods gaussian --datasets folder --features"
            r" velocity@grid"
        ),
    ):
        write_show(own, "folder", RECORD, "a", tmp_path / "out" / "a.mp4")
    assert not (tmp_path / "out").exists()


def test_a_clip_of_another_length_is_refused_and_nothing_is_left(results, tmp_path):
    (scored,) = read_scored(results, [RECORD])
    dataset = open_dataset("folder")
    for wrong in (FRAMES - 1, FRAMES + 1):
        other = replace(
            scored, lengths=np.array([wrong, FRAMES, FRAMES]), scores=np.zeros(wrong + 2 * FRAMES)
        )
        made = annotate(dataset, clip_of(dataset, other, "a"), "a", other, None)
        with pytest.raises(BadInput, match=f"the record {wrong}; `vadbench data check folder`"):
            write_video(tmp_path / "a.mp4", made, 10)
        assert not list(tmp_path.iterdir())


def test_an_unknown_video_and_another_suffix_are_refused(results, tmp_path):
    with pytest.raises(BadInput, match="unknown test video of folder 'd': choose from a, b, c"):
        write_show(results, "folder", RECORD, "d", tmp_path / "d.mp4")
    with pytest.raises(BadInput, match=r"expected a name that ends in \.mp4"):
        write_show(results, "folder", RECORD, "a", tmp_path / "a.avi")


def test_a_record_of_another_data_set_is_refused(results, tmp_path):
    with pytest.raises(BadInput, match="of folder, not of ped2; vadbench show folder VIDEO"):
        write_show(results, "ped2", RECORD, "a", tmp_path / "a.mp4")


def test_the_record_is_found_by_method_and_features(results):
    for features in ("", "velocity@grid"):
        assert record_of(results, "folder", "gaussian", features) == f"folder/{RECORD}:0"
    with pytest.raises(
        BadInput, match=r"no record on velocity under .* choose --features from velocity@grid"
    ):
        record_of(results, "folder", "gaussian", "velocity")
    with pytest.raises(BadInput, match="vadbench run --methods knn --datasets folder"):
        record_of(results, "folder", "knn")


def test_the_command_writes_the_video(results, tmp_path):
    out = tmp_path / "a.mp4"
    answer = CliRunner().invoke(
        app,
        [
            "show",
            "folder",
            "a",
            "--method",
            "magnitude",
            "--results",
            str(results.root),
            "--out",
            str(out),
        ],
    )
    assert answer.exit_code == 0, answer.output
    assert out.stat().st_size > 1000
    assert "a of folder, magnitude on velocity@grid, seed 0" in answer.output


def test_the_command_wants_a_method_or_a_record(tmp_path):
    for chosen in ([], ["--method", "gaussian", "--record", "abcd"]):
        answer = CliRunner().invoke(
            app, ["show", "folder", "a", *chosen, "--results", str(tmp_path)]
        )
        assert isinstance(answer.exception, BadInput)
        assert "either --method" in str(answer.exception)
