"""Video files (avi, mp4, …) decoded from beginning to end: OpenCV first, PyAV where OpenCV cannot or where frames are missing.

Header frame counts are not trusted: frames are counted by decoding. A header that promises another number than OpenCV decodes is only the
reason for a second look by PyAV, whose decoder reports damage where OpenCV's just stops: it goes on where OpenCV stopped, or says what is
broken. So a wrong header costs one more pass and nothing else, a file that is cut off is refused, and both functions agree on every file.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.folders import quiet_opencv
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from av import VideoFrame

SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv", ".mpg", ".mpeg", ".m4v", ".webm", ".wmv"})
_REMEDY = "copy or download the file again"


def iterate_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video in order, [H, W, 3] RGB each (a grey video as three equal channels); one frame in memory.

    Raises:
        BadInput: while iterating, if the file is missing, empty, cut off, damaged, without a frame, of an unknown codec, or no video.
    """
    import cv2

    _require_file(path)
    count = 0
    with _opencv(path) as capture:
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        while (frame := capture.read()[1]) is not None:
            count += 1
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
    if count != promised or not count:
        with closing(_pyav(path)) as frames:
            for late in islice(frames, count, None):
                yield np.asarray(late.to_ndarray(format="rgb24"), np.uint8)


def count_frames(path: Path) -> int:
    """How many frames `iterate_video` gives, by decoding the file once; remembered in this process while the file does not change.

    Raises:
        BadInput: as `iterate_video`.
    """
    status = _require_file(path)
    return _counted(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1 << 14)
def _counted(path: Path, _changed: int, _size: int) -> int:
    import cv2

    count = 0
    with _opencv(path) as capture:
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        while capture.grab():
            count += 1
    return count if count == promised and count else max(count, sum(1 for _ in _pyav(path)))


def _require_file(path: Path) -> os.stat_result:
    """The file's status, if there is something in it."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; expected a video") from error
    except OSError as error:  # a symlink loop, no permission
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected a video, check the file") from error
    if not path.is_file():
        raise BadInput(f"{path}: a folder; expected a video file")
    if not status.st_size:
        raise BadInput(f"{path}: an empty file; expected a video, {_REMEDY}")
    return status


@contextmanager
def _opencv(path: Path) -> Iterator[Any]:
    """OpenCV's open (or, where it cannot open the file, exhausted) decoder."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read at the first use: FFmpeg writes damage to stderr, our error names the file
    import cv2

    with quiet_opencv():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)  # other back ends would take 01.avi for a sequence of images
    try:
        yield capture
    finally:
        capture.release()


def _pyav(path: Path) -> Generator[VideoFrame, None, None]:
    """The frames as PyAV decodes them; damage is an error."""
    import av

    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(f"{path}: no video stream that can be read; expected a video, {_REMEDY}")
            for frame in container.decode(video=0):
                count += 1
                yield frame
    except av.error.DecoderNotFoundError as error:
        raise BadInput(f"{path}: unknown codec; expected one that FFmpeg decodes, convert it (ffmpeg -i old.avi -c:v libx264 new.mp4)") from error
    except (av.FFmpegError, UnicodeDecodeError) as error:
        where = f"damaged or cut off after frame {count}" if count else "damaged, cut off or not a video"
        raise BadInput(f"{path}: {where} ({_reason(error)}); {_REMEDY}") from error
    if not count:
        raise BadInput(f"{path}: a video without a frame; {_REMEDY}")
    if _lacks_bytes(path):
        raise BadInput(f"{path}: cut off after frame {count}, the file is shorter than it says itself; {_REMEDY}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _lacks_bytes(path: Path) -> bool:
    """Whether an AVI file is shorter than its first chunk says: cut between two frames, it decodes without an error."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"AVI " and int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size
