"""`vadbench run --wandb offline` and `vadbench publish wandb`, as a user runs them."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from wandb_inspect import transactions

from vadbench.results.records import Results

pytest.importorskip("wandb", reason="needs the extra wandb")

SMALL = ("--set", "mulde.max_steps=20", "--set", "mulde.units=[32,32]")
TOLD = ("run", "--methods", "mulde,gaussian", "--datasets", "synthetic", *SMALL)
RUN = (*TOLD, "--quiet")
NO_WANDB = "import sys; sys.modules['wandb'] = None; from vadbench.cli import main; main()"


@pytest.fixture
def environment(environment, tmp_path):
    """No account, and W&B's own folders of the user in the test's."""
    own = {
        f"WANDB_{name}_DIR": str(tmp_path / name.lower()) for name in ("DATA", "CACHE", "CONFIG")
    }
    return {
        **{name: value for name, value in environment.items() if name != "WANDB_API_KEY"},
        **own,
        "HOME": str(tmp_path / "home"),
    }


def rows(folder):
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("rows.npz")
    }


def files(folder):
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def history(folder):
    return [
        entry["history"]["item"] for entry in transactions(folder) if entry["type"] == "history"
    ]


@pytest.mark.slow
def test_a_run_logs_curves_and_records_and_publishing_again_changes_nothing(vadbench, tmp_path):
    told = vadbench(*TOLD, "--wandb", "offline", "--jobs", "2", "--results", "logged")
    assert "3 runs published" in told.stderr  # two jobs and the leaderboard
    assert "wandb:" not in told.stderr + told.stdout
    (identity,) = (path.name for path in (tmp_path / "logged").glob("runs/*/*/mulde/*"))
    curves, metrics = sorted((tmp_path / "logged" / "wandb").glob(f"offline-run-*-{identity}"))
    assert [point["trainer/global_step"] for point in history(curves)] == list(range(1, 21))
    (table,) = metrics.glob("files/media/table/metrics_*.table.json")
    (record,) = (
        one for one in Results(tmp_path / "logged").all_records() if one.recipe == "mulde@velocity"
    )
    document = json.loads(table.read_text())
    values = pd.DataFrame(document["data"], columns=document["columns"])["value"]
    expected = [value.value for value in record.values]
    np.testing.assert_array_equal(values.to_numpy(float), np.array(expected, float))
    # the leaderboard of all
    assert (
        "1 runs published, 2 there already"
        in vadbench("publish", "wandb", "--results", "logged").stdout
    )
    before = files(tmp_path / "logged")
    assert (
        "0 runs published, 3 there already and unchanged"
        in vadbench("publish", "wandb", "--results", "logged").stdout
    )
    assert files(tmp_path / "logged") == before


@pytest.mark.slow
def test_scores_are_the_same_to_the_bit_and_nothing_is_logged_unless_asked_for(vadbench, tmp_path):
    vadbench(*RUN)
    assert not (tmp_path / "results" / "wandb").exists()
    vadbench(*RUN, "--wandb", "offline", "--results", "logged")
    assert rows(tmp_path / "logged") == rows(tmp_path / "results")


@pytest.mark.slow
def test_without_the_package_a_run_is_warned_once_and_publish_says_what_to_install(
    vadbench, environment, tmp_path
):
    run = [*RUN, "--wandb", "offline"]
    done = subprocess.run(
        [sys.executable, "-c", NO_WANDB, *run],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pip install 'vadbench[wandb]'") == 1
    assert len(rows(tmp_path / "results")) == 2
    publish = [sys.executable, "-c", NO_WANDB, "publish", "wandb"]
    done = subprocess.run(publish, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "vadbench: Weights & Biases is not installed; pip install 'vadbench[wandb]'\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("publish", "wandb", "--results", "nowhere"), "no records"),
        (("publish", "wandb", "--mode", "onlin"), "did you mean online?"),
        (("publish", "wandb", "--suite", "demoo"), "did you mean demo?"),
        ((*RUN, "--wandb", "onlin"), "did you mean online?"),
    ],
)
def test_bad_input_is_one_line(vadbench, arguments, message):
    done = vadbench(*arguments, code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
