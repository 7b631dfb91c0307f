"""The annotated video: a test clip with its boxes coloured by score, and below it the running
timeline of the frame scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset, Video
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.features.names import StreamName
from vadbench.files.atomic import replace_file
from vadbench.registry import load
from vadbench.report.figures.detected import Detected, read_detected
from vadbench.report.figures.scored import Scored, read_scored, require_sources
from vadbench.report.figures.style import require_matplotlib
from vadbench.report.video.panel import SCORE_COLOURS, Panel, make_panel
from vadbench.results.records import Results

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Image = NDArray[np.uint8]  # [H, W, 3] RGB
NARROW = 640  # pixels: narrower frames are enlarged by a whole number
CURSOR = (190, 30, 30)


@dataclass(frozen=True)
class FrameBoxes:
    """A video's boxes, sorted by frame.

    Attributes:
        frame: [N] rising.
        box: [N, 4] x0, y0, x1, y1, inclusive pixels.
        share: [N] their scores as shares of the colour scale, at most 1.
    """

    frame: NDArray[np.int64]
    box: NDArray[np.float64]
    share: NDArray[np.float64]

    @classmethod
    def of(cls, detected: Detected | None, video: str) -> FrameBoxes:
        """Those of one video; none where no stream has boxes."""
        if detected is None:
            return cls(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
        here = np.flatnonzero(detected.boxes["video"] == video)
        here = here[np.argsort(detected.boxes["frame"][here], kind="stable")]
        box = np.stack([detected.boxes[side][here] for side in ("x0", "y0", "x1", "y1")], 1)
        share = np.clip(detected.boxes["score"][here] / (detected.top or 1.0), 0.0, 1.0)
        return cls(detected.boxes["frame"][here].astype(np.int64), box, share)

    def at(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes and shares of one frame, the lowest score first."""
        first, after = np.searchsorted(self.frame, [frame, frame + 1])
        order = first + np.argsort(self.share[first:after], kind="stable")
        return self.box[order], self.share[order]


def record_of(
    results: Results, dataset: str, method: str, features: str = "", seed: int = 0
) -> str:
    """What `vadbench compare` calls the record of a method on a data set.

    Args:
        results: the records.
        dataset: the tested data set.
        method: a detector or recipe.
        features: its streams joined by `+`; none: the data set's own, or the only ones there are.
        seed: the seed.

    Raises:
        BadInput: if there is no such record, or if features have to be chosen.
    """
    known: Any = load("datasets", dataset)
    there = sorted(
        {
            one.result.features
            for one in results.all_records()
            if (one.dataset, one.result.method) == (dataset, method)
        }
    )
    if not there:
        command = f"vadbench run --methods {method} --datasets {dataset} --results {results.root}"
        raise BadInput(f"{method} on {dataset}: no record under {results.root}; {command} makes it")
    chosen = (
        "+".join(str(StreamName.parse(stream, known.boxes)) for stream in features.split("+"))
        if features
        else known.streams[0]
    )
    if chosen not in there and (features or len(there) > 1):
        raise BadInput(
            f"{method} on {dataset}: no record on {chosen} under {results.root}; choose --features"
            f" from {', '.join(there)}"
        )
    return f"{dataset}/{method}@{chosen if chosen in there else there[0]}:{seed}"


def write_show(
    results: Results, dataset: str, record: str, video: str, out: Path, fps: int = 10
) -> str:
    """Write the annotated video of one test clip (H.264, mp4); returns a sentence on what it shows.

    Frames are read, drawn and encoded one by one: memory does not grow with the clip.

    Args:
        results: where the record is.
        dataset: the tested data set.
        record: as `vadbench compare` names it.
        video: a tested video.
        out: the file, .mp4.
        fps: frames a second of the file.

    Raises:
        BadInput: on another suffix, an unknown record or video, if row scores (rows.npz) or the
            clip's frames are not here, or if matplotlib is not installed.
    """
    if out.suffix != ".mp4":
        raise BadInput(f"--out {out}: expected a name that ends in .mp4")
    require_matplotlib()
    scored = read_scored(results, [record])[0]
    if scored.record.dataset != dataset:
        raise BadInput(
            f"record {record}: of {scored.record.dataset}, not of {dataset}; vadbench show"
            f" {scored.record.dataset} VIDEO --record {record}"
        )
    span = scored.frames_of(video)
    require_sources([scored], "videos", lambda: open_dataset(dataset).videos("test"))
    boxes, opened = read_detected(scored, calibrated=True), open_dataset(dataset)
    frames = annotate(opened, clip_of(opened, scored, video), video, scored, boxes)
    write_video(out, frames, fps)
    objects = (
        "no boxes: its features describe whole frames"
        if boxes is None
        else "boxes coloured by their objects' calibrated scores"
    )
    return f"{video} of {dataset}, {scored.name}: {span.stop - span.start} frames; {objects}."


def clip_of(dataset: Dataset, scored: Scored, video: str) -> Video:
    """The clip that a record calls `video`; of a re-split, whose videos released for training are
    named `train/name`.
    """
    split, _, name = (
        video.rpartition("/") if scored.record.result.training.split else ("", "", video)
    )
    return next(
        clip
        for clip in dataset.videos("train" if split == "train" else "test")
        if clip.name == name
    )


def annotate(
    dataset: Dataset, clip: Video, video: str, scored: Scored, detected: Detected | None
) -> Iterator[Image]:
    """The frames of the annotated video, one by one: the clip's with boxes, enlarged where narrow,
    and the panel below.

    Args:
        dataset: which has the clip.
        clip: the clip.
        video: what the record calls it.
        scored: the record.
        detected: its boxes; None: it has none.

    Raises:
        BadInput: while iterating, if a frame cannot be read, or there are more or fewer than the
            record has.
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("score", SCORE_COLOURS)
    boxes = FrameBoxes.of(detected, video)
    expected = int(scored.lengths[scored.videos.index(video)])
    panel: Panel | None = None
    count = 0
    for number, frame in enumerate(dataset.read(clip)):
        count = number + 1
        if count > expected:
            break
        image = enlarge(frame)
        draw_boxes(image, *boxes.at(number), image.shape[1] / frame.shape[1], colours)
        if panel is None:
            top = None if detected is None else detected.top
            panel = make_panel(scored, video, image.shape[1], top)
        yield np.concatenate([image, draw_cursor(panel, number)])
    if count != expected:
        raise BadInput(
            f"{dataset.name}: {video} has {'more' if count > expected else count} frames, the"
            f" record {expected}; {dataset.check_hint}"
        )


def enlarge(frame: NDArray[np.uint8], narrow: int = NARROW, *, smooth: bool = True) -> Image:
    """A grey or RGB frame as RGB, a whole number of times as wide so as to reach `narrow` pixels,
    its sides cut to even numbers; else than smooth, each pixel is a square.
    """
    import cv2

    factor = max(1, -(-narrow // frame.shape[1]))
    rgb = np.repeat(frame[:, :, None], 3, axis=2) if frame.ndim == 2 else frame
    between = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    large = (
        cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=between)
        if factor > 1
        else rgb.copy()
    )
    return np.ascontiguousarray(large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2])


def draw_boxes(
    image: Image,
    box: NDArray[np.float64],
    share: NDArray[np.float64],
    factor: float,
    colours: Colormap,
) -> None:
    """Draw boxes [N, 4] of the original frame into the enlarged one, the higher the score the
    warmer and thicker.
    """
    import cv2

    for (x0, y0, x1, y1), one in zip(box, share, strict=True):
        begin, end = (
            (round(x0 * factor), round(y0 * factor)),
            (round((x1 + 1) * factor) - 1, round((y1 + 1) * factor) - 1),
        )
        colour = [int(255 * part) for part in colours(one)[:3]]
        cv2.rectangle(image, begin, end, colour, 2 + round(2 * one))


def draw_cursor(panel: Panel, number: int, note: str = "") -> Image:
    """The panel with the cursor on a frame, and a few words of ASCII; none: the frame's number."""
    import cv2

    image = panel.image.copy()
    x, y = int(panel.x[number]), int(panel.y[number])
    cv2.line(image, (x, panel.top), (x, panel.bottom), CURSOR, 1)
    cv2.circle(image, (x, y), 3, CURSOR, -1, cv2.LINE_AA)
    text, font = note or f"frame {number}", cv2.FONT_HERSHEY_SIMPLEX
    wide = cv2.getTextSize(text, font, 0.4, 1)[0][0] + 10
    place = (image.shape[1] - max(wide, 80), image.shape[0] - 5)
    cv2.putText(image, text, place, font, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    return image


def write_video(path: Path, images: Iterable[Image], fps: int) -> None:
    """Encode images of one even size as H.264 (yuv420p) while they come; written aside, then
    renamed.
    """
    import av

    with (
        replace_file(path) as aside,
        av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"crf": "18"})
                stream.pix_fmt, stream.height, stream.width = "yuv420p", *image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
