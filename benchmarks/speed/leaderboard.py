"""The leaderboard of 10,000 records: CPU-seconds of the build, and how long its page takes to
filter and sort in Chromium.

Run: python benchmarks/speed/leaderboard.py [--records 10000] [--seeds 1] Goals: a build under 30
CPU-seconds, a filter under 200 ms. The page is measured by tests/e2e/leaderboard.mjs, where node
and playwright-core are.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from vadbench import registry
from vadbench.evaluation.evaluate import make_protocol
from vadbench.files.canonical import canonical_hash
from vadbench.plans.config import resolve_config
from vadbench.results.records import ResultRecord, Results, RunRecord
from vadbench.spec import BOARD

VIDEOS = {"ped1": 36, "ped2": 12, "avenue": 21, "shanghaitech": 107}
LENGTH = 200  # frames a video
METHODS = 25
DRIVER = Path(__file__).resolve().parents[2] / "tests" / "e2e" / "leaderboard.mjs"
VADBENCH = Path(sys.executable).with_name("vadbench")


def jobs(records: int, seeds: int) -> Iterator[tuple[str, str, str, int]]:
    """(data set, method, stream, seed) of `records` records: registered methods first, then made-up
    ones, on as many streams as that takes.
    """
    methods = [*registry.names("detectors"), *(f"method-{number}" for number in range(METHODS))][
        :METHODS
    ]
    streams = -(-records // (len(VIDEOS) * len(methods) * seeds))
    every = product(
        VIDEOS, methods, (f"velocity.v{number}" for number in range(streams)), range(seeds)
    )
    yield from (job for job, _ in zip(every, range(records), strict=False))


def rows(dataset: str, level: float, random: np.random.Generator) -> list[dict[str, Any]]:
    """Metrics as evaluation writes them: unsmoothed and smoothed, of the whole set and of every
    video, a quarter of which has one class.
    """
    made = []
    for smoothing, shift in (("none", 0.0), ("gaussian-3", 0.02)):
        for metric, convention in dict.fromkeys(key[:2] for key, _ in BOARD.values()):
            region = metric in ("rbdc", "tbdc")
            if region and smoothing != "none":
                continue
            value = float(np.clip(level + shift + random.normal(0, 0.01), 0, 1))
            whole = {
                "metric": metric,
                "convention": convention,
                "video": None,
                "value": value,
                "n": 100,
                "reason": None,
            }
            made.append(
                {
                    **whole,
                    "low": max(value - 0.05, 0),
                    "high": min(value + 0.04, 1),
                    "smoothing": smoothing,
                    "read_out": "score",
                }
            )
        for number, value in enumerate(random.uniform(0.5, 1, VIDEOS[dataset])):
            single = number % 4 == 3
            row = {
                "metric": "micro_auc",
                "convention": None,
                "video": f"{number:03d}",
                "value": None if single else float(value),
                "n": LENGTH,
            }
            made.append(
                {
                    **row,
                    "reason": "one class only" if single else None,
                    "low": None,
                    "high": None,
                    "smoothing": smoothing,
                    "read_out": "score",
                }
            )
    return made


def frames(dataset: str) -> bytes:
    """A frames.npz with one random score a frame."""
    count, file = VIDEOS[dataset], io.BytesIO()
    scores = np.random.default_rng(0).normal(size=(count * LENGTH, 1))
    np.savez(
        file,
        scores=scores,
        lengths=np.full(count, LENGTH),
        videos=np.array([f"{number:03d}" for number in range(count)]),
    )
    return file.getvalue()


def write_records(root: Path, records: int, seeds: int) -> None:
    """Records that vadbench.results.records takes, with a run each, written without its fsyncs."""
    results, random = Results(root), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for dataset in VIDEOS:
        (root / f"{dataset}.npz").write_bytes(frames(dataset))
    smoothing = {dataset: registry.load("datasets", dataset).smoothing for dataset in VIDEOS}
    for dataset, method, stream, seed in jobs(records, seeds):
        config = settings(method, dataset, stream)
        job = {
            "dataset": dataset,
            "method": method,
            "stream": stream,
            "seed": seed,
            "config": config,
            "fingerprint": "0" * 12,
            "scope": "pooled",
        }
        job |= {"setting": "one-class", "train_dataset": f"{dataset}@1", "schema_version": 1}
        seconds = {"fit": float(random.lognormal(2)), "score": float(random.lognormal(0))}
        run = RunRecord(
            status="done",
            identity=canonical_hash(job),
            fit_identity=canonical_hash(job),
            job=job,
            runtime={"threads": 1},
            read_outs=("score",),
            train_rows=10000,
            test_rows=10000,
            seconds=seconds,
            peak_memory_mib=800.0,
            parameters=int(random.integers(1e6)),
            environment={
                "git": {"commit": "0" * 40, "dirty": False},
                "packages": {"numpy": np.__version__},
            },
        )
        part = {
            "method": method,
            "stream": stream,
            "config": config,
            "calibration": "none",
            "empty": "train-min",
            "fingerprint": "0" * 12,
        }
        count, protocol = (
            VIDEOS[dataset],
            make_protocol({"smoothing": smoothing[dataset]}).model_dump(mode="json"),
        )
        labels = {
            "name": "official",
            "source": "made up",
            "videos": count,
            "frames": count * LENGTH,
            "anomalous": 50 * count,
            "sha256": "0" * 64,
        }
        record = ResultRecord(
            identity=canonical_hash([run.identity]),
            dataset=dataset,
            recipe=f"{method}@{stream}",
            seed=seed,
            parts=(part,),
            runs=(run.identity,),
            protocol=protocol,
            labels={**labels, "tracks": None},
            read_outs=("score",),
            rows=tuple(rows(dataset, 0.6 + 0.3 * random.random(), random)),
        )
        _write(results.run_folder(job, run.identity) / "run.json", run.model_dump_json())
        folder = results.record_folder(dataset, record.recipe, record.identity)
        _write(folder / "metrics.json", record.model_dump_json())
        (folder / "frames.npz").hardlink_to(root / f"{dataset}.npz")


def settings(method: str, dataset: str, stream: str) -> dict[str, Any]:
    """What a record holds of a method's preset; of a made-up method, something."""
    if method not in registry.names("detectors"):
        return {"width": 256, "rate": 0.1}
    return resolve_config(registry.load("detectors", method), "fast", dataset, stream, {}).settings(
        "fit", "scoring"
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def measure_page(site: Path) -> str:
    """How long the page takes in Chromium, or why that was not measured."""
    chromium, node = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("node")
    if chromium is None or node is None:
        return "page not measured: chromium or node is not installed"
    done = subprocess.run(
        [node, DRIVER, site, chromium, "only-speed"], capture_output=True, text=True
    )
    if done.returncode:
        return (
            f"page not measured: {done.stderr.strip().splitlines()[-1]} (NODE_PATH names the folder"
            " with playwright-core and axe-core)"
        )
    speed = json.loads(done.stdout)["speed"]
    times = ", ".join(
        f"{act} {speed[act]['thread']:.0f} ms ({speed[act]['clock']:.0f} on the clock)"
        for act in ("filter", "find", "sort")
    )
    return f"page of {speed['rows']}: {times}; goal: under 200 ms"


def main() -> None:
    """Write records, build the site in a fresh process, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument(
        "--seeds", type=int, default=1, help="of every entry; 1 gives the longest table"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vadbench-leaderboard-") as folder:
        results, site = Path(folder) / "results", Path(folder) / "site"
        write_records(results, options.records, options.seeds)
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [VADBENCH, "leaderboard", "--results", results, "--out", site],
            check=True,
            capture_output=True,
        )
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 2**20
        print(
            f"{options.records:,} records: built in {seconds:.1f} CPU-s (goal: 30), peak"
            f" {ended.ru_maxrss / 2**10:.0f} MiB, {size:.1f} MiB of pages"
        )
        print(measure_page(site))


if __name__ == "__main__":
    main()
