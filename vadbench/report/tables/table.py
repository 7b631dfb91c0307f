"""The table model: rows of cells under columns, the papers' block beside them.

Renderers only format it; `make` fills it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from vadbench.spec import Metric

NOT_ASKED = "not asked for on this data set"
FOREIGN = "a data set of the paper that this suite is not on"


@dataclass(frozen=True)
class Column:
    """A metric of one data set.

    Attributes:
        dataset, title, key: what it is.
        untested: why no two of its rows could be tested for a difference, so that none is marked;
            None where some were.
        contested: whether a row that is left out is among the best's peers: then none is the best.

    >>> from vadbench.spec import METRICS
    >>> Column("ped2", "RBDC", METRICS["RBDC"]).better
    1
    """

    dataset: str
    title: str
    key: Metric
    untested: str | None = None
    contested: bool = False

    @property
    def better(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return self.key.better


@dataclass(frozen=True)
class Cell:
    """Mean over seeds (a fraction), its standard deviation (None for one seed), the number of
    seeds, and why a value is missing.

    Attributes:
        low, high: 95 % interval: what another choice of test videos, and of seeds where there are
            several, would do.
        videos: how many test videos it rests on.
        why: why a value has no interval.
        best: 1 for the column's best, 2 for its second, 0 otherwise; decided on unrounded means,
            ties shared.
        peer: whether the column's best is not significantly better, all pairs of rows taken
            together (and, of the best itself, whether another cell is its peer).
        published: the paper's figure (a fraction) of the same thing; None where there is none.
        beside: how the cell stands to the papers' figures: that it is ours alone, why there is no
            difference, or what one leaves open.
        records: identities of the records that it is the mean of.
        beats: positions of the table's rows that it is significantly better than.

    >>> round(Cell(0.971, published=0.974).delta, 4)
    -0.003
    """

    value: float | None
    spread: float | None = None
    n: int = 0
    note: str | None = None
    low: float | None = None
    high: float | None = None
    best: int = 0
    peer: bool = False
    published: float | None = None
    videos: int | None = None
    why: str | None = None
    beside: str | None = None
    records: tuple[str, ...] = ()
    beats: tuple[int, ...] = ()

    @property
    def delta(self) -> float | None:
        """Measured minus published, where both are the same thing."""
        return None if self.value is None or self.published is None else self.value - self.published

    @property
    def notes(self) -> tuple[str, ...]:
        """Its footnotes."""
        return tuple(note for note in (self.note, self.beside) if note)


@dataclass(frozen=True)
class Row:
    """One method on one choice of features.

    Attributes:
        method, features, cells: what is shown.
        unranked: why it is shown, and neither marked nor ranked; None where it is.
    """

    method: str
    features: str
    cells: tuple[Cell, ...]
    unranked: str | None = None


@dataclass(frozen=True)
class PublishedRow:
    """What a paper reports of one method: a fraction or None for each column of the table; never
    ranked.

    `texts` are the same figures in percent as the paper prints them; none: the values rounded.
    """

    source: str  # `mulde-cvpr2024, table 1`
    method: str
    features: str
    values: tuple[float | None, ...]
    notes: tuple[str, ...] = ()
    texts: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What the rows cost on one data set: a value for each row, None where it is not known.

    Attributes:
        dataset: the tested data set.
        title: what was measured, with its unit.
        key: its name in CSV.
        values: a row each, in the title's unit.
    """

    dataset: str
    title: str
    key: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Table:
    """A titled table.

    Attributes:
        title, columns, rows: what it shows.
        caption: protocol, labels, preset and seeds.
        notes: the footnotes of its cells.
        published: the papers' block: it stands apart, and takes no part in best and second.
        summary: the caption in one line; none: its first sentence.
        costs: what the rows cost; none, unless asked for.
        left_out: how many rows are not shown, of those that the marks were found among.
        lettered: whether letters say which rows a value beats, in place of the mark of peers.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    published: tuple[PublishedRow, ...] = ()
    summary: str = ""
    costs: tuple[Cost, ...] = ()
    left_out: int = 0
    lettered: bool = False


def change_texts(table: Table, change: Callable[[str], str]) -> Table:
    """The table with all its texts changed: names, titles, captions, notes and sources.

    >>> column = Column("ped2", "RBDC", Metric("rbdc"))
    >>> change_texts(Table("t", "", (column,), (), ()), str.upper).columns[0].dataset
    'PED2'
    """
    changed: Table = _change(table, change)
    return changed


def _change(part: Any, change: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        return change(part)
    if isinstance(part, Metric):  # of our own names
        return part
    if isinstance(part, tuple):
        return tuple(_change(one, change) for one in part)
    if isinstance(part, Table | Column | Row | Cell | PublishedRow | Cost):
        values = {field.name: getattr(part, field.name) for field in fields(part)}
        return replace(part, **{name: _change(value, change) for name, value in values.items()})
    return part
