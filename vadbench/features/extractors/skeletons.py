"""Skeletons: sequences of a tracked person's poses, windows of T poses normalised each by itself.

Source of the windows and their normalisation: Hirschorn and Avidan, Normalizing Flows for Human
Pose Anomaly Detection (ICCV 2023), whose method is `stg-nf`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeFloat

from vadbench.datasets.poses import JOINTS, Poses
from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors
from vadbench.features.extractors.pose import Pose
from vadbench.features.sequences.joints import NAMES
from vadbench.features.sequences.link import link_boxes
from vadbench.features.sequences.options import RELEASED_RATIO, SequenceOptions
from vadbench.features.sequences.rows import column_names, make_rows

if TYPE_CHECKING:
    from vadbench.features.footage import Footage

TRUTH = "truth"  # the variant whose poses the data set itself knows
FOUND = ("min_confidence", "least_overlap")  # options of poses that a network finds


class SkeletonsOptions(SequenceOptions):
    """What decides the windows, and which poses are linked."""

    min_confidence: NonNegativeFloat = Field(
        0.3,
        description=(
            "persons whose confidence, the mean over the 17 joints, is below this have no pose in"
            " that frame"
        ),
    )
    least_overlap: float = Field(
        0.3,
        gt=0,
        le=1,
        description=(
            "of boxes that belong to no tracks: intersection over union with a person's last box"
        ),
    )


class Skeletons:
    """A row a window of T poses of one person, [2, T, 18]: x' of all poses and joints, then y'; the
    window stands at its middle pose and has its box.

    Poses are those of the extractor `pose` in the same variant, or the data set's own (`truth`).
    Where boxes belong to no tracks they are linked by overlap. A person with fewer than T poses has
    no row, and the first and last T/2 frames of each track have none.

    >>> Skeletons("truth", SkeletonsOptions(window=12)).shape()
    (2, 12, 18)
    """

    name: ClassVar[str] = "skeletons"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        **{variant: f"of {title}" for variant, title in Pose.variant_titles.items()},
        TRUTH: "poses that the data set itself knows (walkers)",
    }
    variants: ClassVar[tuple[str, ...]] = (*Pose.variants, TRUTH)
    needs_boxes: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = SkeletonsOptions

    def __init__(self, variant: str, options: SkeletonsOptions) -> None:
        self.variant = variant
        self.options = options

    @classmethod
    def preset(cls, name: str, dataset: str) -> dict[str, Any]:
        """`paper`: STG-NF's windows as released, of 16 poses on UBnormal and 24 elsewhere."""
        if name != "paper":
            return {}
        window = {"window": 16} if dataset == "ubnormal" else {}
        return {**window, "ratio": RELEASED_RATIO, "starts": "released"}

    @classmethod
    def resolve(cls, options: SkeletonsOptions, variant: str, provider: str) -> dict[str, Any]:
        """All options; without those of networks where the poses are known."""
        resolved = options.model_dump(mode="json")
        return {k: v for k, v in resolved.items() if variant != TRUTH or k not in FOUND}

    def files(self) -> tuple[NeededFile, ...]:
        """Those of the poses."""
        return () if self.variant == TRUTH else self._pose().files()

    def columns(self) -> tuple[str, ...]:
        """x and y of each pose of the window and each joint."""
        return column_names(self.options.window)

    def shape(self) -> tuple[int, int, int]:
        """Coordinates, poses and joints of a row."""
        return (2, self.options.window, len(NAMES))

    def nature(self) -> Nature:
        """All columns are in deviations of y."""
        return Nature(one_unit=True)

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row a window.

        Raises:
            BadInput: where the data set knows no poses, or the boxes are not of them.
        """
        poses, of = self._poses(footage, objects, advance)
        rows = make_rows(poses, self.options, self.options.stride_of(footage.video.split))
        order = np.argsort(of[rows.middle])
        return Vectors(rows.x[order], of[rows.middle][order])

    def _poses(
        self, footage: Footage, objects: Objects, advance: Advance
    ) -> tuple[Poses, NDArray[np.int64]]:
        """The clip's poses, and which of its objects each belongs to."""
        if self.variant == TRUTH:
            advance(len(footage))
            return self._known(footage, objects)
        found = self._pose().extract(footage, objects, advance)
        of = np.arange(len(found.x)) if found.of is None else found.of
        boxes = np.concatenate(objects.boxes)
        track = objects.track
        if track is None:
            track = link_boxes(objects.boxes, self.options.missing, self.options.least_overlap)
        joints = in_frame(found.x.reshape(-1, JOINTS, 2), boxes[of])
        return Poses(_frames(objects)[of], track[of], joints), of

    def _known(self, footage: Footage, objects: Objects) -> tuple[Poses, NDArray[np.int64]]:
        """The poses of the data set, which has to have given the boxes too."""
        name, poses = footage.dataset.name, footage.dataset.poses(footage.video)
        if poses is None:
            raise BadInput(
                f"{name}: knows no poses of its own; name a variant that finds them, such as"
                f" skeletons.{self.variants[0]}, or import them (skeletons@import.<label>)"
            )
        poses = poses.by_frame()
        if objects.track is None or not np.array_equal(objects.track, poses.person):
            raise BadInput(
                f"skeletons.{TRUTH}: these boxes are not those of {name}'s persons; name"
                f" skeletons.{TRUTH}@persons"
            )
        return poses, np.arange(len(poses))

    def _pose(self) -> Pose:
        options = Pose.Options(min_confidence=self.options.min_confidence)
        return Pose(self.variant, options)  # type: ignore[arg-type]


def in_frame(joints: Floats, boxes: Floats) -> NDArray[np.float64]:
    """[n, 17, 2] joints in pixels of the frame: the inverse of `pose.in_box`.

    Args:
        joints: [n, 17, 2] in box heights from the box's centre.
        boxes: [n, 4].
    """
    corners = boxes.astype(np.float64)
    centre = (corners[:, :2] + corners[:, 2:]) / 2
    height = (corners[:, 3] - corners[:, 1])[:, None, None]
    return np.asarray(joints * height + centre[:, None])


def _frames(objects: Objects) -> NDArray[np.int64]:
    counts = [len(boxes) for boxes in objects.boxes]
    return np.repeat(np.arange(len(counts)), counts)
