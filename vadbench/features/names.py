"""Names of streams: `extractor[.variant][@provider]`, checked before anything is read or
computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from vadbench import registry
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.features.extractors.extractor import Extractor

# in place of a provider: rows, and boxes if any, come from the files that `vadbench features
# import` read
IMPORT = "import"
_PART = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True)
class StreamName:
    """A stream: what is extracted, in which variant, on whose boxes.

    `str()` gives the canonical name: the variant stands only where it is not the extractor's
    default, the provider only where it is not the data set's. Every part is safe as a folder's
    name.

    Attributes:
        extractor: a name of the entry-point group "vadbench.extractors".
        variant: one of the extractor's variants.
        provider: a name of the group "vadbench.boxes", with `.<label>` where it takes one, or
            `import.<label>`; empty for extractors of whole frames, and where neither the name nor a
            data set gives one.
        default_boxes: the data set's own provider.

    >>> name = StreamName.parse("velocity.hof8@grid", "foreground")
    >>> name.variant, name.provider, str(StreamName.parse("velocity@foreground", "foreground"))
    ('hof8', 'grid', 'velocity')
    """

    extractor: str
    variant: str
    provider: str
    default_boxes: str

    @classmethod
    def parse(cls, text: str, dataset_default_boxes: str) -> Self:
        """The stream that `text` names on a data set with these boxes.

        Raises:
            BadInput: on an unknown extractor, variant or provider, with the choices and the nearest
                match.
        """
        what, at, boxes = text.partition("@")
        extractor, dot, variant = what.partition(".")
        for part in (extractor, *([variant] if dot else []), *(boxes.split(".") if at else [])):
            if not _PART.fullmatch(part):
                raise BadInput(
                    f"stream {text!r}: expected extractor[.variant][@boxes] of a-z, 0-9, _ and -,"
                    " for example velocity.hof8@grid"
                )
        loaded: type[Extractor] = registry.load("extractors", extractor)
        if dot and variant not in loaded.variants:
            raise registry.unknown(f"variant of {extractor}", variant, loaded.variants)
        default = dataset_default_boxes if loaded.needs_boxes else ""
        provider = check_provider(boxes) if at else default
        if provider.startswith(f"{IMPORT}.") and dot:
            raise BadInput(
                f"stream {text!r}: imported vectors have no variant; expected"
                f" {extractor}@{provider}"
            )
        if provider and not loaded.needs_boxes and not provider.startswith(f"{IMPORT}."):
            raise BadInput(
                f"stream {text!r}: {extractor} describes whole frames, it has no boxes; expected"
                f" {what}"
            )
        return cls(extractor, variant or loaded.variants[0], provider, default)

    @property
    def imported(self) -> bool:
        """Whether the rows come from files that were imported."""
        return self.provider.startswith(f"{IMPORT}.")

    def __str__(self) -> str:
        default: Any = registry.load("extractors", self.extractor).variants[0]
        variant = "" if self.variant == default else f".{self.variant}"
        provider = "" if self.provider == self.default_boxes else f"@{self.provider}"
        return f"{self.extractor}{variant}{provider}"


def describes_frames(stream: str) -> bool:
    """Whether a stream's name alone tells that its rows have no boxes: of imported rows and of
    extractors that are not installed it does not.
    """
    what, _, boxes = stream.partition("@")
    extractor = what.partition(".")[0]
    if boxes or extractor not in registry.names("extractors"):
        return False
    return not registry.load("extractors", extractor).needs_boxes


def check_provider(text: str) -> str:
    """`text` if it names a provider.

    Raises:
        BadInput: on an unknown provider, or a label that is missing or out of place.
    """
    name, dot, label = text.partition(".")
    known = registry.names("boxes")
    if name not in (*known, IMPORT):
        raise registry.unknown("boxes", name, (*known, IMPORT))
    labelled = name == IMPORT or registry.load("boxes", name).labelled
    if labelled != bool(dot) or (dot and not _PART.fullmatch(label)):
        example = (
            f"{name}.<label>, for example file.vec or import.accivad"
            if labelled
            else f"{name} alone, it takes no label"
        )
        raise BadInput(f"boxes {text!r}: expected {example}")
    return text
