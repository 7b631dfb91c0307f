"""What the registry tells of methods, their settings and data sets; of a name that is not
registered here, that it is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.plans.plan import resolve_config

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.detector import Detector, Recipe

UNKNOWN = "presets unknown"  # of settings, where the method is not registered on this machine


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
    found: type[Dataset] | None = (
        registry.load("datasets", name) if name in registry.names("datasets") else None
    )
    return found


@cache
def settings_label(dataset: str, config: str) -> str:
    """How the settings of a record are called: the preset's name (`fast`, `paper`; `default` where
    both are one), or how they differ from it.

    Args:
        dataset: the tested one.
        config: as in `load_results`: a JSON list of the parts' method, stream and settings.

    Returns:
        The label; `UNKNOWN` where a method is not registered here.
    """
    labels = {preset: _differences(dataset, config, preset) for preset in ("fast", "paper")}
    found = {
        preset: differences for preset, differences in labels.items() if differences is not None
    }
    if not found:
        return UNKNOWN
    nearest = min(found, key=lambda preset: len(found[preset]))
    if found[nearest]:
        return f"{nearest}, {', '.join(found[nearest])}"
    return "default" if not any(found.values()) and len(found) == 2 else nearest


def is_preset(label: str) -> bool:
    """Whether `settings_label` gave a preset's name."""
    return label in ("fast", "paper", "default")


def test_chosen(config: str) -> list[str]:
    """`method's field` of what a method's authors chose by test labels in their settings; none of
    an unknown method.

    Args:
        config: as of `settings_label`.
    """
    methods = dict.fromkeys(part["method"] for part in json.loads(config))
    known = {method: detector for method in methods if (detector := _detector(method)) is not None}
    return [
        f"{method}'s {field}"
        for method, detector in known.items()
        for field in detector.info.test_chosen
    ]


def unusual_calibrations(method: str, parts: list[dict[str, Any]]) -> list[str]:
    """`calibration=name on stream` of a protocol's parts whose calibration is not the one that the
    method declares; none of an unknown method.
    """
    usual: dict[str, str] = {}
    if method in registry.names("recipes"):
        declared = {
            part.stream.partition(".")[0]: part.calibration
            for part in registry.load("recipes", method).parts
        }
        usual = {
            part["stream"]: declared.get(
                part["stream"].partition("@")[0].partition(".")[0], part["calibration"]
            )
            for part in parts
        }
    elif len(parts) == 1:
        usual = {parts[0]["stream"]: "none"}
    elif (detector := _detector(method)) is not None:
        usual = {part["stream"]: detector.calibration for part in parts}
    return [
        f"calibration={part['calibration']} on {part['stream']}"
        for part in parts
        if part["calibration"] != usual.get(part["stream"], part["calibration"])
    ]


@cache
def _differences(dataset: str, config: str, preset: str) -> tuple[str, ...] | None:
    """`field=value` of every setting that is not the preset's; None where a method is not known."""
    told = []
    parts = json.loads(config)
    for part in parts:
        usual = _usual(part["method"], preset, dataset, part["stream"])
        if usual is None:
            return None
        where = f"{part['method']}." if len({one["method"] for one in parts}) > 1 else ""
        given = {name: value for name, value in part.items() if name not in ("method", "stream")}
        told += [
            f"{where}{name}={short(value)}"
            for name, value in given.items()
            if name not in usual or usual[name] != value
        ]
        # an older version had no such setting
        missing = [where + name for name in usual if name not in given]
        told += (
            [
                f"{', '.join(missing) if len(missing) < 3 else f'{len(missing)} settings'} not"
                " recorded"
            ]
            if missing
            else []
        )
    return tuple(dict.fromkeys(told))


@cache
def _usual(method: str, preset: str, dataset: str, stream: str) -> dict[str, Any] | None:
    """The settings of a preset, as a job records them."""
    try:
        detector = _detector(method)
        return (
            None
            if detector is None
            else resolve_config(detector, preset, dataset, stream, {}).settings("fit", "scoring")
        )
    except (ImportError, BadInput):  # not installed whole, or without such a preset
        return None


@cache
def _detector(name: str) -> type[Detector] | None:
    found: type[Detector] | None = (
        registry.load("detectors", name) if name in registry.names("detectors") else None
    )
    return found


def short(value: Any) -> str:
    """A setting's value as a label shows it; a long list as its ends."""
    if isinstance(value, list) and len(value) > 4:
        return f"[{short(value[0])}, …, {short(value[-1])}] ({len(value)})"
    return value if isinstance(value, str) else json.dumps(value)
