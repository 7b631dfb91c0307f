"""What methods cost on one machine, as `vadbench cost` measures it: a grid, Markdown, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from vadbench.errors import BadInput
from vadbench.files.spreadsheet import write_csv
from vadbench.registry import first_fault
from vadbench.report.tables.layout import amount, table_lines
from vadbench.report.tables.markdown import escape, prose
from vadbench.spec import Record

FORMATS = ("terminal", "markdown", "csv", "json")
# field -> head of its column, and the decimals that are worth a place
COLUMNS = {
    "fit_seconds": ("fit, s", 3),
    "frame_ms": ("a frame, ms", 4),
    "frame_ms_p99": ("99 %, ms", 4),
    "batch_ms": ("in batches, ms a frame", 4),
    "batch_rows_a_second": ("rows/s", 0),
    "parameters": ("parameters", 0),
    "size_kib": ("saved, KiB", 1),
    "fit_peak_mib": ("fit, MiB", 0),
    "score_peak_mib": ("score, MiB", 0),
}


class Timing(Record):
    """What one method costs on one stream, and where that was measured.

    Attributes:
        method, dataset, features, seed, settings: what was measured.
        identity: of the job.
        fit_seconds: of training; None: a kept model was taken.
        fit_peak_mib: largest resident size of the process that trained; None likewise.
        frame_ms, frame_ms_p99: median and 99th percentile of scoring all rows of one frame alone.
        batch_ms, batch_rows_a_second: of scoring all test rows in one call, a frame and in rows.
        parameters: as the method counts them.
        size_kib: of the files that `Detector.save` wrote.
        score_peak_mib: largest resident size of the process that loaded these and scored.
        train_rows, test_rows, columns: of the features.
        frames: that were scored one at a time.
        device, threads: of the method.
        cpu, cores, load: the machine, and how many processes kept it busy before.
        platform, python, torch: what ran; torch None where it is not installed.
    """

    method: str
    dataset: str
    features: str
    seed: int
    settings: str
    identity: str
    fit_seconds: float | None
    fit_peak_mib: float | None
    frame_ms: float
    frame_ms_p99: float
    batch_ms: float
    batch_rows_a_second: float
    parameters: int
    size_kib: float
    score_peak_mib: float
    train_rows: int
    test_rows: int
    columns: int
    frames: int
    device: str
    threads: int
    cpu: str
    cores: int
    load: float
    platform: str
    python: str
    torch: str | None


def make_grid(timings: Sequence[Timing]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of texts: a method's name first, with its settings where it has several, then
    the stream, and the seed where there are several.
    """
    seeded = len({one.seed for one in timings}) > 1
    heads = [
        "method",
        "features",
        *(["seed"] if seeded else []),
        *(head for head, _ in COLUMNS.values()),
    ]
    several = Counter(method for method, _ in {(one.method, one.settings) for one in timings})
    rows = []
    for one in timings:
        name = f"{one.method}, {one.settings}" if several[one.method] > 1 else one.method
        names = [name, f"{one.dataset} {one.features}", *([str(one.seed)] if seeded else [])]
        rows.append([*names, *_amounts(one)])
    return heads, rows


def _amounts(one: Timing) -> list[str]:
    values = ((getattr(one, field), decimals) for field, (_, decimals) in COLUMNS.items())
    return [amount(value and round(value, decimals)) for value, decimals in values]


def describe(timings: Sequence[Timing]) -> str:
    """What was measured where, in a few sentences; empty of nothing."""
    if not timings:
        return ""
    machine = _join(f"{one.cpu}, {one.cores} cores" for one in timings)
    threads = _span([one.threads for one in timings])
    loads = _span([one.load for one in timings])
    frames = _span([one.frames for one in timings])
    versions = _join(
        f"{one.platform}, Python {one.python}" + (f", torch {one.torch}" if one.torch else "")
        for one in timings
    )
    settings = _join(one.settings for one in timings)
    return (
        f"{machine}; {threads} thread(s) a method, on {_join(one.device for one in timings)};"
        f" {versions}. Load of the machine before each measurement: {loads}. Settings: {settings}."
        f" A frame: median and 99th percentile of scoring all rows of one frame alone, over"
        f" {frames} test frames; features are there already. In batches: all test rows in one call."
        " Each method is trained in a process of its own (with --kept, what was kept is taken), and"
        " saved, loaded and scored in another:"
        " MiB are their largest resident sizes, libraries included."
    )


def _join(texts: Any) -> str:
    return " / ".join(dict.fromkeys(texts))


def _span(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def render(timings: Sequence[Timing], format_: str) -> str:
    """The rows as text in one of `FORMATS` but the first; CSV and JSON have every field and digit.

    >>> render([], "json")
    '[]'
    """
    if format_ == "json":
        return json.dumps([one.model_dump() for one in timings], indent=1)
    if format_ == "csv":
        text = io.StringIO(newline="")
        fields = list(Timing.model_fields)
        rows = [[getattr(one, field) for field in fields] for one in timings]
        write_csv(text, [fields, *rows])
        return text.getvalue()
    heads, body = make_grid(timings)
    left = len(heads) - len(COLUMNS)
    named = [[*map(escape, line[:left]), *line[left:]] for line in body]
    return "\n".join([*table_lines(heads, named, left=left), "", prose(describe(timings))])


def read_csv(text: str, place: str) -> list[Timing]:
    """The rows that `render` wrote as CSV.

    Args:
        text: of the file.
        place: what errors call it.

    Raises:
        BadInput: naming the line that is none.
    """
    timings = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        given = {name: value or None for name, value in row.items()}  # None is an empty cell
        try:
            timings.append(Timing.model_validate(given))
        except ValidationError as error:
            told = first_fault(error, Timing)
            raise BadInput(f"{place}, line {number}: {told}; vadbench cost writes it") from error
    return timings
