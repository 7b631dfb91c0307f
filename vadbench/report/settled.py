"""What was settled with test figures known: benchmarks/settled.csv, read and matched to results.

Each line has a reason that needs no label, but was taken after figures on test labels had been
seen. docs/protocol.md lists them; the leaderboard shows what they decide and does not rank it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluation.protocol import PER_VIDEO
from vadbench.locations import suites_root
from vadbench.spec import Result


@dataclass(frozen=True)
class Settled:
    """One choice; every field but `told` is empty where it does not matter.

    Attributes:
        dataset: the tested one.
        recipe: the name of a method or recipe, as tables call it.
        method, stream, calibration: of one part; `stream` may end in `*`.
        extraction: a setting of an extractor, `deep.size=224`.
        told: what was settled, and why.
    """

    dataset: str
    recipe: str
    method: str
    stream: str
    calibration: str
    extraction: str
    told: str

    def decides(self, dataset: str, recipe: str, parts: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a result rests on this choice.

        Args:
            dataset: the tested one.
            recipe: the method or recipe.
            parts: `method`, `stream`, `calibration` and `extraction` (extractor -> settings) of
                each stream.
        """
        if (self.dataset or dataset, self.recipe or recipe) != (dataset, recipe):
            return False
        return any(self._meets(part) for part in parts)

    def _meets(self, part: Mapping[str, Any]) -> bool:
        changed = {
            f"{name}.{field}={value}"
            for name, own in (part.get("extraction") or {}).items()
            for field, value in own.items()
        }
        return (
            self.method in ("", part["method"])
            and fnmatchcase(part["stream"], self.stream or "*")
            and self.calibration in ("", part.get("calibration"))
            and (not self.extraction or self.extraction in changed)
        )


@cache
def settled() -> tuple[Settled, ...]:
    """All choices, in the order of the file.

    Raises:
        BadInput: if the file has other columns.
    """
    path = suites_root() / "settled.csv"
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        expected = [field.name for field in fields(Settled)]
        if reader.fieldnames != expected:
            raise BadInput(f"{path}: columns {reader.fieldnames}; expected {expected}")
        return tuple(Settled(**row) for row in reader)


def why_settled(dataset: str, recipe: str, parts: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What was settled with test figures known of a result; arguments as of `Settled.decides`."""
    told = [one.told for one in settled() if one.decides(dataset, recipe, parts)]
    return tuple(dict.fromkeys(told))


def is_weighted_by_test(method: str) -> bool:
    """Whether it is a recipe whose weights its authors chose by test labels."""
    recipe = method in registry.names("recipes")
    return recipe and bool(registry.load("recipes", method).weights)


def why_never_ranked(result: Result) -> str | None:
    """Why a table shows a result, and neither marks nor ranks it: its weights were chosen by test
    labels, its scores are normalised with what comes after them, or they were given and are not
    declared to be free of test labels; None where nothing is so.
    """
    offline = any(part.calibration == PER_VIDEO for part in result.parts)
    told = [
        *(["lambda chosen on test AUC"] if is_weighted_by_test(result.method) else []),
        *(["normalised within test clips (offline)"] if offline else []),
        *([result.apart] if result.apart else []),
    ]
    return "; ".join(told) or None
