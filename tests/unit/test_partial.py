"""A suite, or a command line, runs what the data and features on this machine allow, and says what
is missing for the rest.
"""

import sys

import pytest
from figure_records import write_dataset

from vadbench.errors import BadInput
from vadbench.plans.needs import find_lacking, group_reasons
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")

    def call(datasets, **more):
        some = {"name": "some", "methods": ["magnitude"], "features": ["velocity@grid"], **more}
        plan = plan_suite(make_suite({**some, "datasets": datasets}))
        return plan, lambda: run_suite(plan, Results(tmp_path / "results"), quiet=True, say=str)

    return call


def test_what_can_run_runs_and_the_rest_is_told(run):
    _, go = run(["folder", "avenue"])
    outcome = go()
    (told,) = outcome.lacking
    assert told.startswith("avenue velocity@grid: ")
    assert "vadbench data fetch avenue" in told
    (row,) = outcome.table.rows
    here, there = row.cells[0], row.cells[len(row.cells) // 2]
    assert here.value is not None
    assert (there.value, there.note) == (
        None,
        "not run; `vadbench plan --suite some` tells what that takes",
    )


def test_with_nothing_to_run_nothing_is_written(run, tmp_path):
    _, go = run(["avenue"])
    with pytest.raises(BadInput, match="nothing of this can be run here: avenue velocity@grid: "):
        go()
    assert not (tmp_path / "results" / "tables").exists()


def test_the_plan_tells_what_is_missing_once_for_all_streams_that_lack_the_same(run, tmp_path):
    suite = make_suite(
        {
            "methods": ["magnitude"],
            "datasets": ["avenue"],
            "features": ["velocity", "velocity.hof1", "deep@import.accivad"],
        }
    )
    (line,) = group_reasons(find_lacking(plan_suite(suite).jobs))
    assert line.startswith("avenue velocity, velocity.hof1, deep@import.accivad: ")
    assert not (tmp_path / "cache").exists()


UNABLE = {
    "knn": ({"index": "hnsw"}, "knn: index=hnsw needs faiss, which is not installed"),
    "gmm": ({"device": "cuda"}, "gmm: device: cuda is not available to torch"),
    "mulde": ({"device": "cuda"}, "mulde: device: cuda is not available to torch"),
    "autoencoder": ({"precision": "tf32"}, "autoencoder: precision: tf32 is of NVIDIA GPUs"),
}


@pytest.fixture
def bare(monkeypatch):
    """A machine without faiss and without a GPU."""
    import torch

    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("method", UNABLE)
def test_what_a_method_lacks_is_told_before_anything_is_extracted(run, tmp_path, bare, method):
    settings, reason = UNABLE[method]
    _, go = run(["folder"], methods=[method], settings={method: settings})
    with pytest.raises(BadInput, match=f"nothing of this can be run here: {reason}"):
        go()
    assert not (tmp_path / "cache").exists()


def test_methods_that_lack_nothing_run_beside_one_that_does(run, bare):
    _, go = run(
        ["folder"], methods=["magnitude", "knn"], settings={"knn": {"index": "ivf"}}, seeds=2
    )
    outcome = go()
    (told,) = outcome.lacking
    assert told.startswith("knn: index=ivf needs faiss")
    values = {row.method: row.cells[0].value for row in outcome.table.rows}
    assert values["magnitude"] is not None
    assert values["knn"] is None
    assert not outcome.failed


@pytest.mark.parametrize(("others", "code"), [([], 2), (["magnitude"], 1)])
def test_the_plan_ends_as_the_run_would(run, bare, capsys, others, code):
    from vadbench.cli import app

    run(["folder"])
    methods = ",".join(["mulde", *others])
    asked = ["--methods", methods, "--datasets", "folder", "--features", "velocity@grid"]
    with pytest.raises(SystemExit) as ended:
        app(["plan", *asked, "--set", "mulde.precision=tf32"])
    assert ended.value.code == code
    told = capsys.readouterr().out
    assert "cannot run here: mulde: precision: tf32 is of NVIDIA GPUs" in told


def test_a_model_that_lacks_something_is_not_trained(run, tmp_path, bare):
    from vadbench.runner.keep import train_models

    plan, _ = run(["folder"], methods=["knn"], settings={"knn": {"index": "hnsw"}})
    with pytest.raises(BadInput, match="cannot be trained here: knn: index=hnsw needs faiss"):
        train_models(plan, tmp_path / "results")
    assert not (tmp_path / "cache").exists()
