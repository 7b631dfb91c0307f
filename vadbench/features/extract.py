"""Videos to cached features: the extraction of what is missing.

Two stages, each cached a split at a time: boxes, then vectors of those boxes. A clip at a time, in
memory that does not grow with its length.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Dataset, Split, Video
from vadbench.datasets.contents import contents_of
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.current import check_current, remove_outdated
from vadbench.features.networks.store import read_manifest
from vadbench.features.networks.train import train_network, training_dataset, training_videos
from vadbench.features.of_clip import (
    BothOfClip,
    BoxesOfClip,
    VectorsOfClip,
    index_of_boxes,
    read_boxes_index,
)
from vadbench.features.parts import Parts, lock_stage, parts_of
from vadbench.features.per_clip import Compute, compute_clips
from vadbench.features.progress import Frames
from vadbench.features.stream import (
    StreamPlan,
    digests,
    make_extractor,
    make_provider,
    require,
)
from vadbench.files.canonical import canonical_hash
from vadbench.threads import count_cores

WORTH_PROCESSES = 2000  # frames: starting processes takes a second or two
MOST_PROCESSES = 8  # each holds a clip's frames


def ensure(
    dataset: Dataset,
    plan: StreamPlan,
    cache: Path,
    quiet: bool = False,
    processes: int | None = None,
    splits: tuple[Split, ...] = SPLITS,
    again: bool = False,
) -> None:
    """Extract what the cache lacks of a stream; an interrupted extraction goes on at the clip where
    it stopped. The network of a learnt extractor is trained first.

    Args:
        dataset: where the videos are.
        plan: what to extract.
        cache: the store's root.
        quiet: no progress.
        processes: how many clips at a time; None: one, or one a core where no network is run and
            there are many frames.
        splits: which are needed; unlabelled videos only in the unsupervised setting.
        again: whether what the cache has of other videos, or of files that have changed since, is
            removed and made anew.

    Raises:
        BadInput: on videos that cannot be used, a file that is missing, features that are not
            finite, a damaged cache, or a full disk; without `again`, on features of other videos or
            files.
    """
    videos = require_sources(dataset, plan, cache, splits)
    if again:
        remove_outdated(dataset, plan, cache, splits)
    check_current(dataset, plan, cache, splits)
    missing = [
        split
        for split in splits
        if not is_stored(plan.folder(cache, split), videos[split])
        or _has_parts(plan, cache, split)  # killed before they were removed
    ]
    if not missing:
        return
    network = train_network(dataset, plan, cache, quiet) if plan.network else None
    work = Extraction(dataset, plan, cache, quiet, processes, network)
    # the training boxes first: without objects there, nothing else is worth the time
    for split in splits if plan.boxes else ():
        if split in missing and work.is_one_pass(split, videos[split]):
            work.boxes_and_vectors(split, videos[split])
        work.boxes(split, videos[split])
    for split in missing:
        check_current(dataset, plan, cache, (split,))  # files may have changed since the boxes
        work.vectors(split, videos[split])


def _has_parts(plan: StreamPlan, cache: Path, split: Split) -> bool:
    """Whether parts of a split's vectors or boxes are there."""
    stages = [plan.folder(cache, split)]
    stages += [plan.boxes_folder(cache, split)] if plan.boxes else []
    return any(parts_of(stage).folder.exists() for stage in stages)


def require_sources(
    dataset: Dataset, plan: StreamPlan, cache: Path, splits: tuple[Split, ...] = SPLITS
) -> dict[Split, tuple[Video, ...]]:
    """The clips that an extraction reads, if it can begin: they, boxes, tracks and weights are
    there, or imported vectors are in the cache.

    Raises:
        BadInput: naming what is missing and how to get it. Planning, and tables of old records, do
            without.
    """
    videos = {split: _videos(dataset, split) for split in splits}
    if plan.stream.imported:
        _require_imported(dataset, plan, cache, videos)
    else:
        boxes = make_provider(plan, dataset).files() if plan.boxes else ()
        require((*boxes, *make_extractor(plan).files()))  # told before anything is read
        if plan.network:
            training_videos(training_dataset(dataset, plan), plan)
    return videos


@dataclass(frozen=True)
class Extraction:
    """Boxes and vectors of one stream; the network of a learnt one is there."""

    dataset: Dataset
    plan: StreamPlan
    cache: Path
    quiet: bool
    processes: int | None
    network: Path | None = None

    def boxes(self, split: Split, videos: tuple[Video, ...]) -> None:
        """Find the objects of a split, if they are not stored."""
        folder = self.plan.boxes_folder(self.cache, split)
        contents = self._contents(split, self.plan.boxes_read_frames)
        with _lock_stage(folder, videos, contents, self.quiet) as parts:
            if parts is not None:
                self._require_planned_files()
                what = f"boxes {self.plan.stream.provider} {split}"
                self._compute(parts, videos, BoxesOfClip(self.dataset, self.plan), what)
                self._write_boxes(folder, videos, contents, parts)

    def is_one_pass(self, split: Split, videos: tuple[Video, ...]) -> bool:
        """Whether no box is there yet, and boxes and vectors are both made of the frames, which are
        then decoded once.
        """
        folder = self.plan.boxes_folder(self.cache, split)
        begun = is_stored(folder, videos) or parts_of(folder).has_some()
        frames_decide = self.plan.boxes_read_frames and self.plan.reads_frames
        return frames_decide and self.network is None and not begun

    def boxes_and_vectors(self, split: Split, videos: tuple[Video, ...]) -> None:
        """Find the objects of a split and make their vectors, if neither is stored."""
        folder = self.plan.folder(self.cache, split)
        boxes = self.plan.boxes_folder(self.cache, split)
        contents = self._contents(split, reads_frames=True)
        find = BoxesOfClip(self.dataset, self.plan)
        both = BothOfClip(find, VectorsOfClip(self.dataset, self.plan, boxes))
        with (
            _lock_stage(boxes, videos, contents, self.quiet) as of_boxes,
            _lock_stage(folder, videos, contents, self.quiet) as parts,
        ):
            if of_boxes is None or parts is None:  # another process has made them just now
                return
            self._require_planned_files()
            _forget_without_boxes(parts, len(videos))
            what = f"boxes {self.plan.stream.provider} and {self.plan.name} {split}"
            self._compute(parts, videos, both, what)
            self._write_boxes(boxes, videos, contents, parts)
            self._write_vectors(folder, videos, contents, parts, boxes)

    def vectors(self, split: Split, videos: tuple[Video, ...]) -> None:
        """Make the vectors of a split, if they are not stored."""
        folder = self.plan.folder(self.cache, split)
        boxes = self.plan.boxes_folder(self.cache, split) if self.plan.boxes else None
        contents = self._contents(split, self.plan.reads_frames)
        compute = VectorsOfClip(self.dataset, self.plan, boxes, self.network)
        objects = None if boxes is None else store.read_manifest(boxes)["files"]
        made_of = [contents, self._network_sha256(), objects]
        with _lock_stage(folder, videos, made_of, self.quiet) as parts:
            if parts is not None:
                self._require_planned_files()
                self._compute(parts, videos, compute, f"{self.plan.name} {split}")
                self._write_vectors(folder, videos, contents, parts, boxes)

    def _contents(self, split: Split, reads_frames: bool) -> str | None:
        """The digest of the files that are about to be read; None where frames decide nothing."""
        return contents_of(self.dataset, split, self.cache) if reads_frames else None

    def _compute(
        self, parts: Parts, videos: tuple[Video, ...], compute: Compute, what: str
    ) -> None:
        what = f"{self.dataset.name} {what}"
        processes = self.processes or self.clips_at_a_time(videos)
        compute_clips(parts, videos, compute, what, self.quiet, processes)

    def clips_at_a_time(self, videos: tuple[Video, ...]) -> int:
        """Networks take all cores for one clip, and memory for each; the rest takes a core a
        clip.
        """
        finds = self.plan.boxes and self.plan.boxes_read_frames
        provider = make_provider(self.plan, self.dataset).files() if finds else ()
        weights = self.network is not None or provider or make_extractor(self.plan).files()
        few = sum(video.frames for video in videos) < WORTH_PROCESSES
        return 1 if weights or few else min(count_cores(), MOST_PROCESSES)

    def _require_planned_files(self) -> None:
        """Refuse boxes, tracks or weights that are others than when the stream got its name."""
        plan = self.plan
        planned = [(plan.extractor.get("files"), make_extractor(plan).files())]
        if plan.boxes:
            planned.append((plan.boxes.get("files"), make_provider(plan, self.dataset).files()))
        for before, needed in planned:
            now = digests(needed)
            changed = [name for name in now if before and before.get(name) != now[name]]
            if changed:
                raise BadInput(
                    f"{self.dataset.name} {plan.name}: {changed[0]} has changed since this command"
                    " began; run it again"
                )

    def _write_boxes(
        self, folder: Path, videos: tuple[Video, ...], contents: str | None, parts: Parts
    ) -> None:
        plan = self.plan
        self._require_planned_files()
        index = index_of_boxes([parts.load(number) for number in range(len(videos))])
        if videos[0].split == "train" and not len(index):
            raise BadInput(
                f"{self.dataset.name}: boxes {plan.stream.provider} finds no object in all"
                f" {len(videos)} training clips; lower its thresholds"
                f" ({', '.join(plan.boxes['options']) or 'it has none'}; --set"
                f" {plan.components[1]}.<option>=<value>) or name other boxes"
            )
        described = {
            "dataset": plan.dataset,
            "boxes": plan.boxes,
            "fingerprint": plan.boxes_fingerprint,
        }
        store.write(folder, described | circumstances(videos, contents), index, None)

    def _write_vectors(
        self,
        folder: Path,
        videos: tuple[Video, ...],
        contents: str | None,
        parts: Parts,
        boxes: Path | None,
    ) -> None:
        self._require_planned_files()
        clips = range(len(videos))
        of = [parts.load(clip).get("of") for clip in clips]
        index = _of_windows(of) if boxes is None else _of_objects(read_boxes_index(boxes), of)
        vectors = (parts.load(clip)["x"].astype(np.float32, copy=False) for clip in clips)
        columns = make_extractor(self.plan).columns()
        described = self.plan.manifest | {
            "columns": list(columns),
            "unit": "window" if boxes is None else "object",
        }
        described |= circumstances(videos, contents) | self._describe_network()
        shape = getattr(make_extractor(self.plan), "shape", lambda: None)()
        described |= {} if shape is None else {"shape": list(shape)}
        store.write(folder, described, index, vectors, len(columns))

    def _network_sha256(self) -> str:
        return "" if self.network is None else read_manifest(self.network).sha256

    def _describe_network(self) -> dict[str, Any]:
        """The network's bytes, and the videos that it was kept from; nothing without one."""
        if self.network is None:
            return {}
        known = read_manifest(self.network)
        network = {**self.plan.manifest["network"], "sha256": known.sha256}
        return {"network": network} | ({"held_out": known.held_out} if known.held_out else {})


def _forget_without_boxes(parts: Parts, clips: int) -> None:
    """Forget all where a clip's vectors were made on boxes that are not there any more."""
    made = (parts.read(clip) for clip in range(clips))
    if any(arrays is not None and "box" not in arrays for arrays in made):
        parts.remove()


def _of_windows(of: list[NDArray[np.generic] | None]) -> store.Index:
    return store.Index.of_frames([np.asarray(frames, np.int64) for frames in of])


def _of_objects(index: store.Index, of: list[NDArray[np.generic] | None]) -> store.Index:
    """The rows of the objects that have vectors; None: all of the clip's."""
    if all(objects is None for objects in of):
        return index
    spans = [index.span(clip) for clip in range(len(of))]
    kept = [
        (
            np.arange(span.start, span.stop)
            if objects is None
            else span.start + objects.astype(np.int64)
        )
        for span, objects in zip(spans, of, strict=True)
    ]
    return index.rows(np.concatenate(kept))


def _require_imported(
    dataset: Dataset, plan: StreamPlan, cache: Path, videos: dict[Split, tuple[Video, ...]]
) -> None:
    for split in videos:
        if not is_stored(plan.folder(cache, split), videos[split]):
            files = " ".join(f"--{each} FILE" for each in videos)
            raise BadInput(
                f"{dataset.name} {plan.name}: {split} features not imported on this machine; "
                f"`vadbench features import {dataset.name} {plan.name} {files}` reads them"
            )


def _videos(dataset: Dataset, split: Split) -> tuple[Video, ...]:
    videos = dataset.videos(split)
    if not videos:
        raise BadInput(
            f"{dataset.name}: no {split} videos; `vadbench data check {dataset.name}` says what is"
            " missing"
        )
    for video in videos:
        if video.frames < 1:
            raise BadInput(
                f"{dataset.name}: {split} clip {video.name} has no frames; `vadbench data check"
                f" {dataset.name}` says what is missing"
            )
    return videos


def is_stored(folder: Path, videos: tuple[Video, ...]) -> bool:
    """Whether a stage is there, whole, and of these videos.

    Raises:
        BadInput: if it is damaged or of other videos.
    """
    if not folder.is_dir():
        return False
    manifest = store.read_manifest(folder)
    store.check_files(folder, manifest)
    was, now = store.lengths(manifest), {video.name: video.frames for video in videos}
    if list(was.items()) != list(now.items()):
        changed = next(
            name
            for name in [*now, *was]
            if was.get(name) != now.get(name) or list(was) != list(now)
        )
        raise BadInput(
            f"{folder}: features of other videos: {changed} had {was.get(changed, 0)} frames and"
            f" now has {now.get(changed, 0)}; {store.AGAIN}"
        )
    return True


def _lock_stage(
    folder: Path, videos: tuple[Video, ...], made_of: Any, quiet: bool
) -> AbstractContextManager[Parts | None]:
    """The lock of a stage, whose parts are of these clips and of what else it is made of."""

    def wait() -> None:
        Frames(f"{folder}", 0, quiet).say("another process extracts this; waiting for it")

    clips = [[video.name, video.frames] for video in videos]
    return lock_stage(
        folder, lambda: is_stored(folder, videos), canonical_hash([clips, made_of]), wait
    )


def circumstances(videos: tuple[Video, ...], contents: str | None = None) -> dict[str, Any]:
    """What a manifest says beside the plan: split, clips with frame counts, their scenes, what the
    files held, and library versions.
    """
    from importlib.metadata import version

    import cv2
    import pyarrow as pa

    libraries = {
        "vadbench": version("vadbench"),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pyarrow": pa.__version__,
    }
    return {
        "split": videos[0].split,
        "videos": [[video.name, video.frames] for video in videos],
        "scenes": [video.scene for video in videos],
        "libraries": libraries,
    } | ({} if contents is None else {"contents": contents})
