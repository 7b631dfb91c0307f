"""mkdocs hook: the pages of the tables under results/tables/, made at each build, so that they
cannot be stale.

`results.md` lists the tables; each has a page of its own, `results/<suite>.md`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TABLES = Path(__file__).resolve().parents[1] / "results" / "tables"
INDEX = "results.md"


def tables() -> dict[str, str]:
    """The committed tables as Markdown, by suite; `latest`, of a command line without a suite, is
    none of them.
    """
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted(TABLES.glob("*.md"))
        if path.stem != "latest"
    }


def title_of(table: str) -> str:
    """The table's heading."""
    return table.partition("\n")[0].removeprefix("# ")


def page_of(suite: str, table: str) -> str:
    """The page of a table: its heading, how to make it, and the table with caption and notes, which
    stylesheets know as `results`.
    """
    heading, _, rest = table.partition("\n")
    made = (
        f"`vadbench run --suite {suite}` computes it, `vadbench table {suite}` prints it again from"
        " the records."
    )
    # two spaces end a line
    notes = re.sub(r"^(\[\d+\] .*)$", r"\1  ", rest.strip(), flags=re.MULTILINE)
    marked = re.sub(r"\[(\d+)\]", r"\[\1\]", notes)  # a note's number is no link
    return (
        f'---\nhide: [toc]\n---\n{heading}\n\n{made}\n\n<div class="results"'
        f" markdown>\n\n{marked}\n\n</div>\n"
    )


def index_page(found: dict[str, str]) -> str:
    """The list of the tables."""
    lines = [
        "# Tables",
        "",
        (
            "Every table below is made from the records under `results/` and committed beside them;"
            " a test fails where the two differ."
        ),
        (
            "`make tables` writes them again. Captions name the protocol, the labels and the number"
            " of seeds;"
        ),
        "[what a number is](protocol.md) explains them.",
        "",
        "| table | suite |",
        "|---|---|",
        *(
            f"| [{title_of(table)}](results/{suite}.md) | `{suite}` |"
            for suite, table in found.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def on_config(config: Any) -> Any:
    """Put the tables' pages below the list of them in the navigation."""
    for section in config.nav:
        entries = next(iter(section.values()))
        if isinstance(entries, list):
            section[next(iter(section))] = [with_tables(entry) for entry in entries]
    return config


def with_tables(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of the list with the tables below it; another entry as it is."""
    ((name, page),) = entry.items()
    below = [{suite: f"results/{suite}.md"} for suite in tables()]
    return {name: [{"All tables": INDEX}, *below]} if page == INDEX else entry


def on_files(files: Files, config: Any) -> Files:
    """Add the list of tables and their pages."""
    found = tables()
    files.append(File.generated(config, INDEX, content=index_page(found)))
    for suite, table in found.items():
        files.append(File.generated(config, f"results/{suite}.md", content=page_of(suite, table)))
    return files
