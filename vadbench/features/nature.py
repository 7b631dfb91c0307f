"""What imported columns are, as the user states it."""

from __future__ import annotations

import re
from typing import Any

from vadbench.detector import Nature
from vadbench.errors import BadInput

KINDS: dict[str, dict[str, Any]] = {
    "mixed": {},
    "one-unit": {"one_unit": True},
    "embedding": {"one_unit": True, "embedding": True},
}
EXAMPLE = "embedding,network=r3d-18 or mixed,speeds=0-3"


def parse_nature(text: str) -> Nature:
    """The nature that a text states: a kind of `KINDS`, and perhaps `network=NAME` and
    `speeds=FIRST-LAST`.

    >>> parse_nature("embedding,network=r3d-18").network
    'r3d-18'

    Raises:
        BadInput: on a word that means nothing here, with an example.
    """
    kind, *words = [word.strip() for word in text.split(",")]
    if kind not in KINDS:
        raise BadInput(
            f"--nature {text!r}: expected {', '.join(KINDS)} first, for example {EXAMPLE}"
        )
    stated = dict(KINDS[kind])
    for word in words:
        name, _, value = word.partition("=")
        if name == "network" and re.fullmatch(r"[a-z0-9._-]+", value) and stated.get("embedding"):
            stated["network"] = value
        elif name == "speeds" and (span := re.fullmatch(r"(\d+)(?:-(\d+))?", value)):
            first, last = int(span[1]), int(span[2] or span[1])
            stated["speeds"] = tuple(range(first, last + 1))
        else:
            raise BadInput(
                f"--nature {text!r}: {word!r} is not known; expected for example {EXAMPLE}"
            )
    return Nature(**stated)
