"""What code the versions of detectors, extractors, providers of boxes and data sets stand for:
`code_versions.json`.

    python tests/record_versions.py                        # after a version was raised
    python tests/record_versions.py --same "why"           # same results, and why

A test fails when a component's source, or one it imports, differs from what is recorded. Comments,
docstrings and layout are no source: the syntax tree is compared.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_name("code_versions.json")
SOURCES = {"vadbench": ROOT / "vadbench", "vadbench_methods": ROOT / "methods" / "vadbench_methods"}
WHERE = {  # what is followed of a component's imports: what may decide a number, not what stores it
    "detectors": (
        "vadbench_methods.",
        "vadbench.detector",
        "vadbench.training",
        "vadbench.trainer",
        "vadbench.loading",
    ),
    "extractors": ("vadbench.features.",),
    "boxes": ("vadbench.features.",),
    "datasets": ("vadbench.datasets.",),
}
STORAGE = {
    f"vadbench.features.{name}"
    for name in ("store", "stream", "names", "extract", "parts", "per_clip", "progress")
}
Components = dict[str, dict[str, dict[str, Any]]]


def components() -> Components:
    """Kind -> name -> version and source, of all that vadbench registers itself."""
    found: Components = {}
    for kind in WHERE:
        ours = [
            entry
            for entry in entry_points(group=f"vadbench.{kind}")
            if entry.dist and entry.dist.name == "vadbench"
        ]
        found[kind] = {
            entry.name: _told(kind, entry) for entry in sorted(ours, key=lambda entry: entry.name)
        }
    return found


def _told(kind: str, entry: Any) -> dict[str, Any]:
    loaded = entry.load()
    version = getattr(getattr(loaded, "info", loaded), "version", 1)
    modules = sorted(_reached(entry.module, WHERE[kind]))
    digest = hashlib.sha256("".join(f"{module} {_tree(module)}\n" for module in modules).encode())
    return {"version": version, "source": digest.hexdigest()[:16]}


def _reached(module: str, prefixes: tuple[str, ...]) -> set[str]:
    """The module and what it imports, directly or not, at any depth of the code."""
    found, left = set(), [module]
    while left:
        name = left.pop()
        if name in found or name in STORAGE or _path(name) is None:
            continue
        found.add(name)
        left += [other for other in _imports(name) if other.startswith(prefixes)]
    return found


def _imports(module: str) -> set[str]:
    """Modules that are named in import statements; `from a import b` names a and, where it is a
    module, a.b.
    """
    path = _path(module)
    assert path is not None
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _path(module: str) -> Path | None:
    top, *rest = module.split(".")
    if top not in SOURCES:
        return None
    path = SOURCES[top].joinpath(*rest)
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _tree(module: str) -> str:
    """A digest of the module's syntax tree without docstrings."""
    path = _path(module)
    assert path is not None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0].value = ast.Constant("")
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def read_record() -> Components:
    """What is recorded."""
    found: Components = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    return found


def changed(now: Components, recorded: Components) -> list[tuple[str, str]]:
    """Kind and name of each component that is not what is recorded."""
    return [
        (kind, name)
        for kind, of_kind in now.items()
        for name, is_now in of_kind.items()
        if {key: recorded.get(kind, {}).get(name, {}).get(key) for key in is_now} != is_now
    ]


def main() -> None:
    """Record what has changed, if its version was raised or the results are said to be the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--same", default="", metavar="WHY", help="why the results are the same to the bit"
    )
    why = parser.parse_args().same
    now, recorded = components(), read_record()
    silent = []
    for kind, name in changed(now, recorded):
        before, is_now = recorded.get(kind, {}).get(name), now[kind][name]
        if before is not None and before["version"] == is_now["version"] and not why:
            silent.append(f"{kind} {name}")
    if silent:
        sys.exit(f"{', '.join(silent)}: raise the version, or say --same WHY")
    for kind, name in changed(now, recorded):
        before, is_now = recorded.get(kind, {}).get(name), now[kind][name]
        kept = before is not None and before["version"] == is_now["version"]
        now[kind][name] = {
            **is_now,
            "same_results": [*before.get("same_results", []), why] if kept and before else [],
        }
    record = {
        kind: {
            name: {**recorded.get(kind, {}).get(name, {}), **told} for name, told in of_kind.items()
        }
        for kind, of_kind in now.items()
    }
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
