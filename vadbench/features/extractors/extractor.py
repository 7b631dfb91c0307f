"""The interface of an extractor: what makes vectors of the objects of a clip, or of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from vadbench.features.boxes.provider import Floats, NeededFile, Objects

if TYPE_CHECKING:
    import torch

    from vadbench.detector import Nature
    from vadbench.features.footage import Footage
    from vadbench.features.networks.session import Session

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


class LearntExtractor(Extractor, Protocol):
    """An extractor whose network is trained on the training videos, without labels; its variants
    share one network.

    The harness trains it once for a data set, its options and a seed, keeps what was learnt, and
    gives it back before the first `extract`. What `extract` says of a frame may depend on its
    clip alone. One that also has `reconstruct` (see `reconstruction.Reconstructs`) is shown by
    `vadbench show --what reconstruction`.

    Attributes:
        learnt: True.
    """

    learnt: ClassVar[bool]

    @classmethod
    def preset(cls, name: str, dataset: str) -> dict[str, Any]:
        """Options that the preset `name` (`fast` or `paper`) changes; may be left out.

        Args:
            name: of the preset.
            dataset: trained on.
        """

    def training(self) -> dict[str, Any]:
        """The options that decide the training, JSON-ready: the network's identity, beside the
        data set, its videos and the seed. `resolve` gives the others.

        `holdout`, if it is one of them, is the share of training videos, the last ones, that the
        network does not see; their rows calibrate. An option `seed` that is not null is taken in
        place of the job's, and is none of them.
        """

    def train(self, videos: Sequence[Footage], session: Session) -> None:
        """Learn from videos.

        Torch is seeded with the session's seed and deterministic meanwhile. `session.fit` is a
        loop that goes on where it was interrupted.

        Raises:
            BadInput: on videos that cannot be used.
        """

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays."""

    def restore(self, arrays: dict[str, NDArray[Any]], device: torch.device) -> None:
        """Take up what `arrays` of an extractor with the same training gave.

        Raises:
            ValueError: if they are of another network.
        """

    def parameter_count(self) -> int:
        """How many numbers were learnt."""

    def training_flops(self) -> float | None:
        """Floating-point operations of the training, from the options alone; None, or left out:
        not known.
        """
