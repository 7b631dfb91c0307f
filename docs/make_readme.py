"""Write what is generated in README.md: its table of results, and its picture from the demo's film.

    python docs/make_readme.py

The table is made of the committed tables under results/tables/. The picture is a frame of
build/demo/test03.mp4, which `make demo` makes; without the film it stays as it is.
"""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path

from blocks import with_block

from vadbench.report.tables.layout import table_lines

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TABLES = ROOT / "results" / "tables"
FILM = ROOT / "build" / "demo" / "test03.mp4"
PICTURE = ROOT / "docs" / "images" / "demo.jpg"
FRAME = 70  # the car stands in the middle of the scene

# heading, suite and stream of each column
COLUMNS = (
    ("Ped2, velocity", "ped2", "velocity@file.vec"),
    ("ShanghaiTech, person tracks", "shanghaitech", "tracks"),
    ("synthetic street, velocity", "synthetic", "velocity"),
)
METHODS = (
    *("mulde", "msma", "msma-mulde", "flow", "diffusion", "gmm", "knn"),
    *("gaussian", "iforest", "ocsvm", "autoencoder", "magnitude"),
)


def read_micro_auc(suite: str, stream: str) -> dict[str, str]:
    """Smoothed micro AUC of each method on a stream, percent, with its 95 % interval."""
    with (TABLES / f"{suite}.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["block"] == "measured"]
    return {
        row["method"]: cell(row)
        for row in rows
        if (row["metric"], row["smoothed"], row["features"]) == ("micro_auc", "True", stream)
    }


def cell(row: dict[str, str]) -> str:
    """A value with its interval."""
    value, low, high = (100 * float(row[field]) for field in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def results_block() -> str:
    """The table: methods x data sets."""
    columns = [read_micro_auc(suite, stream) for _, suite, stream in COLUMNS]
    body = [[f"`{name}`", *(column[name] for column in columns)] for name in METHODS]
    return "\n".join(table_lines(["method", *(heading for heading, _, _ in COLUMNS)], body))


def write_picture() -> None:
    """A frame of the demo's film as JPEG, below 60 kB."""
    import av

    with av.open(FILM) as film:
        frame = next(islice(film.decode(video=0), FRAME, None))
    PICTURE.parent.mkdir(exist_ok=True)
    frame.to_image().save(PICTURE, quality=80, optimize=True)


def main() -> None:
    """Rewrite README.md and, where there is a film, the picture."""
    page = README.read_text(encoding="utf-8")
    README.write_text(with_block(page, "results", results_block()), encoding="utf-8")
    if FILM.exists():
        write_picture()
    else:
        sys.stderr.write(f"{PICTURE} kept as it is: {FILM} is not there (make demo)\n")


if __name__ == "__main__":
    main()
