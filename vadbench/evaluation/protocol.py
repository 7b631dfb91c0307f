"""A protocol from what the user chose: its fields and the calibrations, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from vadbench.errors import BadInput
from vadbench.registry import first_fault, unknown
from vadbench.spec import CALIBRATIONS, Macro, Protocol

MACRO_CONVENTIONS: tuple[str, ...] = get_args(Macro)


def make_protocol(fields: Mapping[str, Any]) -> Protocol:
    """A validated protocol; `calibration`, which belongs to the parts, is checked alone.

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
    known = {name: value for name, value in fields.items() if name != "calibration"}
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
