"""The two interfaces of feature extraction: `Provider` finds the objects of a clip, `Extractor`
makes vectors of them or of the clip's frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

if TYPE_CHECKING:
    from pathlib import Path

    from vadbench.datasets.base import Dataset
    from vadbench.detector import Nature
    from vadbench.features.footage import Footage

Floats = NDArray[np.float32]
Advance = Callable[[int], None]  # told how many more frames are done


@dataclass(frozen=True)
class Objects:
    """The objects of a clip.

    Attributes:
        boxes: one [n, 4] float32 array a frame: x0, y0, x1, y1 in pixels, x right, y down, the ends
            exclusive; they may overrun the frame.
        track: [N] int64, which track each object of the clip belongs to, frame by frame; None from
            providers that do not track.
    """

    boxes: list[Floats]
    track: NDArray[np.int64] | None = None


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


@dataclass(frozen=True)
class NeededFile:
    """A file that has to be on this machine: boxes, tracks or weights.

    Attributes:
        path: where it has to be.
        what: what it is and how to get it, the second half of the message that says it is missing.
    """

    path: Path
    what: str


class Provider(Protocol):
    """Finds the objects of a clip.

    Attributes:
        version: rises with every change of what is found; part of the fingerprint.
        reads_frames: whether frames decide what is found; not where all comes from files. Taken as
            true where it is not said.
        labelled: whether its name takes a label, `name.<label>`.
        Options: frozen pydantic; every field described.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    reads_frames: ClassVar[bool]
    labelled: ClassVar[bool]
    Options: ClassVar[type[BaseModel]]

    def __init__(self, options: Any, dataset: Dataset, label: str) -> None: ...

    def files(self) -> tuple[NeededFile, ...]:
        """The files beside the videos that decide what is found; their bytes enter the
        fingerprint.
        """

    def objects(self, footage: Footage) -> Objects:
        """The objects of each frame of the clip; a provider that reads files alone does not iterate
        the footage.

        Raises:
            BadInput: on a clip or a file that cannot be used.
        """


class Extractor(Protocol):
    """Makes vectors of the objects of a clip, or of its frames; registered in the entry-point group
    "vadbench.extractors".

    Attributes:
        version: rises with every change of what is computed; part of the fingerprint.
        reads_frames: whether frames decide what is computed, or boxes alone. Taken as true where it
            is not said.
        variants: the first is the default.
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
