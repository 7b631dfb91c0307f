"""Write the tables of docs/objects.md: `recall`, from benchmarks/detector_recall.csv, and
`results`, from the committed records.

usage: python docs/make_objects.py
"""

from __future__ import annotations

import csv
from itertools import permutations
from pathlib import Path

import pandas as pd
from blocks import with_block

import vadbench
from vadbench.report.tables.layout import table_lines

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "objects.md"
RECALL = ROOT / "benchmarks" / "detector_recall.csv"
BOXES = {"ours": "detector.efficientdet-lite0", "VEC": "file.vec", "MRCNN": "file.maskrcnn"}
STREAMS = {
    "V": ("velocity",),
    "D": ("deep",),
    "P": ("pose.blazepose-lite",),
    "V+D": ("velocity", "deep"),
    "P+D": ("pose.blazepose-lite", "deep"),
    "P+V": ("pose.blazepose-lite", "velocity"),
    "P+D+V": ("velocity", "deep", "pose.blazepose-lite"),
}
METHODS = (
    *("mulde", "msma", "msma-mulde", "flow", "diffusion", "gmm", "knn"),
    *("gaussian", "iforest", "ocsvm", "autoencoder", "magnitude", "accivad"),
)
MISSING = "–"
HEADS = {
    "row": "",
    "boxes_a_frame": "boxes a frame",
    "recall_maskrcnn": "recall, Mask R-CNN",
    "precision_maskrcnn": "precision",
    "recall_vec": "recall, VEC",
    "precision_vec": "precision",
    "ms_a_frame": "CPU ms a frame",
}


def recall_block() -> str:
    """The table of what the detector finds."""
    with RECALL.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| " + " | ".join(HEADS.values()) + " |", "|---" + "|---:" * (len(HEADS) - 1) + "|"]
    lines += ["| " + " | ".join(row[name] for name in HEADS) + " |" for row in rows]
    return "\n".join(lines)


def results_block() -> str:
    """Micro AUC on Ped2 of each method that was run on our boxes, and on VEC's; mean over seeds."""
    frame = vadbench.load_results(ROOT / "results")
    usual = (frame.dataset == "ped2") & frame.video.isna() & frame.extraction.isna()
    usual &= frame.settings.isin(["fast", "default"])
    usual &= (frame.metric == "micro_auc") & (frame.smoothing == "gaussian-3") & frame.ranked
    means = frame[usual].groupby(["method", "features"]).value.mean()
    ours = means.index.get_level_values("features").str.contains(BOXES["ours"], regex=False)
    methods = [name for name in METHODS if name in means[ours].index.get_level_values("method")]
    cells = {
        f"{what}, {whose}": [_cell(means, name, streams, boxes) for name in methods]
        for whose, boxes in BOXES.items()
        for what, streams in STREAMS.items()
    }
    shown = {head: column for head, column in cells.items() if set(column) != {MISSING}}
    body = [
        list(row) for row in zip((f"`{name}`" for name in methods), *shown.values(), strict=True)
    ]
    return "\n".join(table_lines(["micro AUC", *shown], body))


def _cell(means: pd.Series, method: str, streams: tuple[str, ...], boxes: str) -> str:
    """The figure on these streams, in whichever order they stand; a dash where there is none."""
    named = [f"{stream}@{boxes}" for stream in streams]
    found = [means.get((method, "+".join(order))) for order in permutations(named)]
    known = [value for value in found if value is not None]
    return f"{100 * known[0]:.1f}" if known else MISSING


def main() -> None:
    """Write them."""
    page = with_block(PAGE.read_text(encoding="utf-8"), "recall", recall_block())
    PAGE.write_text(with_block(page, "results", results_block()), encoding="utf-8")


if __name__ == "__main__":
    main()
