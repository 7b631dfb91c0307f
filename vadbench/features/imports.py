"""Imported vectors: rows that somebody released, checked by `importers/`, written into the store as a stream of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.datasets.base import Dataset, Split
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.extract import circumstances, is_stored
from vadbench.features.importers import ImportedRows
from vadbench.features.names import StreamName
from vadbench.features.stream import StreamPlan, import_record, plan_import


def write_import(
    dataset: Dataset, stream: str, rows: dict[Split, ImportedRows], digests: dict[str, str], options: dict[str, Any], cache: Path
) -> StreamPlan:
    """Store all splits' rows and, after them, record which files they came from, so that planning finds them.

    Args:
        dataset: whose videos the rows are of.
        stream: `<extractor>@import.<label>`.
        rows: of both splits, and of the unlabelled videos where they are for the unsupervised setting too.
        digests: sha256 of the files read, by name.
        options: how they were read; part of the fingerprint.
        cache: the store's root.

    Raises:
        BadInput: if the name is no import's, or the splits differ in their columns.
    """
    from filelock import FileLock

    name = StreamName.parse(stream, dataset.boxes)
    dims = {split: of_split.x.shape[1] for split, of_split in rows.items()}
    if not name.imported:
        raise BadInput(f"stream {stream!r}: expected {name.extractor}@import.<label>, for example {name.extractor}@import.released")
    if len(set(dims.values())) > 1:
        raise BadInput(f"{dataset.name} {name}: files of {', '.join(map(str, dims.values()))} columns ({', '.join(dims)}); expected as many")
    where = f"{dataset.name}@{dataset.revision}"
    plan, record = plan_import(where, name, options, digests), import_record(cache, where, name)
    with store.disk_trouble_told(record):
        record.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(record.with_name(f".lock-{record.name}")):
            for split, of_split in rows.items():
                _write(dataset, plan, split, of_split, cache)
            aside = record.with_suffix(".tmp")
            store.write_file(aside, (json.dumps({"options": options, "files": digests}, indent=1) + "\n").encode())
            aside.rename(record)  # last: planning finds an import that is whole, or the one before
    return plan


def _write(dataset: Dataset, plan: StreamPlan, split: Split, rows: ImportedRows, cache: Path) -> None:
    folder, videos = plan.folder(cache, split), dataset.videos(split)
    if is_stored(folder, videos):
        return
    order = np.lexsort((rows.frame, rows.video))
    box = None if rows.box is None else rows.box[order]
    numbers = np.arange(len(order), dtype=np.int64)
    index = store.Index(rows.video[order].astype(np.int32), rows.frame[order].astype(np.int32), numbers, box)
    dim = rows.x.shape[1]
    described = plan.manifest | {"columns": [f"x{k}" for k in range(dim)], "unit": "window" if rows.windows else "object"}
    folder.parent.mkdir(parents=True, exist_ok=True)
    store.write(folder, described | circumstances(videos), index, [np.ascontiguousarray(rows.x[order], np.float32)], dim)
