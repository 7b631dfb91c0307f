"""How often normal video raises alarms, against how often it was asked to, and what such thresholds
find: writes alarms.csv and alarms_found.csv, which docs/watch.md shows.

    python benchmarks/alarm_rates.py FOLDER

Asked and raised: on the synthetic street with ten times the training videos of the data set
`synthetic`, rendered in FOLDER, and as many new normal ones; and on ShanghaiTech's person tracks, a
detector and a threshold for each camera. No label is read. Found: on the tested videos of
`synthetic`, Ped2 and ShanghaiTech, whose labels say what was found and choose nothing. What
`$VADBENCH_DATA` lacks is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from vadbench.datasets.cast import Script, cast
from vadbench.datasets.scene import draw_background, render_clip
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.thresholds import count_alarms, count_hours
from vadbench.models.model import Model, load_model
from vadbench.models.tested import find_tested, measure_alarms
from vadbench.plans.plan import Plan, plan_suite
from vadbench.results.records import Results
from vadbench.runner.keep import train_models
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

METHODS = ("knn", "gaussian")
RATES = (6.0, 12.0, 30.0, 60.0, 120.0)
CLIPS = 80  # of training, and as many new ones; `synthetic` has 8 of training
FOUND_AT = (6.0, 60.0)
RAISED, FOUND = (Path(__file__).with_name(f"{name}.csv") for name in ("alarms", "alarms_found"))


def main() -> None:
    """Measure, and write the tables."""
    work = Path(sys.argv[1]).resolve()
    shanghaitech = plan(METHODS[0], "shanghaitech", scope="scene")
    plans = [plan(method, dataset) for dataset in ("synthetic", "ped2") for method in METHODS]
    found = [row for one in (*plans, shanghaitech) for row in find_events(one, work)]
    write(found, FOUND)
    rows = list(measure(shanghaitech, work, "ShanghaiTech tracks"))
    render_street(work / "data" / "folder")
    os.environ |= {"VADBENCH_DATA": str(work / "data"), "VADBENCH_CACHE": str(work / "cache")}
    for method in METHODS:
        rows += measure(plan(method, "folder"), work, "synthetic, ten times the video")
    write(rows, RAISED)


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write a table."""
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


def plan(method: str, dataset: str, **suite: Any) -> Plan:
    """The jobs of one method on the data set's own stream."""
    return plan_suite(make_suite({"methods": [method], "datasets": [dataset], **suite}))


def render_street(folder: Path) -> None:
    """Training clips as those of `synthetic`, ten times as many, and new normal ones as test."""
    if (folder / "dataset.toml").is_file():
        return
    background, lines = draw_background(Synthetic.seed), [f"fps = {Synthetic.fps}\n"]
    for split in ("train", "test"):
        for number in range(1, CLIPS + 1):
            script = Script(f"{split}{number:02d}", "train")
            (folder / script.name).mkdir(parents=True, exist_ok=True)
            actors = cast(script, Synthetic.length, Synthetic.seed)
            for frame, (image, _) in enumerate(render_clip(actors, Synthetic.length, background)):
                cv2.imwrite(str(folder / script.name / f"{frame:03d}.png"), image)
            normal = "anomalous = []\n" if split == "test" else ""
            lines.append(f'[[clip]]\npath = "{script.name}"\nsplit = "{split}"\n{normal}')
    (folder / "dataset.toml").write_text("".join(lines))


def find_events(planned: Plan, work: Path) -> Iterator[dict[str, Any]]:
    """What the thresholds of one plan find in the tested videos."""
    try:
        (kept,) = train_models(planned, work / "results", alarms=60.0, say=print)
    except BadInput as error:
        sys.stderr.write(f"left out: {error}\n")
        return
    results = Results(work / "results")
    run_suite(planned, results, say=print)
    model, result = load_model(kept.folder), kept.manifest.result
    for one in measure_alarms(model, results, FOUND_AT):
        values = one.metrics
        yield {
            "data set": result.dataset,
            "method": result.title,
            "scope": result.training.scope,
            "asked an hour": one.rate,
            "false an hour": values.false_alarms_per_hour.value,
            "events": values.found.n,
            "found": values.found.value,
            "median delay, s": values.median_delay.value,
        }


def measure(planned: Plan, work: Path, title: str) -> Iterator[dict[str, Any]]:
    """The rows of one plan: held-out videos, and new ones where all tested frames are normal."""
    try:
        (kept,) = train_models(planned, work / "results", alarms=60.0, say=print)
    except BadInput as error:
        sys.stderr.write(f"left out: {error}\n")
        return
    model = load_model(kept.folder)
    method = model.manifest.result.method
    first = {"videos": title, "method": method}
    for one in model.try_rates(RATES):
        shown = {"rate": one.rate, "minutes": one.hours * 60, "asked": one.asked}
        yield {**first, "tried on": "held out", "scene": one.scene, **shown, "raised": one.raised}
    if model.manifest.result.dataset == "folder":
        for row in try_new(model, planned, Results(work / "results")):
            yield {**first, "tried on": "new", "scene": "", **row}


def try_new(model: Model, planned: Plan, results: Results) -> Iterator[dict[str, Any]]:
    """Alarms of new normal videos at the thresholds that the model knows."""
    run_suite(planned, results, say=print)
    frames = read_frame_scores(find_tested(model, results), results)
    assert frames is not None
    videos = np.split(frames.scores, np.cumsum(frames.lengths)[:-1])
    fps = Synthetic.fps
    hours = count_hours(videos, fps)
    for rate in RATES:
        value = model.threshold(f"{rate:g}/hour").value
        if value is not None:
            raised = count_alarms(videos, value, model.join_frames(fps))
            yield {"rate": rate, "minutes": hours * 60, "asked": rate * hours, "raised": raised}


if __name__ == "__main__":
    main()
