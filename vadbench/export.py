"""All records as one tidy table: one row a metric of a record, whatever made it. `load_results` gives it, `export_results` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput
from vadbench.records import RecipeRecord, Results, RunRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "dataset": "the tested data set",
    "method": "detector or recipe",
    "features": "its streams, joined by `+`",
    "seed": "seed of the run; 0 for deterministic methods",
    "setting": "`one-class`, or `unsupervised`",
    "split": "the re-split of an unsupervised setting; empty: the data set's own",
    "scope": "`pooled`, or `scene`: one training a camera",
    "train_dataset": "what was trained on",
    "metric": "`micro_auc`, `macro_auc`, `eer`, `average_precision`, `rbdc`, `tbdc`, …",
    "convention": "of macro AUC, or how ties are counted (RBDC, TBDC); empty: there is one way only",
    "smoothing": "`none`, or the Gaussian's sigma in frames: `gaussian-3`",
    "read_out": "which score column of the method",
    "ranked": "whether it is the read-out that tables rank: the method's default, or the one its row names",
    "video": "video, or `scene:<id>`; empty: the whole test set",
    "value": "a fraction between 0 and 1; missing: undefined, see `reason`",
    "low": "lower end of the 95 % interval of a bootstrap over the test videos",
    "high": "its upper end",
    "n": "what the metric counts: frames, videos, regions or tracks",
    "reason": "why the value is undefined",
    "labels": "name of the frame labels",
    "fit_seconds": "training time, wall clock, summed over the recipe's jobs",
    "score_seconds": "time to score the test set, summed likewise",
    "train_rows": "training rows, summed",
    "test_rows": "test rows, summed",
    "parameters": "numbers learnt or kept, summed; missing where a method does not count them",
    "peak_memory_mib": "largest resident size of a job's process, MiB, at its end; earlier jobs of the same process count",
    "config": "JSON list: settings of each part",
    "protocol": "JSON: the protocol",
    "commit": "git commit of the code that ran, `+` where it was changed; of the last job",
    "identity": "hash of the recipe's record",
    "runs": "identities of its jobs, joined by `,`",
}


def load_results(results: str | Path = "results", *, videos: bool = False) -> pd.DataFrame:
    """The records under a results folder as a data frame, one row a metric; `COLUMNS` says what each column holds.

    Args:
        results: folder of the records, as `vadbench run --results` wrote it.
        videos: also the rows of single videos and scenes, ten times as many.

    Raises:
        BadInput: if there is no such folder, or a record is damaged.
    """
    import pandas as pd

    root = Path(results)
    if not (root / "recipes").is_dir():
        raise BadInput(f"{root}: no records; expected a folder that vadbench run --results wrote")
    store = Results(root)
    runs = {run.identity: run for run in store.all_runs()}
    told = (_told(record, [runs[run] for run in record.runs if run in runs]) for record in store.all_recipes())
    return pd.DataFrame(_rows(told, videos), columns=list(COLUMNS))


def export_results(results: str | Path, path: Path) -> int:
    """Write `load_results(results, videos=True)` as .parquet or .csv; returns the number of rows.

    Raises:
        BadInput: on another suffix, or as `load_results`.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise BadInput(f"{path}: suffix {path.suffix or 'missing'}; expected .parquet or .csv")
    table = load_results(results, videos=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        table.to_csv(aside, index=False)
    else:
        table.to_parquet(aside, index=False)
    aside.replace(path)
    return len(table)


def _rows(told: Iterator[tuple[RecipeRecord, dict[str, Any]]], videos: bool) -> Iterator[dict[str, Any]]:
    for record, common in told:
        shown = record.parts[0].get("read_out") or record.read_outs[0]
        for row in record.rows:
            if videos or row["video"] is None:
                yield {**common, **row, "ranked": row["read_out"] == shown}


def _told(record: RecipeRecord, runs: list[RunRecord]) -> tuple[RecipeRecord, dict[str, Any]]:
    """A record with what all its rows share."""
    method, _, features = record.recipe.partition("@")
    part = record.parts[0]
    return record, {
        "dataset": record.dataset,
        "method": method,
        "features": features,
        "seed": record.seed,
        "setting": "unsupervised" if "resplit" in part else "one-class",
        "split": part["resplit"]["name"] if "resplit" in part else None,
        "scope": part.get("scope", "pooled"),
        "train_dataset": part.get("train_dataset", record.dataset),
        "labels": record.labels["name"],
        "config": json.dumps([{"method": one["method"], "stream": one["stream"], **one["config"]} for one in record.parts]),
        "protocol": json.dumps(record.protocol, sort_keys=True),
        "identity": record.identity,
        "runs": ",".join(record.runs),
        **_cost(runs if len(runs) == len(record.runs) else []),
    }


def _cost(runs: list[RunRecord]) -> dict[str, Any]:
    """What the recipe's jobs cost together; nothing if a job's record is not there."""
    if not runs:
        return {}
    parameters = [run.parameters for run in runs]
    git = runs[-1].environment.get("git")
    return {
        "fit_seconds": sum(run.seconds.get("fit", 0.0) for run in runs),
        "score_seconds": sum(run.seconds.get("score", 0.0) for run in runs),
        "train_rows": sum(run.train_rows for run in runs),
        "test_rows": sum(run.test_rows for run in runs),
        "parameters": None if None in parameters else sum(filter(None, parameters)),
        "peak_memory_mib": max((run.peak_memory_mib or 0.0 for run in runs), default=None),
        "commit": None if git is None else git["commit"] + ("+" if git["dirty"] else ""),
    }
