"""JSON and TOML documents, parsed in one place: whatever is wrong with one is told in one line."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vadbench.errors import BadInput, cut
from vadbench.files.text import read_text

HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a surrogate, as JSON escapes it


def read_json(path: Path) -> Any:
    """The document of a JSON file.

    Raises:
        BadInput: if it is not UTF-8, is no JSON (NaN and Infinity are none), is nested too deeply,
            or holds a number too large or a half of a character.
        OSError: if it cannot be read, for the caller's line.
    """
    return _parse(path, "JSON", parse_json)


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a TOML file; raises as `read_json`."""
    table: dict[str, Any] = _parse(path, "TOML", tomllib.loads)
    return table


def parse_json(text: str) -> Any:
    """The document in a text.

    Raises:
        ValueError: if it is no JSON, as `read_json`; the message is for the caller's line.

    >>> parse_json('{"a": [1, null]}')
    {'a': [1, None]}
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if HALF.search(text):
        _refuse_halves(document)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _read_number(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # of 1e999
        raise ValueError(f"{cut(text)} is too large a number")
    return number


def _refuse_halves(document: Any) -> None:
    """Refuse texts that no file and no terminal can take: a surrogate without its other half."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(f"{half!r} is half a character") from error


def _parse(path: Path, kind: str, parse: Callable[[str], Any]) -> Any:
    text = read_text(path)
    try:
        return parse(text)
    except RecursionError as error:
        raise BadInput(f"{path}: not {kind} (nested too deeply)") from error
    except ValueError as error:
        raise BadInput(f"{path}: not {kind} ({cut(str(error))})") from error
