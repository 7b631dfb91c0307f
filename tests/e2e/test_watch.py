"""Kept models and watched videos: equal to the run to the last bit, and whatever ends a watch
leaves what was scored.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from street import FRAMES, Street, write_video
from typer.testing import CliRunner

import vadbench
from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.keep import train_models
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

CLIPS = ("monday", "tuesday", "friday")
MANIFEST = "".join(
    f'[[clip]]\npath = "{name}.avi"\nsplit = "{split}"\n'
    for name, split in zip(CLIPS, ("train", "train", "test"), strict=True)
)
METHODS = ("gmm", "knn@velocity+velocity.hof8@grid", "accivad")
RECIPES = {
    "gmm@velocity": (),
    "gmm@velocity@grid": (),
    "knn@velocity+velocity.hof8@grid": (),
    "accivad@velocity.hof8": (),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder with three videos, the last of them tested."""
    folder = tmp_path_factory.mktemp("watch")
    for seed, name in enumerate(CLIPS):
        ran = range(20, 32) if name == "friday" else range(0)
        write_video(folder / "data" / "folder" / f"{name}.avi", Street(seed, ran=ran), "MJPG")
    manifest = f"{MANIFEST}anomalous = [[20, 31]]\n"
    (folder / "data" / "folder" / "dataset.toml").write_text(manifest)
    return folder


@pytest.fixture(scope="module", autouse=True)
def places(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(folder / "data"))
        patch.setenv("VADBENCH_CACHE", str(folder / "cache"))
        yield


def plan_of(methods, features=()):
    suite = {"methods": list(methods), "datasets": ["folder"], "features": list(features)}
    return plan_suite(make_suite(suite))


@pytest.fixture(scope="module")
def results(folder):
    """What runs that keep their models leave."""
    results = Results(folder / "results")
    for methods, features in (
        (["gmm"], ["velocity", "velocity@grid"]),
        (["knn@velocity+velocity.hof8@grid", "accivad@velocity.hof8"], []),
    ):
        run_suite(
            plan_of(methods, features), results, quiet=True, keep_models=True, say=lambda line: None
        )
    return results


@pytest.fixture(scope="module")
def clip(folder):
    return folder / "data" / "folder" / "friday.avi"


def frame_scores(results, recipe):
    """The unsmoothed frame scores of the run, from its row scores, and its highest boxes."""
    (record,) = [one for one in results.all_records() if one.recipe == recipe]
    runs = [results.run_of(record, place) for place in range(len(record.runs))]
    rows = [results.rows(run) for run in runs]
    frames = [
        PartFrames.of_rows(own, run.lengths).only(0) for run, own in zip(runs, rows, strict=True)
    ]
    return sum_frames(frames, record.result.parts)[:, 0], rows


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_watched_video_scores_as_the_run_to_the_last_bit(results, clip, recipe):
    expected, _ = frame_scores(results, recipe)
    model = vadbench.load_model(recipe, results.root)
    watched = list(model.watch(clip))
    assert [one.frame for one in watched] == list(range(FRAMES))
    assert np.array_equal([one.score for one in watched], expected)


def test_the_box_is_that_of_the_highest_object(results, clip):
    _, (rows,) = frame_scores(results, "gmm@velocity")
    for one in vadbench.load_model("gmm@velocity", results.root).watch(clip):
        here = np.flatnonzero(rows["test_frame"] == one.frame)
        highest = here[rows["test_scores"][here, 0].argmax()] if len(here) else None
        box = None if highest is None else tuple(rows["test_box"][highest] - (0, 0, 1, 1))
        assert one.box == box


def test_times_are_those_of_the_file(results, clip):
    times = [one.time for one in vadbench.load_model("gmm@velocity", results.root).watch(clip)]
    assert times == pytest.approx([frame / 25 for frame in range(FRAMES)])


def test_a_model_that_is_trained_alone_is_that_of_the_run(results, tmp_path, clip):
    (trained,) = train_models(plan_of(["gmm"], ["velocity"]), tmp_path, quiet=True, say=str)
    kept = vadbench.load_model("gmm@velocity", results.root)
    assert trained.manifest.identity == kept.manifest.identity
    assert trained.manifest.files == kept.manifest.files
    assert not (tmp_path / "models" / ".fits").exists()
    said = []
    train_models(plan_of(["gmm"], ["velocity"]), tmp_path, quiet=True, say=said.append)
    assert said[0].startswith("kept already")


def test_what_was_run_before_is_fitted_again_where_models_are_asked_for(results, tmp_path, clip):
    shutil.copytree(results.root / "runs", tmp_path / "runs")
    said = []
    plan = plan_of(["gmm"], ["velocity"])
    run_suite(plan, Results(tmp_path), quiet=True, keep_models=True, say=said.append)
    assert "1 job of earlier runs: fitted again, its model was not kept" in said
    assert not any("nothing is trained" in line for line in said)
    expected, _ = frame_scores(results, "gmm@velocity")
    watched = vadbench.load_model("gmm@velocity", tmp_path).watch(clip)
    assert np.array_equal([one.score for one in watched], expected)


def test_a_fit_that_fails_is_told_and_the_table_is_written(results, tmp_path, monkeypatch):
    shutil.copytree(results.root / "runs", tmp_path / "runs")

    def fail(*given, **options):
        raise FloatingPointError("not finite")

    monkeypatch.setattr("vadbench.runner.run.fit_alone", fail)
    plan = plan_of(["gmm"], ["velocity"])
    outcome = run_suite(plan, Results(tmp_path), quiet=True, keep_models=True, say=str)
    ((job, error),) = outcome.unkept
    assert job.method == "gmm"
    assert error.startswith("FloatingPointError: not finite")
    assert outcome.path.is_file()
    command = ["run", "--methods", "gmm", "--datasets", "folder", "--features", "velocity"]
    more = ["--results", str(tmp_path), "--keep-models", "--quiet"]
    done = CliRunner().invoke(app, [*command, *more])
    assert done.exit_code == 1
    assert done.stderr.startswith("not kept: gmm on folder velocity, seed 0: FloatingPointError: ")


def test_a_model_of_files_that_have_changed_is_made_anew(results, tmp_path):
    from vadbench.runner.keep import is_kept

    shutil.copytree(results.root / "models", tmp_path / "models")
    (planned,) = plan_of(["gmm"], ["velocity"]).planned
    assert is_kept(planned, tmp_path)
    stream = planned.jobs[0].stream.folder(Path(os.environ["VADBENCH_CACHE"]), "train")
    manifest = json.loads((stream / "manifest.json").read_text())
    with pytest.MonkeyPatch.context() as patch:
        other = {**manifest, "contents": "0" * 64}
        patch.setattr("vadbench.runner.keep.read_manifest", lambda folder: other)
        assert not is_kept(planned, tmp_path)


def test_an_exported_model_scores_alike(results, tmp_path, clip):
    from vadbench.models.store import export_model, find_model

    export_model(find_model(results.root, "gmm@velocity"), tmp_path / "gmm.zip")
    one, other = (
        [frame.score for frame in vadbench.load_model(path, results.root).watch(clip)]
        for path in ("gmm@velocity", tmp_path / "gmm.zip")
    )
    assert one == other


def test_a_warm_up_of_the_whole_clip_changes_nothing(results, clip):
    model = vadbench.load_model("gmm@velocity", results.root)
    one = [frame.score for frame in model.watch(clip)]
    assert [frame.score for frame in model.watch(clip, warm_up=10 * FRAMES)] == one
    assert [frame.score for frame in model.watch(clip, warm_up=3)] != one


def test_a_warm_up_looks_at_no_later_frame(results, clip, tmp_path):
    """The first frames' scores are the same whatever comes after them."""
    from vadbench.datasets.video import iterate_video
    from vadbench.models.source import Source

    class Begin(Source):
        def pictures(self):
            return (one for one in super().pictures() if one.number < 40)

    assert len(list(iterate_video(clip))) == FRAMES
    model = vadbench.load_model("gmm@velocity", results.root)
    whole = [frame.score for frame in model.watch(clip, warm_up=20)]
    assert [frame.score for frame in model.watch(Begin(clip), warm_up=20)] == whole[:40]


def test_causal_smoothing_is_a_weighted_mean_of_the_frames_so_far(results, clip):
    model = vadbench.load_model("gmm@velocity", results.root)
    watched = list(model.watch(clip, smoothing="causal-3"))
    scores = np.array([one.score for one in watched])
    for t in (0, 5, FRAMES - 1):
        ages = np.arange(min(t, 12) + 1)
        weights = np.exp(-(ages**2) / 18)
        expected = (weights * scores[t - ages]).sum() / weights.sum()
        assert watched[t].smoothed == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["gaussian-3", "causal", "causal-0", "causal-x", "causal-1e9"])
def test_another_filter_is_refused(results, clip, name):
    with pytest.raises(BadInput, match="expected none, or causal-SIGMA"):
        vadbench.load_model("gmm@velocity", results.root).watch(clip, smoothing=name)


def test_a_video_of_another_size_is_scored_and_it_is_said(results, tmp_path):
    import cv2

    path = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    for picture in Street(3).pictures():
        writer.write(cv2.resize(picture, (320, 240)))
    writer.release()
    said = []
    model = vadbench.load_model("gmm@velocity", results.root)
    assert len(list(model.watch(path, say=said.append))) == FRAMES
    assert "pictures of 320 x 240 colour, trained on 160 x 120 colour" in said[-1]


def test_a_camera_scores_as_the_file_that_it_shows(results, clip):
    """FFmpeg opens a file by its address as it opens a camera."""
    model = vadbench.load_model("gmm@velocity", results.root)
    one, other = (
        [frame.score for frame in model.watch(source, warm_up=20)]
        for source in (clip, f"file://{clip}")
    )
    assert one == other


@pytest.mark.parametrize("warm_up", [None, 5])
def test_a_clip_of_one_frame_has_no_flow(results, tmp_path, warm_up):
    import cv2

    path = tmp_path / "one.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    writer.write(next(Street(3).pictures()))
    writer.release()
    model = vadbench.load_model("gmm@velocity", results.root)
    with pytest.raises(BadInput, match="one frame; optical flow needs two"):
        list(model.watch(path, warm_up=warm_up))


def test_a_camera_without_a_frame_is_told(results, monkeypatch):
    monkeypatch.setattr("vadbench.models.source.iterate_live", lambda address: iter(()))
    model = vadbench.load_model("gmm@velocity", results.root)
    with pytest.raises(BadInput, match="no frame came"):
        list(model.watch("rtsp://camera/1", warm_up=5))


def watch(results, source, *options):
    """The command's process."""
    command = [sys.executable, "-m", "vadbench.cli", "watch", str(source), *options]
    where = ["--results", str(results.root)]
    # a background job's Ctrl-C is ignored, by its children too; here they are in the foreground
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*command, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_command_writes_lines_and_a_film(results, clip, tmp_path):
    import av

    out, film = tmp_path / "scores.csv", tmp_path / "film.mp4"
    options = ("--model", "gmm@velocity", "--out", str(out), "--video", str(film))
    process = watch(results, clip, *options)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    expected, _ = frame_scores(results, "gmm@velocity")
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert np.array_equal([float(row["score"]) for row in rows], expected)
    assert {"decode", "boxes", "features", "score", "frame"} <= {
        line.split()[0] for line in error.splitlines()
    }
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_json_lines_say_the_same(results, clip):
    process = watch(results, clip, "--model", "gmm@velocity", "--format", "json", "--quiet")
    lines = process.communicate(timeout=120)[0].splitlines()
    expected, _ = frame_scores(results, "gmm@velocity")
    assert [json.loads(line)["score"] for line in lines] == expected.tolist()


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        ("nowhere.mp4", (), "no such file or folder"),
        ("rtsp://127.0.0.1:9/none", (), "--warm-up"),
        ("rtsp://127.0.0.1:9/none", ("--warm-up", "20"), "cannot be opened"),
        ("empty.mp4", (), "an empty file"),
        ("cut.avi", (), "cut off|damaged"),
    ],
)
def test_what_cannot_be_watched_is_one_line_and_leaves_nothing(
    results, clip, tmp_path, source, options, told
):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.avi").write_bytes(clip.read_bytes()[:20000])
    where = source if "://" in source else tmp_path / source
    out, film = tmp_path / "scores.csv", tmp_path / "film.mp4"
    written = ("--out", str(out), "--video", str(film), "--quiet")
    process = watch(results, where, "--model", "gmm@velocity", *options, *written)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    (line,) = error.strip().splitlines()
    assert re.search(told, line)
    assert not out.exists()
    assert not film.exists()


def test_a_video_that_breaks_off_leaves_what_was_scored(results, clip, tmp_path):
    cut, out = tmp_path / "cut.avi", tmp_path / "scores.csv"
    cut.write_bytes(clip.read_bytes()[:100_000])
    options = ("--model", "gmm@velocity", "--warm-up", "5", "--out", str(out), "--quiet")
    process = watch(results, cut, *options)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert re.search("cut off|damaged", error)
    rows = out.read_text().splitlines()[1:]
    assert 5 < len(rows) < FRAMES


def long_clip(path: Path, laps: int) -> Path:
    """The street, again and again."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    pictures = list(Street(2).pictures())
    for _ in range(laps):
        for picture in pictures:
            writer.write(picture)
    writer.release()
    return path


def test_an_interruption_leaves_what_was_scored(results, tmp_path):
    import av

    clip = long_clip(tmp_path / "long.avi", 60)
    out, film = tmp_path / "scores.csv", tmp_path / "film.mp4"
    options = ("--model", "gmm@velocity", "--out", str(out), "--video", str(film))
    process = watch(results, clip, *options, "--warm-up", "50")
    ends = time.monotonic() + 90
    while not (out.exists() and len(out.read_text().splitlines()) > 100):
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; what was scored is kept" in error
    text = out.read_text()
    assert text.endswith("\n")
    rows = text.splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(len(rows)))
    assert 100 <= len(rows) < 60 * FRAMES
    with av.open(str(film)) as container:
        assert abs(sum(1 for _ in container.decode(video=0)) - len(rows)) <= 1


def test_a_kill_leaves_whole_lines(results, tmp_path):
    clip = long_clip(tmp_path / "long.avi", 60)
    out = tmp_path / "scores.csv"
    process = watch(results, clip, "--model", "gmm@velocity", "--out", str(out), "--warm-up", "9")
    while not (out.exists() and len(out.read_text().splitlines()) > 50):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    text = out.read_text()
    assert text.endswith("\n")
    assert {line.count(",") for line in text.splitlines()} == {6}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(results, tmp_path):
    """Between a tenth of a clip of 12,000 frames and its end, less than 8 MiB."""
    clip = long_clip(tmp_path / "long.avi", 200)
    process = psutil.Process()
    model = vadbench.load_model("gmm@velocity", results.root)
    sizes = []
    for one in model.watch(clip):
        if one.frame % 600 == 0:
            sizes.append(process.memory_info().rss)
    assert max(sizes[2:]) - sizes[2] < 8 * 2**20


def test_threads_end_with_the_watch(results, clip):
    before = threading.active_count()
    frames = vadbench.load_model("gmm@velocity", results.root).watch(clip)
    next(frames)
    frames.close()
    assert threading.active_count() <= before + 1
