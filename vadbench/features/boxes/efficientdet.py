"""EfficientDet-Lite0 as a detector: 320 x 320 pictures of a frame's tiles, its anchors, what its
two outputs mean.

Weights: a file that a package carries (`vadbench.features.packaged`). Source: Tan et al.,
EfficientDet (CVPR 2020); the Lite versions' model card.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.provider import Floats
from vadbench.features.boxes.tiles import Tile, is_whole, lay_tiles
from vadbench.features.litert import Model

LABEL = "efficientdet-lite0"
SIZE, CLASSES = 320, 90
LEVELS = (3, 4, 5, 6, 7)
OCTAVES, ASPECTS = (0, 1 / 3, 2 / 3), (1.0, 2.0, 0.5)  # aspect: width over height
BASE = 3.0  # an anchor's side in strides, at octave 0
PERSON = 0
# COCO's numbers less 1: person, bicycle, car, motorcycle, bus, train, truck, horse, skateboard
STREET = (0, 1, 2, 3, 5, 6, 7, 18, 40)
Changed = Callable[[Tile], bool]


class EfficientDet:
    """Detects objects in one RGB frame [H, W, 3] after another, tile by tile.

    Args:
        path: the .tflite file.
        score: least confidence of a detection.
        tiles: rows and columns.
        overlap: share of a tile's side that it has in common with the next one.
        whole: whether the whole frame is looked at too, for what no tile holds.
        kinds: `street`: a detection is the most likely of `STREET`; `all`: of COCO's 80 classes.

    Raises:
        BadInput: on a file of another form.
    """

    def __init__(
        self,
        path: Path,
        score: float,
        tiles: tuple[int, int] = (2, 3),
        overlap: float = 0.25,
        whole: bool = False,
        kinds: Literal["street", "all"] = "street",
    ) -> None:
        self.model = Model(path)
        self.score, self.tiles, self.overlap, self.whole = score, tiles, overlap, whole
        self.columns = np.array(STREET if kinds == "street" else range(CLASSES))
        self.anchors = anchors()
        self._require_form()

    def __call__(
        self, frame: NDArray[np.uint8], changed: Changed = lambda tile: True
    ) -> Detections:
        """What is found in pixels of the frame, several times where tiles overlap.

        Args:
            frame: [H, W, 3] RGB.
            changed: whether a tile is worth looking at.
        """
        height, width = frame.shape[:2]
        places = lay_tiles(height, width, *self.tiles, self.overlap)
        if self.whole and len(places) > 1:
            places.append((0, 0, width, height))
        places = [tile for tile in places if changed(tile)]
        found = list(self.model.map(lambda tile: self._look(frame, tile), places))
        if not found:
            bare = np.zeros((0, 4), np.float32)
            return Detections(bare, np.zeros(0, np.float32), np.zeros(0, bool))
        return Detections(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def _look(self, frame: NDArray[np.uint8], tile: Tile) -> Detections:
        """What one tile holds whole."""
        import cv2

        x0, y0, x1, y1 = tile
        picture = np.asarray(
            cv2.resize(frame[y0:y1, x0:x1], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.uint8
        )
        first, second = (one[0] for one in self.model(picture[None]))
        codes, confidences = (first, second) if first.shape[1] == 4 else (second, first)
        rows, scores, kinds = choose_rows(confidences, self.columns, self.score)
        if not (np.isfinite(scores).all() and scores.max(initial=0) <= 1.001):
            raise BadInput(
                f"{self.model.path}: gives a confidence of {scores.max():.3g}, expected 0 to 1;"
                " fetch it again"
            )
        boxes = decode(codes[rows], self.anchors[rows])
        boxes *= np.array([x1 - x0, y1 - y0] * 2, np.float32) / SIZE
        boxes += np.array([x0, y0] * 2, np.float32)
        good = np.isfinite(boxes).all(1) & is_whole(boxes, tile, *frame.shape[:2])
        return Detections(boxes[good], scores[good], kinds[good] == PERSON)

    def _require_form(self) -> None:
        shapes = sorted(one.shape for one in self.model.outputs)
        number = len(self.anchors)
        taken = [(one.shape, one.dtype) for one in self.model.inputs]
        if taken != [((1, SIZE, SIZE, 3), np.dtype(np.uint8))] or shapes != [
            (1, number, 4),
            (1, number, CLASSES),
        ]:
            raise BadInput(
                f"{self.model.path}: takes {_write(self.model.inputs)} and gives"
                f" {_write(self.model.outputs)}; expected EfficientDet-Lite0, uint8 [1, {SIZE},"
                f" {SIZE}, 3] to [1, {number}, {CLASSES}] and [1, {number}, 4]"
            )


def anchors() -> Floats:
    """[19206, 4] centre x, y, width and height of the boxes that the network's codes move, in
    pixels of its picture: level by level, row by row, octave by octave, aspect by aspect.
    """
    found = []
    for level in LEVELS:
        stride = 2**level
        cells = (np.arange(-(-SIZE // stride)) + 0.5) * stride
        y, x = np.meshgrid(cells, cells, indexing="ij")
        sides = [
            (
                BASE * stride * 2**octave * np.sqrt(aspect),
                BASE * stride * 2**octave / np.sqrt(aspect),
            )
            for octave in OCTAVES
            for aspect in ASPECTS
        ]
        places = np.stack([x.ravel(), y.ravel()], 1)
        found.append(
            np.concatenate(
                [np.repeat(places, len(sides), 0), np.tile(np.array(sides), (len(places), 1))], 1
            )
        )
    return np.concatenate(found).astype(np.float32)


def decode(codes: Floats, anchors: Floats) -> Floats:
    """[n, 4] corners x0, y0, x1, y1 of codes [n, 4] (ty, tx, th, tw) at anchors [n, 4]: the centre
    moves by t times the anchor's size, the size grows by exp(t).

    >>> decode(np.zeros((1, 4), np.float32), np.float32([[10, 20, 4, 8]])).tolist()
    [[8.0, 16.0, 12.0, 24.0]]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is dropped
        centre = codes[:, 1::-1] * anchors[:, 2:] + anchors[:, :2]
        size = np.exp(codes[:, :1:-1]) * anchors[:, 2:]
        return np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float32)


def choose_rows(
    confidences: Floats, columns: NDArray[np.int64], score: float
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """The rows [n] of confidences [A, classes] whose most likely one of some columns reaches a
    score, that score and that column.
    """
    some = confidences if len(columns) == confidences.shape[1] else confidences[:, columns]
    best = some.max(1)
    rows = np.flatnonzero(~(best < score))  # what is no number is told by the caller
    return rows, best[rows], columns[some[rows].argmax(1)]


def _write(tensors: tuple[Any, ...]) -> str:
    return ", ".join(f"{one.dtype.name} {list(one.shape)}" for one in tensors)
