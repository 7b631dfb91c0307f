"""Records of two jobs and their fusion, what publishing them leaves on disk, and where W&B's own
files of a test go.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from vadbench.files.canonical import canonical_hash
from vadbench.report.wandb.publish import publish
from vadbench.report.wandb.session import ID_LENGTH, Target
from vadbench.results.records import ResultRecord, Results, RunRecord


def private_folders(place, monkeypatch):
    """W&B's own folders of the user, and no account."""
    for variable, folder in {
        "WANDB_DATA_DIR": "data",
        "WANDB_CACHE_DIR": "cache",
        "WANDB_CONFIG_DIR": "config",
        "HOME": "home",
    }.items():
        monkeypatch.setenv(variable, str(place / folder))
    monkeypatch.setenv("NETRC", str(place / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def metric(
    name,
    value,
    smoothing="none",
    video=None,
    convention=None,
    read_out="gmm5",
    reason=None,
    low=None,
    high=None,
):
    told = {
        "metric": name,
        "convention": convention,
        "smoothing": smoothing,
        "read_out": read_out,
        "video": video,
    }
    return {
        **told,
        "value": value,
        "n": 100,
        "reason": reason,
        "low": low,
        "high": high,
        "videos": 12,
        "interval_reason": None,
    }


ROWS = (
    metric("micro_auc", 1 / 3, low=0.1, high=0.9),
    metric("micro_auc", 0.1 + 0.2, "gaussian-3", low=0.2, high=0.4),
    metric("micro_auc", 0.7, "gaussian-3", read_out="max"),
    metric("macro_auc", 0.8, "gaussian-3", convention="skip"),
    metric("rbdc", None, convention="average", reason="no boxes"),
    metric("micro_auc", 0.5, video="Test001"),
)


def add_run(results, stream, seed=0):
    job = {
        "method": "mulde",
        "dataset": "ped2",
        "stream": stream,
        "seed": seed,
        "scope": "pooled",
        "config": {"beta": 0.1, "units": [64, 64]},
    }
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
        environment={
            "python": "3.11",
            "platform": "secret",
            "packages": {"numpy": "2"},
            "git": {"commit": "c" * 40, "dirty": False},
        },
    )
    return results.write_run(run, {"test_scores": np.zeros(1)})


def add_recipe(results, recipe, runs, rows=ROWS, **protocol):
    record = ResultRecord(
        identity=canonical_hash([recipe, [run.identity for run in runs], protocol]),
        dataset="ped2",
        recipe=recipe,
        seed=0,
        parts=tuple(
            {"method": "mulde", "stream": run.job["stream"], "config": run.job["config"]}
            for run in runs
        ),
        runs=tuple(run.identity for run in runs),
        protocol={"smoothing": 3.0, **protocol},
        labels={"name": "official", "sha256": "a" * 64},
        read_outs=("gmm5", "max"),
        rows=rows,
    )
    results.write_recipe(
        record,
        {
            "scores": np.random.default_rng(0).normal(size=(9, 1)),
            "lengths": np.array([4, 5]),
            "videos": np.array(["a", "b"]),
        },
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


def publish_all(results, **changes):
    return publish(Target("offline", results.root, **changes), list(results.all_records()), "all")


def folders(results):
    return sorted((results.root / "wandb").glob("offline-run-*"))


def folder_of(results, identity):
    return next(
        folder
        for folder in reversed(folders(results))
        if folder.name.endswith(identity[:ID_LENGTH])
    )


def files(folder):
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def transactions(folder):
    """What is written in a run's .wandb file, as W&B's own inspector reads it."""
    command = [
        str(Path(sys.executable).with_name("wandb")),
        "leet",
        "inspect",
        "--json",
        str(folder),
    ]
    return [
        json.loads(line)
        for line in subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]


def summary_in(written):
    return {
        name: value
        for entry in written
        if entry["type"] == "summary"
        for name, value in entry["summary"]["update"].items()
    }


def table_in(folder, name):
    (path,) = folder.glob(f"files/media/table/{name}_*.table.json")
    document = json.loads(path.read_text())
    return pd.DataFrame(document["data"], columns=document["columns"], dtype=object)
