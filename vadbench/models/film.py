"""The annotated video of a watched clip: its boxes coloured by score, and below it the score of the
last frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.errors import BadInput
from vadbench.evaluation.calibration import calibrate
from vadbench.files.atomic import replace_file
from vadbench.models.scoring import Part
from vadbench.models.watching import Watched
from vadbench.report.figures.style import require_matplotlib
from vadbench.report.video.panel import SCORE_COLOURS
from vadbench.report.video.show import Image, draw_boxes, enlarge

HEIGHT = 96  # pixels of the strip below
TOP, BOTTOM, LEFT = 24, HEIGHT - 8, 60  # rows and column between which the curve runs
STEP = 2  # pixels a frame
INK, PAPER, LINE, RULE = (60, 60, 60), 255, (0, 114, 178), (215, 215, 215)
ALARM, BORDER = (213, 94, 0), 3  # colour, pixels around the picture
USUAL = 25.0  # frames a second, where no time is known
HEADROOM = 1.5  # the warm end of the scale, in ranges of training scores


def check_film(path: Path) -> None:
    """Refuse a name that is no film's, and a machine that cannot draw one.

    Raises:
        BadInput: saying which.
    """
    if path.suffix != ".mp4":
        raise BadInput(f"--video {path}: expected a name that ends in .mp4")
    require_matplotlib()


def scale_of(parts: Sequence[Part]) -> tuple[float, float]:
    """The scores at the cold and at the warm end of the colours: the least training score, and as
    far above the 99.9th percentile as says `HEADROOM`.
    """
    low = high = 0.0
    for part in parts:
        ends = np.array([part.row.minimum, part.row.p999])[:, 0]
        one, other = part.part.weight * calibrate(part.part.calibration, ends, part.row)
        low, high = low + float(one), high + float(other)
    return low, low + HEADROOM * ((high - low) or 1.0)


def widen(scale: tuple[float, float], threshold: float | None) -> tuple[float, float]:
    """A scale whose warm end is above the threshold too.

    >>> widen((0.0, 10.0), 20.0), widen((0.0, 10.0), 2.0)
    ((0.0, 30.0), (0.0, 10.0))
    """
    low, high = scale
    return low, high if threshold is None else max(high, low + HEADROOM * (threshold - low))


@contextmanager
def open_film(
    path: Path, scale: tuple[float, float], fps: float | None = None
) -> Iterator[Callable[[Watched], None]]:
    """What draws and encodes one frame after the other (H.264); written aside, then renamed.

    Args:
        path: the file, .mp4.
        scale: the scores at the ends of the colours.
        fps: frames a second; None: as the times of the first two frames say, else 25.
    """
    import av
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("score", SCORE_COLOURS)
    low, high = scale
    shares: deque[float] = deque(maxlen=4096)
    held: list[Watched] = []  # the first frame, until the rate is known
    options = {"movflags": "faststart"}
    with replace_file(path) as aside, av.open(str(aside), "w", "mp4", options) as container:
        streams: list[Any] = []

        def draw(one: Watched) -> None:
            image = enlarge(one.image)
            order = np.argsort(one.objects, kind="stable")
            share = np.clip((one.objects[order] - low) / (high - low), 0.0, 1.0)
            box = one.boxes[order].astype(np.float64) - (0, 0, 1, 1)
            draw_boxes(image, box, share, image.shape[1] / one.image.shape[1], colours)
            shares.append(float(np.clip((one.shown - low) / (high - low), 0.0, 1.0)))
            limit = None if one.threshold is None else (one.threshold - low) / (high - low)
            if one.alarm:
                _draw_frame(image)
            strip = _draw_strip(shares, image.shape[1], scale, limit, describe_frame(one))
            picture = np.concatenate([image, strip])
            stream = streams[0]
            if len(shares) == 1:
                stream.pix_fmt, stream.height, stream.width = "yuv420p", *picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

        def begin(rate: float) -> None:
            exact = Fraction(rate).limit_denominator(1001)
            streams.append(container.add_stream("libx264", rate=exact, options={"crf": "18"}))
            draw(held.pop())

        def add(one: Watched) -> None:
            if streams:
                draw(one)
            elif not held:
                held.append(one)
            else:
                begin(fps or _rate(held[0], one))
                draw(one)

        yield add
        if held:
            begin(fps or USUAL)
        if streams:
            container.mux(streams[0].encode())


def _rate(first: Watched, second: Watched) -> float:
    """Frames a second, from the times of two frames."""
    if first.time is None or second.time is None or second.time <= first.time:
        return USUAL
    return float(np.clip(1 / (second.time - first.time), 1, 240))


def _draw_frame(image: Image) -> None:
    """A frame around a picture with an alarm."""
    image[:BORDER], image[-BORDER:] = ALARM, ALARM
    image[:, :BORDER], image[:, -BORDER:] = ALARM, ALARM


def describe_frame(one: Watched) -> str:
    """A frame's number, time and score in words of ASCII; where it is smoothed, that is what is
    drawn.

    >>> describe_frame(Watched(60, 2.4, 71.8, 76.2, None, np.zeros((2, 2)), None, None, 70.0))
    'frame 60  2.40 s  score 71.8  smoothed 76.2 (drawn)  ALARM'
    """
    time = "" if one.time is None else f"  {one.time:.2f} s"
    smoothed = "" if one.smoothed is None else f"  smoothed {one.smoothed:.3g} (drawn)"
    alarm = "  ALARM" if one.alarm else ""
    return f"frame {one.frame}{time}  score {one.score:.3g}{smoothed}{alarm}"


def _down(share: float) -> int:
    """The row of the strip that shows a score."""
    return round(BOTTOM - (BOTTOM - TOP) * share)


def _draw_strip(
    shares: Sequence[float],
    width: int,
    scale: tuple[float, float],
    limit: float | None,
    words: str,
) -> Image:
    """[HEIGHT, width, 3]: the scores of the last frames between the ends of the scale, the
    threshold where it is between them, and this frame's score in words.
    """
    import cv2

    strip = np.full((HEIGHT, width, 3), PAPER, np.uint8)
    for row, end in ((TOP, f">= {scale[1]:.3g}"), (BOTTOM, f"{scale[0]:.3g}")):
        cv2.line(strip, (LEFT, row), (width, row), RULE, 1)
        _write(strip, end, (6, row + 4))
    if limit is not None and 0 <= limit <= 1:
        cv2.line(strip, (LEFT, _down(limit)), (width, _down(limit)), ALARM, 1)
    last = list(shares)[-((width - LEFT) // STEP) :]
    down = [_down(share) for share in last]
    across = width - STEP * np.arange(len(last), 0, -1)
    points = np.stack([across, down], 1).astype(np.int32)
    cv2.polylines(strip, [points[:, None]], False, LINE, 1, cv2.LINE_AA)
    _write(strip, words, (6, 13))
    return strip


def _write(strip: Image, text: str, place: tuple[int, int]) -> None:
    import cv2

    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
