"""The data set of a name, opened once a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vadbench import registry
from vadbench.datasets.base import Dataset
from vadbench.locations import cache_root, data_root


def open_dataset(name: str) -> Dataset:
    """The data set `name`; those we make ourselves live in the cache, the others under
    `$VADBENCH_DATA`.

    Raises:
        BadInput: on an unknown name, with those there are.
    """
    dataset: type[Dataset] = registry.load("datasets", name)
    return _open(dataset, cache_root() if dataset.generated else data_root())


@cache
def _open(dataset: type[Dataset], root: Path) -> Dataset:
    return dataset(root)
