"""Files by the names that are expected of them, where they may be spelt in another way: `1` for
`01`, another case or Unicode form.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vadbench.datasets.matching import match_names, spelling
from vadbench.errors import BadInput


def find_path(folder: Path, name: str, among: Iterable[str] = ()) -> Path:
    """`folder / name` if it is there, else what is there in its place: the one path that is spelt
    like it.

    Args:
        folder: where to look.
        name: a path relative to it, with forward slashes.
        among: what else is expected there; a path that belongs to one of these is not taken.

    Returns:
        The path that is there, or `folder / name` where nothing is, for the caller to tell.

    Raises:
        BadInput: if there are paths spelt like it, and none that leaves no doubt.
    """
    if os.path.lexists(folder / name):
        return folder / name
    there = _match_spelling(folder, name)
    matched = match_names(there, [name, *among])
    found = next((path for path, expected in matched.partner.items() if expected == name), None)
    if found is None and there:
        raise BadInput(
            f"{folder / name}: not there as spelt, and its place in doubt"
            f" ({matched.lone or f'{there[0]!r} is another'}); rename one"
        )
    return folder / (found or name)


def _match_spelling(folder: Path, name: str) -> list[str]:
    """The paths below the folder whose parts differ from those of `name` in spelling alone, in
    order.
    """
    found = [PurePosixPath()]
    for part in PurePosixPath(name).parts:
        found = [
            place / entry
            for place in found
            for entry in _entries(folder / place)
            if spelling(entry) == spelling(part)
        ]
    return [str(path) for path in found]


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
