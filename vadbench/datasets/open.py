"""The data set of a name, opened once a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vadbench import registry
from vadbench.datasets.base import Dataset
from vadbench.datasets.part import base_of, is_part, open_part
from vadbench.locations import cache_root, data_root


def open_dataset(name: str) -> Dataset:
    """The data set `name`, or the part of one that it names; those we make ourselves live in the
    cache, the others under `$VADBENCH_DATA`.

    Raises:
        BadInput: on an unknown name, with those there are, or a part that is not known here.
    """
    dataset: type[Dataset] = registry.load("datasets", base_of(name))
    root = cache_root() if dataset.generated else data_root()
    return _open_part(dataset, root, name, cache_root()) if is_part(name) else _open(dataset, root)


@cache
def _open(dataset: type[Dataset], root: Path) -> Dataset:
    return dataset(root)


@cache
def _open_part(dataset: type[Dataset], root: Path, name: str, memory: Path) -> Dataset:
    return open_part(dataset(root), name, memory)
