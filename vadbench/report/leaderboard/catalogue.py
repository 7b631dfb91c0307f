"""What the registry tells of methods, their settings and data sets; of a name that is not
registered here, that it is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from vadbench import registry

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.detector import Detector, Recipe


@dataclass(frozen=True)
class About:
    """What a method's page says of it.

    Attributes:
        name, title, paper: as registered.
        deterministic: whether the seed changes nothing; None of a recipe, whose parts differ.
        parts: of a recipe, what it adds: `knn on pose (calibration minmax)`.
    """

    name: str
    title: str
    paper: str
    deterministic: bool | None = None
    parts: tuple[str, ...] = ()


@cache
def about(name: str) -> About:
    """The method or recipe `name`; one that cannot be loaded keeps its name, with the reason in
    place of its paper.
    """
    try:
        if name in registry.names("recipes"):
            recipe: Recipe = registry.load("recipes", name)
            parts = tuple(
                f"{part.method} on {part.stream} (calibration {part.calibration})"
                for part in recipe.parts
            )
            return About(name, recipe.title, recipe.paper, None, parts)
        detector = _detector(name)
    except ImportError as error:
        return About(
            name,
            registry.title("detectors", name) or name,
            f"The method cannot be loaded on this machine: {error}",
        )
    if detector is None:
        return About(
            name, name, "Not registered on this machine: its title and citation are unknown here."
        )
    return About(name, detector.info.title, detector.info.paper, detector.info.deterministic)


@cache
def dataset_class(name: str) -> type[Dataset] | None:
    """The class of a data set, None where it is not registered on this machine."""
    registered = name in registry.names("datasets")
    known: type[Dataset] | None = registry.load("datasets", name) if registered else None
    return known


def test_chosen(config: str) -> list[str]:
    """`method's field` of what a method's authors chose by test labels in their settings; none of
    an unknown method.

    Args:
        config: as in `load_results`: a JSON list of the parts' method, stream and settings.
    """
    methods = dict.fromkeys(part["method"] for part in json.loads(config))
    known = {method: detector for method in methods if (detector := _detector(method)) is not None}
    return [
        f"{method}'s {field}"
        for method, detector in known.items()
        for field in detector.info.test_chosen
    ]


@cache
def _detector(name: str) -> type[Detector] | None:
    registered = name in registry.names("detectors")
    known: type[Detector] | None = registry.load("detectors", name) if registered else None
    return known
