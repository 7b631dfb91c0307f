"""One text for one JSON document, and its hash: what identities are made of."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_hash(document: Any) -> str:
    """sha256 (hex) of a JSON document in canonical form: sorted keys, no spaces.

    >>> canonical_hash({"b": 1, "a": 2}) == canonical_hash({"a": 2, "b": 1})
    True
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
