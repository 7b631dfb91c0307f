"""Inside a sweep or a launch of Weights & Biases, and beside a user's own variables, runs are still
what their records are.
"""

import os

import pytest

from vadbench.errors import BadInput

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

from wandb_records import folders, private_folders, publish_all, store_all  # noqa: E402

from vadbench.report.wandb.publication import publications  # noqa: E402
from vadbench.report.wandb.session import ID_LENGTH, Target, start  # noqa: E402

# They start W&B's program, which now and then neither ends nor answers on a virtual machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A process in which the library has not read the environment yet."""
    private_folders(tmp_path, monkeypatch)
    wandb.teardown()
    yield
    monkeypatch.undo()
    wandb.teardown()


AGENTS = {
    "a sweep's command": {"WANDB_SWEEP_ID": "sweep1", "WANDB_RUN_ID": "agents"},
    "a sweep alone": {"WANDB_SWEEP_ID": "sweep1"},
    "a launch": {"WANDB_LAUNCH": "true", "WANDB_RUN_ID": "agents", "WANDB_PROJECT": "queue"},
    "a run to go on with": {"WANDB_RUN_ID": "own", "WANDB_RESUME": "must"},
    "a run to go on from": {"WANDB_RESUME_FROM": "own?_step=3"},
    "a run to fork": {"WANDB_FORK_FROM": "own?_step=3"},
    "names": {
        "WANDB_NAME": "own",
        "WANDB_RUN_GROUP": "own",
        "WANDB_JOB_TYPE": "own",
        "WANDB_TAGS": "a,b",
        "WANDB_NOTES": "own",
    },
    "SageMaker": {"TRAINING_JOB_NAME": "own", "CURRENT_HOST": "algo-1", "SM_TRAINING_ENV": "{}"},
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_is_called_as_its_record(tmp_path, monkeypatch, agent):
    for name, value in AGENTS[agent].items():
        monkeypatch.setenv(name, value)
    with start(
        Target("offline", tmp_path),
        "0123456789abcdef",
        name="ours",
        group="ped2",
        job_type="knn",
        config={"beta": 1},
    ) as run:
        assert (run.id, run.name, run.group, run.job_type, run.project) == (
            "0123456789ab",
            "ours",
            "ped2",
            "knn",
            "vadbench",
        )
        assert (dict(run.config), tuple(run.tags or ()), run.sweep_id) == ({"beta": 1}, (), None)


@pytest.mark.parametrize("agent", ["a sweep's command", "a sweep alone", "a launch"])
def test_publishing_again_changes_nothing(tmp_path, monkeypatch, agent):
    results = store_all(tmp_path / "results")
    for name, value in AGENTS[agent].items():
        monkeypatch.setenv(name, value)
    assert "4 runs published" in publish_all(results)
    ids = {folder.name.rpartition("-")[2] for folder in folders(results)}
    assert {
        each.identity[:ID_LENGTH] for each in publications(results, list(results.all_records()))
    } < ids
    assert "0 runs published, 4 there already" in publish_all(results)


def test_a_sweeps_parameters_are_no_part_of_a_runs_config(tmp_path, monkeypatch):
    (tmp_path / "sweep.yaml").write_text("wandb_version: 1\nbeta:\n  value: 7\n")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(tmp_path / "sweep.yaml"))
    with start(Target("offline", tmp_path), "0123456789abcdef", config={"beta": 1}) as run:
        assert dict(run.config) == {"beta": 1}


def test_the_environment_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    with start(Target("offline", tmp_path), "0123456789abcdef"):
        assert os.environ["WANDB_SWEEP_ID"] == "sweep1"


def test_a_process_that_a_sweep_has_set_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    wandb.setup()
    with pytest.raises(BadInput, match="this process works for an agent of Weights & Biases"):
        start(Target("offline", tmp_path), "0123456789abcdef")
