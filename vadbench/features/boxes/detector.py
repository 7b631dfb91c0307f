"""Objects as an object detector finds them, plus what moves beside them.

Source of the steps and of the presets: Reiss and Hoshen, Attribute-based Representations for
Accurate and Interpretable Video Anomaly Detection (AccI-VAD, 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise, tee
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from vadbench.errors import BadInput
from vadbench.features.boxes import onnx, torchvision
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.foreground import drop_covered
from vadbench.features.boxes.provider import Floats, NeededFile, Objects

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage

Picture = NDArray[np.uint8]


class DetectorOptions(BaseModel):
    """Sizes are pixels of the frames as they are, which is how AccI-VAD states them for each data
    set; `accivad` gives its values.

    | data set | score | classes | min_area | covered | gradient_blur | gradient_threshold |
    gradient_min_area |
    |---|---|---|---|---|---|---|---|
    | ped2 (240 x 360) | .5 | all | 100 | .6 | 3 | 18 | 100 |
    | avenue (360 x 640) | .8 | person | 400 | .6 | 5 | 18 | 1600 |
    | shanghaitech (480 x 856) | .8 | all | 64 | .65 | 5 | 15 | 1600 |
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    score: NonNegativeFloat = Field(0.25, description="least confidence of a detection", le=1.0)
    nms: NonNegativeFloat = Field(
        0.5,
        description=(
            "of two boxes whose intersection over union is larger, the less confident one is"
            " dropped"
        ),
        le=1.0,
    )
    classes: Literal["all", "person"] = Field(
        "all", description="detections of which classes are objects"
    )
    min_area: NonNegativeFloat = Field(
        100.0, description="least width x height of a detection, inside the frame"
    )
    covered: NonNegativeFloat = Field(
        0.6,
        description="boxes of which more than this share lies in a larger one are dropped",
        le=1.0,
    )
    gradient: bool = Field(
        True, description="add boxes of what changes from frame to frame outside the detections"
    )
    gradient_blur: Literal[1, 3, 5, 7, 9] = Field(
        3,
        description=(
            "side of the Gaussian kernel that frames are blurred with before their difference"
        ),
    )
    gradient_threshold: NonNegativeInt = Field(
        18,
        description="grey levels by which a pixel that changes differs from the frame before",
        le=255,
    )
    gradient_min_area: PositiveFloat = Field(
        100.0, description="least width x height of a box of changing pixels"
    )
    gradient_max_aspect: PositiveFloat = Field(
        10.0, description="sides of a box of changing pixels differ by less than this factor"
    )

    @classmethod
    def accivad(cls, dataset: str) -> Self:
        """AccI-VAD's values for a data set.

        Raises:
            BadInput: if AccI-VAD has none for it.
        """
        presets = {
            "ped2": cls(
                score=0.5,
                min_area=100,
                covered=0.6,
                gradient_blur=3,
                gradient_threshold=18,
                gradient_min_area=100,
            ),
            "avenue": cls(
                score=0.8,
                classes="person",
                min_area=400,
                covered=0.6,
                gradient_blur=5,
                gradient_threshold=18,
                gradient_min_area=1600,
            ),
            "shanghaitech": cls(
                score=0.8,
                min_area=64,
                covered=0.65,
                gradient_blur=5,
                gradient_threshold=15,
                gradient_min_area=1600,
            ),
        }
        if dataset not in presets:
            raise BadInput(
                f"detector: AccI-VAD states no thresholds for {dataset!r}; it has them for"
                f" {', '.join(presets)}"
            )
        return presets[dataset]


class DetectorBoxes:
    """Detections of every frame, then contours of the temporal gradient outside them.

    The label names the model: `maskrcnn` and `fasterrcnn` are torchvision's (ResNet-50 FPN V2,
    weights in `$VADBENCH_WEIGHTS`), any other one is the file `$VADBENCH_WEIGHTS/<label>.onnx` of
    the YOLO family (forms: `vadbench.features.boxes.onnx`). Non-maximum suppression looks at no
    class: one object called two names stays one object.

    >>> boxes = DetectorBoxes(DetectorOptions.accivad("ped2"), None, "yolov8n")
    >>> boxes.files()[0].path.name
    'yolov8n.onnx'
    """

    name: ClassVar[str] = "detector"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    labelled: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = DetectorOptions

    def __init__(self, options: DetectorOptions, dataset: Dataset | None, label: str) -> None:
        self.options = options
        self.label = label

    def files(self) -> tuple[NeededFile, ...]:
        """The model's weights."""
        if self.label in torchvision.MODELS:
            return (torchvision.file(self.label),)
        return (onnx.file(self.label),)

    def objects(self, footage: Footage) -> Objects:
        """The objects of every frame, the most confident first, then what moves; the first frame
        has the gradient of the second.

        Raises:
            BadInput: if the weights cannot be used, or on a clip of one frame where the temporal
                gradient is wanted.
        """
        if not self.options.gradient:
            return Objects(self.detect(footage))
        footage.require(2, "a temporal gradient")
        detections = self.detect(footage)
        contours = self.contours(footage, detections)
        return Objects([np.concatenate(both) for both in zip(detections, contours, strict=True)])

    @property
    def needs_opening(self) -> bool:
        """False: a frame, and the one before it, decide."""
        return False

    def follow(self, frames: Iterator[Picture], opening: Footage | None) -> Iterator[Floats]:
        """The objects of each frame, as `objects` finds them; the first frame's once the second is
        there, where the temporal gradient is wanted.
        """
        from vadbench.features.follow import to_grey, to_rgb

        if not self.options.gradient:
            yield from self._detect(map(to_rgb, frames))
            return
        images, others = tee(frames)
        detections = self._detect(map(to_rgb, others))
        previous, before = self._blur(to_grey(next(images))), next(detections)
        for t, (image, found) in enumerate(zip(images, detections, strict=False), 1):
            current = self._blur(to_grey(image))
            if t == 1:
                yield np.concatenate([before, moving(previous, current, before, self.options)])
            yield np.concatenate([found, moving(previous, current, found, self.options)])
            previous = current

    def detect(self, footage: Footage) -> list[Floats]:
        """Per frame, the boxes [n, 4] of the detections that are objects."""
        return list(self._detect(footage.rgb()))

    def _detect(self, frames: Iterable[Picture]) -> Iterator[Floats]:
        path = self.files()[0].path
        modified = path.stat().st_mtime_ns if path.is_file() else 0
        model = _load_model(self.label, path, modified, self.options.score)
        for frame in frames:
            height, width, _ = frame.shape
            yield choose(model(frame), height, width, self.options)

    def _blur(self, frame: Picture) -> Picture:
        import cv2

        kernel = (self.options.gradient_blur, self.options.gradient_blur)
        return np.asarray(cv2.GaussianBlur(frame, kernel, 0), np.uint8)

    def contours(self, footage: Footage, detections: list[Floats]) -> Iterator[Floats]:
        """Per frame, the boxes [n, 4] of what moves outside its detections."""
        blurred = map(self._blur, footage.grey())
        for t, (previous, current) in enumerate(pairwise(blurred), 1):
            if t == 1:
                yield moving(previous, current, detections[0], self.options)
            yield moving(previous, current, detections[t], self.options)


@lru_cache(maxsize=1)
def _load_model(
    label: str, path: Path, modified: int, score: float
) -> Callable[[NDArray[np.uint8]], Detections]:
    """The model, loaded once for all clips of a process, and again when its file has changed."""
    if label in torchvision.MODELS:
        return torchvision.TorchvisionBoxes(label, path, score)
    return onnx.OnnxBoxes(path)


def choose(detections: Detections, height: int, width: int, options: DetectorOptions) -> Floats:
    """[n, 4] the detections that are objects, cut to a frame of this size, by falling
    confidence.
    """
    import cv2

    border = np.array([width, height, width, height], np.float32)
    boxes: Floats = detections.boxes.clip(0, border)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area = size.prod(1)
    good = (detections.scores >= options.score) & (area > 0) & (area >= options.min_area)
    if options.classes == "person":
        good &= detections.person
    boxes, size, scores = boxes[good], size[good], detections.scores[good]
    if not len(boxes):
        return boxes
    best = cv2.dnn.NMSBoxes(
        np.concatenate([boxes[:, :2], size], 1).tolist(),
        scores.tolist(),
        score_threshold=0.0,
        nms_threshold=options.nms,
    )
    return drop_covered(boxes[np.asarray(best, np.int64)], options.covered)


def moving(
    previous: NDArray[np.uint8], current: NDArray[np.uint8], boxes: Floats, options: DetectorOptions
) -> Floats:
    """[n, 4] boxes of what changed between two grey frames [H, W] outside `boxes` [m, 4] and the 2
    pixels around them.
    """
    import cv2

    difference = np.maximum(previous, current) - np.minimum(previous, current)
    change = (difference > options.gradient_threshold).astype(np.uint8)
    for x0, y0, x1, y1 in boxes:
        top, left = max(int(np.floor(y0)) - 2, 0), max(int(np.floor(x0)) - 2, 0)
        bottom, right = int(np.ceil(y1)) + 2, int(np.ceil(x1)) + 2
        change[top:bottom, left:right] = 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(change, connectivity=8)
    # the first component is what did not change
    x, y, width, height = np.asarray(stats[1:, :4], np.float32).T
    large = width * height >= options.gradient_min_area
    compact = np.maximum(width / height, height / width) < options.gradient_max_aspect
    contours: Floats = np.stack([x, y, x + width, y + height], 1)
    return drop_covered(contours[large & compact], options.covered)
