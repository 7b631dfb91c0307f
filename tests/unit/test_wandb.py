"""Weights & Biases, offline: what it is told is what is on disk, once, quietly and privately."""

import json

import pandas as pd
import pytest

from vadbench.files.canonical import canonical_hash
from vadbench.results.frame import load_results

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

from wandb_inspect import transactions  # noqa: E402
from wandb_records import (  # noqa: E402
    VALUES,
    files,
    folder_of,
    folders,
    private_folders,
    publish_all,
    records_of,
    run_of,
    store,
    store_all,
    summary_in,
    table_in,
)

from vadbench.report.wandb.publication import COLUMNS, publications  # noqa: E402
from vadbench.report.wandb.publish import publish  # noqa: E402
from vadbench.report.wandb.session import ID_LENGTH, Target, start  # noqa: E402

# They start W&B's program, which now and then neither ends nor answers on a virtual machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def private(tmp_path, monkeypatch):
    private_folders(tmp_path, monkeypatch)


@pytest.fixture
def results(tmp_path):
    return store_all(tmp_path / "results")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Results that have been published, and are not changed."""
    results = store_all(tmp_path_factory.mktemp("published"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_DATA_DIR", str(results.root / "data"))
        publish_all(results)
    return results


@pytest.mark.parametrize("named", ["as it is", "from here"])
def test_offline_no_file_says_where_it_lies_on_this_disk(tmp_path, monkeypatch, named):
    results = store_all(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_DATA_DIR")
    folder = results.root if named == "as it is" else results.root.relative_to(tmp_path)
    publish(Target("offline", folder), list(results.all_records()), "all")
    paths = sorted((results.root / "wandb").glob("offline-run-*/**/*"))
    assert len(paths) > 10
    for path in paths:
        if path.is_symlink():
            assert not path.readlink().is_absolute(), path
        elif path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path


def drop_empty(config):
    """Without the empty dictionaries in dictionaries, which W&B leaves out."""
    if not isinstance(config, dict):
        return config
    return {name: drop_empty(value) for name, value in config.items() if value != {}}


def test_config_and_summary_reach_wandb(results, monkeypatch):
    seen = {}
    finish = wandb.Run.finish

    def read_then_finish(run, *arguments, **named):
        seen[run.id] = (dict(run.config), dict(run.summary), run.group, run.job_type, run.project)
        finish(run, *arguments, **named)

    monkeypatch.setattr(wandb.Run, "finish", read_then_finish)
    monkeypatch.setattr(wandb.Run, "__exit__", lambda run, *_: run.finish())
    publish_all(results)
    for publication in publications(results, list(results.all_records())):
        config, summary, *where = seen[publication.identity[:ID_LENGTH]]
        described = publication.described["config"]
        assert drop_empty({name: config[name] for name in described}) == drop_empty(described)
        assert {name: summary[name] for name in publication.summary} == publication.summary
        assert where == ["ped2", "mulde", "vadbench"]


def test_what_lies_on_disk_is_what_was_published_and_nothing_private(published):
    (publication,) = publications(published, records_of(published, "mulde@deep"))
    written = transactions(folder_of(published, publication.identity))
    (run,) = (entry["run"] for entry in written if entry["type"] == "run")
    assert (run["run_id"], run["run_group"], run["job_type"]) == (
        publication.identity[:ID_LENGTH],
        "ped2",
        "mulde",
    )
    assert run["resume"], "wandb sync continues the run of the job's training curves"
    assert not {"host", "git", "environment"} & set(run)
    assert {
        name: value for name, value in summary_in(written).items() if name in publication.summary
    } == publication.summary
    assert not [
        entry
        for entry in written
        if entry["type"] in ("history", "environment", "stats", "output", "output_raw")
    ]
    assert "secret" not in json.dumps(written)
    assert not (folder_of(published, publication.identity) / "logs" / "debug.log").read_text(), (
        "on a full disk every line would be a traceback"
    )
    assert "scores" in {
        entry["artifact"]["type"] for entry in written if entry["type"] == "artifact"
    }


def test_the_tables_read_back_are_the_records(published):
    for publication in publications(published, list(published.all_records())):
        table = table_in(folder_of(published, publication.identity), "metrics_summary")
        assert list(table.columns) == list(COLUMNS)
        assert table.to_numpy().tolist() == publication.rows


def test_the_leaderboard_read_back_is_the_same_data_frame(published):
    table = table_in(
        folder_of(published, canonical_hash(["leaderboard", "all"])), "leaderboard_summary"
    )
    expected = load_results(published.root)
    expected = (
        expected[expected["ranked"]].drop(columns=["config", "protocol"]).reset_index(drop=True)
    )
    assert len(expected) == 12
    pd.testing.assert_frame_equal(table.astype(expected.dtypes.to_dict()), expected)


def test_a_table_of_more_rows_than_wandbs_limit_is_whole(results, monkeypatch):
    monkeypatch.setattr(wandb.Table, "MAX_ROWS", 3)
    (record,) = records_of(results, "mulde@deep")
    publish(Target("offline", results.root), [record], "one")
    assert len(table_in(folder_of(results, record.runs[0]), "metrics_summary")) == len(VALUES)


def test_frame_maxima_and_records_are_an_artifact_beside_the_run(published):
    (record,) = records_of(published, "mulde@velocity+deep")
    artifact = folder_of(published, record.identity) / "scores"
    kept = {f"{record.identity[:12]}/metrics.json"}
    for stream in ("velocity", "deep"):
        run = run_of(published, stream)
        frames = f"{run.identity[:12]}/frames.npz"
        assert (artifact / frames).read_bytes() == published.frames_path(run).read_bytes()
        kept |= {frames, f"{run.identity[:12]}/run.json"}
    there = {str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()}
    assert there == kept


def test_publishing_twice_changes_nothing(results):
    assert "4 runs published, 0 there already" in publish_all(results)
    before = files(results.root)
    assert "0 runs published, 4 there already and unchanged" in publish_all(results)
    assert files(results.root) == before


def test_only_what_changed_is_published_again_under_its_id(results):
    publish_all(results)
    run = run_of(results, "deep")
    store(results, "mulde@deep", VALUES[:2])
    # the job's and the leaderboard
    assert "2 runs published, 2 there already" in publish_all(results)
    assert (
        len(
            [
                folder
                for folder in folders(results)
                if folder.name.endswith(run.identity[:ID_LENGTH])
            ]
        )
        == 2
    )
    store(results, "mulde@deep")
    # back again: the last content counts
    assert "2 runs published, 2 there already" in publish_all(results)


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
