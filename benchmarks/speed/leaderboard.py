"""The leaderboard of 10,000 records: CPU-seconds of the build, and how long its page takes to
filter and sort in Chromium.

Run: python benchmarks/speed/leaderboard.py [--records 10000] [--seeds 1] Goals: a build under 30
CPU-seconds, a filter under 200 ms. The page is measured by tests/e2e/leaderboard.mjs, where node
and playwright-core are.
"""

from __future__ import annotations

import argparse
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
from vadbench.files.canonical import canonical_hash
from vadbench.plans.presets import resolve_config
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord, write_document
from vadbench.results.seals import digest_of_file
from vadbench.results.values import tabulate
from vadbench.spec import BOARD, REGIONS, Asked, Protocol, Result, ScoredPart, Training, Value

VIDEOS = {"ped1": 36, "ped2": 12, "avenue": 21, "shanghaitech": 107}
METHODS = 25
MOVED = ("micro_auc", "average_precision")  # metrics by which rows have places
DRIVER = Path(__file__).resolve().parents[2] / "tests" / "e2e" / "leaderboard.mjs"
VADBENCH = Path(sys.executable).with_name("vadbench")


def make_results(records: int, seeds: int) -> Iterator[Result]:
    """What `records` records are of: registered methods first, then made-up ones, on the data sets'
    default streams and as many others as that takes.
    """
    invented = (f"method-{number}" for number in range(METHODS))
    methods = [*registry.names("detectors"), *invented][:METHODS]
    streams = -(-records // (len(VIDEOS) * len(methods) * seeds))
    choices = product(VIDEOS, methods, range(streams), range(seeds))
    for (dataset, method, number, seed), _ in zip(choices, range(records), strict=False):
        known = registry.load("datasets", dataset)
        part = ScoredPart(
            method=method,
            stream=f"velocity.v{number}" if number else known.streams[0],
            calibration="none",
            config=read_settings(method, dataset),
            asked=Asked(presets=("fast",)),
            fingerprint="0" * 12,
        )
        yield Result(
            dataset=dataset,
            method=method,
            parts=(part,),
            training=Training(seed=seed),
            protocol=Protocol(smoothing=known.smoothing),
        )


def read_settings(method: str, dataset: str) -> dict[str, Any]:
    """What a record holds of a method's preset; of a made-up method, something."""
    if method not in registry.names("detectors"):
        return {"width": 256, "rate": 0.1}
    detector = registry.load("detectors", method)
    return resolve_config(detector, "fast", dataset, "velocity", {}).settings("fit", "scoring")


def draw_values(result: Result, random: np.random.Generator) -> list[Value]:
    """Metrics as evaluation writes them, of the whole set and of every video, a quarter of which
    has one class.
    """
    level = 0.6 + 0.3 * random.random()
    values = []
    for metric in BOARD.values():
        value = float(np.clip(level + random.normal(0, 0.01), 0, 1))
        convention = result.protocol.ties if metric.metric in REGIONS else metric.convention
        interval = {"low": max(value - 0.05, 0.0), "high": min(value + 0.04, 1.0), "videos": 10}
        smoothing = metric.smoothing(result.protocol)
        one = Value(metric.metric, convention, smoothing, value=value, n=100, **interval)
        values.append(one)
    for smoothing in dict.fromkeys(("none", result.protocol.filter)):
        for number, auc in enumerate(random.uniform(0.5, 1, VIDEOS[result.dataset])):
            one = Value("micro_auc", None, smoothing, video=f"{number:03d}", value=float(auc))
            values.append(one if number % 4 < 3 else one_class(one))
    return values


def one_class(value: Value) -> Value:
    """The same video, undefined."""
    return Value(value.metric, None, value.smoothing, video=value.video, reason="one class only")


def make_run(result: Result, random: np.random.Generator) -> RunRecord:
    """The run of a result."""
    (part,) = result.parts
    job = {
        "dataset": result.dataset,
        "method": result.method,
        "stream": part.stream,
        "seed": result.training.seed,
        "config": part.config,
        "fingerprint": part.fingerprint,
        "scope": "pooled",
        "setting": "one-class",
        "train_dataset": f"{result.dataset}@1",
    }
    identity = canonical_hash(job)
    return RunRecord(
        status="done",
        identity=identity,
        fit_identity=identity,
        job=job,
        asked=part.asked,
        runtime={"threads": 1},
        read_outs=("score",),
        train_rows=10000,
        test_rows=10000,
        seconds={"fit": float(random.lognormal(2)), "score": float(random.lognormal(0))},
        peak_memory_mib=800.0,
        parameters=int(random.integers(1e6)),
        environment={
            "git": {"commit": "0" * 40, "dirty": False},
            "packages": {"numpy": np.__version__},
        },
    )


def write_records(root: Path, records: int, seeds: int) -> None:
    """Records that vadbench.results.records takes, with a run each, written without its fsyncs."""
    results, random = Results(root), np.random.default_rng(0)
    for result in make_results(records, seeds):
        run, videos = make_run(result, random), VIDEOS[result.dataset]
        record = ResultRecord(
            identity=identity_of(result, [run.identity]),
            result=result,
            runs=(run.identity,),
            labels={
                "name": "official",
                "source": "made up",
                "videos": videos,
                "frames": 200 * videos,
                "anomalous": 50 * videos,
                "sha256": "0" * 64,
                "tracks": None,
            },
            read_outs=("score",),
            values=tuple(draw_values(result, random)),
        )
        folder = results.record_folder(record.dataset, record.recipe, record.identity)
        folder.mkdir(parents=True)
        moves = {f"left_out.{name}.plain": random.normal(0, 0.01, videos) for name in MOVED}
        np.savez(folder / "jackknife.npz", **moves)
        record = results.with_digests(record, digest_of_file(folder / "jackknife.npz"))
        run_folder = results.run_folder(run.job, run.identity)
        _write(run_folder / "run.json", write_document(run.model_dump(mode="json"), None))
        document = record.model_dump(mode="json")
        table = tabulate(document.pop("values"))
        _write(folder / "metrics.json", write_document(document, table))


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
