"""A stretch of a test clip beside what a learnt network reconstructs of it: a film, or a picture of
a few frames.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vadbench import registry
from vadbench.datasets.base import Dataset, Video
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.features.extractors.reconstruction import Reconstruction, Reconstructs
from vadbench.features.footage import Footage
from vadbench.features.names import StreamName
from vadbench.features.progress import Frames
from vadbench.features.store import MANIFEST, explain_disk_errors
from vadbench.features.stream import Settings, StreamPlan, plan_stream, trained_extractor
from vadbench.locations import cache_root
from vadbench.report.figures.style import require_drawable, require_matplotlib
from vadbench.report.ranks import FORMATS
from vadbench.report.video.comparison import Shown, draw_columns, film
from vadbench.report.video.show import write_video

STREAM = "itae.error"  # shown where none is named
COLUMNS = 6  # of a picture
MOST_COLUMNS = 8  # whose titles do not touch
SHARE = 0.999  # of a frame's pixels: single ones would darken all others
HELD = 2**28  # bytes of reconstructions in memory; more are kept in a temporary file


@dataclass(frozen=True)
class Which:
    """The network whose reconstructions are shown.

    Attributes:
        features: a stream of the extractor.
        settings: options by extractor, those that it was trained with.
        seed: the job's.
    """

    features: str = STREAM
    settings: Mapping[str, Mapping[str, Any]] | None = None
    seed: int = 0

    def plan(self, dataset: Dataset) -> StreamPlan:
        """The stream with every option resolved.

        Raises:
            BadInput: on an unknown name or option, or if its extractor reconstructs nothing.
        """
        name = StreamName.parse(self.features, dataset.boxes)
        loaded = None if name.imported else registry.load("extractors", name.extractor)
        if not (getattr(loaded, "learnt", False) and hasattr(loaded, "reconstruct")):
            raise BadInput(
                f"--features {self.features}: reconstructs nothing; expected a stream of a learnt"
                f" extractor that does, such as {STREAM}"
            )
        settings = cast(Settings, dict(self.settings or {}))
        plan = plan_stream(dataset, self.features, settings)
        for component in settings:
            if component not in plan.components:
                raise registry.unknown("component in --set", component, plan.components)
        return plan.take_seed(self.seed)

    def command(self, dataset: str) -> str:
        """What trains it."""
        words = f"vadbench features extract --datasets {dataset} --features {self.features}"
        for component, options in (self.settings or {}).items():
            words += "".join(
                f" --set {component}.{name}={_word(options[name])}" for name in options
            )
        return words + (f" --seeds {self.seed + 1}" if self.seed else "")


def write_reconstruction(
    dataset: str,
    video: str,
    out: Path,
    which: Which,
    *,
    first: int | None = None,
    last: int | None = None,
    frames: Sequence[int] = (),
    fps: int = 10,
    quiet: bool = True,
) -> str:
    """Write a stretch of a test clip, each frame beside its reconstruction and its errors; returns
    a sentence on what it shows.

    Memory does not grow with the clip.

    Args:
        dataset: a data set that is here.
        video: one of its test videos.
        out: .mp4 for a film of the stretch; .png, .svg or .pdf for a picture of a few frames.
        which: the network, which was trained before.
        first: the stretch's first frame; None: the clip's.
        last: its last frame; None: the clip's.
        frames: those of a picture; none: evenly spaced ones.
        fps: frames a second of a film.
        quiet: no progress.

    Raises:
        BadInput: on another suffix, an unknown video, frames outside the clip, if the clip or the
            network is not here, or if matplotlib is not installed.
    """
    _check_out(out, frames)
    opened = open_dataset(dataset)
    clip = find_clip(opened, video)
    start, end = find_stretch(clip, first, last)
    chosen = choose_frames(start, end, frames)
    plan = which.plan(opened)
    extractor = read_extractor(plan, which.command(dataset))
    footage = Footage(opened, clip)
    with gather(extractor, footage, start, end, quiet) as kept:
        shown = Shown(
            title=f"{dataset} {video}   {plan.name}, seed {plan.network['seed']}",
            video=video,
            start=start,
            scores=kept.scores,
            top=kept.top,
            anomalous=read_truth(opened, video, start, end),
        )
        caption = describe(shown, dataset, plan)
        if out.suffix == ".mp4":
            write_video(out, film(shown, kept), fps)
        else:
            columns = {t: one for t, one in enumerate(kept, start) if t in chosen}
            draw_columns(shown, columns, out, caption)
    return caption


def find_clip(dataset: Dataset, video: str) -> Video:
    """The test clip of a name.

    Raises:
        BadInput: if the data set is not here, or has no such test video, with those it has.
    """
    clips = {clip.name: clip for clip in dataset.videos("test")}
    if video not in clips:
        raise registry.unknown(f"test video of {dataset.name}", video, clips)
    return clips[video]


def find_stretch(clip: Video, first: int | None, last: int | None) -> tuple[int, int]:
    """First and last frame of a stretch, the clip's own where none is given.

    >>> find_stretch(Video("test01", "test", 200), None, 80)
    (0, 80)

    Raises:
        BadInput: if there is no such stretch in the clip.
    """
    start, end = 0 if first is None else first, clip.frames - 1 if last is None else last
    if not 0 <= start <= end < clip.frames:
        raise BadInput(
            f"--from {start} --to {end}: no stretch of {clip.name}, whose {clip.frames} frames are"
            f" 0 to {clip.frames - 1}"
        )
    return start, end


def choose_frames(start: int, end: int, frames: Sequence[int]) -> list[int]:
    """The frames of a picture, rising: those that were named, or evenly spaced ones.

    >>> choose_frames(60, 100, ())
    [60, 68, 76, 84, 92, 100]

    Raises:
        BadInput: if one is outside of the stretch, or there are too many.
    """
    outside = [frame for frame in frames if not start <= frame <= end]
    if outside:
        raise BadInput(f"--frames {outside[0]}: outside of what is shown, frames {start} to {end}")
    even = np.linspace(start, end, COLUMNS).round().astype(int).tolist()
    chosen = sorted(set(frames or even))
    if len(chosen) > MOST_COLUMNS:
        raise BadInput(f"--frames: {len(chosen)} frames; a picture has {MOST_COLUMNS} at most")
    return chosen


def read_extractor(plan: StreamPlan, command: str) -> Reconstructs:
    """The extractor with its network from the cache.

    Raises:
        BadInput: if the network is not there, with the command that trains it, or is damaged.
    """
    folder = plan.network_folder(cache_root())
    if not (folder / MANIFEST).is_file():
        raise BadInput(
            f"{folder}: no network of {plan.stream.extractor}, seed {plan.network['seed']}, trained"
            f" on {plan.network['dataset'].partition('@')[0]} with these options; {command} trains"
            " it"
        )
    return cast(Reconstructs, trained_extractor(plan, folder))


def read_truth(dataset: Dataset, video: str, start: int, end: int) -> NDArray[np.bool_] | None:
    """[n] which frames of a stretch are anomalous; None where the labels are not here."""
    try:
        labels = dataset.labels().videos[video]
    except (BadInput, KeyError):
        return None
    return labels[start : end + 1].astype(bool)


@dataclass(frozen=True)
class Kept:
    """The reconstructions of a stretch; iterating gives them in order.

    Attributes:
        file: where they lie.
        scores: [n] the frames' errors.
        top: the error that `SHARE` of the pixels of every frame do not exceed.
    """

    file: IO[bytes]
    scores: NDArray[np.float64]
    top: float

    def __iter__(self) -> Iterator[Reconstruction]:
        self.file.seek(0)
        for score in self.scores:
            frame, reconstruction, error, (row, column, side) = (
                npy.read_array(self.file, allow_pickle=False) for _ in range(4)
            )
            patch = (int(row), int(column), int(side))
            yield Reconstruction(frame, reconstruction, error, patch, float(score))


@contextmanager
def gather(
    extractor: Reconstructs, footage: Footage, start: int, end: int, quiet: bool
) -> Iterator[Kept]:
    """Reconstruct a stretch, once: what is common to all its frames is known before one is drawn.

    Raises:
        BadInput: on a clip that cannot be used, or if the disk is full.
    """
    scores, top = [], 0.0
    what = f"{footage.dataset.name} {footage.video.name}: reconstructed"
    with tempfile.SpooledTemporaryFile(HELD) as file:
        with (
            explain_disk_errors(Path(tempfile.gettempdir())),
            Frames(what, end + 1, quiet) as progress,
        ):
            for t, one in enumerate(islice(extractor.reconstruct(footage), end + 1)):
                progress.advance(1)
                if t >= start:
                    for values in (one.frame, one.reconstruction, one.error, one.patch):
                        npy.write_array(file, np.asarray(values), allow_pickle=False)
                    scores.append(one.score)
                    top = max(top, float(np.quantile(one.error, SHARE)))
        yield Kept(cast(IO[bytes], file), np.array(scores), top)


def describe(shown: Shown, dataset: str, plan: StreamPlan) -> str:
    """A sentence on what is shown."""
    last = shown.start + len(shown.scores) - 1
    if shown.anomalous is None:
        truth = "Ground truth is not shown: its labels are not here."
    else:
        truth = "Shaded: anomalous frames." if shown.anomalous.any() else "No frame is anomalous."
    return (
        f"{shown.video} of {dataset}, frames {shown.start} to {last}: frame, reconstruction and"
        f" error of each pixel, in colours from 0 to {shown.top:.2g} and above; the square is where"
        f" the mean error is largest. R: the frame's error, {plan.name}, seed"
        f" {plan.network['seed']}. {truth}"
    )


def _check_out(out: Path, frames: Sequence[int]) -> None:
    """Refuse what could not be written, before anything is computed."""
    if out.suffix not in (".mp4", *FORMATS):
        raise BadInput(
            f"--out {out}: expected a name that ends in .mp4, or in {', '.join(FORMATS)} for a"
            " picture of a few frames"
        )
    if out.suffix == ".mp4":
        if frames:
            raise BadInput(f"--frames: of a picture, not of a film; --out {out} ends in .mp4")
        require_matplotlib()
    else:
        require_drawable(out)


def _word(value: Any) -> str:
    """An option's value as a shell takes it after --set."""
    import json
    import shlex

    return shlex.quote(value if isinstance(value, str) else json.dumps(value))
