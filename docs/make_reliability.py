"""Write the generated block of docs/reliability.md: what `make reliability` has tried.

    python docs/make_reliability.py build/reliability.xml [MORE ...]

The files are pytest's accounts of tests/reliability, a later one counting where both have a test;
each test's properties are its counts.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from blocks import with_block

from vadbench.report.tables.layout import table_lines

PAGE = Path(__file__).with_name("reliability.md")
# test -> what was tried, the property that counts it (None: the test itself), and its unit
ROWS = {
    "test_a_kill_before_any_file_operation_loses_nothing": (
        "kill before each file operation of {names}",
        "kills",
        "kills",
    ),
    "test_a_disk_that_cannot_exchange_folders_gets_them_back_by_the_next_command": (
        "the same on a disk that cannot exchange folders: {names}",
        "kills",
        "kills",
    ),
    "test_twenty_rounds_of_five_equal_commands": (
        "five equal commands at the same moment: {names}",
        "rounds",
        "rounds",
    ),
    "test_any_signal_ends_any_run": (
        "TERM, HUP, INT, KILL to the parent or the group, extraction or training, 1 or 2 jobs",
        None,
        "runs",
    ),
    "test_ctrl_c_three_times_is_as_good_as_once": ("Ctrl-C three times, 1 or 2 jobs", None, "runs"),
}


def read_cases(paths: Iterable[Path]) -> dict[str, list[tuple[str, bool, dict[str, str]]]]:
    """Test -> its cases: parameters, whether it passed, properties."""
    latest = {}
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            if case.find("skipped") is None:
                latest[case.get("name", "")] = case
    cases = defaultdict(list)
    for title, case in latest.items():
        name, _, parameters = title.partition("[")
        good = case.find("failure") is None and case.find("error") is None
        counts = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
        cases[name].append((parameters.rstrip("]"), good, counts))
    return dict(cases)


def make_rows(cases: dict[str, list[tuple[str, bool, dict[str, str]]]]) -> list[list[str]]:
    """A row a kind: what was tried, how often, and what failed."""
    rows = []
    for test, (title, counted, unit) in ROWS.items():
        of_test = cases.get(test, [])
        if not of_test:
            raise SystemExit(f"{test}: not run; make reliability runs it")
        count = sum(int(counts[counted]) if counted else 1 for _, _, counts in of_test)
        names = ", ".join(name for name, _, _ in of_test)
        failed = sum(not good for _, good, _ in of_test)
        rows.append([title.format(names=names), f"{count} {unit}", str(failed)])
    return rows


def slowest(cases: dict[str, list[tuple[str, bool, dict[str, str]]]]) -> float:
    """Seconds that the slowest run took to end after a signal."""
    runs = cases["test_any_signal_ends_any_run"]
    return max(float(counts["seconds"]) for _, _, counts in runs if "seconds" in counts)


def main(paths: Iterable[Path]) -> None:
    """Write the block."""
    cases = read_cases(paths)
    text = "\n".join(table_lines(["tried", "how often", "failed"], make_rows(cases)))
    text += f"\n\nAfter a signal the slowest run had ended in {slowest(cases):.1f} s."
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_block(page, "tried", text), encoding="utf-8")


if __name__ == "__main__":
    main(map(Path, sys.argv[1:]))
