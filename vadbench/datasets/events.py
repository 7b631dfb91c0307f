"""Anomalous events: who or what is anomalous in which frames of a test video, and of what kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput


@dataclass(frozen=True)
class Event:
    """One anomaly of a test video; others may go on at the same time.

    Attributes:
        video: its name.
        start, end: the first and the last anomalous frame, from 0, both inclusive.
        category: what it is, such as `cyclist`; None where nobody has said.
    """

    video: str
    start: int
    end: int
    category: str | None = None

    @property
    def frames(self) -> slice:
        """Where its frames are in those of its video."""
        return slice(self.start, self.end + 1)


def find_stretches(marked: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """First and last frame of every run of frames [T] that are not 0.

    >>> find_stretches(np.array([0, 1, 1, 0, 1], np.uint8))
    [(1, 2), (4, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked != 0, [False]])))
    return [
        (int(start), int(after) - 1) for start, after in zip(edges[::2], edges[1::2], strict=True)
    ]


def events_of_labels(labels: Mapping[str, NDArray[np.uint8]]) -> list[Event]:
    """An event without a category for every stretch of anomalous frames.

    >>> events_of_labels({"a": np.array([0, 1, 1], np.uint8)})
    [Event(video='a', start=1, end=2, category=None)]
    """
    return [
        Event(video, start, end)
        for video, marked in labels.items()
        for start, end in find_stretches(marked)
    ]


def check_events(
    events: Iterable[Event], labels: Mapping[str, NDArray[np.uint8]], dataset: str
) -> None:
    """Refuse events that do not say the same as the frame labels.

    Args:
        events: of the test videos.
        labels: of every test video [T], 1 = anomalous.
        dataset: its name, for the refusal.

    Raises:
        BadInput: naming the first video and frame that is in an event and labelled normal, or the
            other way round, or an event outside its video.
    """
    inside = {video: np.zeros(len(marked), np.bool_) for video, marked in labels.items()}
    hint = f"vadbench data check {dataset}"
    for event in events:
        frames = len(labels.get(event.video, ()))
        if not 0 <= event.start <= event.end < frames:
            raise BadInput(
                f"{dataset}: event {event.start} to {event.end} of {event.video} is outside its"
                f" {frames} frames; expected frames of a test video, from 0 ({hint})"
            )
        inside[event.video][event.frames] = True
    for video, marked in labels.items():
        differing = np.flatnonzero(inside[video] != (marked != 0))
        if len(differing):
            frame = int(differing[0])
            kinds = ("in an event, but labelled normal", "anomalous, but in no event")
            raise BadInput(
                f"{dataset}: frame {frame} of {video} is {kinds[int(marked[frame] != 0)]};"
                f" expected events and labels to agree ({hint})"
            )
