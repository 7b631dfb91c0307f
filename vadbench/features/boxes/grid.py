"""Objects as the moving cells of a dense grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from vadbench.features.boxes.foreground import REFERENCE
from vadbench.features.boxes.provider import NeededFile, Objects

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage


class GridOptions(BaseModel):
    """Sizes are pixels of a 240 x 360 frame and scale with the frame.

    Defaults are ours: a cell is as wide as a person, and neighbours overlap by half.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cell: PositiveFloat = Field(24.0, description="side of a cell")
    step: PositiveFloat = Field(12.0, description="distance between neighbouring cells")
    noise: NonNegativeFloat = Field(
        5.0,
        description=(
            "a cell moves where its mean absolute temporal difference is this many robust standard"
            " deviations (1.4826 x median absolute deviation) above the median, both over all cells"
            " of the clip: most cells show a still scene, so these are the clip's own noise"
        ),
    )


class Grid:
    """Overlapping cells of one size, of which those that move are objects.

    >>> cells = Grid(GridOptions(cell=24, step=12)).cells(240, 360)
    >>> cells[:2].tolist()
    [[0.0, 0.0, 24.0, 24.0], [12.0, 0.0, 36.0, 24.0]]
    """

    name: ClassVar[str] = "grid"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = True
    labelled: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = GridOptions

    def __init__(
        self, options: GridOptions, dataset: Dataset | None = None, label: str = ""
    ) -> None:
        self.options = options

    def files(self) -> tuple[NeededFile, ...]:
        """None: it looks at the frames alone."""
        return ()

    def objects(self, footage: Footage) -> Objects:
        """The moving cells of each frame; the first frame has those of the second.

        Raises:
            BadInput: on a clip of one frame.
        """
        change, cells = self._changes(footage)
        floor = self._floor(change)
        moving = [cells[of_frame > floor] for of_frame in change]
        return Objects([moving[0], *moving])

    @property
    def needs_opening(self) -> bool:
        """True: the noise is measured on many frames."""
        return True

    def follow(
        self, frames: Iterator[NDArray[np.uint8]], opening: Footage | None
    ) -> Iterator[NDArray[np.float32]]:
        """The cells that move in each frame, as `objects` finds them where the opening is the clip;
        the first frame's once the second is there.
        """
        from vadbench.features.footage import to_grey

        assert opening is not None
        change, cells = self._changes(opening)
        floor = self._floor(change)
        del change
        greys = map(to_grey, frames)
        previous = next(greys)
        for t, frame in enumerate(greys):
            moving = cells[_cell_means(_difference(previous, frame), cells) > floor]
            previous = frame
            if t == 0:
                yield moving
            yield moving

    def _changes(self, footage: Footage) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """[T - 1, n] mean absolute temporal difference of each cell, and the cells."""
        footage.require(2, "a temporal difference")
        frames = footage.grey()
        previous = next(frames)
        cells = self.cells(*previous.shape)
        change = np.empty((len(footage) - 1, len(cells)))
        for t, frame in enumerate(frames):
            change[t] = _cell_means(_difference(previous, frame), cells)
            previous = frame
        return change, cells

    def _floor(self, change: NDArray[np.float64]) -> float:
        """What moves changes by more."""
        typical = np.median(change)
        spread = np.median(np.abs(change - typical))
        return float(typical + self.options.noise * 1.4826 * spread)

    def cells(self, height: int, width: int) -> NDArray[np.float32]:
        """[n, 4] all cells that lie in a frame, row by row."""
        down, right = height / REFERENCE[0], width / REFERENCE[1]
        tops, cell_height = _lattice(height, self.options.cell * down, self.options.step * down)
        lefts, cell_width = _lattice(width, self.options.cell * right, self.options.step * right)
        y, x = (corner.ravel() for corner in np.meshgrid(tops, lefts, indexing="ij"))
        return np.stack([x, y, x + cell_width, y + cell_height], 1).astype(np.float32)


def _lattice(length: int, cell: float, step: float) -> tuple[NDArray[np.int64], int]:
    """Starts of the cells on one side of a frame, and their size, in whole pixels."""
    size = min(max(1, round(cell)), length)
    return np.arange(0, length - size + 1, max(1, round(step))), size


def _difference(previous: NDArray[np.uint8], current: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(previous, current) - np.minimum(previous, current)


def _cell_means(image: NDArray[np.uint8], cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n] mean of a uint8 image over each cell, by an integral image."""
    import cv2

    sums = cv2.integral(image, sdepth=cv2.CV_64F)  # [H + 1, W + 1], exact for uint8
    x0, y0, x1, y1 = cells.astype(int).T
    area = (x1 - x0) * (y1 - y0)
    return np.asarray(
        (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / area, np.float64
    )
