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
from unittest.mock import patch

import numpy as np

from vadbench import registry
from vadbench.evaluation.evaluate import EVALUATION
from vadbench.evaluation.frames import PartFrames
from vadbench.evaluation.protocol import calibration_statistics, make_protocol
from vadbench.files.canonical import canonical_hash
from vadbench.plans.config import resolve_config
from vadbench.results.records import ResultRecord, Results, RunRecord
from vadbench.spec import BOARD, REGIONS, Asked, Result, ScoredPart, Training, Value

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


def make_values(dataset: str, level: float, random: np.random.Generator) -> Iterator[Value]:
    """Values as evaluation writes them: unsmoothed and smoothed, of the whole set and of every
    video, a quarter of which has one class.
    """
    for smoothing, shift in (("none", 0.0), ("gaussian-3", 0.02)):
        for metric, convention in dict.fromkeys(one[:2] for one in BOARD.values()):
            if metric in REGIONS and smoothing != "none":
                continue
            value = float(np.clip(level + shift + random.normal(0, 0.01), 0, 1))
            ends = {"low": max(value - 0.05, 0), "high": min(value + 0.04, 1)}
            yield Value(
                metric, convention, smoothing, value=value, n=100, videos=VIDEOS[dataset], **ends
            )
        for number, value in enumerate(random.uniform(0.5, 1, VIDEOS[dataset])):
            single = number % 4 == 3
            yield Value(
                "micro_auc",
                smoothing=smoothing,
                video=name_video(number),
                value=None if single else float(value),
                n=LENGTH,
                reason="one class only" if single else None,
            )


def name_video(number: int) -> str:
    """Of a test video."""
    return f"{number:03d}"


def make_frames(dataset: str) -> dict[str, Any]:
    """Frame maxima, one random score a frame."""
    scores = np.random.default_rng(0).normal(size=(VIDEOS[dataset] * LENGTH, 1))
    statistics = calibration_statistics(scores)
    return PartFrames(scores, statistics, statistics).arrays()


def make_run(part: ScoredPart, dataset: str, seed: int, random: np.random.Generator) -> RunRecord:
    """The run of a made-up training."""
    job = {
        "dataset": dataset,
        "method": part.method,
        "stream": part.stream,
        "seed": seed,
        "config": part.config,
        "fingerprint": part.fingerprint,
        "scope": "pooled",
        "setting": "one-class",
        "train_dataset": f"{dataset}@1",
    }
    return RunRecord(
        status="done",
        identity=canonical_hash(job),
        fit_identity=canonical_hash(job),
        job=job,
        asked=part.asked,
        runtime={"threads": 1},
        read_outs=("score",),
        test_videos=tuple((name_video(number), LENGTH) for number in range(VIDEOS[dataset])),
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
    """Records with a run each, written without fsync; the frame maxima of a data set are one
    file.
    """
    results, random = Results(root), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for dataset in VIDEOS:
        np.savez(root / f"{dataset}.npz", **make_frames(dataset))
    smoothing = {dataset: registry.load("datasets", dataset).smoothing for dataset in VIDEOS}
    for dataset, method, stream, seed in jobs(records, seeds):
        part = ScoredPart(
            method=method,
            stream=stream,
            calibration="none",
            config=settings(method, dataset, stream),
            asked=Asked(presets=("fast",)),
            fingerprint="0" * 12,
        )
        run = make_run(part, dataset, seed, random)
        record = ResultRecord(
            identity=canonical_hash([run.identity]),
            result=Result(
                dataset=dataset,
                method=method,
                parts=(part,),
                training=Training(seed=seed),
                protocol=make_protocol({"smoothing": smoothing[dataset]}),
            ),
            runs=(run.identity,),
            labels={
                "name": "official",
                "source": "made up",
                "videos": VIDEOS[dataset],
                "frames": VIDEOS[dataset] * LENGTH,
                "anomalous": 50 * VIDEOS[dataset],
                "sha256": "0" * 64,
                "tracks": None,
            },
            evaluation=EVALUATION,
            read_outs=("score",),
            values=tuple(make_values(dataset, 0.6 + 0.3 * random.random(), random)),
        )
        with patch("os.fsync"):
            results.write_run(run, None)
            results.write_record(record, {})
        path = results.frames_path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(root / f"{dataset}.npz")


def settings(method: str, dataset: str, stream: str) -> dict[str, Any]:
    """What a record holds of a method's preset; of a made-up method, something."""
    if method not in registry.names("detectors"):
        return {"width": 256, "rate": 0.1}
    return resolve_config(registry.load("detectors", method), "fast", dataset, stream, {}).settings(
        "fit", "scoring"
    )


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
