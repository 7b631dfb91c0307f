"""The identity of a result's record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vadbench.files.canonical import canonical_hash
from vadbench.spec import Result

# fields that a protocol had once. They stay in the identity of a record, so that every record keeps
# its place.
RETIRED: dict[str, Any] = {"resamples": 1000, "resampling_seed": 0, "windows": "centre"}


def identity_of(result: Result, runs: Sequence[str]) -> str:
    """The identity of a result's record: sha256 of its runs' identities, its protocol, and the
    read-out where only one that is no default is evaluated.
    """
    parts = [one.part.document for one in result.parts]
    protocol = result.protocol.model_dump(mode="json") | RETIRED | {"parts": parts}
    document = {"runs": list(runs), "protocol": protocol}
    read_out = {} if result.read_out is None else {"read_out": result.read_out}
    return canonical_hash({**document, **read_out})
