"""What was read of a data set's files once, remembered in a JSON file beside the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vadbench.files.atomic import replace_file
from vadbench.files.canonical import canonical_hash
from vadbench.files.documents import read_json

SEAL = "sha256"  # of all else


def read_memory(path: Path) -> dict[str, Any]:
    """What is remembered; nothing where the file is not there or not as it was written: then the
    data's files are read again.
    """
    try:
        known = read_json(path)
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    seal = known.pop(SEAL, None)
    return known if seal == canonical_hash(known) else {}


def remember(path: Path, key: str, value: Any) -> None:
    """Add a JSON-ready value to what is remembered."""
    known = {**read_memory(path), key: value}
    sealed = {**known, SEAL: canonical_hash(known)}
    with replace_file(path) as aside:
        aside.write_text(json.dumps(sealed, indent=0), encoding="utf-8")
