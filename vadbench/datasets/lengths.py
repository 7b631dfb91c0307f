"""Why there are other numbers of values than of frames: the cause that fits, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vadbench.datasets.facts import facts_names, read_facts

Lengths = Mapping[str, int]  # video -> frames
MOST_SNIPPET = 64  # frames that one value may stand for
SNIPPETS = range(2, MOST_SNIPPET + 1)
UNKNOWN = "other frames than these: another label file, split or frame rate"


def why_lengths_differ(found: Lengths, expected: Lengths, what: str = "score") -> str:
    """Which known cause fits, in words.

    Args:
        found: video -> values.
        expected: the same videos -> frames.
        what: a value: a score, a row.

    >>> why_lengths_differ({"a": 85, "b": 105}, {"a": 100, "b": 120})[:59]
    '15 frames fewer in every video: windows are dropped at the '
    """
    less = {expected[video] - found[video] for video in expected}
    if less == {1}:
        return f"one fewer in every video, {_shift(what)}"
    if len(less) == 1 and min(less) > 1:
        return (
            f"{min(less)} frames fewer in every video: windows are dropped at the ends; give each"
            f" frame the {what} of the nearest window"
        )
    if less == {-1}:
        return f"one more in every video, off by one: leave the first or the last {what} out"
    snippets = [one for one in SNIPPETS if _are_snippets(found, expected, one)]
    if snippets:
        return _of_snippets(snippets, what)
    if less <= {-1, 0, 1}:
        count = sum(expected[video] != found[video] for video in expected)
        return f"{_shift(what)} (so in {count} of {len(expected)} videos)"
    return _find_other(sorted(found.values())) or UNKNOWN


def why_total_differs(found: int, expected: Lengths, what: str = "score") -> str:
    """As `why_lengths_differ`, of all videos' values in one array."""
    frames, videos = sum(expected.values()), len(expected)
    less = frames - found
    if abs(less) == videos:
        shifted = {video: n - less // videos for video, n in expected.items()}
        return why_lengths_differ(shifted, expected, what)
    if less > 0 and less % videos == 0 and less // videos <= MOST_SNIPPET:
        return (
            f"{less // videos} fewer a video if all lack as many: perhaps windows are dropped at"
            f" the ends; give each frame the {what} of the nearest window"
        )
    snippets = [one for one in SNIPPETS if found in _count_snippets(expected.values(), one)]
    if snippets:
        return _of_snippets(snippets, what)
    others = [name for name in facts_names() if _frames_of(name) == found]
    if others:
        return f"as many frames as {' and '.join(others)} has"
    return UNKNOWN


def _shift(what: str) -> str:
    lacking = (
        f"off by one: {what}s of differences of frames (optical flow) lack the first, repeat it"
    )
    labels = "; a file of labels may count its frames from 1" if what == "score" else ""
    return lacking + labels


def _of_snippets(snippets: list[int], what: str) -> str:
    """What helps where a value stands for one of these numbers of frames."""
    few, most = snippets[0], snippets[-1]
    if few == most:
        return f"a {what} for {few} frames each: repeat every {what} {few} times"
    return f"a {what} for {few} to {most} frames each: repeat every {what} as many times"


def _are_snippets(found: Lengths, expected: Lengths, snippet: int) -> bool:
    """Whether a value stands for so many frames in all videos, the last ones dropped in all or
    none.
    """
    last_dropped = all(found[video] == n // snippet for video, n in expected.items())
    return last_dropped or all(found[video] == -(-n // snippet) for video, n in expected.items())


def _count_snippets(frames: Iterable[int], snippet: int) -> tuple[int, int]:
    """How many snippets all videos have, the last ones of each dropped or not."""
    counts = list(frames)
    return sum(n // snippet for n in counts), sum(-(-n // snippet) for n in counts)


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
