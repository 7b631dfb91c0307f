"""Write the pages of the committed tables: docs/results/, which git ignores.

    python docs/make_gallery.py

`index.md` lists the tables, `SUMMARY.md` is their part of the navigation, and each table of
results/tables/ has a page of its own. Tables with measured figures stand first, those that hold
published figures alone last. `make docs` runs this before it builds the site.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "results" / "tables"
PAGES = ROOT / "docs" / "results"
# what people look for first; the others follow by name
FIRST = ("ped2", "shanghaitech", "ped2-velocity", "ped2-accivad", "synthetic")


def read_tables() -> dict[str, str]:
    """The committed tables as Markdown, by suite, in the order of the list; `latest`, of a command
    line without a suite, is none of them.
    """
    suites = {path.stem for path in TABLES.glob("*.md")} - {"latest"}
    ordered = sorted(suites, key=rank)
    return {suite: (TABLES / f"{suite}.md").read_text(encoding="utf-8") for suite in ordered}


def rank(suite: str) -> tuple[bool, int, str]:
    """Where a table stands in the list: measured ones before others, then by name."""
    place = FIRST.index(suite) if suite in FIRST else len(FIRST)
    return not is_measured(suite), place, suite


def is_measured(suite: str) -> bool:
    """Whether a table holds a figure that was measured here."""
    with (TABLES / f"{suite}.csv").open(newline="", encoding="utf-8") as file:
        return any(row["block"] == "measured" and row["value"] for row in csv.DictReader(file))


def title_of(table: str) -> str:
    """The table's heading."""
    return table.partition("\n")[0].removeprefix("# ")


@cache
def read_options() -> dict[str, str]:
    """What the command line takes for each committed table: a suite, and what varies it."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from make_tables import list_suites

    return {suite.name: suite.called for suite in list_suites()}


def page_of(suite: str, table: str) -> str:
    """The page of a table: its heading, how to make it, and the table with caption and notes, which
    stylesheets know as `results`.
    """
    heading, _, rest = table.partition("\n")
    called = read_options().get(suite, suite)
    # two spaces end a line
    notes = re.sub(r"^(\[\d+\] .*)$", r"\1  ", rest.strip(), flags=re.MULTILINE)
    marked = re.sub(r"\[(\d+)\]", r"\[\1\]", notes)  # a note's number is no link
    return "\n".join(
        [
            "---",
            "hide: [toc]",
            "---",
            heading,
            "",
            f"`vadbench run --suite {called}` computes it, `vadbench table {called}` prints it"
            " again from the records.",
            "",
            '<div class="results" markdown>',
            "",
            marked,
            "",
            "</div>",
            "",
        ]
    )


def index_page(tables: dict[str, str]) -> str:
    """The list of the tables."""
    measured = {suite: table for suite, table in tables.items() if is_measured(suite)}
    others = {suite: table for suite, table in tables.items() if suite not in measured}
    return "\n".join(
        [
            "# Tables",
            "",
            "Every table is made from the records under `results/` and committed beside them; a"
            " test fails where the two differ.",
            "`make tables` writes them again. Captions name the protocol, the labels and the"
            " number of seeds;",
            "[what a number is](../protocol.md) explains them.",
            "",
            *list_of(measured),
            "",
            "## Waiting for their runs",
            "",
            "These hold the papers' published figures, and dashes with a note where the data or"
            " the features were not on the machine that made the records.",
            "",
            *list_of(others),
            "",
        ]
    )


def list_of(tables: dict[str, str]) -> list[str]:
    """The lines of a table of tables."""
    rows = [f"| [{title_of(table)}]({suite}.md) | `{suite}` |" for suite, table in tables.items()]
    return ["| table | suite |", "|---|---|", *rows]


def navigation(tables: dict[str, str]) -> str:
    """The part of the navigation: the list, and every table under its suite's name."""
    return "\n".join(
        ["* [All tables](index.md)", *(f"* [{suite}]({suite}.md)" for suite in tables)]
    )


def main() -> None:
    """Write the pages anew."""
    tables = read_tables()
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    (PAGES / "index.md").write_text(index_page(tables), encoding="utf-8")
    (PAGES / "SUMMARY.md").write_text(navigation(tables), encoding="utf-8")
    for suite, table in tables.items():
        (PAGES / f"{suite}.md").write_text(page_of(suite, table), encoding="utf-8")


if __name__ == "__main__":
    main()
