"""All records as one tidy table, a row a metric: `load_results` gives it as a data frame,
`export_results` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput
from vadbench.evaluation.intervals import FIELDS, row_interval
from vadbench.evaluation.protocol import current_fields
from vadbench.files.atomic import replace_file
from vadbench.results.records import RecipeRecord, Results, RunRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "dataset": "the tested data set",
    "method": "detector or recipe",
    "features": "its streams, joined by `+`",
    "seed": "seed of the run; 0 for deterministic methods",
    "setting": "`one-class`, or `unsupervised`",
    "split": "the re-split of an unsupervised setting; missing: the data set's own",
    "scope": "`pooled`, or `scene`: one training a camera",
    "train_dataset": "what was trained on",
    "metric": (
        "`micro_auc`, `macro_auc`, `eer`, `average_precision`, `fpr_at_95_tpr`, `prevalence`,"
        " `rbdc` or `tbdc`"
    ),
    "convention": (
        "of macro AUC, or how ties are counted (RBDC, TBDC); missing: there is one way only"
    ),
    "smoothing": "`none`, or the Gaussian's sigma in frames: `gaussian-3`",
    "read_out": "which score column of the method",
    "ranked": (
        "whether it is the read-out that a table shows: the method's default, or the one that the"
        " table's row names"
    ),
    "video": "video, or `scene:<id>`; missing: the whole test set",
    "value": "a fraction between 0 and 1; missing: undefined, see `reason`",
    "low": (
        "lower end of the 95 % interval over the test videos; missing: see `interval_reason`"
        " (single videos and other read-outs have none)"
    ),
    "high": "its upper end",
    "videos": "how many test videos the interval rests on",
    "interval_reason": "why a value has no interval",
    "n": "what the metric counts: frames, videos, regions or tracks",
    "reason": "why the value is undefined",
    "left_out": "streams of a fusion without boxes, which RBDC and TBDC leave out, joined by `+`",
    "labels": "name of the frame labels",
    "labels_sha256": "their hash: figures under other labels are not comparable",
    "regions": "what the region tracks are: derived, exact or published; missing: there are none",
    "regions_sha256": "their hash, likewise",
    "fit_seconds": "training time, wall clock, summed over the recipe's jobs",
    "score_seconds": "time to score the test set, summed likewise",
    "train_rows": "training rows, summed likewise",
    "test_rows": "test rows, summed likewise",
    "parameters": (
        "numbers learnt or kept, summed likewise; missing where a method does not count them"
    ),
    "peak_memory_mib": (
        "largest resident size of a job's process, MiB, at its end; earlier jobs of the same"
        " process count"
    ),
    "config": "JSON list: method, stream and settings of each part",
    "code": (
        "JSON: versions of the code of each part, and of plug-ins their package and source;"
        " missing: version 1 of all"
    ),
    "extraction": (
        "JSON: the extractors' settings that are not their defaults, of each part; missing: none"
    ),
    "fingerprints": (
        "of the streams' features, joined by `+`: which files and options they were extracted with"
    ),
    "protocol": "JSON: the protocol",
    "commit": "git commit of the code that ran, `+` where it was changed; of the last job",
    "identity": "hash of the recipe's record",
    "runs": "identities of its jobs, joined by `,`",
}
TYPES: dict[str, str] = {  # of the columns that are no text; Int64 may be missing
    **dict.fromkeys(
        ("value", "low", "high", "fit_seconds", "score_seconds", "peak_memory_mib"), "float64"
    ),
    **dict.fromkeys(("seed", "n", "videos", "train_rows", "test_rows", "parameters"), "Int64"),
    "ranked": "bool",
}


def load_results(results: str | Path = "results", *, videos: bool = False) -> pd.DataFrame:
    """The records under a results folder as a data frame, one row a metric; `COLUMNS` says what
    each column holds.

    What has not run, or failed, has no row. A missing text is None, a missing number NaN or NA.

    Args:
        results: folder of the records, as `vadbench run --results` wrote it.
        videos: also the rows of single videos and scenes.

    Raises:
        BadInput: if there is no such folder, or a record is damaged.
    """
    import pandas as pd

    root = Path(results)
    store = Results(root)
    store.require_records()
    runs = {run.identity: run for run in store.all_runs()}
    return pd.DataFrame(
        _rows(store.all_recipes(), runs, videos), columns=list(COLUMNS), dtype=object
    ).astype(TYPES)


def export_results(results: str | Path, path: Path) -> int:
    """Write `load_results(results, videos=True)` as .parquet or .csv; returns the number of rows.

    Raises:
        BadInput: on another suffix, or as `load_results`.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise BadInput(f"{path}: suffix {path.suffix or 'missing'}; expected .parquet or .csv")
    table = load_results(results, videos=True)
    with replace_file(path) as aside:
        if path.suffix == ".csv":
            table.to_csv(aside, index=False)
        else:
            # a text column without any text would be stored without a type
            table.astype({name: "string" for name in COLUMNS if name not in TYPES}).to_parquet(
                aside, index=False
            )
    return len(table)


def _rows(
    records: Iterable[RecipeRecord], runs: dict[str, RunRecord], videos: bool
) -> Iterator[dict[str, Any]]:
    for record in records:
        common = {**_described(record), **_cost([runs.get(identity) for identity in record.runs])}
        shown = record.parts[0].get("read_out") or record.read_outs[0]
        for row in record.rows:
            if videos or row["video"] is None:
                left_out = "+".join(row.get("left_out", ())) or None
                yield {
                    **common,
                    **row,
                    **_interval(row),
                    "left_out": left_out,
                    "ranked": row["read_out"] == shown,
                }


def _interval(row: dict[str, Any]) -> dict[str, Any]:
    """The interval of a row as this version makes it; an earlier one's is left out."""
    if "low" not in row:  # a single video, another read-out
        return {}
    found = row_interval(row)
    return dict(zip(FIELDS, (found.low, found.high, found.videos, found.reason), strict=True))


def _described(record: RecipeRecord) -> dict[str, Any]:
    """What all rows of a record share, cost apart."""
    method, _, features = record.recipe.partition("@")
    part = record.parts[0]
    return {
        "dataset": record.dataset,
        "method": method,
        "features": features,
        "seed": record.seed,
        "setting": "unsupervised" if "resplit" in part else "one-class",
        "split": part["resplit"]["name"] if "resplit" in part else None,
        "scope": part.get("scope", "pooled"),
        "train_dataset": part.get("train_dataset", record.dataset),
        "labels": record.labels["name"],
        "labels_sha256": record.labels.get("sha256"),
        "regions": record.labels.get("tracks"),
        "regions_sha256": record.labels.get("regions_sha256"),
        "config": json.dumps(
            [
                {"method": one["method"], "stream": one["stream"], **one["config"]}
                for one in record.parts
            ]
        ),
        "code": (
            json.dumps([one.get("code") for one in record.parts])
            if any(one.get("code") for one in record.parts)
            else None
        ),
        "extraction": (
            json.dumps([one.get("extraction") for one in record.parts])
            if any(one.get("extraction") for one in record.parts)
            else None
        ),
        "fingerprints": "+".join(one.get("fingerprint", "") for one in record.parts),
        "protocol": json.dumps(current_fields(record.protocol), sort_keys=True),
        "identity": record.identity,
        "runs": ",".join(record.runs),
    }


def _cost(jobs: list[RunRecord | None]) -> dict[str, Any]:
    """What a recipe's jobs cost together; nothing where the record of a job is not there."""
    runs = [run for run in jobs if run is not None]
    if len(runs) < len(jobs):
        return {}
    peaks = [run.peak_memory_mib for run in runs]
    git = runs[-1].environment.get("git")
    return {
        "fit_seconds": _sum(run.seconds.get("fit") for run in runs),
        "score_seconds": _sum(run.seconds.get("score") for run in runs),
        "train_rows": sum(run.train_rows for run in runs),
        "test_rows": sum(run.test_rows for run in runs),
        "parameters": _sum(run.parameters for run in runs),
        "peak_memory_mib": (
            None if None in peaks else max(peak for peak in peaks if peak is not None)
        ),
        "commit": None if git is None else git["commit"] + ("+" if git["dirty"] else ""),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum, None where a summand is not known."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
