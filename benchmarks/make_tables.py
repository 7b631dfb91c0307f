"""Write every table of results/tables/ again from the committed records; needs no data set.

`make tables` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.report.tables import csv, markdown
from vadbench.report.tables.make import make_table
from vadbench.results.frame import Frame
from vadbench.results.records import Results
from vadbench.suite import Suite, read_suite, suite_names, vary

ROOT = Path(__file__).resolve().parents[1] / "results"
# ablations of the diffusion, of the unsupervised setting in their paper, trained one-class too
ONE_CLASS = ("diffusion-conditioning", "diffusion-noise", "diffusion-t")


def list_suites() -> Iterator[Suite]:
    """The suites whose tables are committed."""
    for name in suite_names(suites_root()):
        if (ROOT / "tables" / f"{name}.md").is_file():
            yield read_suite(name, suites_root())
    for name in ONE_CLASS:
        suite = read_suite(name, suites_root())
        yield vary(suite, datasets=("synthetic",), setting="one-class")


def main() -> None:
    """Write them."""
    results = Results(ROOT)
    frame = Frame(results)
    for suite in list_suites():
        table = make_table(suite, plan_suite(suite).wanted, frame)
        results.write_text(f"tables/{suite.name}.md", markdown.render(table))
        results.write_text(f"tables/{suite.name}.csv", csv.render(table))


if __name__ == "__main__":
    main()
