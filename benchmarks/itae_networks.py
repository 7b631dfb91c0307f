"""What the trainings of ITAE's networks cost, and how their losses fell: writes itae_networks.csv
of the networks in the cache, which docs/methods/itae.md shows.

    python benchmarks/itae_networks.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from vadbench.files.documents import read_json
from vadbench.locations import cache_root

TABLE = Path(__file__).with_name("itae_networks.csv")
PARTS = (0.05, 0.25, 0.5, 1.0)  # of the steps: where the loss is told
SMALL = 1000  # networks of fewer parameters were made by tests


def describe_network(document: dict[str, Any]) -> dict[str, Any]:
    """A row: what was trained, how long, and the mean loss of the last steps so far."""
    network = document["network"]
    options = network["options"]
    loss = {
        f"loss at {part:.0%}": document["loss"][max(round(part * len(document["loss"])) - 1, 0)][1]
        for part in PARTS
    }
    return {
        "dataset": network["dataset"],
        "size": " x ".join(map(str, options["size"])),
        "width": options["width"],
        "paths": options["paths"],
        "steps": options["steps"],
        "holdout": options["holdout"],
        "seed": network["seed"],
        "parameters": document["parameters"],
        "cpu_seconds_a_step": document["cpu_seconds"] / options["steps"],
        "cpu_minutes": document["cpu_seconds"] / 60,
        **loss,
    }


def main() -> None:
    """Write the table."""
    paths = cache_root().glob("*/networks/itae@*/manifest.json")
    rows = [describe_network(dict(read_json(path))) for path in paths]
    table = pd.DataFrame([row for row in rows if row["parameters"] > SMALL])
    by = ["dataset", "size", "width", "paths", "steps", "holdout", "seed"]
    table = table.sort_values(by)
    table.to_csv(TABLE, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
