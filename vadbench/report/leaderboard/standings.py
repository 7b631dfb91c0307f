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
Conditions = tuple[str, tuple[str, ...], str]  # training, rules, streams in one order
Cells = tuple[Cell, ...]  # one for each of `BOARD`


@dataclass(frozen=True)
class Standing:
    """The ranks of methods on one choice of features.

    Attributes:
        training: the setting in words; `trained on X` where that is not the tested data set.
        rules: the protocol's fields that differ from the data sets' default protocols.
        features: streams, joined by `+`, in one order for all methods.
        left_out: data sets with these features that too few of the methods share.
        unranked: methods that have results on these features by their usual settings, none of
            which may be ranked: (name, why).
        absent: methods that have no result on these features and data sets.
        tables: one for each of `BOARD`.
    """

    training: str
    rules: tuple[str, ...]
    features: str
    left_out: tuple[str, ...]
    unranked: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]
    tables: tuple[RankTable, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """What the ranks are averaged over."""
        return self.tables[0].datasets

    @property
    def ranked(self) -> tuple[str, ...]:
        """The rows with ranks by the first of `BOARD`."""
        return tuple(row.method for row in self.tables[0].ranked)


def make_standings(entries: Iterable[Entry]) -> tuple[list[Standing], int]:
    """The standings of features that two or more methods share on two or more data sets; unranked
    entries take no part.

    Returns:
        At most `MOST_STANDINGS`, those with the most results first, and how many there are in all.
    """
    alike: dict[Conditions, list[Entry]] = {}
    names: set[str] = set()
    for entry in entries:
        names.add(entry.method)
        conditions = entry.group.training, entry.group.rules, entry.streams
        alike.setdefault(conditions, []).append(entry)
    choices = []
    for conditions, same in alike.items():
        results = _read_results([entry for entry in same if entry.unranked is None])
        methods = _list_methods(results)
        datasets = shared_datasets(methods)
        if datasets:
            shared = set.intersection(*(methods[dataset] for dataset in datasets))
            choices.append((-len(shared) * len(datasets), conditions, datasets))
    choices.sort()
    most = choices[:MOST_STANDINGS]
    standings = [
        _make_standing(conditions, datasets, alike[conditions], names)
        for _, conditions, datasets in most
    ]
    return standings, len(choices)


def list_outside(
    entries: Iterable[Entry], standings: Sequence[Standing]
) -> list[tuple[str, tuple[str, ...]]]:
    """(data set, its features in the first view) of the data sets that no standing is over."""
    inside = {dataset for standing in standings for dataset in standing.datasets}
    features: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry.usual and entry.group.dataset not in inside:
            features.setdefault(entry.group.dataset, {})[entry.features] = None
    return [(dataset, tuple(names)) for dataset, names in features.items()]


def _make_standing(
    conditions: Conditions,
    datasets: tuple[str, ...],
    entries: Sequence[Entry],
    names: set[str],
) -> Standing:
    """The standing of entries that share the conditions; `names` are all methods there are."""
    training, rules, features = conditions
    present = {entry.method for entry in entries if entry.group.dataset in datasets}
    results = _read_results([entry for entry in entries if entry.unranked is None])
    return Standing(
        training,
        rules,
        features,
        left_out=tuple(sorted(set(_list_methods(results)) - set(datasets))),
        unranked=_list_unranked(entries, datasets),
        absent=tuple(sorted(names - present)),
        tables=tuple(_rank(features, datasets, results)),
    )


def _list_methods(results: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Data set -> the rows that have a result on it."""
    methods: dict[str, set[str]] = {}
    for name, dataset in results:
        methods.setdefault(dataset, set()).add(name)
    return methods


def _list_unranked(
    entries: Sequence[Entry], datasets: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """(method, why) of methods that are never ranked on these data sets, though they were run by
    their preset.
    """
    here = [entry for entry in entries if entry.group.dataset in datasets]
    ranked = {entry.method for entry in here if entry.unranked is None}
    reasons: dict[str, str] = {}
    for entry in here:
        by_preset = entry.settings == entry.preset and entry.chosen_read_out is None
        if entry.unranked is not None and by_preset and entry.method not in ranked:
            reasons.setdefault(entry.method, entry.unranked)
    return tuple(sorted(reasons.items()))


def _read_results(entries: Sequence[Entry]) -> dict[tuple[str, str], Cells]:
    """(row, data set) -> its cells; of a data set, only under the labels and of the extraction of
    the features that most entries share.
    """
    by_dataset: dict[str, list[Entry]] = {}
    for entry in entries:
        by_dataset.setdefault(entry.group.dataset, []).append(entry)
    results: dict[tuple[str, str], Cells] = {}
    for dataset, same in by_dataset.items():
        conditions = [(entry.group.labelled, entry.extracted) for entry in same]
        usual = max(sorted(set(conditions)), key=conditions.count)
        for entry, condition in zip(same, conditions, strict=True):
            if condition == usual:
                key = row_name(entry), dataset
                results[key] = SEVERAL if key in results else entry.cells
    return results


def row_name(entry: Entry) -> str:
    """The method, with its settings where they are not its preset for a CPU (of which a default is
    one).
    """
    return (
        entry.method
        if entry.settings in ("fast", "default")
        else f"{entry.method} ({entry.settings})"
    )


def shared_datasets(methods: dict[str, set[str]]) -> tuple[str, ...]:
    """Of two or more data sets, those that give the most cells of methods that are on all of them;
    of equals, the larger choice.

    Only which results exist decides, never their values.

    Args:
        methods: data set -> the methods that have a result on it.

    Returns:
        Their names, sorted; none if no two data sets share two methods.
    """
    largest = sorted(methods, key=lambda dataset: (-len(methods[dataset]), dataset))
    candidates = sorted(largest[:MOST_DATASETS])
    best: tuple[tuple[int, int], tuple[str, ...]] = ((0, 0), ())
    for count in range(2, len(candidates) + 1):
        for choice in combinations(candidates, count):
            shared = len(set.intersection(*(methods[dataset] for dataset in choice)))
            if shared > 1 and (shared * count, count) > best[0]:
                best = (shared * count, count), choice
    return best[1]


def _rank(
    features: str, datasets: Sequence[str], results: dict[tuple[str, str], Cells]
) -> Iterable[RankTable]:
    names = sorted({name for name, dataset in results if dataset in datasets})
    for position, (title, metric) in enumerate(BOARD.items()):
        columns = tuple(Column(dataset, title, metric) for dataset in datasets)
        rows = []
        for name in names:
            cells = (results.get((name, dataset), MISSING)[position] for dataset in datasets)
            rows.append(Row(name, features, tuple(cells)))
        yield rank_table(Table(title, "", columns, tuple(rows), ()), title)
