"""The interface of a provider of boxes: what finds the objects of a clip, and what it gives.

Boxes are [n, 4] float32 pixels x0, y0, x1, y1 with x right, y down and the ends exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

if TYPE_CHECKING:
    from pathlib import Path

    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage

Floats = NDArray[np.float32]


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
class NeededFile:
    """A file that has to be on this machine: boxes, tracks or weights.

    Attributes:
        path: where it has to be.
        what: what it is and how to get it, the second half of the message that says it is missing.
    """

    path: Path
    what: str


class Provider(Protocol):
    """Finds the objects of a clip; registered in the entry-point group "vadbench.boxes".

    Attributes:
        version: rises with every change of what is found; part of the fingerprint.
        reads_frames: whether frames decide what is found; not where all comes from files. Taken as
            true where it is not said.
        labelled: whether its name takes a label, `name.<label>`.
        Options: frozen pydantic; every field described.

    One with a class method `resolve(options, label)` says there which of them decide what a label
    finds, JSON-ready, and has no others in its fingerprint.

    One that knows its cost has `seconds_a_frame(height, width)`, for `vadbench plan`; an extractor,
    `seconds_an_object()`.
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
