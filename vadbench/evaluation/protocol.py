"""A protocol from what the user chose: its fields, the calibrations and the weights, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from vadbench.errors import BadInput, quote
from vadbench.registry import first_fault, unknown
from vadbench.spec import CALIBRATIONS, Macro, Part, Protocol, ScoredPart

MACRO_CONVENTIONS: tuple[str, ...] = get_args(Macro)
PER_VIDEO = "minmax-video"  # the calibration that looks at whole test videos
OF_PARTS = ("calibration", "weights")  # chosen like fields of the protocol; they are the parts'


def make_protocol(fields: Mapping[str, Any]) -> Protocol:
    """A validated protocol; `calibration` and `weights`, which belong to the parts, are checked
    alone.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    if "parts" in fields:
        raise BadInput(
            "protocol.parts: cannot be set, the parts are the methods' streams; name them with"
            " --methods method@stream+stream"
        )
    if "calibration" in fields:
        check_calibration(str(fields["calibration"]))
    if "weights" in fields:
        check_weights(fields["weights"])
    known = {name: value for name, value in fields.items() if name not in OF_PARTS}
    try:
        return Protocol(**known)
    except ValidationError as error:
        raise BadInput(f"protocol: {first_fault(error, Protocol)}") from error


def check_calibration(name: str) -> None:
    """Refuse a calibration that is none.

    Raises:
        BadInput: with those there are.
    """
    if name not in CALIBRATIONS:
        raise unknown("protocol.calibration", name, CALIBRATIONS)


def check_weights(weights: Any, parts: int | None = None) -> tuple[float, ...]:
    """The weights of the parts of a fusion, as numbers.

    Args:
        weights: what was chosen.
        parts: how many there are; None: not looked at.

    Raises:
        BadInput: unless they are a list of finite numbers of 0 or more, some above 0, one a part.

    >>> check_weights([1, 0.3, 0.3], 3)
    (1.0, 0.3, 0.3)
    """
    numbers = list(weights) if isinstance(weights, list | tuple) else []
    usable = all(
        isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < math.inf
        for one in numbers
    )
    if not numbers or not usable or not any(numbers):
        raise BadInput(
            f"protocol.weights: {quote(weights)}; expected a list of numbers of 0 or more, some"
            " above 0, such as [1,0.3,0.3]"
        )
    if parts not in (None, len(numbers)):
        raise BadInput(
            f"protocol.weights: {len(numbers)} weights of {parts} parts; expected one a part, in"
            " the order of the row's features"
        )
    return tuple(map(float, numbers))


def group_parts(parts: Sequence[Part | ScoredPart]) -> list[list[int]]:
    """The places of the parts that are calibrated and weighted as one; a part without a group is
    alone.

    Raises:
        BadInput: if the parts of a group differ in calibration or weight, or if the calibration
            needs the training scores of their sum, which are not kept.

    >>> group_parts([Part("a", "s", "none"), *[Part("b", t, "none", group="L") for t in "tu"]])
    [[0], [1, 2]]
    """
    groups: dict[str | int, list[int]] = {}
    for place, part in enumerate(parts):
        groups.setdefault(part.group or place, []).append(place)
    for members in groups.values():
        if len(members) > 1:
            _check_group([parts[place] for place in members])
    return list(groups.values())


def _check_group(parts: Sequence[Part | ScoredPart]) -> None:
    name = parts[0].group
    shared = dict.fromkeys((part.calibration, part.weight) for part in parts)
    if len(shared) > 1:
        told = " and ".join(
            f"{calibration} with weight {weight:g}" for calibration, weight in shared
        )
        raise BadInput(
            f"group {name}: its parts have {told}; they are calibrated and weighted as one"
        )
    if parts[0].calibration not in ("none", PER_VIDEO):
        raise BadInput(
            f"group {name}: calibration {parts[0].calibration} needs training scores of the sum,"
            f" which are not kept; choose none or {PER_VIDEO}"
        )
