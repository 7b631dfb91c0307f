"""Records -> what W&B is told of them, as plain data: pure, so that the same records give the same
content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vadbench.files.canonical import canonical_hash
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import Cost

LAYOUT = 2  # another number publishes everything again
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
        files: the frame maxima and the records themselves, by their names in the artifact.
        first: the record whose frame scores are drawn.
    """

    identity: str
    described: dict[str, Any]
    summary: dict[str, float]
    rows: list[list[Any]]
    files: dict[str, Path]
    first: ResultRecord

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


def publications(results: Results, records: Sequence[ResultRecord]) -> Iterator[Publication]:
    """What to publish of records: those of one job together, each fusion for itself."""
    runs = {run.identity: run for run in results.all_runs() if run.status == "done"}
    of_run: dict[str, list[ResultRecord]] = {}
    for record in records:
        of_run.setdefault(record.runs[0] if len(record.runs) == 1 else record.identity, []).append(
            record
        )
    for identity, together in of_run.items():
        yield _publication(
            identity, together, [runs[run] for run in together[0].runs if run in runs], results
        )


def _publication(
    identity: str, records: list[ResultRecord], runs: list[RunRecord], results: Results
) -> Publication:
    first = records[0]
    described = (
        described_job(runs[0].job, identity)
        if len(first.runs) == len(runs) == 1
        else _described_recipe(first, identity)
    )
    protocols = {
        record.identity: {
            "result": record.result.model_dump(mode="json"),
            "labels": record.labels,
        }
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
        [
            {"recipe": record.recipe, "record": record.identity, **asdict(value)}[name]
            for name in COLUMNS
        ]
        for record in records
        for value in record.values
    ]
    files = dict(_files(records, runs, results))
    return Publication(identity, described, summary, rows, files, first)


def _described_recipe(record: ResultRecord, identity: str) -> dict[str, Any]:
    """As `described_job`, of a fusion, or of a stream alone whose run is not here."""
    method = record.result.method
    config = {**record.result.model_dump(mode="json"), "seed": record.seed, "identity": identity}
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


def _metrics(records: list[ResultRecord]) -> dict[str, float]:
    """The defined metrics of the whole test set.

    Where records of one job disagree (other protocols), each one's name ends with its record.
    """
    numbers: dict[str, dict[str, float]] = {}
    for record in records:
        for value in record.values:
            if value.video is not None:
                continue
            read_out = None if value.read_out == record.shown else value.read_out
            words = record.dataset, value.metric, value.convention, value.smoothing, read_out
            name = "/".join(word for word in words if word)
            ends = {"": value.value, "/low": value.low, "/high": value.high}
            for end, number in ends.items():
                if number is not None:
                    numbers.setdefault(name + end, {})[record.identity] = number
    named: dict[str, float] = {}
    for name, by_record in numbers.items():
        agree = len(set(by_record.values())) == 1
        for identity, number in by_record.items():
            named[name if agree else f"{name}/{identity[:12]}"] = number
    return named


def _cost(runs: list[RunRecord]) -> dict[str, float]:
    """What the jobs cost; what one of them does not know is left out."""
    cost = Cost.over_jobs([run.cost for run in runs]).model_dump(exclude_none=True)
    return {f"cost/{name}": value for name, value in cost.items()}


def _files(
    records: list[ResultRecord], runs: list[RunRecord], results: Results
) -> Iterator[tuple[str, Path]]:
    """Frame scores and records; the row scores, a hundred times as large, stay where they are."""
    for run in runs:
        short = run.identity[:12]
        yield f"{short}/run.json", results.run_folder(run.job, run.identity) / "run.json"
        if results.frames_path(run).is_file():
            yield f"{short}/frames.npz", results.frames_path(run)
    for record in records:
        folder = results.record_folder(record.dataset, record.recipe, record.identity)
        for name in ("metrics.json", "jackknife.npz"):
            if (folder / name).is_file():
                yield f"{record.identity[:12]}/{name}", folder / name
