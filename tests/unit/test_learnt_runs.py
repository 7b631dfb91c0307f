"""Runs on learnt streams: seeds reach the network, records name it, held-out videos calibrate."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from learnt import install, put_on_path

from vadbench import load_results, registry
from vadbench.errors import BadInput
from vadbench.features.cached import list_cached
from vadbench.features.networks import store as networks
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

FEW = {"frame-code": {"steps": 8, "units": 3}}
ITAE = {"itae": {"size": [16, 24], "width": 0.01, "steps": 3, "batch": 1, "losses": ["l2"]}}


def write_clips(folder):
    """Three training clips and a test clip of frames of noise, and what they are."""
    entries = []
    for number, split in enumerate(("train", "train", "train", "test")):
        clip = folder / f"{split}{number}"
        clip.mkdir(parents=True)
        for frame in range(12):
            chance = np.random.default_rng((number, frame))
            image = chance.integers(0, 255, (16, 24)).astype(np.uint8)
            assert cv2.imwrite(str(clip / f"{frame:03d}.png"), image)
        labels = "anomalous = [[4, 7]]\n" if split == "test" else ""
        entries.append(f'[[clip]]\npath = "{clip.name}"\nsplit = "{split}"\n{labels}')
    (folder / "dataset.toml").write_text("\n".join(entries))


@pytest.fixture(autouse=True)
def place(tmp_path, tmp_path_factory, monkeypatch):
    """Data and cache of a test, with the page's extractor installed."""
    put_on_path(tmp_path_factory.mktemp("package"), monkeypatch)
    write_clips(tmp_path / "data" / "folder")
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    registry._entries.cache_clear()


def plan_of(methods="magnitude", features=("frame-code",), settings=FEW, seeds=1, **fields):
    suite = {
        "methods": methods.split(","),
        "datasets": ["folder"],
        "features": list(features),
        "settings": settings,
        "seeds": seeds,
        **fields,
    }
    return plan_suite(make_suite(suite))


def run(place, plan, **options):
    results = Results(place / "results")
    outcome = run_suite(plan, results, quiet=True, say=lambda line: None, **options)
    assert not outcome.failed
    return results


def test_a_method_without_chance_has_seeds_where_its_stream_is_learnt(place):
    plan = plan_of("magnitude,gaussian", ("frame-code", "velocity@grid"), seeds=3)
    seeds = {
        stream: [
            (one.result.method, one.result.training.seed)
            for one in plan.planned
            if one.result.features == stream
        ]
        for stream in ("frame-code", "velocity@grid")
    }
    assert seeds["velocity@grid"] == [("magnitude", 0), ("gaussian", 0)]
    assert seeds["frame-code"] == [(m, k) for m in ("magnitude", "gaussian") for k in range(3)]
    networks = {job.stream.network["seed"] for job in plan.jobs if job.stream.network}
    assert networks == {0, 1, 2}
    assert {job.seed for job in plan.jobs} == {0}


def test_a_table_row_is_the_spread_over_networks(place):
    results = run(place, plan_of(seeds=2))
    frame = load_results(results.root)
    micro = frame[(frame.metric == "micro_auc") & (frame.smoothing == "none")]
    assert sorted(micro.seed) == [0, 1]
    assert micro.key.nunique() == 1
    assert micro.value.nunique() == 2
    assert micro.edited.isna().all()


def test_a_record_names_its_network_and_what_it_cost(place):
    plan = plan_of()
    results = run(place, plan)
    run_record = results.run(plan.jobs[0].document, plan.jobs[0].identity)
    stream = plan.jobs[0].stream
    known = networks.read_manifest(stream.network_folder(place / "cache"))
    assert run_record.network.fingerprint == stream.network_fingerprint
    assert run_record.network.sha256 == known.sha256
    assert run_record.network.seconds == known.seconds
    assert run_record.network.parameters == known.parameters
    frame = load_results(results.root)
    assert (frame.network_seconds == known.seconds).all()


def test_a_network_counts_once_for_all_streams_of_a_fusion(place):
    plan = plan_of("magnitude@itae.error+itae", (), ITAE)
    results = run(place, plan)
    folders = [job.stream.network_folder(place / "cache") for job in plan.jobs]
    assert len(folders) == 2
    assert folders[0] == folders[1]
    frame = load_results(results.root)
    assert (frame.network_seconds == networks.read_manifest(folders[0]).seconds).all()


def test_several_processes_train_it_once(place):
    plan = plan_of("magnitude,gaussian")
    run(place, plan, processes=2)
    names = [one.name for one in list_cached(place / "cache")]
    assert len([name for name in names if "/networks/" in name]) == 1


def test_held_out_videos_calibrate_and_are_not_fitted(place):
    settings = {"itae": {**ITAE["itae"], "holdout": 0.3}}
    plan = plan_of("gaussian", ("itae.error",), settings)
    results = run(place, plan)
    record = results.run(plan.jobs[0].document, plan.jobs[0].identity)
    rows = results.rows(record)
    assert record.train_rows == 24
    assert set(rows["train_video"]) == {2}
    assert len(rows["train_scores"]) == 12


@pytest.mark.parametrize(
    ("holdout", "third", "calibrating"), [(0.6, "2", {1}), (0.3, "2", None), (0.3, "1", {2})]
)
def test_of_scenes_those_that_are_held_out_whole_calibrate_nothing(
    place, holdout, third, calibrating
):
    manifest = place / "data" / "folder" / "dataset.toml"
    entries = manifest.read_text().split("[[clip]]")[1:]
    scenes = ("1", "1", third, "1")
    manifest.write_text(
        "".join(
            f"[[clip]]{entry.rstrip()}\nscene = {scene!r}\n"
            for entry, scene in zip(entries, scenes, strict=True)
        )
    )
    plan = plan_of("gaussian", ("itae",), {"itae": {**ITAE["itae"], "holdout": holdout}})
    plan = plan_suite(plan.suite.model_copy(update={"scope": "scene"}))
    results = Results(place / "results")
    run_suite(plan, results, quiet=True, say=lambda line: None)
    (record,) = results.all_runs()
    if calibrating is None:
        assert "all held-out videos are of scenes with no other" in record.error
        return
    rows = results.rows(record)
    assert set(rows["train_video"]) == calibrating
    assert np.isfinite(rows["train_scores"]).all()


def test_a_network_of_another_data_set_serves_the_tested_one(place):
    plan = plan_of(train_on="synthetic")
    job = plan.jobs[0]
    assert job.stream.network["dataset"] == "synthetic@1"
    assert job.source.stream.network == job.stream.network
    run(place, plan)
    names = [one.name for one in list_cached(place / "cache")]
    assert [name.partition("@")[0] for name in names if "networks" in name] == ["synthetic"]


def test_an_unsupervised_network_learns_on_the_unlabelled_videos(place):
    plan = plan_suite(
        make_suite(
            {
                "methods": ["magnitude"],
                "datasets": ["synthetic"],
                "features": ["frame-code"],
                "settings": FEW,
                "setting": "unsupervised",
            }
        )
    )
    job = plan.jobs[0]
    assert job.stream.network["videos"] == list(job.resplit.train)
    assert any(name.startswith("test/") for name in job.stream.network["videos"])
    run(place, plan)


def test_seeds_without_chance_are_refused(place):
    with pytest.raises(BadInput, match=r"^nothing is random in magnitude@velocity@grid, which"):
        plan_of(features=("velocity@grid",), settings={}, seeds=3)
    pinned = {"frame-code": FEW["frame-code"], "itae": {"seed": 4}}
    with pytest.raises(BadInput, match="nothing is random"):
        plan_of(features=("itae",), settings={"itae": pinned["itae"]}, seeds=3)
    plan_of(features=("velocity@grid",), settings={}, seeds=3, name="mine")  # a suite has them


def test_the_plan_names_the_networks_with_their_cost(place):
    (place / "package").mkdir()
    package = os.pathsep.join([str(install(place / "package")), os.environ.get("PYTHONPATH", "")])
    command = Path(sys.executable).with_name("vadbench")
    words = (
        "plan --methods magnitude --datasets folder --features itae.error,itae,frame-code --seeds 2"
    )
    done = subprocess.run(
        [command, *words.split()],
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("network")]
    assert [line.partition("time: ")[2].partition(":")[0] for line in lines] == [
        "folder itae, seed 0",
        "folder itae, seed 1",
        "folder frame-code, seed 0",
        "folder frame-code, seed 1",
    ]
    times = [line.rpartition(": ")[2].split()[0] for line in lines]
    assert times == ["about", "about", "unknown", "unknown"]
    assert "features to extract first, beside that time: folder itae, times 2" in done.stdout
