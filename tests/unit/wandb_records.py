"""Records of two jobs and their fusion, what publishing them leaves on disk, and where W&B's own
files of a test go.
"""

import hashlib
import json

import numpy as np
import pandas as pd
from record_builder import ENVIRONMENT, make_result, make_run, write_record

from vadbench.evaluation.calibration import calibration_statistics
from vadbench.evaluation.frames import PartFrames
from vadbench.files.canonical import canonical_hash
from vadbench.report.wandb.publish import publish
from vadbench.report.wandb.session import ID_LENGTH, Target
from vadbench.results.records import Results
from vadbench.spec import Value


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


class Trained:
    """What `Sink.curves` wants of a job."""

    document = {
        "method": "distance",
        "dataset": "ped2",
        "stream": "velocity",
        "seed": 1,
        "config": {"lr": 0.001},
    }
    identity = canonical_hash(document)


def metric(name, value, smoothing="none", **changes):
    return Value(
        name, value=value, smoothing=smoothing, **{"read_out": "gmm5", "n": 100, **changes}
    )


VALUES = (
    metric("micro_auc", 1 / 3, low=0.1, high=0.9, videos=12),
    metric("micro_auc", 0.1 + 0.2, "gaussian-3", low=0.2, high=0.4, videos=12),
    metric("micro_auc", 0.7, "gaussian-3", read_out="max"),
    metric("macro_auc", 0.8, "gaussian-3", convention="skip"),
    metric("rbdc", None, convention="average", reason="no boxes"),
    metric("micro_auc", 0.5, video="Test001"),
)
READ_OUTS = ("gmm5", "max")
CONFIG = {"beta": 0.1, "units": [64, 64]}
RUN = {
    "read_outs": READ_OUTS,
    "seconds": {"fit": 2.0, "score": 0.5},
    "train_rows": 40,
    "test_videos": (("a", 4), ("b", 5)),
    "environment": {**ENVIRONMENT, "platform": "secret"},
}


def make_frames():
    """Frame maxima of two read-outs over the two test videos."""
    scores = np.random.default_rng(0).normal(size=(9, 2))
    statistics = calibration_statistics(scores)
    return PartFrames(scores, statistics, statistics).arrays(np.array([4, 5]))


def store(results, recipe, values=VALUES, **protocol):
    """A record of a recipe of MULDE, its runs and their frame maxima."""
    result = make_result(recipe, config=CONFIG, protocol=protocol)
    runs = [make_run(result, place, **RUN) for place in range(len(result.parts))]
    for run in runs:
        results.write_frames(run, make_frames())
    return write_record(results, result=result, values=values, runs=runs, read_outs=READ_OUTS)


def store_all(folder):
    """Two jobs, their streams alone and their fusion."""
    results = Results(folder)
    for streams in ("velocity", "deep", "velocity+deep"):
        store(results, f"mulde@{streams}")
    return results


def records_of(results, recipe):
    return [record for record in results.all_records() if record.recipe == recipe]


def run_of(results, stream):
    return next(run for run in results.all_runs() if run.job["stream"] == stream)


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
