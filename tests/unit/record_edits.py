"""Edits of a record by hand, each by a name: what people and accidents do to run.json and
metrics.json.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vadbench.files.canonical import canonical_hash
from vadbench.results.seals import SHA256, SHORT, seal

Document = dict[str, Any]
Path_ = tuple[str | int, ...]
# fields whose change in range leaves no trace once the record has been sealed again: only
# `vadbench evaluate` finds them
UNSEEN = (
    "labels",
    "evaluation",
    "chosen",
    "given",
    "asked",
    "extraction",
    "code",
    "read_outs",
    "digests",
    "values",
)


def list_leaves(document: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Where the fields of a document are; of a long list the first two items."""
    yield at
    if isinstance(document, dict):
        for name in sorted(document):
            yield from list_leaves(document[name], (*at, name))
    elif isinstance(document, list):
        for place in range(min(len(document), 2)):
            yield from list_leaves(document[place], (*at, place))


def change(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.1
    if isinstance(value, str):
        return value[:-1] + ("1" if value.endswith("0") else "0")
    if isinstance(value, list):
        return value[1:] if value else ["x"]
    return {**value, "x": 1} if isinstance(value, dict) else "x"


KINDS: dict[str, Callable[[Any], Any]] = {
    "changed": change,
    "null": lambda value: None if value is not None else 0,
    "text": lambda value: "edited",
    "number": lambda value: 7.5,
    "negative": lambda value: -1,
    "huge": lambda value: 10**400,
    "list": lambda value: [],
    "table": lambda value: {"x": 1},
}


def edit(document: Document, at: Path_, kind: str) -> Document | None:
    """The document with one field edited or `removed`; None where that changes nothing."""
    edited = copy.deepcopy(document)
    parent: Any = edited
    for step in at[:-1]:
        parent = parent[step]
    if kind == "removed":
        del parent[at[-1]]
    else:
        parent[at[-1]] = KINDS[kind](parent[at[-1]])
    return None if edited == document else edited


def list_edits(document: Document) -> Iterator[tuple[str, Document]]:
    """Every field edited in every way, with a name."""
    for at in list_leaves(document):
        for kind in (*KINDS, "removed"):
            edited = edit(document, at, kind) if at else None
            if edited is not None:
                yield f"{'.'.join(map(str, at))} {kind}", edited


def reseal(document: Document) -> Document:
    """The document with the digest of what it says now."""
    return {**document, SHA256: seal(document)}


def write(path: Path, document: Document) -> None:
    """Write it as JSON, whatever it holds."""
    path.write_text(json.dumps(document, indent=1))


def move_run(path: Path, document: Document) -> None:
    """Give an edited run the identity of its job, and its folder that of its identity."""
    identity = canonical_hash(document["job"])
    folder = path.parent.with_name(identity[:SHORT])
    path.parent.rename(folder)
    write(folder / path.name, reseal({**document, "identity": identity}))
