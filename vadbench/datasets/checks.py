"""What the checks of several data sets have in common: everything is read, and damage becomes a
line of the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from vadbench.datasets.base import Check, Dataset, Labels, Video
from vadbench.datasets.events import check_events
from vadbench.errors import BadInput

EVENTS = "events of the labels"


def report(measure: Callable[[], str]) -> str:
    """What `measure` found; damage is told instead of ending the check."""
    try:
        return measure()
    except BadInput as error:
        return str(error)


def observe(what: str, measure: Callable[[], str]) -> Check:
    """A line about something whose value no release states: good unless it cannot be read."""
    try:
        found = measure()
    except BadInput as error:
        return Check(what, "readable", str(error))
    return Check(what, found, found)


def decode_all(dataset: Dataset, videos: Iterable[Video]) -> str:
    """`<frames> frames, <H> x <W> grey|RGB` of all videos, or how many sizes there are; every frame
    is decoded, one in memory.

    Raises:
        BadInput: naming the first video that cannot be read or has another number of frames than
            expected.
    """
    total, shapes = 0, set()
    for video in videos:
        count = 0
        for frame in dataset.read(video):
            shapes.add(frame.shape)
            count += 1
        if count != video.frames:
            raise BadInput(
                f"{dataset.name}: {video.split} clip {video.name} decodes to {count} frames,"
                f" expected {video.frames}"
            )
        total += count
    if len(shapes) != 1:
        return f"{total} frames of {len(shapes)} sizes"
    (shape,) = shapes
    return f"{total} frames, {shape[0]} x {shape[1]} {'grey' if len(shape) == 2 else 'RGB'}"


def events_agree(dataset: Dataset) -> Check:
    """How many events there are of each category; bad where they and the frame labels differ.
    Labels that cannot be read have a line of their own.
    """
    try:
        labels = dataset.labels()
    except BadInput:
        return observe(EVENTS, lambda: "not counted: the labels cannot be read")

    def measure() -> str:
        events = dataset.events()
        check_events(events, labels.videos, dataset.name)
        counts = Counter(event.category for event in events if event.category is not None)
        named = ", ".join(f"{category} {count}" for category, count in sorted(counts.items()))
        return f"{len(events)}{f': {named}' if named else ''}"

    return observe(EVENTS, measure)


def masks_agree(dataset: Dataset, labels: Labels, videos: Iterable[Video]) -> str:
    """`<n> frames agree`: in so many frames the mask is not empty exactly where the label is 1.

    Raises:
        BadInput: on a mask that cannot be read, or a clip with another number of masks.
    """
    agreeing = 0
    for video in videos:
        count = 0
        for count, mask in enumerate(dataset.masks(video) or (), 1):
            agreeing += count <= video.frames and bool(mask.any()) == bool(
                labels.videos[video.name][count - 1]
            )
        if count != video.frames:
            raise BadInput(
                f"{dataset.name}: {video.name} has {count} masks, expected {video.frames}"
            )
    return f"{agreeing} frames agree"
