"""Names to classes through entry points, loaded only when asked for, so that listing names imports
no method.

Groups: vadbench.detectors, vadbench.recipes, vadbench.extractors, vadbench.boxes,
vadbench.datasets; any installed package may add to them.
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

from vadbench.errors import QUOTED, BadInput, cut, quote

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Kind = Literal["detectors", "recipes", "extractors", "boxes", "datasets"]
BROKEN = "cannot be loaded"  # how the title of an entry begins that cannot
METHODS: tuple[Kind, ...] = ("detectors", "recipes")  # called by one name


@cache
def _entries(kind: Kind) -> dict[str, list[EntryPoint]]:
    """Name -> what packages register by it, each once: one entry, or a double that is refused where
    it is used.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(
        entry_points(group=f"vadbench.{kind}"), key=lambda entry: (entry.name, entry.value)
    ):
        if entry.value not in {other.value for other in found.setdefault(entry.name, [])}:
            found[entry.name].append(entry)
    return found


def names(*kinds: Kind) -> list[str]:
    """The registered names of these kinds, without importing anything."""
    return sorted({name for kind in kinds for name in _entries(kind)})


def entry(kind: Kind, name: str) -> EntryPoint:
    """The entry point that registers `name`, with its package; nothing is imported.

    Raises:
        BadInput: on an unknown name, with the choices and the nearest match; if several packages
            register it, or one as a method and another as a recipe, which are called alike; naming
            them.
    """
    if name not in _entries(kind):
        raise unknown(_one(kind), name, names(kind))
    one_name = METHODS if kind in METHODS else (kind,)
    rivals = [entry for each in one_name for entry in _entries(each).get(name, [])]
    if len(rivals) > 1:
        told = " and ".join(f"{_package(entry)} as {entry.value}" for entry in rivals)
        raise BadInput(
            f"{_one(kind)} {name!r} is registered more than once, by {told}; uninstall one of them"
        )
    return _entries(kind)[name][0]


def load(kind: Kind, name: str) -> Any:
    """The class or recipe registered as `name`.

    Raises:
        BadInput: on an unknown name, with the choices and the nearest match; if several packages
            register it; if what one registers cannot be loaded.
    """
    found_entry = entry(kind, name)
    try:
        found = found_entry.load()
    except Exception as error:  # whatever the module of another package raises on import
        raise _broken(found_entry, f"{type(error).__name__}: {error}") from error
    expected = _class_of(kind)
    if expected is not None and not (
        isinstance(found, expected) or (isinstance(found, type) and issubclass(found, expected))
    ):
        raise _broken(found_entry, f"it is no {expected.__name__}")
    return found


def _class_of(kind: Kind) -> type | None:
    """What an entry has to be, or to be a subclass of; None where a protocol says it, which only
    its use can show.
    """
    from vadbench.datasets.base import Dataset
    from vadbench.detector import Detector, Recipe

    return {"detectors": Detector, "recipes": Recipe, "datasets": Dataset}.get(kind)


def _broken(entry: EntryPoint, why: str) -> BadInput:
    told = (
        f"entry point {entry.name} = {entry.value} ({entry.group}) of {_package(entry)} cannot be"
        f" loaded: {' '.join(why.split())}"
    )
    return BadInput(f"{told}; mend or uninstall the package")


def _one(kind: Kind) -> str:
    return kind if kind == "boxes" else kind.removesuffix("s")


def _package(entry: EntryPoint) -> str:
    return "an installed package" if entry.dist is None else f"package {entry.dist.name}"


def unknown(what: str, name: str, choices: Iterable[str]) -> BadInput:
    """The error for a name that is none of `choices`: lists them and the nearest match."""
    choices = sorted(choices)
    near = difflib.get_close_matches(name[:QUOTED], choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    listed = ", ".join(choices) or "none"
    return BadInput(f"unknown {what} {quote(name)}: choose from {listed}{hint}")


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong with a model's values, in one line; an unknown field lists
    those there are.
    """
    fault = error.errors()[0]
    where = cut(".".join(str(step) for step in fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return str(unknown("field", where, model.model_fields))
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not where:  # a rule about several fields says what it got
        return message
    if fault["type"] == "value_error":  # ours, which says what it found
        return f"{where}: {message}"
    return f"{where}: {fault['msg']}, got {quote(fault['input'])}"


def title(kind: Kind, name: str) -> str:
    """The first sentence of the docstring of the module that holds `name`, or why it cannot be
    loaded. The module is parsed and not imported.

    Of several entries in one module, all but the one defined first have their own class's line.
    """
    try:
        found = entry(kind, name)
    except BadInput as error:
        return f"{BROKEN}: {error}"
    try:
        spec = importlib.util.find_spec(found.module)
        if spec is None:
            return f"{BROKEN}: no module {found.module}"
        module = (
            ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
            if spec.has_location and spec.origin
            else ast.Module([], [])
        )
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        return f"{BROKEN}: {' '.join(str(error).split())}"
    registered = {
        other.attr
        for entries in _entries(kind).values()
        for other in entries
        if other.module == found.module
    }
    classes = [
        node for node in module.body if isinstance(node, ast.ClassDef) and node.name in registered
    ]
    own = next((node for node in classes[1:] if node.name == found.attr), module)
    docstring = ast.get_docstring(own)
    return " ".join(docstring.partition("\n\n")[0].split()) if docstring else ""
