"""Video files (avi, mp4, …) decoded from beginning to end with PyAV, for reading and for counting
alike.

Header frame counts are not trusted: frames are counted by decoding. Of several video streams the
first is read that is no cover picture. A frame is turned as its display matrix says, so that a
camera mounted upside down is upright. A file that is cut off is refused, also where the cut lies
between two frames (`vadbench.datasets.containers`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.containers import ends_early
from vadbench.datasets.images import MOST_PIXELS
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video import VideoStream

SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".mpg", ".mpeg", ".m4v", ".webm", ".wmv"})
# another name where the frames of a file may be others: counts that were remembered are made anew
READER = "pyav-1"
_CONNECT, _SILENCE = 10.0, 30.0  # seconds until a camera has to answer, and to go on
_REMEDY = "copy or download the file again"
# a channel: more are measurements, and which of their levels to keep would be a guess
_MOST_BITS = 12
# FFmpeg's names of formats that do not state how long the file is
_UNSIZED = frozenset({"mpeg", "mpegts", "mpegvideo"})
# a, b, c, d of a display matrix: (x, y) is shown at (ax + cy, bx + dy)
Matrix = tuple[int, int, int, int]
_UPRIGHT: Matrix = (1, 0, 0, 1)


def iterate_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video in order, [H, W, 3] RGB each (a grey video as three equal channels);
    one frame in memory.

    Raises:
        BadInput: while iterating, if the file is missing, empty, cut off, damaged, without a frame,
            of an unknown codec, of a depth that is not read, or no video; or if a frame has another
            size or orientation than the first.
    """
    return (picture for _, picture in iterate_timed(path))


def iterate_timed(path: Path) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
    """As `iterate_video`, each frame with the seconds at which the file says that it is shown; None
    where it does not say.
    """
    return _convert(_frames(path))


def iterate_live(address: str) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
    """As `iterate_timed`, of a camera or a network's stream: once, as the frames come, until it
    ends.

    Raises:
        BadInput: while iterating, if it cannot be opened, or breaks off.
    """
    return _convert(_live_frames(address))


def _convert(
    frames: Iterator[tuple[VideoFrame, Matrix]],
) -> Iterator[tuple[float | None, NDArray[np.uint8]]]:
    from av.video.reformatter import VideoReformatter

    # one for all frames: to set it up costs more than to convert a frame
    converter = VideoReformatter()
    for frame, matrix in frames:
        picture = converter.reformat(frame, format="rgb24", interpolation="BICUBIC").to_ndarray()
        yield frame.time, turn(np.asarray(picture, np.uint8), matrix)


def _live_frames(address: str) -> Iterator[tuple[VideoFrame, Matrix]]:
    """The decoded frames of what has no end that is known."""
    import av

    count = 0
    format_ = "v4l2" if address.startswith("/dev/") else None
    try:
        with av.open(address, format=format_, timeout=(_CONNECT, _SILENCE)) as container:
            for frame in container.decode(_stream(Path(address), container)):
                if count == 0:
                    _check_depth(Path(address), frame)
                count += 1
                yield frame, _matrix(Path(address), frame)
    except (av.FFmpegError, ValueError, ArithmeticError, MemoryError, OSError) as error:
        if isinstance(error, BadInput):
            raise
        told = f"broke off after frame {count}" if count else "cannot be opened"
        raise BadInput(
            f"{address}: {told} ({_reason(error)}); check the address and the camera"
        ) from error


def count_frames(path: Path) -> int:
    """How many frames `iterate_video` gives, by decoding the file once; remembered in this process
    while the file does not change.

    Raises:
        BadInput: as `iterate_video`.
    """
    status = _require_file(path)
    return _count(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1 << 14)
def _count(path: Path, _changed: int, _size: int) -> int:
    return sum(1 for _ in _frames(path))


def turn(picture: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """[H, W, 3] as shown: mirrored and turned by multiples of 90 degrees."""
    a, b, c, d = matrix
    right, down = (a, d) if a else (c, b)
    shown = picture if a else picture.transpose(1, 0, 2)
    return np.ascontiguousarray(shown[::down, ::right])


def _frames(path: Path) -> Iterator[tuple[VideoFrame, Matrix]]:
    """The decoded frames, all of one size, and how each is shown; damage is an error."""
    import av

    _require_file(path)
    count, first = 0, None
    # of the last frames: a B-frame is shown before the frame that follows it
    torn: deque[bool] = deque(maxlen=2)
    try:
        with av.open(str(path)) as container:
            unsized = container.format.name in _UNSIZED
            for frame in container.decode(_stream(path, container)):
                seen = (frame.width, frame.height, _matrix(path, frame))
                if first is None:
                    first = seen
                    _check_depth(path, frame)
                elif seen != first:
                    told = f"frame {count} is {_describe(seen)}, the first {_describe(first)}"
                    raise BadInput(
                        f"{path}: {told}; expected one size and orientation, convert the video"
                    )
                count += 1
                torn.append(unsized and frame.is_corrupt)
                yield frame, seen[2]
    except av.error.DecoderNotFoundError as error:
        raise BadInput(
            f"{path}: unknown codec; expected one that FFmpeg decodes, convert it (ffmpeg -i"
            " old.avi -c:v libx264 new.mp4)"
        ) from error
    # FFmpeg's own, and Python's of the same kinds: MemoryError, OverflowError, UnicodeDecodeError
    except (av.FFmpegError, ValueError, ArithmeticError, MemoryError, OSError) as error:
        if isinstance(error, BadInput):
            raise
        where = (
            f"damaged or cut off after frame {count}"
            if count
            else "damaged, cut off or not a video"
        )
        raise BadInput(f"{path}: {where} ({_reason(error)}); {_REMEDY}") from error
    if ends_early(path):
        raise BadInput(
            f"{path}: cut off after frame {count}, the file is shorter than it says itself;"
            f" {_REMEDY}"
        )
    if any(torn):
        raise BadInput(f"{path}: cut off within its last frame, {count} are there; {_REMEDY}")
    if not count:
        raise BadInput(f"{path}: a video without a frame; {_REMEDY}")


def _stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video stream that is no cover picture."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            # what is larger is refused before anything is set aside
            if stream.codec_context is not None:  # none where the codec is unknown
                stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            return stream
    raise BadInput(f"{path}: no video stream that can be read; expected a video, {_REMEDY}")


def _matrix(path: Path, frame: VideoFrame) -> Matrix:
    """How the frame is shown, from its display matrix: 9 numbers, the first two rows in 16.16 fixed
    point.

    Raises:
        BadInput: if it is turned by something between multiples of 90 degrees.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return _UPRIGHT
    numbers = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2]
    # cos 90 degrees is not quite 0 in some files
    signs = np.sign(numbers) * (np.abs(numbers) > np.abs(numbers).max() / 1000)
    if (
        sorted(np.abs(signs).ravel()) != [0, 0, 1, 1]
        or not np.abs(signs).sum(0).all()
        or not np.abs(signs).sum(1).all()
    ):
        raise BadInput(
            f"{path}: shown by a display matrix {numbers.tolist()}; expected multiples of 90"
            " degrees, convert the video"
        )
    a, b, c, d = (int(sign) for sign in signs.ravel())
    return a, b, c, d


def _check_depth(path: Path, frame: VideoFrame) -> None:
    bits = max(component.bits for component in frame.format.components)
    if bits > _MOST_BITS:
        told = f"{bits} bits a channel ({frame.format.name})"
        raise BadInput(
            f"{path}: {told}; expected 8 (up to {_MOST_BITS} are scaled), convert it so that no"
            " level of interest is lost"
        )


def _describe(seen: tuple[int, int, Matrix]) -> str:
    width, height, matrix = seen
    return f"{width} x {height}" + ("" if matrix == _UPRIGHT else f" (turned by {list(matrix)})")


def _require_file(path: Path) -> os.stat_result:
    """The file's status, if there is something in it."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; expected a video") from error
    except (OSError, ValueError) as error:  # a symlink loop, no permission; a NUL in the path
        told = getattr(error, "strerror", None) or error
        raise BadInput(
            f"{path}: cannot be read ({told}); expected a video, check the file"
        ) from error
    if not path.is_file():
        raise BadInput(f"{path}: a folder; expected a video file")
    if not status.st_size:
        raise BadInput(f"{path}: an empty file; expected a video, {_REMEDY}")
    return status


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)
