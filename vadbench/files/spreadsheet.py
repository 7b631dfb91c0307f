"""CSV that every reader takes for the same cells, and a spreadsheet for no formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

from vadbench.files.printable import storable

# what a cell begins with that is computed or cut apart when a spreadsheet opens it; of the signs,
# the wide ones of Chinese and Japanese keyboards too
STARTS = tuple("=+-@\t\r\n＝＋－＠")
HARMLESS = re.compile(r"-|[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def write_csv(file: TextIO, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows of cells, each as `guard_formula`, to a file that was opened with `newline=""`.

    Lines end in a line feed; cells are quoted where they hold a comma, a quote or any end of a
    line. A missing cell is empty.
    """
    writer = csv.writer(_Lines(file))
    writer.writerows(map(guard_formula, row) for row in rows)


class _Lines:
    """Ends lines in a line feed alone: told to do so, `csv` leaves a carriage return in a cell
    without quotes, and a reader takes it for the end of the row.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, line: str) -> None:
        """Write a line that ends in a carriage return and a line feed."""
        self.file.write(line.removesuffix("\r\n") + "\n")


def guard_formula(cell: Any) -> Any:
    """A cell of a csv: a text that a spreadsheet would compute begins with an apostrophe instead;
    numbers, a lone dash and all else stay as they are.

    >>> guard_formula("=HYPERLINK(A1)"), guard_formula("-0.5"), guard_formula(-0.5)
    ("'=HYPERLINK(A1)", '-0.5', -0.5)
    """
    if not isinstance(cell, str):
        return cell
    is_formula = cell.startswith(STARTS) and not HARMLESS.fullmatch(cell)
    return storable(f"'{cell}" if is_formula else cell)
