"""Which frame of its clip each row of an array scores: snippets one after the other, overlapping
windows, or equal shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.importers.clips import Layout

Windows = NDArray[np.int64]
SNIPPET = 16  # frames a row, where nothing else is asked for: I3D's
SEGMENTS = 32  # rows of a clip whatever its length: Sultani et al.'s
# frames of windows that clips of one length, which prove nothing, are taken to consist of
LONGEST = 64
# frames of windows that such clips may as well consist of where snippets fit
USUAL = (8, 16, 24, 32)
EXPLICIT = "an npz with x, video and frame says each row's frame"


def place_rows(
    rows: Sequence[int], videos: Sequence[Video], layout: Layout, name: Callable[[int], str]
) -> list[Windows]:
    """For each clip the [rows] frames that its rows score.

    Args:
        rows: of each clip's array.
        videos: the clips.
        layout: what was asked for.
        name: says in a message whose rows clip k's are.

    Raises:
        BadInput: naming the first clip whose rows are not as asked for, and what would fit all
            clips; where they fit two readings that give rows to different frames.
    """
    frames = [video.frames for video in videos]
    if layout.window is not None:
        return _place_windows(rows, frames, layout, name)
    snippet = SNIPPET if layout.snippet is None else layout.snippet
    windows = find_window(rows, frames)
    if snippet == 0:
        _refuse_shared_windows(rows, frames, windows, name)
        return [middle(*shares(length, count)) for length, count in zip(frames, rows, strict=True)]
    if snippet == 1 or not _lack_the_last(rows, frames, snippet):
        for number, (length, count) in enumerate(zip(frames, rows, strict=True)):
            least, most = _snippets(length, snippet)
            if not least <= count <= most:
                expected = f"{least}" if least == most else f"{least} or {most}"
                per = "a frame" if snippet == 1 else f"per {snippet} frames"
                told = f"{name(number)}, expected {expected}, one {per}"
                raise BadInput(f"{told}; {_hint(rows, frames, windows)}")
    either = windows or _window(rows, frames)
    if layout.snippet is None and max(rows) > 1 and either and (windows or either in USUAL):
        told = (
            f"{name(int(np.argmax(rows)))}: either one per {snippet} frames (--snippet {snippet})"
            " or windows"
        )
        raise BadInput(f"{told} of {either} frames, one a frame (--window {either}); say which")
    return [
        _place_snippets(length, count, snippet) for length, count in zip(frames, rows, strict=True)
    ]


def find_window(rows: Sequence[int], frames: Sequence[int]) -> int | None:
    """The w of at least 2 where every clip of T frames has the T - w + 1 rows of windows, one a
    frame, and nothing else explains them.

    Clips of (nearly) one length have such a w with any rows; there it takes more rows than half the
    frames.
    """
    window = _window(rows, frames)
    if window is None:
        return None
    # windows two frames apart or more would have fewer rows in the longest
    apart = max(frames) - min(frames) >= 2
    return window if apart or (2 * min(rows) > max(frames) and window <= LONGEST) else None


def _window(rows: Sequence[int], frames: Sequence[int]) -> int | None:
    lengths = {length - count + 1 for length, count in zip(frames, rows, strict=True)}
    return window if len(lengths) == 1 and (window := lengths.pop()) >= 2 else None


def shares(frames: int, rows: int) -> tuple[Windows, Windows]:
    """First frame and end (exclusive) of each of `rows` equal shares of a clip: row k has floor(k T
    / rows) to floor((k + 1) T / rows).
    """
    edges = np.arange(rows + 1) * frames // rows
    return edges[:-1], edges[1:]


def middle(start: Windows, end: Windows) -> Windows:
    """The middle frame of each share, the earlier of two.

    Evaluation gives a frame the score of the nearest row, the earlier of two: with these middles,
    exactly the frames of each row's share.
    """
    found: Windows = start + np.maximum(end - start - 1, 0) // 2
    return found


def _place_windows(
    rows: Sequence[int], frames: Sequence[int], layout: Layout, name: Callable[[int], str]
) -> list[Windows]:
    window, stride = layout.window or 1, layout.stride
    of_window = {"first": 0, "centre": window // 2, "last": window - 1}[layout.window_frame]
    for number, (length, count) in enumerate(zip(frames, rows, strict=True)):
        expected = max(0, (length - window) // stride + 1)
        if count != expected:
            told = (
                f"{name(number)}, expected {expected}, windows of {window} frames, one every"
                f" {stride}"
            )
            raise BadInput(f"{told}; {_hint(rows, frames, find_window(rows, frames))}")
    return [np.arange(count, dtype=np.int64) * stride + of_window for count in rows]


def _snippets(frames: int, snippet: int) -> tuple[int, int]:
    """Fewest and most rows of a clip: the last frames may have made a row or not."""
    return max(1, frames // snippet), -(-frames // snippet)


def _place_snippets(frames: int, rows: int, snippet: int) -> Windows:
    """Frames whose nearest one, the earlier of two, is that of the row that covers a frame.

    The middles, unless the last row's snippet breaks off before its own: then its last frame, and
    the rows before mirror one another at their borders.
    """
    start = np.arange(rows, dtype=np.int64) * snippet
    within, left = (snippet - 1) // 2, frames - int(start[-1])
    if rows == 1:
        return middle(start, np.minimum(start + snippet, frames))
    if left > within:
        return start + within
    odd = (rows - 1 - np.arange(rows)) % 2 == 1
    return start + np.where(odd, snippet - left, left - 1)


def _lack_the_last(rows: Sequence[int], frames: Sequence[int], snippet: int) -> bool:
    """Whether the clips have (T - 1) // snippet rows: one fewer where the snippet divides T
    (UR-DMU's).
    """
    counts = zip(frames, rows, strict=True)
    return all(count == max(1, (length - 1) // snippet) for length, count in counts)


def _refuse_shared_windows(
    rows: Sequence[int], frames: Sequence[int], window: int | None, name: Callable[[int], str]
) -> None:
    """Refuse equal shares where the rows are plainly windows: they would lie up to half a window
    off.
    """
    segments = set(rows) == {SEGMENTS}
    if window and max(rows) > 1 and not segments:
        told = f"{name(0)}: no equal shares but windows of {window} frames, one a frame"
        raise BadInput(f"{told}; give --window {window} instead of --snippet 0, or {EXPLICIT}")


def _hint(rows: Sequence[int], frames: Sequence[int], window: int | None) -> str:
    """What would fit all clips, never what would move rows."""
    if window:
        return (
            f"all clips have windows of {window} frames, one a frame: give --window {window}; or"
            f" {EXPLICIT}"
        )
    if list(rows) == list(frames):
        return f"all clips have a row a frame: give --snippet 1; or {EXPLICIT}"
    if not _may_stride(rows, frames):
        fitting = [snippet for snippet in range(1, max(frames) + 1) if _fits(rows, frames, snippet)]
        if len(fitting) == 1 and len(set(frames)) > 1:
            return (
                f"--snippet {fitting[0]} fits all clips (frames that a row covers); or {EXPLICIT}"
            )
        if len(set(rows)) == 1 and (len(set(frames)) > 1 or rows[0] == SEGMENTS):
            told = (
                f"all clips have {rows[0]} rows: where these share their clip equally, give"
                " --snippet 0"
            )
            return f"{told}; else {EXPLICIT}"
    apart = "--snippet S says how many frames a row covers, where rows do not overlap"
    return f"{apart}, --window W --stride S where they do; or {EXPLICIT}"


def _may_stride(rows: Sequence[int], frames: Sequence[int]) -> bool:
    """Whether windows of some length up to `LONGEST`, some frames apart, would have these rows."""
    count, length = np.array(rows), np.array(frames)
    pairs = ((window, stride) for window in range(3, LONGEST + 1) for stride in range(2, window))
    return any(bool(((length - window) // stride + 1 == count).all()) for window, stride in pairs)


def _fits(rows: Sequence[int], frames: Sequence[int], snippet: int) -> bool:
    bounds = (
        (count, *_snippets(length, snippet)) for length, count in zip(frames, rows, strict=True)
    )
    return all(least <= count <= most for count, least, most in bounds)
