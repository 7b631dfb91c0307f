"""Write the table of docs/objects.md from benchmarks/detector_recall.csv.

usage: python docs/make_objects.py
"""

from __future__ import annotations

import csv
from pathlib import Path

from blocks import with_block

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "objects.md"
RECALL = ROOT / "benchmarks" / "detector_recall.csv"
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


def main() -> None:
    """Write it."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_block(page, "recall", recall_block()), encoding="utf-8")


if __name__ == "__main__":
    main()
