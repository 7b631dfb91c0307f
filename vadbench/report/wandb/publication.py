"""Records -> what W&B is told of them, as plain data: pure, so that the same records give the same
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vadbench.evaluation.intervals import row_interval
from vadbench.files.canonical import canonical_hash
from vadbench.results.records import RecipeRecord, Results, RunRecord

LAYOUT = 1  # another number publishes everything again
COLUMNS = (
    "recipe",
    "metric",
    "convention",
    "smoothing",
    "read_out",
    "video",
    "value",
    "low",
    "high",
    "n",
    "reason",
    "record",
)


@dataclass(frozen=True)
class Publication:
    """One W&B run: a job with the metrics of its stream alone, or a fusion.

    Attributes:
        identity: the job's, or the fusion's record's; the run's id is its beginning.
        described: `name`, `group`, `job_type` and `config` of the run.
        summary: numbers by name: `<dataset>/<metric>[/<convention>]/<smoothing>[/<read-out>]`, its
            `/low` and `/high`, and `cost/...`.
        rows: every metric of the records, single videos too, in the order of `COLUMNS`; an
            undefined one is None, with its reason.
        files: the frame scores and the records themselves, by their names in the artifact.
    """

    identity: str
    described: dict[str, Any]
    summary: dict[str, float]
    rows: list[list[Any]]
    files: dict[str, Path]

    @property
    def content(self) -> str:
        """A hash of all of it, the files' bytes among it."""
        digests = {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()
        }
        return canonical_hash(
            [LAYOUT, self.identity, self.described, self.summary, self.rows, digests]
        )


def described_job(job: dict[str, Any], identity: str) -> dict[str, Any]:
    """Name, group, job type and config of a job's run, from the document that its identity
    hashes.
    """
    name = f"{job['method']}@{job['stream']} seed {job['seed']}"
    return {
        "name": name,
        "group": job["dataset"],
        "job_type": job["method"],
        "config": {**job, "identity": identity},
    }


def publications(results: Results, records: Sequence[RecipeRecord]) -> Iterator[Publication]:
    """What to publish of records: those of one job together, each fusion for itself."""
    runs = {run.identity: run for run in results.all_runs() if run.status == "done"}
    of_run: dict[str, list[RecipeRecord]] = {}
    for record in records:
        of_run.setdefault(record.runs[0] if len(record.runs) == 1 else record.identity, []).append(
            record
        )
    for identity, together in of_run.items():
        yield _publication(
            identity, together, [runs[run] for run in together[0].runs if run in runs], results
        )


def _publication(
    identity: str, records: list[RecipeRecord], runs: list[RunRecord], results: Results
) -> Publication:
    first = records[0]
    described = (
        described_job(runs[0].job, identity)
        if len(first.runs) == len(runs) == 1
        else _described_recipe(first, identity)
    )
    protocols = {
        record.identity: {"protocol": record.protocol, "labels": record.labels}
        for record in records
    }
    made_with = {run.identity: _made_with(run) for run in runs}
    described["config"] |= {
        "recipes": sorted({record.recipe for record in records}),
        "records": protocols,
        "jobs": made_with,
    }
    summary = {**_metrics(records), **(_cost(runs) if len(runs) == len(first.runs) else {})}
    rows = [
        [{"recipe": record.recipe, "record": record.identity, **row}.get(name) for name in COLUMNS]
        for record in records
        for row in record.rows
    ]
    return Publication(identity, described, summary, rows, dict(_files(records, runs, results)))


def _described_recipe(record: RecipeRecord, identity: str) -> dict[str, Any]:
    """As `described_job`, of a fusion, or of a stream alone whose run is not here."""
    method = record.recipe.partition("@")[0]
    config = {
        "method": method,
        "dataset": record.dataset,
        "seed": record.seed,
        "parts": list(record.parts),
        "identity": identity,
    }
    return {
        "name": f"{record.recipe} seed {record.seed}",
        "group": record.dataset,
        "job_type": method,
        "config": config,
    }


def _made_with(run: RunRecord) -> dict[str, Any]:
    """What a job ran with that changes no identity; not the machine's name or system."""
    return {
        "runtime": run.runtime,
        **{name: run.environment.get(name) for name in ("python", "packages", "git")},
    }


def _metrics(records: list[RecipeRecord]) -> dict[str, float]:
    """The defined metrics of the whole test set.

    Where records of one job disagree (other protocols), each one's name ends with its record.
    """
    found: dict[str, dict[str, float]] = {}
    for record in records:
        shown = record.parts[0].get("read_out") or record.read_outs[0]
        for row in record.rows:
            if row["video"] is None:
                read_out = None if row["read_out"] == shown else row["read_out"]
                name = "/".join(
                    filter(
                        None,
                        (
                            record.dataset,
                            row["metric"],
                            row["convention"],
                            row["smoothing"],
                            read_out,
                        ),
                    )
                )
                ends = row_interval(row)
                for end, value in (("", row["value"]), ("/low", ends.low), ("/high", ends.high)):
                    if value is not None:
                        found.setdefault(name + end, {})[record.identity] = value
    named: dict[str, float] = {}
    for name, values in found.items():
        agree = len(set(values.values())) == 1
        named |= {
            name if agree else f"{name}/{identity[:12]}": value
            for identity, value in values.items()
        }
    return named


def _cost(runs: list[RunRecord]) -> dict[str, float]:
    """What the jobs cost, summed (memory: the largest); what one of them does not know is left
    out.
    """
    told: dict[str, list[float | None]] = {
        "fit_seconds": [run.seconds.get("fit") for run in runs],
        "score_seconds": [run.seconds.get("score") for run in runs],
        "train_rows": [run.train_rows for run in runs],
        "test_rows": [run.test_rows for run in runs],
        "parameters": [run.parameters for run in runs],
        "peak_memory_mib": [run.peak_memory_mib for run in runs],
    }
    known = {
        name: [value for value in values if value is not None]
        for name, values in told.items()
        if None not in values
    }
    return {
        f"cost/{name}": max(values) if name == "peak_memory_mib" else sum(values)
        for name, values in known.items()
    }


def _files(
    records: list[RecipeRecord], runs: list[RunRecord], results: Results
) -> Iterator[tuple[str, Path]]:
    """Frame scores and records; the row scores, a hundred times as large, stay where they are."""
    for run in runs:
        yield (
            f"{run.identity[:12]}/run.json",
            results.run_folder(run.job, run.identity) / "run.json",
        )
    for record in records:
        folder = results.recipe_folder(record.dataset, record.recipe, record.identity)
        yield from (
            (f"{record.identity[:12]}/{name}", folder / name)
            for name in ("metrics.json", "frames.npz")
            if (folder / name).is_file()
        )
