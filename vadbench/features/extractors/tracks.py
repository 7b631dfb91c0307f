"""Tracks: how each tracked person moves, without a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.features.extractors.extractor import Advance, Vectors

if TYPE_CHECKING:
    from vadbench.features.footage import Footage


class TracksOptions(BaseModel):
    """What is told of a track."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lag: PositiveInt = Field(
        5, description="frames over which velocity is measured, or as many as the track is old"
    )
    position: bool = Field(
        False, description="also the centre of the box's lower edge, in box heights"
    )


class Tracks:
    """Per tracked box: speed, |vx|, |vy| of its centre (box heights a frame), log of its height,
    width / height.

    Velocity is measured against the track's oldest box of the last `lag` frames; a box without one
    (a track's first) has no row.

    >>> box = np.float32([[10, 20, 20, 60], [12, 20, 22, 60], [14, 20, 24, 60]])
    >>> frame, track = np.arange(3), np.zeros(3, np.int64)
    >>> x, of = Tracks("motion", TracksOptions()).describe(box, frame, track)
    >>> x[:, 0].round(3).tolist(), of.tolist()  # 2 pixels a frame, 40 pixels high
    ([0.05..., 0.05...], [1, 2])
    """

    name: ClassVar[str] = "tracks"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = False
    variant_titles: ClassVar[dict[str, str]] = {
        "motion": "speed and shape, 5-d; 7-d with the position"
    }
    variants: ClassVar[tuple[str, ...]] = tuple(variant_titles)
    needs_boxes: ClassVar[bool] = True
    Options: ClassVar[type[BaseModel]] = TracksOptions

    def __init__(self, variant: str, options: TracksOptions) -> None:
        self.options = options

    @classmethod
    def resolve(cls, options: TracksOptions, variant: str, provider: str) -> dict[str, Any]:
        """All options."""
        return options.model_dump(mode="json")

    def files(self) -> tuple[NeededFile, ...]:
        """None: the tracks are the provider's."""
        return ()

    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (
            "speed",
            "abs_vx",
            "abs_vy",
            "log_height",
            "aspect",
            *(("x", "y") if self.options.position else ()),
        )

    def nature(self) -> Nature:
        """The first column is the speed; the others are parts of it, and shape."""
        return Nature(speeds=(0,), motion=(0, 1, 2))

    def extract(self, footage: Footage, objects: Objects, advance: Advance) -> Vectors:
        """A row for each box whose track is old enough.

        Raises:
            BadInput: on boxes without tracks.
        """
        if objects.track is None:
            raise BadInput(
                "tracks: these boxes belong to no tracks; name a provider that tracks, for example"
                " tracks@tracks.deepsort"
            )
        frame = np.repeat(np.arange(len(objects.boxes)), [len(boxes) for boxes in objects.boxes])
        x, of = self.describe(np.concatenate(objects.boxes), frame, objects.track)
        advance(len(footage))
        return Vectors(x, of)

    def describe(
        self, box: Floats, frame: NDArray[np.int64], track: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.int64]]:
        """[n, 5 or 7] features, and the n of N rows (box [N, 4], frame, track [N]) that have them,
        rising.
        """
        before = oldest_within(frame, track, self.options.lag)
        of = np.flatnonzero(before >= 0)
        now, then = box[of].astype(np.float64), box[before[of]].astype(np.float64)
        size = now[:, 2:] - now[:, :2]
        moved = (now[:, :2] + now[:, 2:] - then[:, :2] - then[:, 2:]) / 2
        velocity = moved / (frame[of] - frame[before[of]])[:, None] / size[:, 1:]
        columns = [
            np.hypot(*velocity.T),
            *np.abs(velocity).T,
            np.log(size[:, 1]),
            size[:, 0] / size[:, 1],
        ]
        if self.options.position:
            columns += [(now[:, 0] + now[:, 2]) / 2 / size[:, 1], now[:, 3] / size[:, 1]]
        return np.column_stack(columns).astype(np.float32), of


def oldest_within(
    frame: NDArray[np.int64], track: NDArray[np.int64], lag: int
) -> NDArray[np.int64]:
    """[N] for each row the row of its track with the earliest frame among the `lag` frames before;
    -1 without any.
    """
    span = int(frame.max(initial=0)) + lag + 1
    key = (track - track.min(initial=0)) * span + frame
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    found = np.full(len(frame), -1, np.int64)
    for back in range(1, lag + 1):  # the furthest back comes last and stays
        wanted = key - back
        place = np.minimum(np.searchsorted(ordered, wanted), max(len(ordered) - 1, 0))
        hit = (frame >= back) & (ordered[place] == wanted) if len(ordered) else np.zeros(0, bool)
        found[hit] = order[place[hit]]
    return found
