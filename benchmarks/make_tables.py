"""Write every table of results/tables/ again from the committed records; needs no data set.

`make tables` runs it.
"""

from __future__ import annotations

from pathlib import Path

from vadbench.locations import suites_root
from vadbench.suite import read_suite
from vadbench.results.records import Results
from vadbench.runner.run import plan_suite, write_table

if __name__ == "__main__":
    results = Results(Path(__file__).resolve().parents[1] / "results")
    for path in sorted((results.root / "tables").glob("*.md")):
        write_table(plan_suite(read_suite(path.stem, suites_root())), results)
