"""Weights & Biases, offline: what it is told is what is on disk, once, quietly, and its failures fail nothing."""

import contextlib
import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from vadbench.detector import DetectorInfo, Features
from vadbench.export import load_results
from vadbench.records import RecipeRecord, Results, RunRecord, canonical_hash
from vadbench.training import LightningDetector, NeuralConfig

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

from vadbench.report.wandb import Sink  # noqa: E402
from vadbench.report.wandb.curves import CurveLogger  # noqa: E402
from vadbench.report.wandb.definition import as_report, report_definition  # noqa: E402
from vadbench.report.wandb.publication import COLUMNS, publications  # noqa: E402
from vadbench.report.wandb.publish import publish  # noqa: E402
from vadbench.report.wandb.session import ID_LENGTH, Target, start  # noqa: E402


@pytest.fixture(autouse=True)
def private_folders(tmp_path, monkeypatch):
    """W&B's own folders of the user, and no account."""
    for variable, folder in {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache", "WANDB_CONFIG_DIR": "config", "HOME": "home"}.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def metric(name, value, smoothing="none", video=None, convention=None, read_out="gmm5", reason=None, low=None, high=None):
    told = {"metric": name, "convention": convention, "smoothing": smoothing, "read_out": read_out, "video": video}
    return {**told, "value": value, "n": 100, "reason": reason, "low": low, "high": high}


ROWS = (
    metric("micro_auc", 1 / 3, low=0.1, high=0.9),
    metric("micro_auc", 0.1 + 0.2, "gaussian-3", low=0.2, high=0.4),
    metric("micro_auc", 0.7, "gaussian-3", read_out="max"),
    metric("macro_auc", 0.8, "gaussian-3", convention="skip"),
    metric("rbdc", None, convention="average", reason="no boxes"),
    metric("micro_auc", 0.5, video="Test001"),
)


def add_run(results, stream, seed=0):
    job = {"method": "mulde", "dataset": "ped2", "stream": stream, "seed": seed, "scope": "pooled", "config": {"beta": 0.1, "units": [64, 64]}}
    run = RunRecord(
        status="done",
        identity=canonical_hash(job),
        fit_identity="f" * 64,
        job=job,
        runtime={"threads": 1},
        seconds={"fit": 2.0, "score": 0.5},
        train_rows=40,
        test_rows=20,
        parameters=7,
        peak_memory_mib=100.0,
        environment={"python": "3.11", "platform": "secret", "packages": {"numpy": "2"}, "git": {"commit": "c" * 40, "dirty": False}},
    )
    return results.write_run(run, {"test_scores": np.zeros(1)})


def add_recipe(results, recipe, runs, rows=ROWS, **protocol):
    record = RecipeRecord(
        identity=canonical_hash([recipe, [run.identity for run in runs], protocol]),
        dataset="ped2",
        recipe=recipe,
        seed=0,
        parts=tuple({"method": "mulde", "stream": run.job["stream"], "config": run.job["config"]} for run in runs),
        runs=tuple(run.identity for run in runs),
        protocol={"smoothing": 3.0, **protocol},
        labels={"name": "official", "sha256": "a" * 64},
        read_outs=("gmm5", "max"),
        rows=rows,
    )
    results.write_recipe(
        record, {"scores": np.random.default_rng(0).normal(size=(9, 1)), "lengths": np.array([4, 5]), "videos": np.array(["a", "b"])}
    )
    return record


def made(folder):
    """Two jobs, their streams alone and their fusion."""
    results = Results(folder)
    runs = [add_run(results, "velocity"), add_run(results, "deep")]
    for run in runs:
        add_recipe(results, f"mulde@{run.job['stream']}", [run])
    add_recipe(results, "mulde@velocity+deep", runs)
    return results


@pytest.fixture
def results(tmp_path):
    return made(tmp_path / "results")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Results that have been published, and are not changed."""
    results = made(tmp_path_factory.mktemp("published"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_DATA_DIR", str(results.root / "data"))
        publish_all(results)
    return results


def publish_all(results, **changes):
    return publish(Target("offline", results.root, **changes), list(results.all_recipes()), "all")


def folders(results):
    return sorted((results.root / "wandb").glob("offline-run-*"))


def folder_of(results, identity):
    return next(folder for folder in reversed(folders(results)) if folder.name.endswith(identity[:ID_LENGTH]))


def files(folder):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def transactions(folder):
    """What is written in a run's .wandb file, as W&B's own inspector reads it."""
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(folder)]
    return [json.loads(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()]


def summary_in(written):
    return {name: value for entry in written if entry["type"] == "summary" for name, value in entry["summary"]["update"].items()}


def table_in(folder, name):
    (path,) = folder.glob(f"files/media/table/{name}_*.table.json")
    document = json.loads(path.read_text())
    return pd.DataFrame(document["data"], columns=document["columns"], dtype=object)


def test_summary_names_metric_convention_smoothing_and_a_read_out_that_is_not_ranked(results):
    told = {each.identity: each for each in publications(results, list(results.all_recipes(recipe="mulde@velocity")))}
    ((identity, publication),) = told.items()
    assert identity == next(run.identity for run in results.all_runs() if run.job["stream"] == "velocity")
    assert publication.summary == {
        "ped2/micro_auc/none": 1 / 3,
        "ped2/micro_auc/none/low": 0.1,
        "ped2/micro_auc/none/high": 0.9,
        "ped2/micro_auc/gaussian-3": 0.1 + 0.2,
        "ped2/micro_auc/gaussian-3/low": 0.2,
        "ped2/micro_auc/gaussian-3/high": 0.4,
        "ped2/micro_auc/gaussian-3/max": 0.7,
        "ped2/macro_auc/skip/gaussian-3": 0.8,
        "cost/fit_seconds": 2.0,
        "cost/score_seconds": 0.5,
        "cost/train_rows": 40,
        "cost/test_rows": 20,
        "cost/parameters": 7,
        "cost/peak_memory_mib": 100.0,
    }


def test_an_undefined_metric_is_in_the_table_with_its_reason_and_in_no_summary(results):
    (publication,) = publications(results, list(results.all_recipes(recipe="mulde@deep")))
    row = next(dict(zip(COLUMNS, row, strict=True)) for row in publication.rows if row[COLUMNS.index("metric")] == "rbdc")
    assert (row["value"], row["reason"]) == (None, "no boxes")
    assert not any("rbdc" in name for name in publication.summary)


def test_records_of_one_job_share_its_run_and_what_they_disagree_in_names_the_record(results):
    run = next(run for run in results.all_runs() if run.job["stream"] == "velocity")
    other = add_recipe(results, "mulde@velocity", [run], rows=(metric("micro_auc", 1 / 3), metric("micro_auc", 0.9, "gaussian-3")), alpha=0.5)
    records = list(results.all_recipes(recipe="mulde@velocity"))
    (publication,) = publications(results, records)
    assert len(records) == 2
    assert publication.summary["ped2/micro_auc/none"] == 1 / 3
    assert publication.summary[f"ped2/micro_auc/gaussian-3/{other.identity[:12]}"] == 0.9
    assert "ped2/micro_auc/gaussian-3" not in publication.summary


def test_a_fusion_is_a_run_of_its_own_with_the_cost_of_its_jobs(results):
    (record,) = results.all_recipes(recipe="mulde@velocity+deep")
    (publication,) = publications(results, [record])
    assert publication.identity == record.identity
    assert publication.summary["cost/fit_seconds"] == 4.0
    assert publication.summary["cost/peak_memory_mib"] == 100.0
    assert publication.described["name"] == "mulde@velocity+deep seed 0"


def test_config_and_summary_reach_wandb(results, monkeypatch):
    seen = {}
    finish = wandb.Run.finish

    def read_then_finish(run, *arguments, **named):
        seen[run.id] = (dict(run.config), dict(run.summary), run.group, run.job_type, run.project)
        finish(run, *arguments, **named)

    monkeypatch.setattr(wandb.Run, "finish", read_then_finish)
    monkeypatch.setattr(wandb.Run, "__exit__", lambda run, *_: run.finish())
    publish_all(results)
    for publication in publications(results, list(results.all_recipes())):
        config, summary, *where = seen[publication.identity[:ID_LENGTH]]
        assert {name: config[name] for name in publication.described["config"]} == publication.described["config"]
        assert {name: summary[name] for name in publication.summary} == publication.summary
        assert where == ["ped2", "mulde", "vadbench"]


def test_what_lies_on_disk_is_what_was_published_and_nothing_private(published):
    (publication,) = publications(published, list(published.all_recipes(recipe="mulde@deep")))
    written = transactions(folder_of(published, publication.identity))
    (run,) = (entry["run"] for entry in written if entry["type"] == "run")
    assert (run["run_id"], run["run_group"], run["job_type"]) == (publication.identity[:ID_LENGTH], "ped2", "mulde")
    assert run["resume"], "wandb sync continues the run of the job's training curves"
    assert not {"host", "git", "environment"} & set(run)
    assert {name: value for name, value in summary_in(written).items() if name in publication.summary} == publication.summary
    assert not [entry for entry in written if entry["type"] in ("history", "environment", "stats", "output", "output_raw")]
    assert "secret" not in json.dumps(written)
    assert not (folder_of(published, publication.identity) / "logs" / "debug.log").read_text(), "on a full disk every line would be a traceback"
    assert "scores" in {entry["artifact"]["type"] for entry in written if entry["type"] == "artifact"}


def test_the_tables_read_back_are_the_records(published):
    for publication in publications(published, list(published.all_recipes())):
        table = table_in(folder_of(published, publication.identity), "metrics_summary")
        assert list(table.columns) == list(COLUMNS)
        assert table.to_numpy().tolist() == publication.rows


def test_the_leaderboard_read_back_is_the_same_data_frame(published):
    table = table_in(folder_of(published, canonical_hash(["leaderboard", "all"])), "leaderboard_summary")
    expected = load_results(published.root)
    expected = expected[expected["ranked"]].drop(columns=["config", "protocol"]).reset_index(drop=True)
    assert len(expected) == 12
    pd.testing.assert_frame_equal(table.astype(expected.dtypes.to_dict()), expected)


def test_a_table_of_more_rows_than_wandbs_limit_is_whole(results, monkeypatch):
    monkeypatch.setattr(wandb.Table, "MAX_ROWS", 3)
    (record,) = results.all_recipes(recipe="mulde@deep")
    publish(Target("offline", results.root), [record], "one")
    assert len(table_in(folder_of(results, record.runs[0]), "metrics_summary")) == len(ROWS)


def test_the_scores_are_an_artifact_beside_the_run(published):
    (record,) = published.all_recipes(recipe="mulde@velocity+deep")
    folder = folder_of(published, record.identity)
    kept = folder / "scores" / record.identity[:12] / "frames.npz"
    assert kept.read_bytes() == (published.recipe_folder("ped2", record.recipe, record.identity) / "frames.npz").read_bytes()


def test_publishing_twice_changes_nothing(results):
    assert "4 runs published, 0 there already" in publish_all(results)
    before = files(results.root)
    assert "0 runs published, 4 there already and unchanged" in publish_all(results)
    assert files(results.root) == before


def test_only_what_changed_is_published_again_under_its_id(results):
    publish_all(results)
    (run,) = (run for run in results.all_runs() if run.job["stream"] == "deep")
    add_recipe(results, "mulde@deep", [run], rows=ROWS[:2])
    assert "2 runs published, 2 there already" in publish_all(results)  # the job's and the leaderboard
    assert len([folder for folder in folders(results) if folder.name.endswith(run.identity[:ID_LENGTH])]) == 2
    add_recipe(results, "mulde@deep", [run])
    assert "2 runs published, 2 there already" in publish_all(results)  # back again: the last content counts


def test_a_run_started_twice_in_a_second_has_two_folders(tmp_path):
    target = Target("offline", tmp_path)
    for _ in range(3):
        with start(target, "0123456789abcdef"):
            pass
    assert len(list((tmp_path / "wandb").glob("offline-run-*-0123456789ab"))) == 3


def test_another_project_is_another_place(results):
    publish_all(results)
    assert "4 runs published" in publish_all(results, project="other")


def test_what_was_not_published_to_its_end_is_published_again(results, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(wandb.Run, "log_artifact", broken)
        with pytest.raises(RuntimeError, match="broken"):
            publish_all(results)
    assert "4 runs published, 0 there already" in publish_all(results)


class Distance(LightningDetector):
    """Distance to a learnt centre: the smallest neural method."""

    Config = NeuralConfig
    info = DetectorInfo("distance", "Distance", "none", deterministic=False)

    def build(self, dim):
        return nn.Linear(dim, 1)

    def loss(self, batch):
        return (batch - self.net.weight + 0.1 * torch.randn_like(batch)).square().sum(1).mean() + self.net.bias.square().sum()

    def anomaly(self, batch):
        return (batch - self.net.weight).square().sum(1, keepdim=True)


class Trained:
    """What `Sink.curves` wants of a job."""

    document = {"method": "distance", "dataset": "ped2", "stream": "velocity", "seed": 1, "config": {"lr": 0.001}}
    identity = canonical_hash(document)


def fitted(logger=None, epochs=3):
    x = np.random.default_rng(0).normal(3, 2, (64, 5)).astype(np.float32)
    train = Features(x, np.zeros(64, int), np.arange(64))
    detector = Distance(NeuralConfig(epochs=epochs, batch_size=16, progress="off"), seed=1)
    detector.logger = logger
    detector.fit(train)
    return detector.score(train)


def history_of(results):
    return [entry["history"]["item"] for entry in transactions(folder_of(results, Trained.identity)) if entry["type"] == "history"]


def test_curves_are_logged_and_change_no_score(tmp_path, capfd):
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        scores = fitted(logger)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(scores, fitted())
    history = history_of(Results(sink.folder))
    assert [point["trainer/global_step"] for point in history] == list(range(1, 13))
    assert all(point["train/lr"] == 0.001 and point["train/samples_per_s"] > 0 for point in history)
    assert history[-1]["train/loss"] < history[0]["train/loss"]
    written = transactions(folder_of(Results(sink.folder), Trained.identity))
    (run,) = (entry["run"] for entry in written if entry["type"] == "run")
    assert run["config"]["update"]["config"] == {"lr": 0.001}
    assert (run["run_id"], run["run_group"], run["job_type"]) == (Trained.identity[:ID_LENGTH], "ped2", "distance")


def test_the_networks_of_one_job_follow_each_other_on_the_axis(tmp_path):
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        fitted(logger, epochs=1)
        fitted(logger, epochs=2)
    assert [point["trainer/global_step"] for point in history_of(Results(sink.folder))] == list(range(1, 13))


def test_a_long_training_is_about_five_hundred_points(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(CurveLogger, "log_metrics", lambda _, metrics, step: steps.append(step))
    with start(Target("offline", tmp_path), "a" * 12) as run:
        fitted(CurveLogger(run, tmp_path), epochs=151)
    assert len(steps) == 500
    assert steps[-1] == 604


def test_a_training_that_fails_fails_as_without_wandb_and_its_run_is_marked(tmp_path):
    sink = Sink("offline", tmp_path / "results")
    with pytest.raises(FloatingPointError, match="the loss is nan"), sink.curves(Trained()):
        raise FloatingPointError("the loss is nan")
    written = transactions(folder_of(Results(sink.folder), Trained.identity))
    assert [entry["exit"]["exit_code"] for entry in written if entry["type"] == "exit"] == [1]


def test_curves_logged_again_are_followed_by_the_metrics_again(results):
    publish_all(results)
    (run,) = (run for run in results.all_runs() if run.job["stream"] == "deep")
    job = Trained()
    job.document, job.identity = run.job, run.identity
    with Sink("offline", results.root).curves(job):
        pass
    assert "1 runs published, 3 there already" in publish_all(results)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["init", "log", "define_metric", "finish"])
@pytest.mark.parametrize("error", [wandb.errors.CommError("no server"), FULL], ids=["server", "disk"])
def test_a_failure_is_one_line_and_the_training_goes_on(tmp_path, monkeypatch, capfd, broken, error):
    def raises(*_, **__):
        raise error

    finish = wandb.Run.finish
    runs = []
    monkeypatch.setattr(wandb.Run, "define_metric", lambda run, *_, **__: runs.append(run))
    monkeypatch.setattr(wandb if broken == "init" else wandb.Run, broken, raises)
    sink = Sink("offline", tmp_path / "results")
    scores = []
    for _ in range(2):
        with sink.curves(Trained()) as logger:
            scores.append(fitted(logger))
    sink.publish(None, print)
    told = capfd.readouterr()
    for run in runs:
        with contextlib.suppress(Exception):
            finish(run)
    np.testing.assert_array_equal(scores, [fitted()] * 2)
    assert told.out == ""
    assert told.err.splitlines() == [f"vadbench: nothing more is logged to Weights & Biases: {type(error).__name__}: {error}"]


def test_without_the_package_the_line_says_how_to_install_it(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "wandb", None)
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        assert logger is None
    sink.publish(None, print)
    assert capfd.readouterr() == (
        "",
        "vadbench: nothing more is logged to Weights & Biases: Weights & Biases is not installed; pip install 'vadbench[wandb]'\n",
    )


def test_online_without_an_account_asks_nobody(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("asked"))
    sink = Sink("online", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        assert logger is None
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "run `wandb login`" in told.err


def test_the_report_is_defined_in_words_that_wandb_workspaces_knows(published):
    reports = pytest.importorskip("wandb_workspaces.reports.v2", reason="needs the package wandb-workspaces")
    expressions = pytest.importorskip("wandb_workspaces.expr")
    definition = json.loads((published.root / "wandb" / "report-all.json").read_text())
    grids = [block for block in as_report(definition, "me").blocks if isinstance(block, reports.PanelGrid)]
    assert [runset.project for grid in grids for runset in grid.runsets] == ["vadbench", "vadbench"]
    for grid in grids:
        assert all(panel._to_model() for panel in grid.panels)
        assert all(expressions.expr_to_filters(runset.filters) for runset in grid.runsets)


def test_the_report_shows_metrics_that_are_in_the_summaries(published):
    definition = json.loads((published.root / "wandb" / "report-all.json").read_text())
    named = [node["name"] for block in definition["blocks"] for panel in block.get("panels", ()) for node in panel.get("metrics", ())]
    assert named == ["ped2/micro_auc/gaussian-3"]
    (publication,) = publications(published, list(published.all_recipes(recipe="mulde@deep")))
    assert set(named) <= set(publication.summary)


def test_a_data_set_without_smoothing_is_shown_unsmoothed():
    table = pd.DataFrame({"dataset": ["a"], "metric": ["micro_auc"], "smoothing": ["none"]})
    assert '"a/micro_auc/none"' in json.dumps(report_definition("vadbench", "all", table))


def test_neither_help_nor_the_sink_imports_the_library():
    script = "import sys, vadbench.cli, vadbench.report.wandb; sys.exit('wandb' in sys.modules or 'pytorch_lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
