"""Names to classes through entry points, loaded only when asked for, so that listing names imports no method.

Groups: vadbench.detectors, vadbench.recipes, vadbench.extractors, vadbench.boxes, vadbench.datasets; any installed package may add to them.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vadbench.errors import BadInput

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Kind = Literal["detectors", "recipes", "extractors", "boxes", "datasets"]


@cache
def _entries(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=f"vadbench.{kind}"))}


def names(*kinds: Kind) -> list[str]:
    """The registered names of these kinds, without importing anything."""
    return sorted(name for kind in kinds for name in _entries(kind))


def load(kind: Kind, name: str) -> Any:
    """The class or recipe registered as `name`.

    Raises:
        BadInput: on an unknown name, with the choices and the nearest match.
    """
    if name not in _entries(kind):
        raise unknown(kind.removesuffix("s"), name, names(kind))
    return _entries(kind)[name].load()


def unknown(what: str, name: str, choices: Iterable[str]) -> BadInput:
    """The error for a name that is none of `choices`: lists them and the nearest match."""
    choices = sorted(choices)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return BadInput(f"unknown {what} {name!r}: choose from {', '.join(choices) or 'none'}{hint}")


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong with a model's values, in one line; an unknown field lists those there are."""
    fault = error.errors()[0]
    where = ".".join(str(step) for step in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return str(unknown("field", where, model.model_fields))
    if not where:  # a rule about several fields says what it got
        return str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {fault['msg']}, got {fault['input']!r}"


def title(kind: Kind, name: str) -> str:
    """The first line of the docstring of the module that holds `name`, parsed and not imported."""
    spec = importlib.util.find_spec(_entries(kind)[name].module)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return docstring.splitlines()[0] if docstring else ""
