"""A video watched: frames to boxes, features and scores, one frame after the other, in memory that
does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, tee
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Floats, Objects, Provider
from vadbench.features.extractors.extractor import Extractor
from vadbench.features.follow import (
    FollowsBoxes,
    FollowsObjects,
    FrameRows,
    Image,
    Pace,
    pace_of,
    pair_rows,
    whole_boxes,
    whole_clip,
)
from vadbench.features.footage import Footage
from vadbench.features.stream import StreamPlan, make_extractor, make_provider, trained_extractor
from vadbench.models.clock import Clock
from vadbench.models.describe import describe_shape
from vadbench.models.filters import Causal
from vadbench.models.scoring import Part, fuse_parts, highest_object, score_rows
from vadbench.models.source import Camera, Source, Timed

STAGES = ("decode", "boxes", "features", "score")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Watched:
    """A scored frame.

    Attributes:
        frame: its number, from 0.
        time: seconds from the video's begin; None: the source does not say.
        score: as `vadbench run` scores it, not smoothed.
        smoothed: by the causal filter; None: none was asked for.
        box: x0, y0, x1, y1 of the highest object, inclusive pixels; None without any.
        threshold: above which it raises an alarm, of `smoothed` where that is asked for, else of
            `score`; None: there is none.
        image: the picture.
        boxes, objects: [n, 4] and [n], all objects (ends exclusive) and their calibrated scores.
    """

    frame: int
    time: float | None
    score: float
    smoothed: float | None
    box: tuple[float, float, float, float] | None
    image: Image = field(repr=False, compare=False)
    boxes: NDArray[np.float32] = field(repr=False, compare=False)
    objects: NDArray[np.float64] = field(repr=False, compare=False)
    threshold: float | None = None

    @property
    def shown(self) -> float:
        """The score that alarms are of."""
        return self.score if self.smoothed is None else self.smoothed

    @property
    def alarm(self) -> bool:
        """Whether the score is above the threshold."""
        return self.threshold is not None and self.shown > self.threshold


@dataclass(frozen=True)
class _Stream:
    """A stream, what it is made with, and how many parts score it."""

    plan: StreamPlan
    provider: Provider | None
    extractor: Extractor
    parts: int

    @property
    def pace(self) -> Pace:
        return pace_of(self.provider, self.extractor)


def watch(
    parts: Sequence[Part],
    source: Source | Camera,
    level: Literal["row", "frame"],
    smoothing: Causal | None,
    warm_up: int | None,
    say: Say,
    clock: Clock,
    threshold: float | None = None,
) -> Iterator[Watched]:
    """The frames of a source with their scores; see `Model.watch`.

    Raises:
        BadInput: if the source cannot be scored as it has to be; while iterating, if it cannot be
            read on.
    """
    streams = _make_streams(parts, source)
    _check_paces(streams, source, warm_up, say)
    return _watch(parts, streams, source, level, smoothing, warm_up, say, clock, threshold)


def _watch(
    parts: Sequence[Part],
    streams: dict[str, _Stream],
    source: Source | Camera,
    level: Literal["row", "frame"],
    smoothing: Causal | None,
    warm_up: int | None,
    say: Say,
    clock: Clock,
    threshold: float | None = None,
) -> Iterator[Watched]:
    from vadbench.features.extractors.optical_flow import one_opencv_thread

    frames, opening = _open_frames(streams, source, warm_up, clock)
    noticed = _notice(frames, source.place, parts, say)
    shown, *rest = tee(noticed, 1 + _count_readers(streams))
    rows = _make_rows(streams, iter(rest), source, opening, clock)
    scored = [
        clock.over("score", score_rows(part, rows[part.plan.fingerprint].pop())) for part in parts
    ]
    joined = zip(*scored, shown, strict=False)
    while True:
        with one_opencv_thread():  # flow depends on the number of threads
            one = next(joined, None)
        if one is None:
            return
        *of_parts, timed = one
        score = fuse_parts(parts, of_parts, level)
        boxes, objects = highest_object(parts, of_parts)
        box = _inclusive(boxes[int(objects.argmax())]) if len(boxes) else None
        smoothed = None if smoothing is None else smoothing(score)
        clock.end_frame()
        number, time, image = timed.number, timed.time, timed.image
        yield Watched(number, time, score, smoothed, box, image, boxes, objects, threshold)


def _inclusive(box: Floats) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, box)
    return x0, y0, x1 - 1, y1 - 1


def _make_streams(parts: Sequence[Part], source: Source | Camera) -> dict[str, _Stream]:
    """Each stream once, by its fingerprint."""
    streams: dict[str, _Stream] = {}
    for part in parts:
        plan = part.plan
        if plan.fingerprint in streams:
            continue
        provider = make_provider(plan, source) if plan.boxes else None
        extractor = (
            make_extractor(plan) if part.network is None else trained_extractor(plan, part.network)
        )
        sharing = sum(one.plan.fingerprint == plan.fingerprint for one in parts)
        streams[plan.fingerprint] = _Stream(plan, provider, extractor, sharing)
    return streams


def _check_paces(
    streams: dict[str, _Stream], source: Source | Camera, warm_up: int | None, say: Say
) -> None:
    """Say how the streams are scored, and refuse what a camera cannot be asked for."""
    for stream in streams.values():
        name, pace = stream.plan.name, stream.pace
        if source.live and pace == "clip":
            raise BadInput(
                f"{name}: its features are made of whole clips, which a camera has not; record a"
                " file, or train on a stream that is made frame by frame, such as velocity"
            )
        if source.live and pace == "opening" and warm_up is None:
            raise BadInput(
                f"{name}: its background is taken from many frames; say from how many of the first"
                " ones with --warm-up, such as --warm-up 200"
            )
        if pace == "clip":
            say(f"{name}: features are made of the whole clip; frames are scored after it")
        elif pace == "opening" and warm_up is None:
            say(
                f"{name}: a first pass over the clip for background and noise, as run does; then"
                " frame by frame"
            )
        elif pace == "opening":
            say(
                f"{name}: background and noise of the first {warm_up} frames; scores differ from"
                " those of run, which looks at the whole clip"
            )


def _open_frames(
    streams: dict[str, _Stream], source: Source | Camera, warm_up: int | None, clock: Clock
) -> tuple[Iterator[Timed], Footage | None]:
    """The frames, and those that backgrounds are taken from."""
    frames = clock.over("decode", source.pictures())
    if all(stream.pace != "opening" for stream in streams.values()):
        return frames, None
    if warm_up is None:
        assert isinstance(source, Source)
        return frames, Footage(source, source.video, held=0)
    first = list(islice(frames, warm_up))
    if not first:
        raise BadInput(f"{source.place}: no frame came; expected a video")
    video = Video("opening", "test", len(first))
    opening = Footage.of_frames(source, video, [one.image for one in first])
    return chain(first, frames), opening


def _notice(
    frames: Iterator[Timed], place: str, parts: Sequence[Part], say: Say
) -> Iterator[Timed]:
    """The frames; a word on the first if it is of another size or colour than those trained on."""
    first = next(frames, None)
    if first is None:
        raise BadInput(f"{place}: no frame came; expected a video")
    seen = tuple(first.image.shape)
    for shape in {part.fit.frame_shape for part in parts} - {None, seen}:
        assert shape is not None
        words = f"{describe_shape(seen)}, trained on {describe_shape(shape)}"
        say(f"pictures of {words}: scored all the same, as others than were learnt")
    yield first
    yield from frames


def _count_readers(streams: dict[str, _Stream]) -> int:
    """How many read the frames: each extractor that follows them, and each provider of boxes."""
    following = [stream for stream in streams.values() if stream.pace != "clip"]
    boxes = {stream.plan.boxes_fingerprint for stream in following if stream.provider is not None}
    return len(following) + len(boxes)


def _make_rows(
    streams: dict[str, _Stream],
    readers: Iterator[Iterator[Timed]],
    source: Source | Camera,
    opening: Footage | None,
    clock: Clock,
) -> dict[str, list[Iterator[FrameRows]]]:
    """The rows of each stream, as often as there are parts on it; boxes are found once for all
    streams on them.
    """
    following = [stream for stream in streams.values() if stream.pace != "clip"]
    boxes = _find_boxes(following, readers, opening, clock)
    made: dict[str, list[Iterator[FrameRows]]] = {}
    for fingerprint, stream in streams.items():
        if stream.pace == "clip":
            assert isinstance(source, Source)
            rows = _whole(stream, source, clock)
        else:
            images = (one.image for one in next(readers))
            found = boxes.get(stream.plan.boxes_fingerprint, [])
            own = [found.pop() for _ in range(2)] if stream.provider is not None else []
            rows = _follow(stream, images, own, opening)
        made[fingerprint] = list(tee(clock.over("features", rows), stream.parts))
    return made


def _find_boxes(
    streams: Sequence[_Stream],
    readers: Iterator[Iterator[Timed]],
    opening: Footage | None,
    clock: Clock,
) -> dict[str, list[Iterator[Floats]]]:
    """The boxes of each frame by what decides them, twice for each stream on them: to be described,
    and to be told.
    """
    found: dict[str, list[Iterator[Floats]]] = {}
    on_boxes = [stream for stream in streams if stream.provider is not None]
    for stream in on_boxes:
        key = stream.plan.boxes_fingerprint
        if key in found:
            continue
        sharing = sum(other.plan.boxes_fingerprint == key for other in on_boxes)
        images = (one.image for one in next(readers))
        provider = cast("FollowsBoxes", stream.provider)
        boxes = clock.over("boxes", provider.follow(images, opening))
        found[key] = list(tee(boxes, 2 * sharing))
    return found


def _follow(
    stream: _Stream,
    images: Iterator[Image],
    boxes: Sequence[Iterator[Floats]],
    opening: Footage | None,
) -> Iterator[FrameRows]:
    """The rows of a stream that is made frame by frame."""
    extractor = cast("FollowsObjects", stream.extractor)
    described, told = boxes or (iter(()), None)
    return pair_rows(extractor.follow(images, described, opening), told)


def _whole(stream: _Stream, source: Source, clock: Clock) -> Iterator[FrameRows]:
    """The rows of a stream that is made of whole clips."""
    footage, provider = Footage(source, source.video), stream.provider

    def find() -> Objects:
        assert provider is not None
        with clock.at("boxes"):
            return whole_boxes(provider, footage)

    yield from whole_clip(stream.extractor, footage, None if provider is None else find)
