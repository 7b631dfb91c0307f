"""Write the generated block of docs/cost.md: what `vadbench cost` wrote to benchmarks/cost.csv."""

from __future__ import annotations

from pathlib import Path

from blocks import with_block

from vadbench.report.timings import Timing, read_csv, render

PAGE = Path(__file__).with_name("cost.md")
MEASURED = Path(__file__).resolve().parents[1] / "benchmarks" / "cost.csv"


def read_measured() -> list[Timing]:
    """What was measured."""
    return read_csv(MEASURED.read_text(encoding="utf-8"), MEASURED.name)


def measured_block() -> str:
    """The table with the sentences below it."""
    return render(read_measured(), "markdown")


def main() -> None:
    """Write the block."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_block(page, "measured", measured_block()), encoding="utf-8")


if __name__ == "__main__":
    main()
