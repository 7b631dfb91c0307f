"""JSON and TOML documents, parsed in one place: whatever is wrong with one is told in one line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vadbench.errors import BadInput
from vadbench.files.text import read_text


def read_json(path: Path) -> Any:
    """The document of a JSON file.

    Raises:
        BadInput: if it is not UTF-8, is no JSON (NaN and Infinity are none), is nested too deeply
            or holds a number of too many digits.
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
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _parse(path: Path, kind: str, parse: Callable[[str], Any]) -> Any:
    text = read_text(path)
    try:
        return parse(text)
    except RecursionError as error:
        raise BadInput(f"{path}: not {kind} (nested too deeply)") from error
    except ValueError as error:
        raise BadInput(f"{path}: not {kind} ({' '.join(str(error).split())})") from error
