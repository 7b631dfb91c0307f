"""Ranks over data sets: methods on the same features, trained one way under one protocol, over the
data sets that most of them share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from vadbench.report.leaderboard.entries import Entry
from vadbench.report.ranks import RankTable, rank_table
from vadbench.report.tables.table import Cell, Column, Row, Table
from vadbench.spec import BOARD

MOST_DATASETS = 12  # of which every choice is weighed
MOST_STANDINGS = 12  # of many features: as much as a page can show
SEVERAL = (
    Cell(None, note="several results, which differ in the order of their streams alone"),
) * len(BOARD)
MISSING = (Cell(None, note="no result with these features"),) * len(BOARD)


@dataclass(frozen=True)
class Standing:
    """The ranks of methods on one choice of features.

    Attributes:
        training: the setting in words; `trained on X` where that is not the tested data set.
        rules: the protocol's fields that differ from the data sets' default protocols.
        features: streams, joined by `+`, in one order for all methods.
        left_out: data sets with these features that too few of the methods share.
        tables: one for each of `BOARD`.
    """

    training: str
    rules: tuple[str, ...]
    features: str
    left_out: tuple[str, ...]
    tables: tuple[RankTable, ...]


def make_standings(entries: Iterable[Entry]) -> tuple[list[Standing], int]:
    """The standings of features that two or more methods share on two or more data sets; unranked
    entries take no part.

    Returns:
        At most `MOST_STANDINGS`, those with the most results first, and how many there are in all.
    """
    alike: dict[tuple[str, tuple[str, ...], str], list[Entry]] = {}
    for entry in entries:
        if entry.unranked is None:
            alike.setdefault((entry.group.training, entry.group.rules, entry.streams), []).append(
                entry
            )
    chosen = []
    for key, same in alike.items():
        results = _results(same)
        there: dict[str, set[str]] = {}
        for name, dataset in results:
            there.setdefault(dataset, set()).add(name)
        datasets = shared_datasets(there)
        if datasets:
            shared = set.intersection(*(there[dataset] for dataset in datasets))
            chosen.append(
                (
                    -len(shared) * len(datasets),
                    key,
                    datasets,
                    tuple(sorted(set(there) - set(datasets))),
                    results,
                )
            )
    chosen.sort(key=lambda choice: choice[:2])
    most = chosen[:MOST_STANDINGS]
    return [
        Standing(*key, left_out, tuple(_tables(key[2], datasets, results)))
        for _, key, datasets, left_out, results in most
    ], len(chosen)


def _results(entries: Sequence[Entry]) -> dict[tuple[str, str], tuple[Cell, ...]]:
    """(row, data set) -> its cells; of a data set, only under the labels and of the extraction of
    the features that most entries share.
    """
    by_dataset: dict[str, list[Entry]] = {}
    for entry in entries:
        by_dataset.setdefault(entry.group.dataset, []).append(entry)
    found: dict[tuple[str, str], tuple[Cell, ...]] = {}
    for dataset, same in by_dataset.items():
        conditions = [(entry.group.labelled, entry.extracted) for entry in same]
        usual = max(sorted(set(conditions)), key=conditions.count)
        for entry, condition in zip(same, conditions, strict=True):
            if condition == usual:
                key = row_name(entry), dataset
                found[key] = SEVERAL if key in found else entry.cells
    return found


def row_name(entry: Entry) -> str:
    """The method, with its settings where they are not its preset for a CPU (of which a default is
    one).
    """
    return (
        entry.method
        if entry.settings in ("fast", "default")
        else f"{entry.method} ({entry.settings})"
    )


def shared_datasets(there: dict[str, set[str]]) -> tuple[str, ...]:
    """Of two or more data sets, those that give the most cells of methods that are on all of them;
    of equals, the larger choice.

    Only which results exist decides, never their values.

    Args:
        there: data set -> the methods that have a result on it.

    Returns:
        Their names, sorted; none if no two data sets share two methods.
    """
    candidates = sorted(there, key=lambda dataset: (-len(there[dataset]), dataset))[:MOST_DATASETS]
    best: tuple[tuple[int, int], tuple[str, ...]] = ((0, 0), ())
    for count in range(2, len(candidates) + 1):
        for chosen in combinations(sorted(candidates), count):
            methods = len(set.intersection(*(there[dataset] for dataset in chosen)))
            if methods > 1 and (methods * count, count) > best[0]:
                best = (methods * count, count), chosen
    return best[1]


def _tables(
    features: str, datasets: Sequence[str], results: dict[tuple[str, str], tuple[Cell, ...]]
) -> Iterable[RankTable]:
    for position, (title, metric) in enumerate(BOARD.items()):
        columns = tuple(Column(dataset, title, metric) for dataset in datasets)
        names = sorted({name for name, dataset in results if dataset in datasets})
        rows = tuple(
            Row(
                name,
                features,
                tuple(results.get((name, dataset), MISSING)[position] for dataset in datasets),
            )
            for name in names
        )
        yield rank_table(Table(title, "", columns, rows, ()), title)
