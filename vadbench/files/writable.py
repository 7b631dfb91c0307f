"""Whether a folder, which may have to be made, can be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def find_obstacle(folder: Path) -> tuple[Path, str] | None:
    """What keeps a folder from being written: a path, and what the system says of it; None: nothing
    does. Makes nothing.
    """
    above = (folder, *folder.absolute().parents)
    nearest = next(path for path in above if os.path.lexists(path))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    try:  # the system says why
        with tempfile.TemporaryDirectory(prefix=".vadbench-", dir=nearest):
            return None
    except OSError as error:
        return nearest, error.strerror or type(error).__name__
