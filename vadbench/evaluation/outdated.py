"""Whether a run is of the files that are on this machine."""

from __future__ import annotations

from typing import get_args

from vadbench.datasets.base import Split
from vadbench.datasets.contents import contents_of
from vadbench.datasets.open import open_dataset
from vadbench.locations import cache_root
from vadbench.results.schema import RunRecord


def is_outdated(run: RunRecord, thorough: bool = False) -> bool:
    """Whether a run's features were extracted from other files than those on this machine; not
    where either are not known.

    Args:
        run: its record.
        thorough: whether contents are compared although names, sizes and times of the data's files
            are known ones.
    """
    trained = run.job["train_dataset"].partition("@")[0]
    splits: tuple[Split, ...] = get_args(Split)
    for split in splits:
        before = run.data.get(split)
        if before is None:
            continue
        name = trained if split == "train" else run.job["dataset"]
        now = contents_of(open_dataset(name), split, cache_root(), thorough)
        if now not in (None, before):
            return True
    return False
