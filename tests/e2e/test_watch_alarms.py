"""Alarms: thresholds from normal videos that were held out, and what a watched video raises."""

import csv
import os
import shutil
import sys

import numpy as np
import pytest
from street import Street, write_video

import vadbench
from vadbench.cli import main
from vadbench.datasets.folder import Folder
from vadbench.errors import BadInput
from vadbench.evaluation.alarms import find_alarms, join_frames
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.evaluation.thresholds import set_threshold
from vadbench.models.held_out import FILE, read_scores
from vadbench.models.store import find_model, read_model
from vadbench.models.tested import measure_alarms
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.held_out import plan_folds
from vadbench.runner.keep import train_models
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

FPS = 5
GATE, YARD = ("g1", "g2", "g3"), ("y1", "y2")
TRAIN = (*GATE, *YARD)
FUSED = "knn@velocity+velocity.hof8"
ITAE = {"size": [16, 24], "width": 0.01, "steps": 3, "batch": 1, "losses": ["l2"]}


def entry(name, split, scene, more=""):
    return f'[[clip]]\npath = "{name}.avi"\nsplit = "{split}"\nscene = "{scene}"\n{more}'


def describe(folder, train, test):
    """Write a manifest; tested are normal clips, but friday."""
    scenes = {**dict.fromkeys(GATE, "gate"), **dict.fromkeys(YARD, "yard"), "friday": "gate"}
    ran = {"friday": "anomalous = [[20, 31]]\n"}
    entries = [entry(name, "train", scenes[name]) for name in train]
    entries += [
        entry(name, "test", scenes[name], ran.get(name, "anomalous = []\n")) for name in test
    ]
    (folder / "dataset.toml").write_text(f"fps = {FPS}\n{''.join(entries)}")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alarms")
    for seed, name in enumerate((*TRAIN, "friday")):
        ran = range(20, 32) if name == "friday" else range(0)
        write_video(folder / "data" / "folder" / f"{name}.avi", Street(seed, ran=ran), "MJPG")
    describe(folder / "data" / "folder", TRAIN, ["friday"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(folder / "data"))
        patch.setenv("VADBENCH_CACHE", str(folder / "cache"))
        yield folder


def plan_of(method, **suite):
    return plan_suite(make_suite({"methods": [method], "datasets": ["folder"], **suite}))


@pytest.fixture(scope="module")
def root(folder):
    """A results folder with two models that were trained for 60 alarms an hour."""
    root = folder / "results"
    for plan in (plan_of(FUSED), plan_of("magnitude", scope="scene")):
        train_models(plan, root, quiet=True, alarms=60)
    return root


def call(*arguments):
    """The exit code of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code or 0


def friday(folder):
    return folder / "data" / "folder" / "friday.avi"


@pytest.fixture
def clip(folder):
    return friday(folder)


def test_held_out_videos_score_as_those_of_a_run_that_trains_on_the_others(root, folder, tmp_path):
    kept = find_model(root, FUSED)
    held_out = kept.manifest.held_out
    names = [name for name, _, _ in held_out.videos]
    assert (held_out.folds, sorted(names), held_out.fps) == (3, sorted(TRAIN), FPS)
    scores = dict(zip(names, read_scores(kept.folder, held_out), strict=True))
    fold = ["g2", "y2"]
    with pytest.MonkeyPatch.context() as patch:
        data = tmp_path / "folder"
        data.mkdir()
        for name in TRAIN:
            os.link(folder / "data" / "folder" / f"{name}.avi", data / f"{name}.avi")
        describe(data, [name for name in TRAIN if name not in fold], fold)
        patch.setenv("VADBENCH_DATA", str(tmp_path))
        results = Results(tmp_path / "results")
        run_suite(plan_of(FUSED), results, quiet=True, say=lambda line: None)
        (record,) = results.all_records()
        runs = [results.run_of(record, place) for place in range(2)]
        frames = [PartFrames.of_rows(results.rows(run), run.lengths) for run in runs]
    expected = sum_frames(frames, record.result.parts)[:, 0]
    assert np.concatenate([scores[name] for name in fold]) == pytest.approx(expected, rel=1e-6)


def test_a_threshold_is_recorded_with_what_it_was_set_from(root):
    kept = find_model(root, FUSED)
    scores = read_scores(kept.folder, kept.manifest.held_out)
    expected = set_threshold(scores, 60, FPS, join_frames(FPS))
    assert kept.manifest.threshold.scenes == {"": expected}
    assert expected.value is not None


def test_each_scene_has_a_threshold_of_its_own_videos(root):
    kept = find_model(root, "magnitude@velocity")
    scores = read_scores(kept.folder, kept.manifest.held_out)
    for scene, own in (("gate", GATE), ("yard", YARD)):
        videos = [
            values
            for values, (name, _, _) in zip(scores, kept.manifest.held_out.videos, strict=True)
            if name in own
        ]
        expected = set_threshold(videos, 60, FPS, join_frames(FPS))
        assert kept.manifest.threshold.scenes[scene] == expected


def test_labels_are_not_read(folder, tmp_path, monkeypatch):
    def refuse(self):
        raise AssertionError("labels were read")

    monkeypatch.setattr(Folder, "labels", refuse)
    (kept,) = train_models(plan_of("magnitude"), tmp_path, quiet=True, alarms=60)
    assert kept.manifest.threshold is not None


def test_a_watched_video_raises_the_alarms_of_its_scores(root, clip):
    model = vadbench.load_model(FUSED, root)
    watched = list(model.watch(clip, alarms="600/hour", smoothing="causal-2"))
    limit = model.threshold("600/hour", "causal-2").value
    assert {one.threshold for one in watched} == {limit}
    scores = np.array([one.smoothed for one in watched])
    assert [one.alarm for one in watched] == (scores > limit).tolist()
    assert find_alarms(scores, limit)
    assert {one.threshold for one in model.watch(clip, alarms="none")} == {None}
    assert {one.threshold for one in model.watch(clip, threshold=3)} == {3}


def test_the_command_lists_the_alarms(root, clip, tmp_path, capsys):
    out, alarms = tmp_path / "scores.csv", tmp_path / "alarms.csv"
    options = ["--model", FUSED, "--results", str(root), "--out", str(out)]
    given = ["--threshold", "1", "--alarm-list", str(alarms)]
    assert call("watch", str(clip), *options, *given) == 0
    with out.open() as file:
        scores = np.array([float(row["score"]) for row in csv.DictReader(file)])
    with alarms.open() as file:
        rows = [(int(row["start"]), int(row["end"])) for row in csv.DictReader(file)]
    found = find_alarms(scores, 1.0, join_frames(25))  # of the file, whatever the training's were
    assert found
    assert rows == [(one.start, one.end) for one in found]
    assert f"{len(found)} alarm" in capsys.readouterr().err


def test_another_rate_takes_no_further_fit(root, monkeypatch, capsys):
    kept = find_model(root, FUSED)
    before = kept.manifest.threshold
    monkeypatch.setattr("vadbench.runner.keep.fit_alone", None)
    (changed,) = train_models(plan_of(FUSED), root, quiet=True, alarms=120)
    assert changed.manifest.threshold.rate == 120
    assert read_model(kept.folder).manifest.threshold == changed.manifest.threshold
    (again,) = train_models(plan_of(FUSED), root, quiet=True, alarms=60)
    assert again.manifest.threshold == before


def test_a_model_without_a_threshold_is_made_again_where_one_is_asked_for(tmp_path):
    (bare,) = train_models(plan_of("magnitude"), tmp_path, quiet=True)
    assert bare.manifest.held_out is None
    (kept,) = train_models(plan_of("magnitude"), tmp_path, quiet=True, alarms=60)
    assert kept.manifest.held_out is not None
    assert {name: file for name, file in kept.manifest.files.items() if "part" in name} == dict(
        bare.manifest.files
    )
    assert not (tmp_path / "models" / ".fits").exists()


def test_what_folds_scored_waits_for_the_model(tmp_path, monkeypatch):
    taken = []

    def stop(*given, **more):
        taken.append(given)
        if len(taken) == 2:
            raise KeyboardInterrupt
        return score_fold(*given, **more)

    from vadbench.runner import held_out
    from vadbench.runner.job import score_fold

    monkeypatch.setattr(held_out, "score_fold", stop)
    with pytest.raises(KeyboardInterrupt):
        train_models(plan_of("knn"), tmp_path, quiet=True, alarms=60)
    (kept,) = train_models(plan_of("knn"), tmp_path, quiet=True, alarms=60)
    assert len(taken) == 2 + kept.manifest.held_out.folds - 1
    (whole,) = train_models(plan_of("knn"), tmp_path / "other", quiet=True, alarms=60)
    assert kept.manifest.threshold == whole.manifest.threshold


def test_a_scene_with_one_video_is_never_held_out_and_none_is_told(folder, tmp_path, capsys):
    data = tmp_path / "data" / "folder"
    data.mkdir(parents=True)
    for name in (*TRAIN, "friday"):
        os.link(folder / "data" / "folder" / f"{name}.avi", data / f"{name}.avi")
    describe(data, ["g1", "y1"], ["friday"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
        said = []
        plan = plan_of("magnitude")
        (kept,) = train_models(plan, tmp_path, quiet=True, alarms=60, say=said.append)
    why = "one training video a scene: none can be held out"
    assert (kept.manifest.threshold, kept.manifest.bare) == (None, why)
    assert any(why in line for line in said)
    with pytest.raises(BadInput, match=why):
        vadbench.load_model(kept.folder).threshold("1/hour")


@pytest.mark.parametrize(("holdout", "saw"), [(0.0, True), (0.4, False)])
def test_videos_that_a_network_was_kept_from_are_those_held_out(tmp_path, holdout, saw):
    plan = plan_of("magnitude@itae.error", settings={"itae": {**ITAE, "holdout": holdout}})
    (kept,) = train_models(plan, tmp_path, quiet=True, alarms=60)
    assert kept.manifest.held_out.network_saw == saw
    folds = plan_folds(plan.planned[0])
    assert folds.network_saw == saw
    if holdout:
        assert folds.names == (YARD,)
    assert ("network was trained on these" in vadbench.load_model(kept.folder).describe()) == saw


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--threshold", "1", "--alarms", "1/hour"], "give one of them"),
        (["--threshold", "nan"], "threshold nan: expected a number"),
        (["--alarms", "often"], "expected none, or how many a minute"),
        (["--alarms", "none", "--alarm-list", "alarms.csv"], "no alarms without a threshold"),
        (["--alarms", "1/week", "--alarm-list", "alarms.csv"], "no alarms without a threshold"),
        (["--alarm-list", "alarms.txt"], "expected a name that ends in .csv"),
        (["--alarm-list", "one.csv", "--out", "one.csv"], "it is that of --out"),
        (["--alarm-list", "."], "it is a folder"),
    ],
)
def test_what_sets_no_threshold_is_one_line_and_leaves_nothing(
    root, clip, tmp_path, monkeypatch, capsys, options, told
):
    monkeypatch.chdir(tmp_path)
    where = ["--model", FUSED, "--results", str(root), "--quiet"]
    assert call("watch", str(clip), *where, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_of_held_out_scores_is_named(root, tmp_path):
    kept = find_model(root, FUSED)
    shutil.copytree(kept.folder, tmp_path / "model")
    path = tmp_path / "model" / FILE
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadInput, match=f"{FILE}: damaged or edited"):
        vadbench.load_model(tmp_path / "model")


def test_a_model_says_how_its_thresholds_keep_their_promise(root, capsys):
    options = ("--alarms", "600/hour", "--results", str(root))
    assert call("models", "alarms", "magnitude@velocity", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["gate", "yard", "all"]


def test_what_thresholds_give_on_tested_videos_is_that_of_the_events(root, folder, capsys):
    results = Results(root)
    run_suite(plan_of("magnitude", scope="scene"), results, quiet=True, say=lambda line: None)
    name = "magnitude@velocity"
    model = vadbench.load_model(name, root)
    (tested,) = measure_alarms(model, results, [600.0])
    scores = np.array([one.score for one in model.watch(friday(folder), scene="gate")])
    limit = model.threshold("600/hour", scene="gate").value
    event = scores[20:32] > limit
    false_alarms = [one for one in find_alarms(scores, limit, join_frames(FPS)) if one.end < 20]
    assert tested.metrics.found.value == float(event.any())
    assert tested.metrics.false_alarms == len(false_alarms)
    if event.any():
        assert tested.metrics.median_delay_frames.value == int(event.argmax())
    assert call("models", "alarms", name, "--results", str(root)) == 0
    assert "events found" in capsys.readouterr().out


def test_a_model_whose_videos_were_not_run_is_told(root, capsys):
    assert call("models", "alarms", FUSED, "--results", str(root)) == 0
    told = capsys.readouterr().err
    assert "tested videos: " in told
    assert "vadbench run --methods knn --datasets folder" in told


@pytest.mark.parametrize("option", ["--out", "--alarm-list"])
def test_nothing_is_written_over_what_is_watched(root, clip, tmp_path, capsys, option):
    own = tmp_path / "clip.csv"
    shutil.copy(clip, own)
    assert call("watch", str(own), "--model", FUSED, "--results", str(root), option, str(own)) == 2
    assert "it is what is watched" in capsys.readouterr().err
    assert own.read_bytes() == clip.read_bytes()
    inside = clip.parent / "new.csv"
    options = ("--model", FUSED, "--results", str(root), option, str(inside))
    assert call("watch", str(clip.parent), *options) == 2
    assert not inside.exists()


def test_a_scene_with_one_video_has_a_detector_and_no_threshold(folder, tmp_path):
    data = tmp_path / "data" / "folder"
    data.mkdir(parents=True)
    for name in (*TRAIN, "friday"):
        os.link(folder / "data" / "folder" / f"{name}.avi", data / f"{name}.avi")
    describe(data, [*GATE, "y1"], ["friday"])
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
        plan = plan_of("magnitude", scope="scene")
        (kept,) = train_models(plan, tmp_path, quiet=True, alarms=60, say=said.append)
    yard = kept.manifest.threshold.scenes["yard"]
    assert (yard.value, yard.reason) == (None, "no video of it can be held out")
    assert kept.manifest.threshold.scenes["gate"].hours > 0
    assert any(line.startswith("threshold of scene yard: none") for line in said)
    scenes = [one.scene for one in vadbench.load_model(kept.folder).try_rates([60.0])]
    assert scenes == ["gate", "yard", "all"]


def test_one_rate_without_a_threshold_hides_no_other(root):
    model = vadbench.load_model("magnitude@velocity", root)
    one, other = measure_alarms(model, Results(root), [600.0, 0.001])
    assert one.metrics is not None
    assert other.metrics is None


def test_thresholds_are_not_put_on_scores_of_another_training(root, monkeypatch):
    model, results = vadbench.load_model("magnitude@velocity", root), Results(root)
    assert model.manifest.fits[0].contents
    run_of = Results.run_of

    def learnt_from_others(self, record, place):
        return run_of(self, record, place).model_copy(update={"data": {"train": "others"}})

    with monkeypatch.context() as patch:
        patch.setattr(Results, "run_of", learnt_from_others)
        with pytest.raises(BadInput, match="a model of other training files than"):
            measure_alarms(model, results, [600.0])
    (record,) = (one for one in results.all_records() if one.identity == model.manifest.identity)
    edited = record.model_copy(update={"edited": "its sha256 is of something else"})
    monkeypatch.setattr(Results, "all_records", lambda self: iter([edited]))
    with pytest.raises(BadInput, match=r"edited after it was written \(its sha256"):
        measure_alarms(model, results, [600.0])
