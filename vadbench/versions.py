"""Which code decides a number: versions of what is registered, and of a user's plug-ins their
source too.

Version 1 of what comes with vadbench is left out: an identity then says what it said before
versions were kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from vadbench import registry
from vadbench.registry import Kind

OURS = "vadbench"  # the distribution whose versions are raised by hand (CONTRIBUTING.md)


def code_of(kind: Kind, name: str) -> dict[str, Any]:
    """What identities say of the code behind a registered name, JSON-ready; empty for version 1 of
    ours.

    Of a plug-in: its distribution with its version, and the digest of its package's source files.

    Raises:
        BadInput: on an unknown name.
    """
    found: dict[str, Any] = {}
    version = _version(registry.load(kind, name))
    if version != 1:
        found["version"] = version
    entry = registry.entry(kind, name)
    if entry.dist is None or entry.dist.name != OURS:
        package = "unknown" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
        found |= {"package": package, "source": source_of(entry.module)}
    return found


def _version(registered: Any) -> int:
    """A detector's stands in its info."""
    info = getattr(registered, "info", registered)
    return int(getattr(info, "version", 1))


def source_of(module: str) -> str:
    """12 hex digits of the Python files of a module's top-level package, names and contents."""
    return _digest(module.partition(".")[0])


@cache
def _digest(package: str) -> str:
    digest = hashlib.sha256()
    for place, path in _files(package):
        digest.update(f"{place}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _files(package: str) -> list[tuple[str, Path]]:
    """The source files by their place in the package; of an extension module itself."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        files = [
            (path.relative_to(top).as_posix(), path)
            for top in folders
            for path in top.rglob("*.py")
        ]
        return sorted(files)
    return [(package, Path(spec.origin))] if spec.origin and Path(spec.origin).is_file() else []
