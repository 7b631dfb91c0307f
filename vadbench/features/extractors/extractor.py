"""The interface of an extractor: what makes vectors of the objects of a clip, or of its frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from vadbench.features.boxes.provider import Floats, NeededFile, Objects

if TYPE_CHECKING:
    from vadbench.detector import Nature
    from vadbench.features.footage import Footage

Advance = Callable[[int], None]  # called with the number of frames that are done since


@dataclass(frozen=True)
class Vectors:
    """The rows that an extractor gives for a clip.

    Attributes:
        x: [n, D] float32.
        of: [n] int64, rising: which object of the clip (from 0, frame by frame) a row describes, or
            which frame where the extractor needs no boxes; None: every object, in order.
    """

    x: Floats
    of: NDArray[np.int64] | None = None


class Extractor(Protocol):
    """Makes vectors of the objects of a clip, or of its frames; registered in the entry-point group
    "vadbench.extractors".

    Attributes:
        version: rises with every change of what is computed; part of the fingerprint.
        reads_frames: whether frames decide what is computed, or boxes alone. Taken as true where it
            is not said.
        variants: the first is the default.
        variant_titles: a few words on each, for `vadbench list features`; may be left out.
        needs_boxes: whether a row describes an object; otherwise a row describes the frame at the
            centre of a window (frame-centric).
        Options: frozen pydantic; every field described.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    reads_frames: ClassVar[bool]
    variants: ClassVar[tuple[str, ...]]
    needs_boxes: ClassVar[bool]
    Options: ClassVar[type[BaseModel]]

    def __init__(self, variant: str, options: Any) -> None: ...

    @classmethod
    def resolve(cls, options: Any, variant: str, provider: str) -> dict[str, Any]:
        """The options that change what this variant gives on these boxes, JSON-ready: what the
        fingerprint covers.
        """

    def files(self) -> tuple[NeededFile, ...]:
        """The files (weights) that decide what is computed; their bytes enter the fingerprint."""

    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""

    def nature(self) -> Nature:
        """What the columns are: presets and methods decide by it, never by a stream's name."""

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """The rows of a clip; tells `advance` how many more frames are done.

        Without `needs_boxes`, `objects` has no box.

        Raises:
            BadInput: on a clip that cannot be used.
        """
