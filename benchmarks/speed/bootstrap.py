"""Bootstrap over videos at the size of ShanghaiTech: 107 videos, 40,791 frames, 150,000 detections, 1000 resamples. Goal: 15 CPU-s in all.

Run: python benchmarks/speed/bootstrap.py
"""

from __future__ import annotations

import time

import numpy as np
from regions import LENGTH, VIDEOS, scene

from vadbench.metrics.boxes import read_boxes, read_scores
from vadbench.metrics.frame import micro_auc
from vadbench.metrics.regions import match
from vadbench.metrics.uncertainty import frame_resamples, interval, region_resamples, resample_counts

RESAMPLES = 1000


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = np.full(VIDEOS, LENGTH)
    lengths[0] += 40_791 - lengths.sum()
    labels = rng.random(40_791) < 0.42
    scores = rng.normal(size=40_791) + labels
    detections, truth, _ = scene(150_000)
    started = time.process_time()
    counts = resample_counts(VIDEOS, RESAMPLES)
    resampled = frame_resamples(scores, labels, lengths, counts)
    frames = time.process_time() - started
    boxes, box_scores, regions = read_boxes(detections, "detections"), read_scores(detections), read_boxes(truth, "ground_truth")
    found = match(boxes, box_scores, regions, videos=dict(enumerate(map(int, lengths))))
    resampled |= region_resamples(found, lengths, counts)
    total = time.process_time() - started
    for (metric, convention), values in resampled.items():
        found_interval = interval(values)
        print(f"  {metric:18} {convention or '':10} [{found_interval.low:.4f}, {found_interval.high:.4f}]")
    print(f"frame metrics {frames:.1f} CPU-s, RBDC and TBDC {total - frames:.1f} CPU-s, in all {total:.1f} CPU-s (goal: 15)")
    scores, labels = rng.normal(size=1_100_000), rng.random(1_100_000) < 0.08
    started = time.process_time()
    micro_auc(scores, labels)
    print(f"micro AUC of 1,100,000 frames: {time.process_time() - started:.2f} CPU-s (goal: 0.7)")


if __name__ == "__main__":
    main()
