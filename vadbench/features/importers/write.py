"""Imported vectors: rows that somebody released, checked by `importers/`, written into the store as
a stream of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset, Split
from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.extract import circumstances, is_stored
from vadbench.features.importers.clips import ImportedRows
from vadbench.features.names import StreamName
from vadbench.features.stream import Imported, StreamPlan, import_record, plan_import
from vadbench.files.atomic import replace_file


def write_import(
    dataset: Dataset,
    stream: str,
    rows: dict[Split, ImportedRows],
    digests: dict[str, str],
    options: dict[str, Any],
    cache: Path,
    nature: Nature | None = None,
    sources: Mapping[Split, Path] | None = None,
) -> StreamPlan:
    """Store all splits' rows and, after them, record which files they came from, so that planning
    finds them.

    Args:
        dataset: whose videos the rows are of.
        stream: `<extractor>@import.<label>`.
        rows: of both splits, and of the unlabelled videos where they are for the unsupervised
            setting too.
        digests: sha256 of the files read, by split.
        options: how they were read; like the files, recorded and no part of the fingerprint, which
            hashes the rows.
        cache: the store's root.
        nature: what the columns are; none: what the extractor declares of all its variants.
        sources: where the files lie, so that `vadbench features verify` finds them.

    Raises:
        BadInput: if the name is no import's, or the splits differ in their columns.
    """
    from filelock import FileLock

    name = StreamName.parse(stream, dataset.boxes)
    dims = {split: of_split.x.shape[1] for split, of_split in rows.items()}
    if not name.imported:
        raise BadInput(
            f"stream {stream!r}: expected {name.extractor}@import.<label>, for example"
            f" {name.extractor}@import.released"
        )
    if len(set(dims.values())) > 1:
        raise BadInput(
            f"{dataset.name} {name}: files of {', '.join(map(str, dims.values()))} columns"
            f" ({', '.join(dims)}); expected as many"
        )
    if nature is not None:
        nature = _check_nature(nature, rows)
    where = f"{dataset.name}@{dataset.revision}"
    rows = {split: _sort(of_split) for split, of_split in rows.items()}
    imported = Imported(
        vectors={split: digest_vectors(of_split) for split, of_split in rows.items()},
        places={split: digest_places(of_split) for split, of_split in rows.items()},
        windows=rows["train"].windows,
        nature=nature,
        options=options,
        files=digests,
        sources={split: str(path.absolute()) for split, path in (sources or {}).items()},
    )
    plan, record = plan_import(where, name, imported), import_record(cache, where, name)
    with store.explain_disk_errors(record):
        record.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(record.with_name(f".lock-{record.name}")):
            for split, of_split in rows.items():
                _write(dataset, plan, split, of_split, cache)
            # last: planning finds an import that is whole, or the one before
            with replace_file(record) as aside:
                aside.write_text(imported.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return plan


def _write(
    dataset: Dataset, plan: StreamPlan, split: Split, rows: ImportedRows, cache: Path
) -> None:
    folder, videos = plan.folder(cache, split), dataset.videos(split)
    if is_stored(folder, videos):
        return
    index = store.Index(rows.video, rows.frame, np.arange(len(rows.x), dtype=np.int64), rows.box)
    dim = rows.x.shape[1]
    described = (
        plan.manifest
        | {
            "columns": [f"x{k}" for k in range(dim)],
            "unit": "window" if rows.windows else "object",
        }
        | ({} if rows.shape is None else {"shape": list(rows.shape)})
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    store.write(folder, described | circumstances(videos), index, [rows.x], dim)


def _check_nature(nature: Nature, rows: dict[Split, ImportedRows]) -> Nature:
    """The stated nature with what the rows themselves say.

    Raises:
        BadInput: on a column of speed that is none.
    """
    train = rows["train"]
    if max(nature.speeds or (0,)) >= train.x.shape[1]:
        raise BadInput(
            f"--nature: column {max(nature.speeds or ())} is no column of these vectors, which have"
            f" 0 to {train.x.shape[1] - 1}"
        )
    return replace(nature, windows=train.windows)


def _sort(rows: ImportedRows) -> ImportedRows:
    """The rows by clip and frame, in the types of the store; those of one frame keep their
    order.
    """
    order = np.lexsort((rows.frame, rows.video))
    x = np.ascontiguousarray(rows.x[order], np.float32)
    box = None if rows.box is None else np.ascontiguousarray(rows.box[order], np.float32)
    video, frame = rows.video[order].astype(np.int32), rows.frame[order].astype(np.int32)
    return ImportedRows(x, video, frame, box, rows.windows, shape=rows.shape)


def _places(rows: ImportedRows) -> list[NDArray[Any]]:
    """What says which object, or window, a row is of."""
    return [rows.video, rows.frame, *([] if rows.box is None else [rows.box])]


def digest_vectors(rows: ImportedRows) -> str:
    """16 hex digits of what the rows say."""
    return _digest(rows.x)


def digest_places(rows: ImportedRows) -> str:
    """16 hex digits of which objects, or windows, the rows are of."""
    return _digest(*_places(rows))


def _digest(*arrays: NDArray[Any]) -> str:
    """16 hex digits of arrays' types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(
            f"{array.dtype.str} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes()
        )
    return digest.hexdigest()[:16]
