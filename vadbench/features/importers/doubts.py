"""Imported columns that look like labels or indices by their numbers; no label is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Split
from vadbench.features.importers.clips import Floats, ImportedRows

BLOCK = 65536  # rows looked at together
SAMPLE = 2000  # rows of a split, evenly spaced, whose ranks are compared
APART = 0.99  # AUC of training against test rows: features of normal days in common have less
SHOWN = 3  # columns in a line


def suspicions(rows: Mapping[Split, ImportedRows]) -> list[str]:
    """A line for columns that alone tell test rows from training rows, one for those that take two
    values, and what is to be said of the files.

    Args:
        rows: of the splits, alike in their columns.
    """
    train, test = rows["train"], rows["test"]
    apart = np.flatnonzero(separates(_sample(train.x), _sample(test.x)))
    binary = np.flatnonzero(is_binary([of_split.x for of_split in rows.values()]))
    after = "no feature if it is a label, an index or a time"
    found = [train.note] if train.note else []
    if len(apart):
        what = "alone separates training from test rows"
        found.append(f"{_name(apart, train)} {what}; {after}")
    if len(binary):
        found.append(f"{_name(binary, train)} takes two values only; {after}")
    return found


def separates(train: Floats, test: Floats) -> NDArray[np.bool_]:
    """[D] whether a column's values alone tell the rows of train [N, D] from those of test [M, D]:
    ranges apart, or nearly.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([train, test]), axis=0)[: len(train)].sum(0)
    auc = (ranks - len(train) * (len(train) + 1) / 2) / (len(train) * len(test))
    return np.asarray(np.abs(auc - 0.5) > APART - 0.5)


def is_binary(parts: Sequence[Floats]) -> NDArray[np.bool_]:
    """[D] whether a column takes two values in all parts [N, D] together; a constant one does
    not.
    """
    low = np.min([part.min(0) for part in parts], 0)
    high = np.max([part.max(0) for part in parts], 0)
    binary = low < high
    for part in parts:
        for start in range(0, len(part), BLOCK):
            block = part[start : start + BLOCK]
            binary &= ((block == low) | (block == high)).all(0)
    return np.asarray(binary)


def _sample(x: Floats) -> Floats:
    return x[np.linspace(0, len(x) - 1, min(len(x), SAMPLE)).astype(np.intp)]


def _name(columns: NDArray[np.intp], rows: ImportedRows) -> str:
    named = [rows.columns[number] if rows.columns else str(number) for number in columns[:SHOWN]]
    more = f" and {len(columns) - SHOWN} others" if len(columns) > SHOWN else ""
    return f"{'column' if len(columns) == 1 else 'each of columns'} {', '.join(named)}{more}"
