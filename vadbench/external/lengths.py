"""Frames of scores against frames of videos: which they are in order, and why they may differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.facts import facts_names, read_facts
from vadbench.errors import BadInput

Lengths = Mapping[str, int]  # video -> frames
MOST_SNIPPET = 64  # frames that one score may stand for
UNKNOWN = "other frames than these: another label file, split or frame rate"
SHIFT = (
    "off by one: scores of differences of frames (optical flow) lack the first, repeat it; a file"
    " of labels may count its frames from 1"
)


@dataclass(frozen=True)
class Known:
    """The videos that scores have to be of, in their order.

    Attributes:
        lengths: video -> frames.
        source: what says so, for messages.
    """

    lengths: dict[str, int]
    source: str

    def split(self, values: NDArray[np.float64], path: object) -> dict[str, NDArray[np.float64]]:
        """An array [T] of all frames of all videos, a video each.

        Raises:
            BadInput: if it has another number of values.
        """
        counts = list(self.lengths.values())
        if len(values) != sum(counts):
            raise BadInput(
                f"{path}: {len(values)} values where {self.source} has {sum(counts)} frames in"
                f" {len(counts)} videos; {why_total_differs(len(values), self.lengths)}"
            )
        parts = np.split(values, np.cumsum(counts)[:-1])
        return dict(zip(self.lengths, parts, strict=True))


def why_lengths_differ(found: Lengths, expected: Lengths) -> str:
    """Which known cause fits, in words.

    Args:
        found: video -> scores.
        expected: the same videos -> frames.

    >>> why_lengths_differ({"a": 85, "b": 105}, {"a": 100, "b": 120})[:59]
    '15 frames fewer in every video: windows are dropped at the '
    """
    less = {expected[video] - found[video] for video in expected}
    if less == {1}:
        return f"one fewer in every video, {SHIFT}"
    if len(less) == 1 and min(less) > 1:
        return (
            f"{min(less)} frames fewer in every video: windows are dropped at the ends; give each"
            " frame the score of the nearest window"
        )
    if less == {-1}:
        return "one more in every video, off by one: leave the first or the last score out"
    snippet = _find_snippet(found, expected)
    if snippet is not None:
        return f"a score for {snippet} frames each: repeat every score {snippet} times"
    if less <= {-1, 0, 1}:
        count = sum(expected[video] != found[video] for video in expected)
        return f"{SHIFT} (so in {count} of {len(expected)} videos)"
    return _find_other(sorted(found.values())) or UNKNOWN


def why_total_differs(found: int, expected: Lengths) -> str:
    """As `why_lengths_differ`, of all videos' values in one array."""
    frames, videos = sum(expected.values()), len(expected)
    less = frames - found
    if abs(less) == videos:
        return why_lengths_differ({v: n - less // videos for v, n in expected.items()}, expected)
    if less > 0 and less % videos == 0 and less // videos <= MOST_SNIPPET:
        return (
            f"{less // videos} fewer a video if all lack as many: perhaps windows are dropped at"
            " the ends; give each frame the score of the nearest window"
        )
    for snippet in range(2, MOST_SNIPPET + 1):
        rounded = [sum(-(-n // snippet) for n in expected.values())]
        rounded.append(sum(n // snippet for n in expected.values()))
        if found in rounded:
            return f"a score for {snippet} frames each: repeat every score {snippet} times"
    others = [name for name in facts_names() if _frames_of(name) == found]
    if others:
        return f"as many frames as {' and '.join(others)} has"
    return UNKNOWN


def _find_snippet(found: Lengths, expected: Lengths) -> int | None:
    """How many frames a score stands for, where that is the same in all videos."""
    for snippet in range(2, MOST_SNIPPET + 1):
        last_dropped = all(found[video] == n // snippet for video, n in expected.items())
        if last_dropped or all(found[video] == -(-n // snippet) for video, n in expected.items()):
            return snippet
    return None


def _find_other(lengths: list[int]) -> str | None:
    """The data set whose test videos have these lengths."""
    for name in facts_names():
        facts = read_facts(name)
        if facts is not None and sorted(facts.lengths.values()) == lengths:
            return f"these are the frames of {name}"
    return None


def _frames_of(name: str) -> int | None:
    facts = read_facts(name)
    return None if facts is None or not facts.lengths else sum(facts.lengths.values())
