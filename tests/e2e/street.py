"""What the miniatures of data sets show: people (light blocks) who walk by, and one who runs at
four times their speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord

HEIGHT, WIDTH = SIZE = (120, 160)
FRAMES = 60
TALL, WIDE = 26, 12
RUNNER = 9  # who it is, in tracks and masks
Box = tuple[int, int, int, int]  # x0, y0, x1, y1, the ends exclusive


@dataclass(frozen=True)
class Street:
    """One clip of 60 frames.

    Attributes:
        seed: of the ground and of where the walkers begin.
        pace: pixels a frame that the walkers make.
        ran: frames in which somebody runs by.
    """

    seed: int
    pace: int = 2
    ran: range = range(0)

    def people(self, t: int) -> dict[int, Box]:
        """Who is where at frame t; who walks out on the right comes in on the left as somebody
        else.
        """
        found = {}
        for walker, (start, y) in enumerate(((0, 8), (70, 46))):
            lap, x = divmod(start + 3 * self.seed + self.pace * t, WIDTH)
            found[10 * (1 + walker + 2 * lap)] = (x, y)
        if t in self.ran:
            found[RUNNER] = (20 + 4 * self.pace * (t - self.ran.start), 84)
        return {who: (x, y, min(x + WIDE, WIDTH), y + TALL) for who, (x, y) in found.items()}

    def pictures(self) -> Iterator[np.ndarray]:
        """[H, W, 3] uint8 a frame."""
        random = np.random.default_rng(self.seed)
        ground = random.integers(60, 90, SIZE).astype(np.uint8)
        coats = random.integers(150, 250, (256, TALL, WIDE)).astype(np.uint8)
        for t in range(FRAMES):
            image = ground.copy()
            for who, (x0, y0, x1, y1) in self.people(t).items():
                image[y0:y1, x0:x1] = coats[who][:, : x1 - x0]
            yield np.repeat(image[..., None], 3, axis=2)

    def ids(self, t: int) -> np.ndarray:
        """[H, W] uint8: whom each pixel of frame t shows, 0 the ground."""
        shown = np.zeros(SIZE, np.uint8)
        for who, (x0, y0, x1, y1) in self.people(t).items():
            shown[y0:y1, x0:x1] = who
        return shown

    @property
    def labels(self) -> np.ndarray:
        """[60] uint8, 1 where somebody runs."""
        return np.array([t in self.ran for t in range(FRAMES)], np.uint8)


def write_video(path: Path, street: Street, codec: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for picture in street.pictures():
        writer.write(picture)
    writer.release()


def records(results: Path) -> dict[str, ResultRecord]:
    """Recipe (`gmm@velocity`) -> its record."""
    return {record.recipe: record for record in Results(results).all_records()}


def measured(record: ResultRecord, metric: str, video: str | None = None) -> float | None:
    """The unsmoothed value of a metric, of the whole set where no video or scene is named."""
    wanted = (metric, video, "none", record.shown)
    (value,) = {
        one.value
        for one in record.values
        if (one.metric, one.video, one.smoothing, one.read_out) == wanted
    }
    return value
