"""What a data set's page shows of kinds of anomaly: AUC of the events of each category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.events import CategoryAuc, category_aucs
from vadbench.report.events import Truths
from vadbench.report.leaderboard.entries import Entry
from vadbench.report.leaderboard.standings import row_name
from vadbench.report.leaderboard.videos import (
    MOST_METHODS,
    by_features,
    largest_choice,
    read_records,
    read_scores,
)
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord


@dataclass(frozen=True)
class Kinds:
    """AUC by category: the frames of a category's events against all normal frames, of scores under
    the protocol's smoothing.

    Attributes:
        features: whose methods are shown: those whose clips are.
        categories: name, events and anomalous frames of each.
        rows: method and its AUC for each category, mean over seeds; None: undefined.
        reasons: why values are undefined.
    """

    features: str
    categories: tuple[tuple[str, int, int], ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    reasons: tuple[str, ...]


def make_kinds(entries: Sequence[Entry], results: Results) -> Kinds | None:
    """The kinds of anomaly of a data set; None where its events have no names, where it or its
    labels are not on this machine, or where no ranked row kept its frame scores.
    """
    choices = by_features(entries)
    every = largest_choice(choices)[1] if choices else []
    truths, measured = Truths(), {}
    for entry in every[:MOST_METHODS]:
        records = read_records(entry, results)
        found = [aucs for one in records if (aucs := _measure(one, results, truths))]
        if found and len(found) == len(records):
            measured[row_name(entry)] = found
    first = next(iter(measured.values()))[0] if measured else ()
    if all(one.category is None for one in first):
        return None
    rows = {
        name: tuple(_average(list(column)) for column in zip(*found, strict=True))
        for name, found in measured.items()
    }
    reasons = dict.fromkeys(one.auc.reason for one in first if one.auc.reason)
    return Kinds(
        every[0].features,
        tuple((one.category or "not named", one.events, one.frames) for one in first),
        tuple(rows.items()),
        tuple(reasons),
    )


def _measure(
    record: ResultRecord, results: Results, truths: Truths
) -> tuple[CategoryAuc, ...] | None:
    """None where the labels or the frame scores are not here."""
    try:
        truth = truths.of(record)
        scores = read_scores(record, results)
        if scores is None:
            return None
        return tuple(category_aucs(scores, truth.labels.videos, truth.events))
    except BadInput:  # its message names this machine's folders, which are nobody else's business
        return None


def _average(column: Sequence[CategoryAuc]) -> float | None:
    values = [one.auc.value for one in column if one.auc.value is not None]
    return fmean(values) if len(values) == len(column) else None
