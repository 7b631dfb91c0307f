"""What tested frames are held against: labels and region tracks with their digests.

They are recorded beside every number, and compared before one is shown again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from vadbench.datasets.base import Dataset, Resplit
from vadbench.datasets.derived_tracks import COLUMNS, check_regions
from vadbench.datasets.label_sets import find_label_set
from vadbench.datasets.memory import read_memory, remember
from vadbench.datasets.resplit import labels_tested, tracks_tested
from vadbench.spec import OFFICIAL
from vadbench.versions import source_of


def truth_of(
    dataset: Dataset, resplit: Resplit | None, cache: Path, label_set: str = OFFICIAL
) -> dict[str, Any]:
    """Name, source, counts and digest of the labels, source and digest of the region tracks (None
    without any), JSON-ready.

    What was read once is remembered beside the cache for as long as the data set says that the
    files are the same ones.

    Args:
        dataset: whose test split.
        resplit: the tested videos, where they are not the data set's own test split.
        cache: the store's root.
        label_set: the name of the labels; region tracks are of the official ones alone.

    Raises:
        BadInput: if labels or tracks are absent or wrong, or there are no labels of this name.
    """
    key, memory = _looks(dataset, resplit, label_set), cache / "truth" / f"{dataset.name}.json"
    known = read_memory(memory) if key else {}
    if key in known:
        truth: dict[str, Any] = known[key]
        return truth
    tracks = tracks_tested(dataset, resplit) if label_set == OFFICIAL else None
    if tracks is not None and resplit is None:
        check_regions(tracks, dataset, f"{dataset.name}: region tracks")
    regions = {
        "tracks": dataset.track_source if label_set == OFFICIAL else None,
        "regions_sha256": None if tracks is None else regions_digest(tracks),
    }
    truth = labels_tested(dataset, resplit, label_set).provenance() | regions
    if key:
        remember(memory, key, truth)
    return truth


def regions_digest(tracks: pd.DataFrame) -> str:
    """sha256 of the regions, whatever their order and their numbers' type."""
    table = tracks[list(COLUMNS)].astype(
        dict.fromkeys(COLUMNS[2:], "float64") | {"video": "str", "track": "str"}
    )
    table = table.sort_values(list(COLUMNS)).reset_index(drop=True)
    return hashlib.sha256(table.to_csv(index=False).encode("utf-8", "surrogateescape")).hexdigest()


def _looks(dataset: Dataset, resplit: Resplit | None, label_set: str) -> str:
    """A digest of the names, sizes and times of the files and of the code that reads them; empty
    where the data set names no file.
    """
    paths = dataset.truth_paths()
    if not paths:
        return ""
    digest = hashlib.sha256(
        f"{source_of(type(dataset).__module__)} {resplit and resplit.document}\n".encode()
    )
    chosen = find_label_set(dataset, label_set)
    if chosen is not None:
        digest.update(f"labels {chosen.name}\n".encode())
        paths += chosen.paths
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            status = file.stat() if file.exists() else None
            seen = "absent" if status is None else f"{status.st_size} {status.st_mtime_ns}"
            digest.update(
                f"{file.relative_to(dataset.root)} {seen}\n".encode("utf-8", "surrogateescape")
            )
    return digest.hexdigest()
