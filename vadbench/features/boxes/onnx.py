"""Detectors of the YOLO family stored as ONNX files, run by onnxruntime: the picture they see, and
the boxes that their raw output means.

A file has one input [1, 3, H, W] of a fixed size and one output. The form is told from the output's
shape, A being the number of cells of the grids of strides 8, 16 and 32 (for NanoDet-Plus: 8, 16, 32
and 64) on the input:

| form | output | box | input |
|---|---|---|---|
| YOLOv8 and what shares its export | [1, 4 + classes, A] | centre, size in input pixels; class
confidences | RGB / 255 |
| YOLOX, its default export | [1, A, 5 + classes] | offset in the cell, log size, both in strides;
objectness x class | BGR 0 ... 255 |
| NanoDet-Plus | [1, A, classes + 32] | distances to four sides, each a softmax over 0 ... 7 strides
| BGR standardised |

Not read: YOLOv5 (three anchors a cell), YOLOX exported with `--decode_in_inference`, exports that
hold the NMS. Classes are COCO's 80 or any others; the first one is taken for the person. Sources:
Ge et al., YOLOX (2021); the exporters' own documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.provider import Floats
from vadbench.features.weights import check_sides, onnx_session, run_onnx, weights_file

if TYPE_CHECKING:
    from vadbench.features.boxes.provider import NeededFile

PERSON = 0  # COCO's first class
GREY = 114  # what the letterbox is filled with, as in training
DISTANCES = 8  # NanoDet-Plus: bins of the distance to one side


@dataclass(frozen=True)
class Form:
    """How a family of models is fed and read.

    Attributes:
        bgr: whether channels are blue, green, red.
        mean, std: of each channel, in grey levels.
        decode: raw [A, K] and cells [A, 3] (x, y, stride) to boxes [A, 4] in input pixels and class
            confidences [A, classes].
    """

    name: str
    bgr: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    decode: Callable[[Floats, Floats], tuple[Floats, Floats]]


class OnnxBoxes:
    """Detects objects in one RGB frame [H, W, 3] after another.

    Args:
        path: the ONNX file.

    Raises:
        BadInput: on a file of another form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.session = onnx_session(path)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        shape = list(inputs[0].shape)
        fixed = (
            len(shape) == 4 and shape[1] == 3 and all(isinstance(side, int) for side in shape[2:])
        )
        if len(inputs) != 1 or len(outputs) != 1 or not fixed or inputs[0].type != "tensor(float)":
            seen = (
                f"{len(inputs)} input(s), the first {shape} of {inputs[0].type}, and {len(outputs)}"
                " output(s)"
            )
            raise BadInput(
                f"{path}: has {seen}; expected one float input [1, 3, H, W] of fixed size and one"
                " output; export it so"
            )
        check_sides(path, shape[2:])
        self.input = inputs[0].name
        self.height, self.width = shape[2:]
        self.form, self.cells = self._form(
            self._run(np.zeros((1, 3, self.height, self.width), np.float32)).shape
        )

    def __call__(self, frame: NDArray[np.uint8]) -> Detections:
        """Every cell's box, in pixels of the frame, uncut.

        Raises:
            BadInput: if confidences are none.
        """
        picture, scale = letterbox(frame, self.height, self.width)
        channels = picture[..., ::-1] if self.form.bgr else picture
        standardised = (channels - np.array(self.form.mean, np.float32)) / np.array(
            self.form.std, np.float32
        )
        raw = self._run(np.ascontiguousarray(standardised.transpose(2, 0, 1)[None]))[0]
        boxes, confidences = self.form.decode(raw.T if self.form is YOLOV8 else raw, self.cells)
        if not (confidences.min() >= 0 and confidences.max() <= 1.001):
            raise BadInput(
                f"{self.path}: read as {self.form.name}, class confidences run from"
                f" {confidences.min():.3g} to {confidences.max():.3g}, expected 0 to 1; export the"
                " model with its sigmoid"
            )
        return Detections(
            boxes / np.float32(scale), confidences.max(1), confidences.argmax(1) == PERSON
        )

    def _run(self, picture: Floats) -> Floats:
        return np.asarray(run_onnx(self.session, self.path, {self.input: picture})[0], np.float32)

    def _form(self, shape: tuple[int, ...]) -> tuple[Form, Floats]:
        three, four = (
            cells(self.height, self.width, (8, 16, 32)),
            cells(self.height, self.width, (8, 16, 32, 64)),
        )
        if len(shape) == 3 and shape[0] == 1:
            if shape[2] == len(three) and shape[1] > 4:
                return YOLOV8, three
            if shape[1] == len(three) and shape[2] > 5:
                return YOLOX, three
            if shape[1] == len(four) and shape[2] > 4 * DISTANCES:
                return NANODET, four
        raise BadInput(
            f"{self.path}: gives {list(shape)} for an input of {self.height} x {self.width};"
            f" expected YOLOv8's [1, 4 + classes, {len(three)}], YOLOX's [1, {len(three)}, 5 +"
            f" classes] or NanoDet-Plus's [1, {len(four)}, classes + 32]; export it without NMS"
        )


def file(label: str) -> NeededFile:
    """The ONNX file of a label."""
    return weights_file(
        f"{label}.onnx",
        f"the detector {label!r}",
        "export a YOLOX, YOLOv8 or NanoDet-Plus model to ONNX with a fixed input size, no NMS",
    )


def letterbox(frame: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], float]:
    """The frame [h, w, 3] scaled to fit, in the upper left of a grey picture [height, width, 3];
    and the scale.
    """
    import cv2

    scale = min(height / frame.shape[0], width / frame.shape[1])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    picture = np.full((height, width, 3), GREY, np.uint8)
    picture[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return picture, scale


def cells(height: int, width: int, strides: tuple[int, ...]) -> Floats:
    """[A, 3] upper left corner and stride, in input pixels, of every cell; stride by stride, row by
    row.
    """
    found = []
    for stride in strides:
        y, x = np.mgrid[: -(-height // stride), : -(-width // stride)]
        found.append(np.stack([x.ravel() * stride, y.ravel() * stride, np.full(x.size, stride)], 1))
    return np.concatenate(found).astype(np.float32)


def _yolov8(raw: Floats, cells: Floats) -> tuple[Floats, Floats]:
    return _around(raw[:, :2], raw[:, 2:4]), raw[:, 4:]


def _yolox(raw: Floats, cells: Floats) -> tuple[Floats, Floats]:
    corner, stride = cells[:, :2], cells[:, 2:]
    return (
        _around(corner + raw[:, :2] * stride, np.exp(raw[:, 2:4]) * stride),
        raw[:, 5:] * raw[:, 4:5],
    )


def _nanodet(raw: Floats, cells: Floats) -> tuple[Floats, Floats]:
    corner, stride = cells[:, :2], cells[:, 2:]
    logits = raw[:, -4 * DISTANCES :].reshape(-1, 4, DISTANCES)
    weights = np.exp(logits - logits.max(2, keepdims=True))
    # left, top, right, bottom
    distance = (weights * np.arange(DISTANCES, dtype=np.float32)).sum(2) / weights.sum(2) * stride
    return (
        np.concatenate([corner - distance[:, :2], corner + distance[:, 2:]], 1),
        raw[:, : -4 * DISTANCES],
    )


def _around(centre: Floats, size: Floats) -> Floats:
    return np.concatenate([centre - size / 2, centre + size / 2], 1)


YOLOV8 = Form("YOLOv8", bgr=False, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), decode=_yolov8)
YOLOX = Form("YOLOX", bgr=True, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), decode=_yolox)
NANODET = Form(
    "NanoDet-Plus",
    bgr=True,
    mean=(103.53, 116.28, 123.675),
    std=(57.375, 57.12, 58.395),
    decode=_nanodet,
)
