"""Names of streams: `extractor[.variant][@provider]`, checked before anything is read or computed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from vadbench import registry
from vadbench.errors import BadInput

PROVIDERS = ("foreground", "grid", "file")
LABELLED = "file"  # the provider that takes a label, `file.<label>`
_PART = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True)
class StreamName:
    """A stream: what is extracted, in which variant, on whose boxes.

    `str()` gives the canonical name: the variant stands only where it is not the extractor's default, the provider only where it is not
    the data set's. Every part is safe as a folder's name.

    Attributes:
        extractor: a name of the entry-point group "vadbench.extractors".
        variant: one of the extractor's variants.
        provider: `grid`, `foreground` or `file.<label>`; empty where neither the name nor a data set gives one.
        default_boxes: the data set's own provider.
    """

    extractor: str
    variant: str
    provider: str
    default_boxes: str

    @classmethod
    def parse(cls, text: str, dataset_default_boxes: str) -> Self:
        """The stream that `text` names on a data set with these boxes.

        Raises:
            BadInput: on an unknown extractor, variant or provider, with the choices and the nearest match.
        """
        what, at, boxes = text.partition("@")
        extractor, dot, variant = what.partition(".")
        for part in (extractor, *([variant] if dot else []), *(boxes.split(".") if at else [])):
            if not _PART.fullmatch(part):
                raise BadInput(f"stream {text!r}: expected extractor[.variant][@boxes] of a-z, 0-9, _ and -, for example velocity.hof8@grid")
        variants: tuple[str, ...] = registry.load("extractors", extractor).variants
        if dot and variant not in variants:
            raise registry.unknown(f"variant of {extractor}", variant, variants)
        return cls(extractor, variant or variants[0], check_provider(boxes) if at else dataset_default_boxes, dataset_default_boxes)

    def __str__(self) -> str:
        default: Any = registry.load("extractors", self.extractor).variants[0]
        variant = "" if self.variant == default else f".{self.variant}"
        provider = "" if self.provider == self.default_boxes else f"@{self.provider}"
        return f"{self.extractor}{variant}{provider}"


def check_provider(text: str) -> str:
    """`text` if it names a provider.

    Raises:
        BadInput: on an unknown provider, or a label that is missing or out of place.
    """
    name, dot, label = text.partition(".")
    if name not in PROVIDERS:
        raise registry.unknown("boxes", name, PROVIDERS)
    if (name == LABELLED) != bool(dot) or (dot and not _PART.fullmatch(label)):
        raise BadInput(f"boxes {text!r}: expected grid, foreground or file.<label>, for example file.vec")
    return text
