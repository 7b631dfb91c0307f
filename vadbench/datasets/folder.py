"""A user's own videos: a folder with a manifest, `dataset.toml`, that names clips, splits, labels
and optional tracks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe
from vadbench.datasets.derived_tracks import COLUMNS, check_regions, derive_tracks
from vadbench.datasets.events import Event, events_of_labels
from vadbench.datasets.folders import count_frames, image_paths, iterate_clip
from vadbench.datasets.manifest import ClipEntry, Manifest, read_manifest
from vadbench.datasets.masks import iterate_masks, iterate_mat_masks
from vadbench.datasets.matching import match_names
from vadbench.datasets.paths import find_path
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts
from vadbench.errors import BadInput

MANIFEST = "dataset.toml"


class Folder(Dataset):
    """The videos that `$VADBENCH_DATA/folder/dataset.toml` names.

    The revision is a digest of what the manifest says of the clips and of their files' sizes and
    times of change, so that no cache and no record of other clips is ever taken for this one; copy
    with `cp -p` (or rsync -t) to keep it. Labels, masks and tracks are not in it: features do not
    depend on them, and results are evaluated again where they change.
    """

    name = "folder"
    version = 2
    title = "Own videos"
    citation = "the manifest's owner"
    licence = "the manifest's owner's"
    how_to_get = (
        "write dataset.toml in the folder `folder` of the one that $VADBENCH_DATA names, as"
        " docs/datasets.md shows"
    )

    @property
    def folder(self) -> Path:
        """Where the manifest lies."""
        return self.root / self.name

    @cached_property
    def revision(self) -> str:  # type: ignore[override]
        """12 hex digits that change with the clips that the manifest names, or a file of one.

        Raises:
            BadInput: as `manifest`, or naming a file that is missing.
        """
        clips = [
            clip.model_dump_json(include={"path", "split", "name", "scene"})
            for clip in self.manifest.clip
        ]
        digest = hashlib.sha256("\n".join(clips).encode())
        for path in self._files():
            status = path.stat()
            line = f"{path.relative_to(self.folder)} {status.st_size} {status.st_mtime_ns}\n"
            # names of files may hold bytes that are no UTF-8
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:12]

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, checked.

        Raises:
            BadInput: if it is missing, no TOML, or a field is wrong, with the number of the clip.
        """
        path = self.folder / MANIFEST
        if not path.is_file():
            raise BadInput(f"{path}: not there; {self.how_to_get} (now {self.root})")
        return read_manifest(path)

    @property
    def fps(self) -> float | None:  # type: ignore[override]
        """Frames a second, where the manifest says it."""
        return self.manifest.fps

    @property
    def track_source(self) -> str | None:  # type: ignore[override]
        """The tracks file, `derived from the masks` where every anomalous test clip has masks, else
        None.
        """
        if self.manifest.tracks is not None:
            return self.manifest.tracks
        return "derived from the masks" if self._has_masks() else None

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split in the manifest's order; video files are counted by decoding on
        first use.

        Raises:
            BadInput: as `manifest`, or naming a clip that is missing, leads out of the folder, or
                has no frame.
        """
        return self._videos[split]

    def path(self, video: Video) -> Path:
        """The clip's video or folder of images."""
        return self._inside(self._clip(video).path)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [H, W] grey or [H, W, 3] RGB.

        Raises:
            BadInput: while iterating, naming the file that is missing, damaged or of another size
                than the clip's first frame.
        """
        path = self.path(video)
        return iterate_clip(path) if path.is_dir() else iterate_video(path)

    def labels(self) -> Labels:
        """Frame labels from intervals and masks.

        Raises:
            BadInput: naming the test clip whose interval is outside its frames or whose masks do
                not fit it.
        """
        return self._labels

    def events(self) -> list[Event]:
        """The anomalous intervals, with their categories where the manifest names them; of clips
        with masks, the stretches of frames whose mask is not empty.

        Raises:
            BadInput: as `labels`.
        """
        labels, events = self.labels().videos, []
        for video in self.videos("test"):
            clip = self._clip(video)
            if clip.anomalous is None:
                events += events_of_labels({video.name: labels[video.name]})
                continue
            categories = clip.categories or (None,) * len(clip.anomalous)
            events += [
                Event(video.name, first, last, category)
                for (first, last), category in zip(clip.anomalous, categories, strict=True)
            ]
        return events

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [H, W], non-zero = anomalous; None for training clips and clips without
        masks.

        Raises:
            BadInput: naming the image that is missing, damaged, or of another size than the clip's
                frames.
        """
        masks = self._clip(video).masks
        if masks is None:
            return None
        path, size, of = self._inside(masks), self.frame_size(video), f"clip {video.name}"
        if path.suffix.lower() == ".mat":
            return iterate_mat_masks(path, size, video.frames, of)
        return iterate_masks(path, size, of)

    def tracks(self) -> pd.DataFrame | None:
        """Anomalous regions: of the tracks file, else derived from masks where every anomalous test
        clip has them, else None.

        Raises:
            BadInput: if the file cannot be read, or names an unknown clip, a frame after its end,
                or boxes of frames of another size.
        """
        if self.manifest.tracks is None:
            clips = {
                video.name: masks
                for video in self.videos("test")
                if (masks := self.masks(video)) is not None
            }
            return derive_tracks(clips) if self._has_masks() else None
        from vadbench.files.tables import read_tracks

        path = self._inside(self.manifest.tracks)
        found = read_tracks(path)
        lengths = {video.name: video.frames for video in self.videos("test")}
        matched = match_names(map(str, found["video"]), lengths)
        if matched.extra:
            raise BadInput(
                f"{path}: names of its videos and of test clips differ ({matched.lone}); expected"
                " the clips' names"
            )
        table = pd.DataFrame(
            {
                **{name: found[name] for name in COLUMNS},
                "video": [matched.partner[str(name)] for name in found["video"]],
            }
        )
        for name, last in table.groupby("video")["frame"].max().items():
            if last >= lengths[str(name)]:
                raise BadInput(
                    f"{path}: has frame {last:g} of {name}; expected frames from 0 below"
                    f" {lengths[str(name)]}, its number of frames"
                )
        check_regions(table, self, str(path))
        return table.astype({"frame": "int64"})

    def check(self) -> list[Check]:
        """Every clip decoded, labels, masks and tracks read; no clip trained and tested on.

        Raises:
            BadInput: if the manifest is wrong or a clip is missing; damage within a clip is a line
                of the answer.
        """
        shared = self._in_both_splits()
        checks = [Check("clips in both splits", "none", ", ".join(shared) or "none")]
        for split in SPLITS:
            videos = self.videos(split)
            short = [video.name for video in videos if video.frames < 2]
            checks.append(observe(f"{split} clips", lambda videos=videos: str(len(videos))))  # type: ignore[misc]
            checks.append(
                Check(
                    f"{split} clips of one frame",
                    "none: motion needs two",
                    ", ".join(short) or "none: motion needs two",
                )
            )
            checks.append(
                observe(f"{split} frames decoded", lambda videos=videos: decode_all(self, videos))  # type: ignore[misc]
            )
        unknown = ", ".join(self._unlabelled())
        if unknown:
            checks.append(Check("test clips without labels: nothing is measured", unknown, unknown))
        checks.append(
            observe(
                "anomalous frames",
                lambda: (
                    f"{self.labels().flat().sum()} of {len(self.labels().flat())}"
                    f" ({self.labels().source})"
                ),
            )
        )
        checks.append(observe("region tracks", self._describe_tracks))
        return [*checks, observe("revision", lambda: self.revision)]

    def _in_both_splits(self) -> list[str]:
        """Paths of clips that are trained and tested on, which would pass for normal by heart."""
        train, test = (
            {
                self._inside(clip.path).resolve()
                for clip in self.manifest.clip
                if clip.split == split
            }
            for split in SPLITS
        )
        return sorted(str(path.relative_to(self.folder.resolve())) for path in train & test)

    @cached_property
    def _videos(self) -> dict[Split, tuple[Video, ...]]:
        paths = [self._inside(clip.path) for clip in self.manifest.clip]
        counts = iter(frame_counts([path for path in paths if not path.is_dir()], self.name))
        frames = [count_frames(path) if path.is_dir() else next(counts) for path in paths]
        videos = [
            Video(clip.clip_name, clip.split, count, clip.scene)
            for clip, count in zip(self.manifest.clip, frames, strict=True)
        ]
        return {split: tuple(video for video in videos if video.split == split) for split in SPLITS}

    @cached_property
    def _labels(self) -> Labels:
        kinds = sorted(
            {
                "masks" if clip.masks else "regions" if clip.unlabelled else "intervals"
                for clip in self.manifest.clip
                if clip.split == "test" and clip.clip_name not in self._unlabelled()
            }
        )
        source = f"{MANIFEST}: {' and '.join(kinds) or 'no labels'}" + (
            f", {self.manifest.labelled_by}" if self.manifest.labelled_by else ""
        )
        return Labels(
            "own" if kinds else "none",
            source,
            {video.name: self._label(video) for video in self.videos("test")},
            self._unlabelled(),
        )

    def _unlabelled(self) -> tuple[str, ...]:
        """The test clips that nobody has labelled."""
        if self.manifest.labels == "tracks":
            return ()
        return tuple(clip.clip_name for clip in self.manifest.clip if clip.unlabelled)

    def _label(self, video: Video) -> NDArray[np.uint8]:
        masks = self.masks(video)
        if masks is not None:
            marked = np.array([mask.any() for mask in masks], np.uint8)
            if len(marked) != video.frames:
                raise BadInput(
                    f"{self.folder / MANIFEST}: clip {video.name} has {video.frames} frames and"
                    f" {len(marked)} masks; expected one a frame"
                )
            return marked
        labels = np.zeros(video.frames, np.uint8)
        tracks = self.tracks() if self.manifest.labels and self._clip(video).unlabelled else None
        if tracks is not None:
            labels[tracks.loc[tracks["video"] == video.name, "frame"].to_numpy(np.int64)] = 1
        for first, last in self._clip(video).anomalous or ():
            if not 0 <= first <= last < video.frames:
                where = (
                    f"clip {video.name}: anomalous interval [{first}, {last}] is outside its frames"
                    f" 0 to {video.frames - 1}"
                )
                raise BadInput(f"{self.folder / MANIFEST}: {where}; both ends count, from 0")
            labels[first : last + 1] = 1
        return labels

    def _clip(self, video: Video) -> ClipEntry:
        return next(
            clip
            for clip in self.manifest.clip
            if (clip.split, clip.clip_name) == (video.split, video.name)
        )

    def _has_masks(self) -> bool:
        """Whether regions can be derived: masks for every test clip that is not normal."""
        test = [clip for clip in self.manifest.clip if clip.split == "test"]
        return any(clip.masks for clip in test) and all(
            clip.masks or clip.anomalous == () for clip in test
        )

    def _describe_tracks(self) -> str:
        tracks = self.tracks()
        return "none" if tracks is None else f"{len(tracks)} boxes ({self.track_source})"

    def _files(self) -> Iterator[Path]:
        """Every file of the manifest's clips, inside the folder."""
        for clip in self.manifest.clip:
            path = self._inside(clip.path)
            for file in image_paths(path) if path.is_dir() else [path]:
                yield (
                    self._inside(str(file.relative_to(self.folder))) if file.is_symlink() else file
                )

    @cached_property
    def _paths(self) -> list[str]:
        """Every path in the manifest."""
        named = [path for clip in self.manifest.clip for path in (clip.path, clip.masks)]
        return [path for path in [*named, self.manifest.tracks] if path is not None]

    def _inside(self, relative: str) -> Path:
        """The path, if it is there and neither it nor a link in it leads out of the folder."""
        what = f"{self.folder / MANIFEST}: path {relative!r}"
        if (
            PurePosixPath(relative).is_absolute()
            or PureWindowsPath(relative).drive
            or ".." in PurePosixPath(relative.replace("\\", "/")).parts
        ):
            raise BadInput(
                f"{what} leads out of the folder; expected a path relative to the manifest,"
                " without .."
            )
        path = find_path(self.folder, relative, self._paths)
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, until Python 3.13
            why = (
                "is a loop of links" if not isinstance(error, FileNotFoundError) else "is not there"
            )
            raise BadInput(
                f"{what} {why}; expected a file or folder beside the manifest"
            ) from error
        if not real.is_relative_to(self.folder.resolve()):
            raise BadInput(
                f"{what} is a link that leads out of the folder, to {real}; copy the file into it"
            )
        return path
