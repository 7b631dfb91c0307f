"""What an entrant says of scores that were not computed here, and under which name."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from vadbench import registry
from vadbench.datasets.matching import spelling
from vadbench.errors import BadInput, quote
from vadbench.spec import TEST_FREE

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ADDRESS = re.compile(r"https?://[^\s<>\"']+")
LONGEST = 500  # characters of what is declared


@dataclass(frozen=True)
class Declared:
    """What an entrant says of scores; empty where nothing was said.

    Attributes:
        paper: who made them, and where it is described.
        code: an address.
        features: what the method sees.
        train_data: what was trained on, where it is not the data set's own training videos.
        notes: anything else.
        test_free: where no test label was used, to choose anything: `code`, `protocol`.
    """

    paper: str = ""
    code: str = ""
    features: str = ""
    train_data: str = ""
    notes: str = ""
    test_free: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """What was said, JSON-ready, in one order.

        Raises:
            BadInput: on a text that is too long or has signs that cannot be printed, an address
                that is none, or something else than `code` and `protocol` in `test_free`.
        """
        for part in self.test_free:
            if part not in TEST_FREE:
                raise registry.unknown("part in --test-free", part, TEST_FREE)
        said: dict[str, Any] = {name: text for name, text in asdict(self).items() if text}
        for name, text in said.items():
            if name != "test_free":
                said[name] = _check_text(name, text)
        if self.code and not ADDRESS.fullmatch(said["code"]):
            raise BadInput(f"--code {quote(self.code)}; expected an address, https://…")
        if self.test_free:
            said["test_free"] = [part for part in TEST_FREE if part in self.test_free]
        return said


def check_name(name: str) -> None:
    """Refuse a name that no folder can have, or that a method here has.

    Raises:
        BadInput: with what a name may be.

    >>> check_name("my-method_2.1")
    """
    if not NAME.fullmatch(name):
        raise BadInput(
            f"--as {quote(name)}; expected letters, digits, - _ and ., the first a letter or digit,"
            " 64 at most"
        )
    ours = {spelling(known): known for known in registry.names("detectors", "recipes")}
    if spelling(name) in ours:
        raise BadInput(
            f"--as {name}: {ours[spelling(name)]} is a method of vadbench; name yours otherwise,"
            f" such as {name}-authors"
        )


def _check_text(name: str, text: str) -> str:
    """What is declared, its blanks single."""
    words = " ".join(text.split())
    option = f"--{name.replace('_', '-')}"
    if not words.isprintable() or not words:
        raise BadInput(f"{option} {quote(text)}; expected characters that can be printed")
    if len(words) > LONGEST:
        raise BadInput(f"{option} has {len(words)} characters; expected {LONGEST} at most")
    return words
