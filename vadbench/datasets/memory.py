"""What was read of a data set's files once, remembered in a JSON file beside the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vadbench.files.atomic import replace_file
from vadbench.files.documents import read_json


def read_memory(path: Path) -> dict[str, Any]:
    """What is remembered; nothing where the file is not there or not whole: then the data's files
    are read again.
    """
    try:
        known = read_json(path)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(path: Path, key: str, value: Any) -> None:
    """Add a JSON-ready value to what is remembered."""
    with replace_file(path) as aside:
        aside.write_text(json.dumps({**read_memory(path), key: value}, indent=0), encoding="utf-8")
