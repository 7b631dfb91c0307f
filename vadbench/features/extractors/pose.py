"""Pose: where a person's joints lie in the box, by a top-down network stored as a file.

ONNX files are run by onnxruntime directly: rtmlib, which wraps the same files, brings
opencv-contrib-python, which overwrites the opencv-python-headless that everything else uses, and
what it would do for us is the crop and the arg max below.

Sources: Jiang et al., RTMPose (2023); Li et al., SimCC (ECCV 2022) for the two heads; MoveNet's
model card (Google, 2021); `blazepose` for BlazePose's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors
from vadbench.features.weights import check_sides, onnx_session, run_onnx

if TYPE_CHECKING:
    from vadbench.features.extractors.blazepose import BlazePose
    from vadbench.features.footage import Footage

_SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# COCO's order
JOINTS = ("nose", *(f"{side}_{joint}" for joint in _SIDED for side in ("left", "right")))
# RTMPose's, of red, green, blue in grey levels
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
AROUND = 1.25  # the crop is this much larger than the box, as in training
BLAZEPOSE = "blazepose"  # what the names of its variants begin with
BATCH = 32  # crops a run: bounds the memory, whatever a frame holds


class PoseOptions(BaseModel):
    """Which objects have a pose."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_confidence: NonNegativeFloat = Field(
        0.3,
        description=(
            "objects whose confidence, the mean over the 17 joints, is below this have no row: they"
            " are no persons, or not seen well"
        ),
    )


class Pose:
    """17 COCO joints, 34-d: (x - box centre x) / box height, (y - box centre y) / box height, joint
    by joint.

    Dividing both by the height takes out place and distance and keeps the shape: a person with arms
    spread differs from one at rest, where dividing x by the box's width would stretch both to the
    same. y lies between -.5 and .5 for joints inside the box.

    Variants: `rtmpose-m`: `$VADBENCH_WEIGHTS/rtmpose-m.onnx`; `movenet`:
    `$VADBENCH_WEIGHTS/movenet.onnx` (single pose); `blazepose-lite`, `-full`, `-heavy` need no hub:
    `vadbench data fetch weights:blazepose-full`, extra `mobile`.

    >>> Pose("movenet", PoseOptions()).columns()[:2]
    ('nose_x', 'nose_y')
    """

    name: ClassVar[str] = "pose"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    variant_titles: ClassVar[dict[str, str]] = {
        "rtmpose-m": "RTMPose-m, 256 x 192 crops",
        "movenet": "MoveNet for a single pose",
        "blazepose-full": "BlazePose full, from a package",
        "blazepose-lite": "BlazePose lite, smaller, from a package",
        "blazepose-heavy": "BlazePose heavy, larger, from a package",
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = PoseOptions

    def __init__(self, variant: str, options: PoseOptions) -> None:
        self.variant = variant
        self.options = options

    @classmethod
    def resolve(cls, options: PoseOptions, variant: str, provider: str) -> dict[str, Any]:
        """All options: each changes which rows there are."""
        return options.model_dump(mode="json")

    def files(self) -> tuple[NeededFile, ...]:
        """The network."""
        from vadbench.features.packaged import carried_file
        from vadbench.features.weights import weights_file

        if self.variant.startswith(BLAZEPOSE):
            return (carried_file(self.variant),)
        if self.variant == "movenet":
            where = "Kaggle, google/movenet singlepose-lightning or -thunder, converted by tf2onnx"
            return (weights_file("movenet.onnx", "MoveNet (single pose)", where),)
        released = "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip"
        where = (
            f"https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/{released} (the"
            " end2end.onnx in it, renamed)"
        )
        return (weights_file("rtmpose-m.onnx", "RTMPose-m, body7, 256x192", where),)

    def seconds_an_object(self) -> float | None:
        """Seconds that an object takes on this machine; None: not known of ONNX files.

        Raises:
            BadInput: if the weights cannot be used.
        """
        if not self.variant.startswith(BLAZEPOSE):
            return None
        from vadbench.features.litert import Model

        model = Model(self.files()[0].path)
        return model.seconds() / model.threads

    def columns(self) -> tuple[str, ...]:
        """x and y of each joint, in box heights from the box's centre."""
        return tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xy")

    def nature(self) -> Nature:
        """All columns are in box heights."""
        return Nature(one_unit=True)

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """One row a person.

        Raises:
            BadInput: if the file is no such network.
        """
        boxes, poses = np.concatenate(objects.boxes), []
        for batch in _batches(self._pictures(footage, objects, advance), self.network.batch):
            poses.append(self.network(np.stack(batch)))
        joints = (
            np.concatenate([pose.joints for pose in poses])
            if poses
            else np.zeros((0, len(JOINTS), 2), np.float32)
        )
        confidence = (
            np.concatenate([pose.confidence for pose in poses])
            if poses
            else np.zeros((0, len(JOINTS)), np.float32)
        )
        return self._describe(boxes, joints, confidence)

    @property
    def needs_opening(self) -> bool:
        """False: a row describes its own crop."""
        return False

    def follow(
        self,
        frames: Iterator[NDArray[np.uint8]],
        boxes: Iterator[Floats],
        opening: Footage | None,
    ) -> Iterator[Vectors]:
        """The rows of each frame; to the bit those of `extract` where a person's joints do not
        depend on the others of their batch.
        """
        from vadbench.features.footage import to_rgb

        for frame in frames:
            found = next(boxes)
            crops = self._crops(to_rgb(frame), found)
            poses = [self.network(np.stack(one)) for one in _batches(crops, self.network.batch)]
            if not poses:
                bare = np.zeros((0, 2 * len(JOINTS)), np.float32)
                yield Vectors(bare, np.zeros(0, np.int64))
                continue
            joints = np.concatenate([pose.joints for pose in poses])
            confidence = np.concatenate([pose.confidence for pose in poses])
            yield self._describe(found, joints, confidence)

    def _describe(self, boxes: Floats, joints: Floats, confidence: Floats) -> Vectors:
        """A row for each person that the network is sure enough of."""
        scale, corner = crop_geometry(boxes, self.network.height, self.network.width)
        persons = np.flatnonzero(confidence.mean(1) >= self.options.min_confidence)
        placed = joints / scale[:, None, None] + corner[:, None]
        return Vectors(
            in_box(placed[persons], boxes[persons]).reshape(-1, 2 * len(JOINTS)),
            persons.astype(np.int64),
        )

    @cached_property
    def network(self) -> Simcc | MoveNet | BlazePose:
        """The file, opened."""
        if self.variant.startswith(BLAZEPOSE):
            from vadbench.features.extractors.blazepose import BlazePose

            return BlazePose(self.files()[0].path)
        return (MoveNet if self.variant == "movenet" else Simcc)(self.files()[0])

    def _pictures(
        self, footage: Footage, objects: Objects, advance: Advance
    ) -> Iterator[NDArray[np.uint8]]:
        """[height, width, 3] RGB crop of every object, frame by frame; what lies outside the frame
        is black.
        """
        for frame, boxes in zip(footage.rgb(), objects.boxes, strict=True):
            yield from self._crops(frame, boxes)
            advance(1)

    def _crops(self, frame: NDArray[np.uint8], boxes: Floats) -> Iterator[NDArray[np.uint8]]:
        import cv2

        height, width = self.network.height, self.network.width
        for scale, (left, top) in zip(*crop_geometry(boxes, height, width), strict=True):
            to_crop = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]], np.float64)
            yield np.asarray(
                cv2.warpAffine(frame, to_crop, (width, height), flags=cv2.INTER_LINEAR),
                np.uint8,
            )


class Poses(NamedTuple):
    """What a network says of a batch of crops.

    Attributes:
        joints: [n, 17, 2] float32 x, y in pixels of the crop.
        confidence: [n, 17] float32.
    """

    joints: Floats
    confidence: Floats


class Simcc:
    """RTMPose: [n, 3, H, W] standardised RGB to two heads, [n, 17, bins a pixel x W] for x and [n,
    17, bins a pixel x H] for y.

    A joint lies at each head's peak; its confidence is the lower of the two peaks.

    Raises:
        BadInput: on a file of another form.
    """

    def __init__(self, file: NeededFile) -> None:
        self.path = file.path
        self.session = onnx_session(file.path)
        self.input, shape = _only_input(self.session, file, "tensor(float)", 1)
        check_sides(self.path, shape[2:])
        self.height, self.width = shape[2:]
        self.batch = 1 if shape[0] == 1 else BATCH

    def __call__(self, crops: NDArray[np.uint8]) -> Poses:
        """The joints of crops [n, H, W, 3]."""
        standardised = (crops - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        planes = np.ascontiguousarray(standardised.transpose(0, 3, 1, 2), np.float32)
        heads = run_onnx(self.session, self.path, {self.input: planes})
        shapes = [list(head.shape) for head in heads]
        if len(heads) != 2 or any(
            len(head.shape) != 3 or head.shape[1] != len(JOINTS) for head in heads
        ):
            raise BadInput(
                f"{self.path}: gives {shapes}; expected the two SimCC heads of 17 joints, [n, 17, 2"
                " W] and [n, 17, 2 H]"
            )
        bins = np.array(
            [heads[0].shape[2] / self.width, heads[1].shape[2] / self.height], np.float32
        )
        joints = np.stack([head.argmax(2) for head in heads], 2).astype(np.float32) / bins
        return Poses(joints, np.minimum(heads[0].max(2), heads[1].max(2)).astype(np.float32))


class MoveNet:
    """MoveNet single pose: [1, H, W, 3] int32 RGB to [1, 1, 17, 3] (y, x, confidence), as shares of
    the crop.

    Raises:
        BadInput: on a file of another form.
    """

    batch = 1

    def __init__(self, file: NeededFile) -> None:
        self.path = file.path
        self.session = onnx_session(file.path)
        self.input, shape = _only_input(self.session, file, "tensor(int32)", 3)
        check_sides(self.path, shape[1:3])
        self.height, self.width = shape[1:3]

    def __call__(self, crops: NDArray[np.uint8]) -> Poses:
        """The joints of one crop [1, H, W, 3]."""
        answer = run_onnx(self.session, self.path, {self.input: crops.astype(np.int32)})
        found = np.asarray(answer[0], np.float32)
        if found.shape != (1, 1, len(JOINTS), 3):
            raise BadInput(
                f"{self.path}: gives {list(found.shape)}; expected [1, 1, 17, 3], MoveNet for a"
                " single pose"
            )
        return Poses(
            found[0, :, :, 1::-1] * np.array([self.width, self.height], np.float32),
            found[0, :, :, 2],
        )


def crop_geometry(
    boxes: Floats, height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[n] crop pixels a frame pixel and [n, 2] the crop's upper left corner in the frame.

    The crop has the box's centre, the shape height x width and the least size that holds the box
    made `AROUND` times as large.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    scale = (np.array([width, height]) / (AROUND * size)).min(1)
    centre = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
    return scale, centre - np.array([width, height]) / 2 / scale[:, None]


def in_box(joints: NDArray[np.float64], boxes: Floats) -> Floats:
    """[n, 17, 2] joints in box heights from the box's centre.

    Args:
        joints: [n, 17, 2] in pixels of the frame.
        boxes: [n, 4].
    """
    corners = boxes.astype(np.float64)
    centre = (corners[:, :2] + corners[:, 2:]) / 2
    return ((joints - centre[:, None]) / (corners[:, 3] - corners[:, 1])[:, None, None]).astype(
        np.float32
    )


def _batches(pictures: Iterator[NDArray[np.uint8]], most: int) -> Iterator[list[NDArray[np.uint8]]]:
    batch: list[NDArray[np.uint8]] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch


def _only_input(session: Any, file: NeededFile, kind: str, channels: int) -> tuple[str, list[Any]]:
    """Name and shape of the one input, of one picture or any number, `channels` saying which size
    is 3; sizes of the picture are fixed.
    """
    inputs = session.get_inputs()
    shape = list(inputs[0].shape)
    fixed = (
        len(shape) == 4
        and shape[channels] == 3
        and all(isinstance(side, int) for side in shape[1:])
    )
    fixed = fixed and (shape[0] == 1 or not isinstance(shape[0], int))
    if len(inputs) != 1 or not fixed or inputs[0].type != kind:
        layout = "[n or 1, 3, H, W]" if channels == 1 else "[1, H, W, 3]"
        raise BadInput(
            f"{file.path}: has {len(inputs)} input(s), the first {shape} of {inputs[0].type};"
            f" expected one, {layout} of {kind}"
        )
    return inputs[0].name, shape
