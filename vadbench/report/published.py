"""What papers report: benchmarks/published.csv, read and checked.

These figures stand beside measured ones and are never mixed with them.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from pathlib import Path

from vadbench.errors import BadInput, cut, quote
from vadbench.files.text import read_text
from vadbench.locations import suites_root
from vadbench.registry import unknown

METRICS = ("micro_auc", "macro_auc", "eer", "rbdc", "tbdc", "decision_auc")
OFFICIAL = "official"  # the split as released
UNSTATED, UNKNOWN = "unstated", "unknown"
UNSTATED_SIGMA = "gaussian-unstated"
DIGITS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,20})?")
LONGEST = 2000  # characters of a field
SMOOTHING = re.compile(r"none|unknown|gaussian-(unstated|[0-9]{1,5}(\.[0-9]{1,9})?)")
REQUIRED = ("source", "table", "setting", "dataset", "features", "method", "train_dataset", "split")
CONVENTIONS = {
    "macro_auc": ("skip", "pad-rank", "pad-0-1", "pad-0-max", UNSTATED),
    "rbdc": ("average", "order", UNSTATED),
    "tbdc": ("average", "order", UNSTATED),
}  # of metrics that have several
# what AccI-VAD's released vectors were made with
RELEASED = {"pose": "alphapose", "deep": "clip-vit-b16", "velocity": "hof-flownet2"}


@dataclass(frozen=True)
class Figure:
    """One published number.

    Attributes:
        source, table: paper and its table.
        setting: object-centric, frame-centric, unsupervised, cross-domain.
        dataset, train_dataset: what was tested and trained on.
        features, method: as the paper names them.
        metric: one of `METRICS`; `decision_auc` is of decisions, not of scores
            (`vadbench.evaluation.metrics.binarised`).
        text: the value in percent, as the paper prints it; the column `value`.
        note: what a reader has to know.
        method_id, stream_id: our names, where it is the same thing; empty elsewhere.
        split: `official`, or the name of a re-split, such as `zhong-2019`.
        convention: of macro AUC, and what RBDC and TBDC do with equal scores: one of `CONVENTIONS`;
            empty for other metrics.
        smoothing: `gaussian-3`, or `gaussian-unstated` where the paper names no sigma; `none` where
            it mentions none; `unknown` where a paper quotes another.
    """

    source: str
    table: str
    setting: str
    dataset: str
    features: str
    method: str
    metric: str
    text: str
    note: str
    method_id: str
    stream_id: str
    train_dataset: str
    split: str
    convention: str
    smoothing: str

    @property
    def value(self) -> float:
        """The figure as a fraction."""
        return float(Decimal(self.text).scaleb(-2))

    @property
    def trained(self) -> str:
        """`one-class`, or `unsupervised`: on unlabelled videos."""
        return "unsupervised" if "unsupervised" in self.setting else "one-class"

    @property
    def reference(self) -> str:
        """`source/table`, as suites name it."""
        return f"{self.source}/{self.table}"


@cache
def read_published(path: Path | None = None) -> tuple[Figure, ...]:
    """All published figures.

    Args:
        path: the file; none: `published.csv` beside the suites.

    Raises:
        BadInput: naming the line that is wrong: a column that is missing, an empty name, a metric,
            convention or smoothing that is none, no percentage.
    """
    path = path or suites_root() / "published.csv"
    try:
        text = read_text(path)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); it is part of vadbench, install it again"
        ) from error
    names, *rows = _split_rows(text, path) or [(1, [])]
    wanted = ["value" if field.name == "text" else field.name for field in fields(Figure)]
    if names[1] != wanted:
        columns = cut(", ".join(names[1])) or "missing"
        raise BadInput(f"{path}: columns {columns}; expected {', '.join(wanted)}")
    figures = []
    for number, row in rows:
        if len(row) != len(wanted):
            raise BadInput(
                f"{path}:{number}: {len(row)} fields; expected {len(wanted)}:"
                f" {_name_fields(row, wanted)}"
            )
        figures.append(_figure(dict(zip(wanted, row, strict=True)), f"{path}:{number}"))
    return tuple(figures)


def _split_rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """The fields of each row that is not empty, with the number of its last line."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for row in lines:
            if row:
                rows.append((lines.line_num, row))
    except csv.Error as error:
        raise BadInput(f"{path}:{lines.line_num}: not CSV ({error})") from error
    return rows


def _name_fields(row: list[str], wanted: list[str]) -> str:
    """The first field that a row lacks, or the first that it has too many."""
    if len(row) < len(wanted):
        return f"{wanted[len(row)]} is missing"
    return f"{quote(row[len(wanted)])} is one too many"


def of_tables(references: tuple[str, ...]) -> tuple[Figure, ...]:
    """The figures of tables named `source/table`, in the file's order.

    Raises:
        BadInput: on a table that is none.
    """
    figures = read_published()
    known = sorted({figure.reference for figure in figures})
    for reference in references:
        if reference not in known:
            raise unknown("published table", reference, known)
    return tuple(figure for figure in figures if figure.reference in references)


def stream_id(streams: tuple[str, ...]) -> str:
    """Our streams as published.csv names them: no boxes, imported ones by what made them, in
    alphabetical order.
    """
    return "+".join(sorted(map(_id_of_stream, streams)))


def same_streams(figure: Figure, streams: tuple[str, ...]) -> bool:
    """Whether a published figure was made with these streams; not where the paper's are not
    known.
    """
    return bool(figure.stream_id) and "+".join(sorted(figure.stream_id.split("+"))) == stream_id(
        streams
    )


def _id_of_stream(stream: str) -> str:
    name, _, provider = stream.partition("@")
    label = provider.removeprefix("import.")
    if label == provider:
        return name
    return f"{name}.{RELEASED.get(name, label) if label == 'accivad' else label}"


def _figure(row: dict[str, str], where: str) -> Figure:
    empty = next((name for name in REQUIRED if not row[name].strip()), None)
    if empty:
        raise BadInput(f"{where}: {empty} is empty")
    odd = next((name for name, text in row.items() if not _is_plain(text)), None)
    if odd:
        raise BadInput(f"{where}: {odd} {quote(row[odd])}; expected a line of text")
    if row["metric"] not in METRICS:
        raise BadInput(
            f"{where}: metric {quote(row['metric'])}; expected one of {', '.join(METRICS)}"
        )
    conventions = CONVENTIONS.get(row["metric"], ("",))
    if row["convention"] not in conventions:
        expected = f"one of {', '.join(conventions)}" if any(conventions) else "none"
        seen = f"convention {quote(row['convention'])} of {row['metric']}"
        raise BadInput(f"{where}: {seen}; expected {expected}")
    if not SMOOTHING.fullmatch(row["smoothing"] or ""):
        expected = f"none, unknown, {UNSTATED_SIGMA} or gaussian-3 with a sigma"
        raise BadInput(f"{where}: smoothing {quote(row['smoothing'])}; expected {expected}")
    text = row.pop("value")
    if not _is_percentage(text):
        raise BadInput(f"{where}: value {quote(text)}; expected a percentage")
    return Figure(**row, text=text)


def _is_plain(text: str) -> bool:
    """Whether a text is a short line without control characters."""
    return len(text) <= LONGEST and (text.isprintable() or not text)


def _is_percentage(text: str) -> bool:
    """Whether a text is digits with a point between 0 and 100, as papers print them."""
    return bool(DIGITS.fullmatch(text)) and 0 <= Decimal(text) <= 100
