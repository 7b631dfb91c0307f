"""Watched with a learnt stream, whose network goes with the model, and with a detector a camera."""

import json
import shutil

import numpy as np
import pytest
from street import Street, write_video

import vadbench
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.files.canonical import canonical_hash
from vadbench.models.manifest import MANIFEST
from vadbench.models.store import export_model, find_model
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

CLIPS = ("monday", "tuesday", "friday", "sunday")
SPLITS = ("train", "train", "test", "test")
SCENES = ("gate", "yard", "gate", "yard")
ITAE = {"itae": {"size": [16, 24], "width": 0.01, "steps": 3, "batch": 1, "losses": ["l2"]}}
LEARNT = {"methods": ["knn@itae.error+velocity"], "datasets": ["folder"], "settings": ITAE}
SCENE = {"methods": ["magnitude"], "datasets": ["folder"], "scope": "scene"}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch")
    entries = []
    for seed, (name, split, scene) in enumerate(zip(CLIPS, SPLITS, SCENES, strict=True)):
        ran = range(20, 32) if split == "test" else range(0)
        write_video(folder / "data" / "folder" / f"{name}.avi", Street(seed, ran=ran), "MJPG")
        labels = "anomalous = [[20, 31]]\n" if split == "test" else ""
        head = f'[[clip]]\npath = "{name}.avi"\nsplit = "{split}"\nscene = "{scene}"\n'
        entries.append(head + labels)
    (folder / "data" / "folder" / "dataset.toml").write_text("".join(entries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(folder / "data"))
        patch.setenv("VADBENCH_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def results(folder):
    results = Results(folder / "results")
    for suite in (LEARNT, SCENE):
        plan = plan_suite(make_suite(suite))
        run_suite(plan, results, quiet=True, keep_models=True, say=lambda line: None)
    return results


def frame_scores(results, method):
    """The unsmoothed frame scores of each test video."""
    (record,) = [one for one in results.all_records() if one.result.method == method]
    runs = [results.run_of(record, place) for place in range(len(record.runs))]
    frames = [PartFrames.of_rows(results.rows(run), run.lengths).only(0) for run in runs]
    scores = sum_frames(frames, record.result.parts)[:, 0]
    return dict(zip(CLIPS[2:], np.split(scores, np.cumsum(runs[0].lengths)[:-1]), strict=True))


def clip(folder, name):
    return folder / "data" / "folder" / f"{name}.avi"


def test_a_learnt_stream_takes_its_network_from_the_model(results, folder, tmp_path):
    export_model(find_model(results.root, "knn@itae.error+velocity"), tmp_path / "knn.zip")
    for networks in folder.glob("cache/*/networks"):
        shutil.rmtree(networks)
    said = []
    model = vadbench.load_model(tmp_path / "knn.zip")
    watched = list(model.watch(clip(folder, "friday"), say=said.append))
    expected = frame_scores(results, "knn")["friday"]
    assert np.array_equal([one.score for one in watched], expected)
    assert said[0] == "itae.error: features are made of the whole clip; frames are scored after it"


def test_a_stream_of_whole_clips_is_refused_of_a_camera(results):
    model = vadbench.load_model("knn@itae.error+velocity", results.root)
    with pytest.raises(BadInput, match="whole clips, which a camera has not"):
        model.watch("rtsp://127.0.0.1/1")


@pytest.mark.parametrize(("name", "scene"), [("friday", "gate"), ("sunday", "yard")])
def test_each_camera_has_a_detector_of_its_own(results, folder, name, scene):
    model = vadbench.load_model("magnitude@velocity", results.root)
    watched = model.watch(clip(folder, name), scene=scene)
    expected = frame_scores(results, "magnitude")[name]
    assert np.array_equal([one.score for one in watched], expected)


@pytest.mark.parametrize("scene", ["", "gata"])
def test_an_unknown_scene_lists_those_there_are(results, folder, scene):
    model = vadbench.load_model("magnitude@velocity", results.root)
    with pytest.raises(BadInput, match="gate"):
        model.watch(clip(folder, "friday"), scene=scene)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it["result"]["parts"][0].update(method="none"), "none, which is not installed"),
        (lambda it: it["fits"][0].update(code={"version": 7}), "another version of method"),
        (lambda it: it["fits"][0]["stream"]["extractor"].update(version=9), "another version of"),
        (lambda it: it["fits"][0]["stream"]["stream"].update(extractor="no"), "no, which is not"),
        (lambda it: it["fits"][0]["stream"]["stream"].update(provider="file.vec"), "from files"),
        (lambda it: it["fits"][0]["stream"].update(more=1), "not one that this version knows"),
        (
            lambda it: it["result"]["parts"][0].update(calibration="minmax-video"),
            "looks at whole videos",
        ),
    ],
)
def test_a_model_of_what_is_not_here_is_refused(results, folder, tmp_path, change, told):
    kept = find_model(results.root, "magnitude@velocity")
    shutil.copytree(kept.folder, tmp_path / "model")
    document = json.loads((tmp_path / "model" / MANIFEST).read_text())
    change(document)
    document.pop("sha256")
    document["sha256"] = canonical_hash(document)
    (tmp_path / "model" / MANIFEST).write_text(json.dumps(document))
    model = vadbench.load_model(tmp_path / "model")
    with pytest.raises(BadInput, match=told):
        model.watch(clip(folder, "friday"), scene="gate")
