"""Videos to cached features: what a stream's name stands for on a data set, and the extraction of what is missing.

Two stages, each cached a split at a time: boxes, then vectors of those boxes. Memory is bounded by one clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from vadbench import registry
from vadbench.datasets.base import SPLITS, Dataset, Split, Video
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.boxes import BoxesFile, make_provider, provider_class
from vadbench.features.names import StreamName
from vadbench.features.parts import Arrays, Parts
from vadbench.features.progress import Frames
from vadbench.records import canonical_hash

Settings = dict[str, dict[str, Any]]  # extractor or provider -> option -> value
Compute = Callable[[int, Video, Callable[[int], None]], Arrays]  # the clip's index, the clip, and who is told of finished frames


class Extractor(Protocol):
    """Makes one vector of each box of a clip; registered in the entry-point group "vadbench.extractors".

    Attributes:
        version: rises with every change of what is computed; part of the fingerprint.
        variants: the first is the default.
        Options: frozen pydantic; every field described.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    variants: ClassVar[tuple[str, ...]]
    Options: ClassVar[type[BaseModel]]

    def __init__(self, variant: str, options: Any) -> None: ...

    @classmethod
    def resolve(cls, options: Any, variant: str, provider: str) -> dict[str, Any]:
        """The options that change what this variant gives on these boxes, JSON-ready: what the fingerprint covers."""

    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""

    def extract(
        self, frames: NDArray[np.uint8], boxes: list[NDArray[np.float32]], video: Video, advance: Callable[[int], None]
    ) -> NDArray[np.float32]:
        """[N, D] one row a box, frame by frame, of [T, H, W] grey or [T, H, W, 3] RGB frames; tells `advance` how many frames are done."""


@dataclass(frozen=True)
class StreamPlan:
    """A stream of a data set with every option resolved: plain data, cheap to make, nothing read but a boxes file's digest.

    Attributes:
        name: the canonical name, also the folder's.
        stream: its parts.
        dataset: `<name>@<revision>`, the cache's folder.
        extractor: name, variant, version and options, JSON-ready.
        boxes: provider, version, options and the digests of a boxes file, JSON-ready.
    """

    name: str
    stream: StreamName
    dataset: str
    extractor: dict[str, Any]
    boxes: dict[str, Any]

    @property
    def components(self) -> tuple[str, str]:
        """The names whose settings this plan uses: the extractor's and the provider's."""
        return self.stream.extractor, self.stream.provider.partition(".")[0]

    @property
    def boxes_fingerprint(self) -> str:
        """12 hex digits of all that decides the boxes."""
        return canonical_hash(self.boxes)[:12]

    @property
    def fingerprint(self) -> str:
        """12 hex digits of all that decides the vectors: extractor, options, boxes; not threads, not library versions."""
        return canonical_hash({"extractor": self.extractor, "boxes": self.boxes})[:12]

    @property
    def manifest(self) -> dict[str, Any]:
        """What the stream's manifest says of it."""
        described = {"dataset": self.dataset, "stream": self.name, "fingerprint": self.fingerprint}
        return described | {"extractor": self.extractor, "boxes": {**self.boxes, "fingerprint": self.boxes_fingerprint}}

    def folder(self, cache: Path, split: Split) -> Path:
        """Where the vectors of a split are."""
        return cache / self.dataset / f"{self.name}@{self.fingerprint}" / split

    def boxes_folder(self, cache: Path, split: Split) -> Path:
        """Where the boxes of a split are."""
        return cache / self.dataset / "boxes" / f"{self.stream.provider}@{self.boxes_fingerprint}" / split


def plan_stream(dataset: Dataset, stream: str, settings: Settings) -> StreamPlan:
    """Resolve a stream's name and options; reads no video.

    Args:
        dataset: whose default boxes apply where the name gives none.
        stream: `extractor[.variant][@provider]`.
        settings: options by extractor or provider; those of others are not looked at.

    Raises:
        BadInput: on an unknown name or option, with the choices, or a boxes file that is missing.
    """
    name = StreamName.parse(stream, dataset.boxes)
    extractor: type[Extractor] = registry.load("extractors", name.extractor)
    options = _options(extractor.Options, settings.get(name.extractor, {}), name.extractor)
    described = {
        "name": name.extractor,
        "variant": name.variant,
        "version": extractor.version,
        "options": extractor.resolve(options, name.variant, name.provider),
    }
    return StreamPlan(str(name), name, f"{dataset.name}@{dataset.revision}", described, _plan_boxes(dataset, name.provider, settings))


def ensure(dataset: Dataset, plan: StreamPlan, cache: Path, quiet: bool = False) -> None:
    """Extract what the cache lacks of a stream, both splits; an interrupted extraction goes on at the clip where it stopped.

    Args:
        dataset: where the videos are.
        plan: what to extract.
        cache: the store's root.
        quiet: no progress.

    Raises:
        BadInput: on videos that cannot be used, features that are not finite, a damaged cache, or a full disk.
    """
    videos = {split: _videos(dataset, split) for split in SPLITS}
    provider = make_provider(plan.stream.provider, plan.boxes["options"], dataset)
    if isinstance(provider, BoxesFile):
        provider.sha256()  # a missing file is told before anything is read; planning, and tables of old records, do without it
    missing = [split for split in SPLITS if not _is_stored(plan.folder(cache, split), videos[split])]
    if not missing:
        return
    for split in SPLITS:  # the training boxes first: without objects there, nothing else is worth the time
        _ensure_boxes(dataset, plan, cache, split, videos[split], quiet)
    for split in missing:
        _ensure_vectors(dataset, plan, cache, split, videos[split], quiet)


def open_stream(dataset: str, plan: StreamPlan, cache: Path, split: Split) -> store.Stream:
    """The cached stream of a split of `<name>@<revision>`.

    Raises:
        BadInput: if it is not there, damaged, or of another version of the store.
    """
    folder = cache / dataset / plan.folder(cache, split).relative_to(cache / plan.dataset)
    return store.open_folder(folder, f"{dataset}/{plan.name}/{split}")


def _plan_boxes(dataset: Dataset, provider: str, settings: Settings) -> dict[str, Any]:
    boxes = provider_class(provider)
    options = _options(boxes.Options, settings.get(boxes.name, {}), boxes.name).model_dump(mode="json")
    described = {"provider": provider, "version": boxes.version, "options": options}
    made = make_provider(provider, options, dataset)
    return described | ({"files": made.sha256() if made.present else {}} if isinstance(made, BoxesFile) else {})


def _options(model: type[BaseModel], values: dict[str, Any], what: str) -> BaseModel:
    """The options with these values."""
    try:
        return model(**values)
    except ValidationError as error:
        raise BadInput(f"{what}: {registry.first_fault(error, model)}") from error


def _videos(dataset: Dataset, split: Split) -> tuple[Video, ...]:
    videos = dataset.videos(split)
    if not videos:
        raise BadInput(f"{dataset.name}: no {split} videos; `vadbench data check {dataset.name}` says what is missing")
    for video in videos:
        if video.frames < 1:
            raise BadInput(f"{dataset.name}: {split} clip {video.name} has no frames; `vadbench data check {dataset.name}` says what is missing")
    return videos


def _is_stored(folder: Path, videos: tuple[Video, ...]) -> bool:
    """Whether a stage is there, whole, and of these videos."""
    if not folder.is_dir():
        return False
    manifest = store.read_manifest(folder)
    store.check_files(folder, manifest)
    was, now = store.lengths(manifest), {video.name: video.frames for video in videos}
    if list(was.items()) != list(now.items()):
        changed = next(name for name in [*now, *was] if was.get(name) != now.get(name) or list(was) != list(now))
        raise BadInput(
            f"{folder}: features of other videos: {changed} had {was.get(changed, 0)} frames and now has {now.get(changed, 0)}; {store.AGAIN}"
        )
    return True


def _ensure_boxes(dataset: Dataset, plan: StreamPlan, cache: Path, split: Split, videos: tuple[Video, ...], quiet: bool) -> None:
    from vadbench.features.flow import grey, one_opencv_thread

    provider = make_provider(plan.stream.provider, plan.boxes["options"], dataset)
    folder = plan.boxes_folder(cache, split)

    def compute(number: int, video: Video, advance: Callable[[int], None]) -> Arrays:
        frames = grey(_frames(dataset, video)) if provider.needs_frames else np.empty((video.frames, 0, 0), np.uint8)
        with one_opencv_thread():
            boxes = provider.boxes(frames, video)
        advance(video.frames)
        return {"box": np.concatenate(boxes), "count": np.array([len(of_frame) for of_frame in boxes], np.int64)}

    def finish(parts: list[Arrays]) -> None:
        box = np.concatenate([part["box"] for part in parts]).astype(np.float32)
        if split == "train" and not len(box):
            raise BadInput(
                f"{dataset.name}: boxes {plan.stream.provider} finds no object in all {len(videos)} training clips; lower its thresholds "
                f"({', '.join(plan.boxes['options']) or 'it has none'}; --set {plan.components[1]}.<option>=<value>) or name other boxes"
            )
        described = {"dataset": plan.dataset, "boxes": plan.boxes, "fingerprint": plan.boxes_fingerprint}
        index = store.Index.of_counts(box, [part["count"].astype(np.int64) for part in parts])
        store.write(folder, described | _circumstances(videos), index, None)

    with _unless_stored(folder, videos, quiet) as parts:
        if parts is not None:
            what = f"{dataset.name} boxes {plan.stream.provider} {split}"
            _compute_clips(parts, videos, compute, what, quiet)
            finish([parts.kept(number) for number in range(len(videos))])


def _ensure_vectors(dataset: Dataset, plan: StreamPlan, cache: Path, split: Split, videos: tuple[Video, ...], quiet: bool) -> None:
    loaded: type[Extractor] = registry.load("extractors", plan.stream.extractor)
    extractor = loaded(plan.stream.variant, loaded.Options(**plan.extractor["options"]))
    columns = extractor.columns()
    folder, boxes_folder = plan.folder(cache, split), plan.boxes_folder(cache, split)

    with _unless_stored(folder, videos, quiet) as parts:
        if parts is None:
            return
        index = store.read_index(boxes_folder, store.read_manifest(boxes_folder))

        def compute(number: int, video: Video, advance: Callable[[int], None]) -> Arrays:
            x = extractor.extract(_frames(dataset, video), index.of_clip(number, video.frames), video, advance)
            _refuse_not_finite(x, columns, f"{dataset.name} {split} clip {video.name}: {plan.name}")
            return {"x": x}

        _compute_clips(parts, videos, compute, f"{dataset.name} {plan.name} {split}", quiet)
        vectors = (parts.kept(number)["x"].astype(np.float32, copy=False) for number in range(len(videos)))
        described = plan.manifest | {"columns": list(columns)} | _circumstances(videos)
        store.write(folder, described, index, vectors, len(columns))


@contextmanager
def _unless_stored(folder: Path, videos: tuple[Video, ...], quiet: bool) -> Iterator[Parts | None]:
    """Hold the stage's lock and give its finished parts, or None if the stage is there, perhaps since another process made it just now."""
    from filelock import FileLock, Timeout

    parts = Parts(folder.with_name(f".parts-{folder.name}"))
    if _is_stored(folder, videos) and not parts.folder.exists():
        yield None
        return
    with store.disk_trouble_told(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".lock-{folder.name}"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            Frames(f"{folder}", 0, quiet).say("another process extracts this; waiting for it")
            lock.acquire()
    try:
        yield None if _is_stored(folder, videos) else parts
        parts.remove()
    finally:
        lock.release()


def _compute_clips(parts: Parts, videos: tuple[Video, ...], compute: Compute, what: str, quiet: bool) -> None:
    """Compute the clips that have no part yet."""
    with Frames(what, sum(video.frames for video in videos), quiet) as progress:
        for number, video in enumerate(videos):
            if parts.read(number) is None:
                parts.write(number, compute(number, video, progress.advance))
            else:
                progress.reuse(video.frames)


def _frames(dataset: Dataset, video: Video) -> NDArray[np.uint8]:
    frames = dataset.frames(video)
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or len(frames) != video.frames:
        raise BadInput(
            f"{dataset.name}: {video.split} clip {video.name} decodes to {frames.dtype} {list(frames.shape)}, "
            f"expected uint8 of {video.frames} frames; `vadbench data check {dataset.name}` says what is wrong"
        )
    return frames


def _refuse_not_finite(x: NDArray[np.float32], columns: tuple[str, ...], where: str) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise BadInput(f"{where} column {columns[column]} is {x[row, column]} in row {row}; features must be finite, look at that clip's frames")


def _circumstances(videos: tuple[Video, ...]) -> dict[str, Any]:
    """What a manifest says beside the plan."""
    from importlib.metadata import version

    import cv2
    import pyarrow as pa

    libraries = {"vadbench": version("vadbench"), "numpy": np.__version__, "opencv": cv2.__version__, "pyarrow": pa.__version__}
    return {"split": videos[0].split, "videos": [[video.name, video.frames] for video in videos], "libraries": libraries}
