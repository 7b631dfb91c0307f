"""Settings: a preset, what the user chose on top, and the config that comes of it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from vadbench import registry
from vadbench.detector import Detector, MethodConfig, Nature
from vadbench.errors import BadInput
from vadbench.features.stream import declared_nature
from vadbench.spec import PRESETS, Asked


def resolve_config(
    method: type[Detector],
    preset: str,
    dataset: str,
    stream: str,
    settings: dict[str, Any],
    nature: Nature | None = None,
) -> MethodConfig:
    """The method's settings: defaults, then the preset's, then the user's.

    Args:
        method: whose settings.
        preset: its name.
        dataset: trained on.
        stream: its name.
        settings: what the user chose.
        nature: of the stream; none: what the extractor in its name declares.

    Raises:
        BadInput: naming the setting that is wrong, with the fields there are.
    """
    try:
        return method.Config(
            **{**method.preset(preset, dataset, nature or declared_nature(stream)), **settings}
        )
    except ValidationError as error:
        raise BadInput(
            f"{method.info.name}: {registry.first_fault(error, method.Config)}"
        ) from error


def describe_asked(
    method: type[Detector], preset: str, dataset: str, nature: Nature, config: MethodConfig
) -> Asked:
    """How a config was asked for: the presets that give it, and what differs from the first.

    Args:
        method: whose settings.
        preset: that was asked for.
        dataset: trained on.
        nature: of the stream.
        config: resolved, with what the user chose.
    """
    usual = _preset_settings(method, preset, dataset, nature)
    own = config.settings("fit", "scoring")
    settings = {name: value for name, value in own.items() if usual.get(name) != value}
    others = [
        other
        for other in PRESETS
        if other != preset and _preset_settings(method, other, dataset, nature) == usual
    ]
    return Asked(presets=(preset, *others), settings=settings)


def _preset_settings(
    method: type[Detector], preset: str, dataset: str, nature: Nature
) -> dict[str, Any]:
    return resolve_config(method, preset, dataset, "", {}, nature).settings("fit", "scoring")
