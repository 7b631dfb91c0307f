"""Rows of a table that are given scores: found among the records, as no plan knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vadbench.errors import BadInput
from vadbench.report.tables.table import Table
from vadbench.results.frame import Frame
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import Protocol, Setting, Wanted
from vadbench.suite import Suite

MARK = "scores given"  # beside the name in a table


def list_given(frame: Frame) -> list[str]:
    """The names that scores were submitted under, sorted."""
    return sorted({record.result.method for record in _records(frame)})


def split_names(suite: Suite, frame: Frame) -> tuple[Suite, tuple[str, ...]]:
    """A suite without the names that scores were submitted under, and these.

    Args:
        suite: whose methods may be such names.
        frame: the records.
    """
    known = set(list_given(frame))
    given = tuple(name for name in suite.methods if name in known)
    rest = tuple(name for name in suite.methods if name not in known)
    return suite.model_copy(update={"methods": rest}), given


def find_rows(
    names: Iterable[str],
    datasets: Sequence[str],
    protocols: Mapping[str, Protocol],
    frame: Frame,
    setting: Setting = "one-class",
) -> list[Wanted]:
    """What a table shows of submitted scores: all seeds of each name, on some data sets.

    Args:
        names: they were submitted under.
        datasets: of the table.
        protocols: of the table's other rows, by data set; of others, what a record has that was
            evaluated as its data set says.
        frame: the records.
        setting: of the table.

    Raises:
        BadInput: if a name has no record on any of the data sets in this setting, or two of a seed,
            which `vadbench submit` does not write.
    """
    rows: list[Wanted] = []
    for name in names:
        own = [
            record
            for record in _records(frame)
            if record.result.method == name
            and record.dataset in datasets
            and record.result.training.setting == setting
            and _has_protocol(record, protocols)
        ]
        if not own:
            alike = (one for one in _records(frame) if one.result.method == name)
            there = sorted({f"{one.dataset} ({one.result.training.setting})" for one in alike})
            raise BadInput(
                f"{name}: its scores were submitted on {', '.join(there)}, under the data set's"
                f" protocol; the table is of {', '.join(datasets)} ({setting})"
            )
        _require_one_a_seed(name, own, frame.results)
        rows += [Wanted(one.result, one.runs, f"{name} ({MARK})") for one in own]
    return rows


def take_apart(table: Table, rows: Iterable[Wanted]) -> Table | None:
    """The rows of a table that are ranked in a list of their own, as one; None where there are not
    two.

    Args:
        table: with all rows.
        rows: those of given scores.
    """
    names = {one.shown for one in rows if one.result.apart is not None}
    apart = tuple(replace(row, unranked=None) for row in table.rows if row.method in names)
    return replace(table, rows=apart) if len(apart) > 1 else None


def _records(frame: Frame) -> list[ResultRecord]:
    return [one for one in frame.records.values() if one.result.given is not None]


def _require_one_a_seed(name: str, records: Iterable[ResultRecord], results: Results) -> None:
    """Refuse two records of one seed, which would count as two seeds."""
    known: dict[tuple[str, int], ResultRecord] = {}
    for record in records:
        first = known.setdefault((record.dataset, record.seed), record)
        if first is not record:
            raise BadInput(
                f"{name}: two records of seed {record.seed} on {record.dataset}, expected one a"
                f" seed; remove {results.folder_of(first)} or {results.folder_of(record)}"
            )


def _has_protocol(record: ResultRecord, protocols: Mapping[str, Protocol]) -> bool:
    wanted = protocols.get(record.dataset)
    if wanted is None:
        return not record.result.chosen
    return record.result.protocol == wanted
