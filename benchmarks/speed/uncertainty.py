"""Intervals at the size of ShanghaiTech: 107 videos, 40,791 frames, 150,000 detections; and of
UCF-Crime's frames. Goal: 2 and 5 CPU-s.

Run: python benchmarks/speed/uncertainty.py
"""

from __future__ import annotations

import time

import numpy as np
from regions import LENGTH, VIDEOS, scene

from vadbench.evaluation.metrics.frame import micro_auc
from vadbench.evaluation.metrics.regions import match
from vadbench.evaluation.metrics.uncertainty import (
    Jackknife,
    combine,
    frame_jackknives,
    pairwise,
    region_jackknives,
)
from vadbench.files.box_arrays import read_boxes, read_scores


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = np.full(VIDEOS, LENGTH)
    lengths[0] += 40_791 - lengths.sum()
    labels = rng.random(40_791) < 0.42
    scores = rng.normal(size=40_791) + labels
    detections, truth, _ = scene(150_000)
    started = time.process_time()
    frame_jackknives(scores, labels, lengths)
    frames = time.process_time() - started
    boxes, box_scores, regions = (
        read_boxes(detections, "detections"),
        read_scores(detections),
        read_boxes(truth, "ground_truth"),
    )
    found = match(boxes, box_scores, regions, videos=dict(enumerate(map(int, lengths))))
    started = time.process_time()
    region_jackknives(found, lengths)
    print(
        f"frame metrics {frames:.2f} CPU-s, RBDC and TBDC {time.process_time() - started:.2f} CPU-s"
        " (goal: 2 in all)"
    )
    rows = [
        combine([value], [Jackknife.of_left_out(rng.normal(size=VIDEOS))])
        for value in rng.random(100)
    ]
    started = time.process_time()
    pairwise(rows)
    print(f"a column of 100 rows: {time.process_time() - started:.3f} CPU-s")
    scores, labels = rng.normal(size=1_100_000), rng.random(1_100_000) < 0.08
    started = time.process_time()
    frame_jackknives(scores, labels, np.full(275, 4000))
    print(f"frame metrics of 1,100,000 frames: {time.process_time() - started:.2f} CPU-s (goal: 5)")
    started = time.process_time()
    micro_auc(scores, labels)
    print(f"micro AUC of 1,100,000 frames: {time.process_time() - started:.2f} CPU-s (goal: 0.7)")


if __name__ == "__main__":
    main()
