"""What an extraction will cost, before it runs, where its networks can say: a frame by a detector,
an object by a network of poses, timed on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vadbench.datasets.base import Split
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.stream import StreamPlan, make_extractor, make_provider
from vadbench.plans.needs import Need
from vadbench.spec import write_duration


def describe_extractions(needs: Iterable[Need], cache: Path) -> dict[Need, str]:
    """`boxes about 9 min; about 12 min` of each stream to extract, as far as it is known; the boxes
    of several streams are told with the first.

    Raises:
        BadInput: if the cache is damaged.
    """
    told: set[tuple[str, str]] = set()
    found = {}
    for need in needs:
        plan = need.stream
        boxes = need.dataset, plan.boxes_fingerprint
        parts = []
        if plan.boxes and boxes not in told:
            parts.append(_write("boxes ", _expect_boxes(need, cache)))
        told.add(boxes)
        parts.append(_describe_vectors(need, cache))
        found[need] = "; ".join(part for part in parts if part)
    return found


def _expect_boxes(need: Need, cache: Path) -> float | None:
    """Seconds that the boxes which are not stored will take; None: not known, or none are left."""
    plan = need.stream
    try:
        dataset = open_dataset(need.dataset)
        provider = make_provider(plan, dataset)
        if not hasattr(provider, "seconds_a_frame"):  # videos are not counted for nothing
            return None
        left = [split for split in need.splits if not _is_stored(plan, cache, split)]
        videos = [video for split in left for video in dataset.videos(split)]
        if not videos:
            return None
        second = _ask(provider, "seconds_a_frame", *dataset.frame_size(videos[0]))
    except BadInput:  # what is lacking is told beside it
        return None
    return None if second is None else second * sum(video.frames for video in videos)


def _describe_vectors(need: Need, cache: Path) -> str:
    plan = need.stream
    second = _ask(make_extractor(plan), "seconds_an_object")
    if second is None:
        return ""
    if not plan.boxes or not all(_is_stored(plan, cache, split) for split in need.splits):
        return f"{1000 * second:.0f} ms an object"
    folders = [plan.boxes_folder(cache, split) for split in need.splits]
    objects = sum(len(store.read_index(one, store.read_manifest(one))) for one in folders)
    return _write("", second * objects)


def _is_stored(plan: StreamPlan, cache: Path, split: Split) -> bool:
    return (plan.boxes_folder(cache, split) / store.MANIFEST).is_file()


def _ask(component: Any, what: str, *arguments: int) -> float | None:
    """What a component that knows its cost says of it."""
    if not hasattr(component, what):
        return None
    try:
        found: float | None = getattr(component, what)(*arguments)
    except BadInput:
        return None
    return found


def _write(what: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{what}about {write_duration(seconds)}"
