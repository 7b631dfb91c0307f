"""Whether what was imported is what is stored, and what its files hold now."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vadbench import registry
from vadbench.datasets.base import Split
from vadbench.datasets.open import open_dataset
from vadbench.datasets.part import base_of
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.importers.clips import Clips, ImportedRows, Layout
from vadbench.features.importers.read import digest
from vadbench.features.importers.write import digest_places, digest_vectors
from vadbench.features.names import StreamName
from vadbench.features.stream import Imported, StreamPlan, plan_import

AGAIN = "`vadbench features import` reads it again"


def check_imports(cache: Path) -> dict[Path, str]:
    """What is wrong with imports: a record that is damaged, stored rows that are others than were
    read, files that are still on this machine and have changed; all of them are read.

    Returns:
        The split's folder, or the record, and a line.
    """
    told: dict[Path, str] = {}
    for record in sorted(cache.glob("*@*/imports/[!.]*.json")):
        try:
            imported, plan = _read(record)
        except BadInput as error:
            told[record] = str(error)
            continue
        for split in imported.vectors:
            folder = plan.folder(cache, split)  # type: ignore[arg-type]
            try:
                _check_rows(folder, imported, split, record)
                _check_source(imported, split, record)  # type: ignore[arg-type]
            except BadInput as error:
                told[folder] = str(error)
    return told


def _read(record: Path) -> tuple[Imported, StreamPlan]:
    try:
        imported = Imported.model_validate_json(record.read_bytes())
        name = StreamName.parse(record.stem, "")
    except (ValueError, OSError) as error:
        raise BadInput(f"{record}: damaged, not the record of an import; {AGAIN}") from error
    return imported, plan_import(record.parent.parent.name, name, imported)


def _check_rows(folder: Path, imported: Imported, split: str, record: Path) -> None:
    if not folder.is_dir():
        raise BadInput(f"{record}: says {folder}, which is not there; {AGAIN}")
    stream = store.open_folder(folder, str(folder))
    features = stream.features
    rows = ImportedRows(
        np.asarray(features.x),
        features.video,  # type: ignore[arg-type]
        features.frame,  # type: ignore[arg-type]
        features.box,
        imported.windows,
    )
    found = (digest_vectors(rows), digest_places(rows))
    if found != (imported.vectors[split], imported.places.get(split)):
        raise BadInput(f"{folder}: other rows than {record} says were imported; {AGAIN}")


def _check_source(imported: Imported, split: Split, record: Path) -> None:
    """Refuse files that are still there and hold something else."""
    source, dataset = Path(imported.sources.get(split, "")), record.parent.parent.name.split("@")[0]
    if not imported.sources.get(split) or not source.exists():
        return
    if base_of(dataset) not in registry.names("datasets"):
        return
    layout = Layout(suffix=imported.options.get("suffix", ""))
    try:
        clips = Clips.of(open_dataset(dataset), split, tuple(imported.vectors))  # type: ignore[arg-type]
        found = digest(source, imported.options.get("format", ""), clips, layout)
    except KeyError as error:
        raise BadInput(f"{record}: damaged, it says no format that there is; {AGAIN}") from error
    except OSError as error:
        raise BadInput(f"{source}: cannot be read ({error.strerror}); {AGAIN}") from error
    if found != imported.files.get(split):
        raise BadInput(
            f"{source}: holds something else than when {record.stem} was imported; {AGAIN}"
        )
