"""Thousands of records: seconds, CPU-seconds and peak memory of the commands that read them all.

Run: python benchmarks/speed/many_records.py [--records 5000] [--only export-csv,table] Goals for
5,000, in CPU-seconds: a table under 30 s and 1 GiB, the leaderboard under 3 min and 1.5 GiB, an
export under 2 min and 300 MiB, an evaluation that takes as long a record as that of a tenth. The
records are the committed ones under other seeds, written as a run writes them; evaluated are those
of the synthetic data set alone, whose labels every machine has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vadbench.files.canonical import canonical_hash
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord

COMMITTED = Path(__file__).resolve().parents[2] / "results"
TABLE = "ped2"  # the suite whose table is made
EVALUATED = "synthetic"


def fill(root: Path, records: int, dataset: str | None = None) -> None:
    """Write so many records, of one data set or all, with runs, frame maxima and jackknives.

    Round after round, the committed records come under seeds that they have not had.
    """
    source, target = Results(COMMITTED), Results(root)
    committed = [one for one in source.all_records() if dataset in (None, one.dataset)]
    runs = {run.identity: run for run in source.all_runs()}
    stride = 1 + max(one.seed for one in committed)
    rounds = ((round_, one) for round_ in count() for one in committed)
    for (round_, record), _ in zip(rounds, range(records), strict=False):
        write_under(record, round_ * stride, runs, source, target)


def write_under(
    record: ResultRecord, seeds: int, runs: dict[str, RunRecord], source: Results, target: Results
) -> None:
    """Write a record and its runs under a seed that is so many higher."""
    identities = []
    for run in (runs[identity] for identity in record.runs if identity in runs):
        job = {**run.job, "seed": run.job["seed"] + seeds}
        identity = canonical_hash(job) if seeds else run.identity
        moved = run.model_copy(update={"job": job, "identity": identity, "rows_sha256": None})
        if not (target.run_folder(job, identity) / "run.json").is_file():
            target.write_run(moved, None)
            frames = source.frames(run)
            if frames is not None:
                target.write_frames(moved, frames)
        identities.append(identity)
    if len(identities) < len(record.runs):  # scores that were computed elsewhere have no runs
        identities = [canonical_hash([run, seeds]) if seeds else run for run in record.runs]
    seed = record.seed + seeds
    training = record.result.training.model_copy(update={"seed": seed})
    result = record.result.model_copy(update={"training": training})
    update = {
        "result": result,
        "runs": tuple(identities),
        "identity": identity_of(result, identities) if seeds else record.identity,
    }
    target.write_record(record.model_copy(update=update), source.jackknife(record))


@dataclass(frozen=True)
class Spent:
    """What a child process took."""

    seconds: float
    cpu: float
    mebibytes: float


def run(*words: str | Path) -> Spent:
    """Run a command of vadbench; its output is thrown away, its error ends all."""
    began = time.monotonic()
    command = [sys.executable, "-m", "vadbench.cli", *map(str, words)]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read().decode()[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Spent(time.monotonic() - began, cpu, usage.ru_maxrss / 2**10)


def main() -> None:
    """Write the records, run each command, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--only", default="", help="comma-separated names of commands")
    parser.add_argument("--folder", type=Path, help="keeps the records, for another time")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="vadbench-many-"))
    results = folder / f"all-{options.records}"
    commands: dict[str, tuple[str | Path, ...]] = {
        "table": ("table", TABLE, "--format", "csv", "--results", results),
        "table-cost": ("table", TABLE, "--cost", "--format", "csv", "--results", results),
        "leaderboard": ("leaderboard", "--results", results, "--out", folder / "site"),
        "export-csv": ("export", "--results", results, "--out", folder / "all.csv"),
        "export-parquet": ("export", "--results", results, "--out", folder / "all.parquet"),
    }
    wanted = options.only.split(",") if options.only else [*commands, "evaluate"]
    try:
        if set(wanted) & commands.keys() and not results.is_dir():
            fill(results, options.records)
        for name in wanted:
            if name in commands:
                say(name, options.records, run(*commands[name]))
        if "evaluate" in wanted:
            for records in (options.records // 10, options.records):
                own = folder / f"{EVALUATED}-{records}"
                if not own.is_dir():
                    fill(own, records, EVALUATED)
                say("evaluate", records, run("evaluate", "--results", own))
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


def say(name: str, records: int, spent: Spent) -> None:
    """Print a line."""
    print(
        f"{name}, {records:,} records: {spent.seconds:.1f} s ({spent.cpu:.1f} CPU-s), peak"
        f" {spent.mebibytes:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
