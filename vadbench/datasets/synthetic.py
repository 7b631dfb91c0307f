"""The built-in street: rendered by us from a seed, written once as image folders and read like any
other data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import masks_agree, report
from vadbench.datasets.derived_tracks import COLUMNS
from vadbench.datasets.events import Event, find_stretches
from vadbench.datasets.folders import count_frames, iterate_clip
from vadbench.errors import BadInput
from vadbench.files.atomic import replace_folder
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json

if TYPE_CHECKING:
    from vadbench.datasets.cast import Script


class Synthetic(Dataset):
    """A street in perspective, two lanes of pedestrians; cyclists, cars, runners, wrong directions
    and thrown objects are anomalous.

    `root` is the cache: the scene lies in `<root>/synthetic@<revision>/scene` and is rendered when
    it is first asked for.

    Attributes:
        seed: of everything drawn.
        length: frames of a clip.
    """

    name = "synthetic"
    title = "Synthetic street"
    # goes up with every change of what is rendered (scene.py, cast.py, the constants here)
    revision = "1"
    citation = "Rendered by vadbench (vadbench/datasets/scene.py)."
    licence = "Apache-2.0"
    how_to_get = "made on first use"
    smoothing = 3.0
    fps = 15.0  # people walk 1.4 m/s at it (cast.py)
    generated = True
    track_source = "exact"

    seed: ClassVar[int] = 7
    length: ClassVar[int] = 120

    @property
    def scripts(self) -> dict[Split, tuple[Script, ...]]:
        """What happens in the clips of both splits."""
        from vadbench.datasets.cast import TEST, TRAIN

        return {"train": TRAIN, "test": TEST}

    @property
    def folder(self) -> Path:
        """Where the scene lies, or will lie."""
        return self.root / f"{self.name}@{self.revision}" / "scene"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split; renders the scene if it is not there.

        Raises:
            BadInput: if a clip has lost frames since it was rendered.
        """
        self.make()
        videos = tuple(Video(script.name, split, self.length) for script in self.scripts[split])
        for video in videos:
            found = count_frames(self._clip(video))
            if found != video.frames:
                raise BadInput(
                    f"{self._clip(video)}: {found} frames, {video.frames} were rendered;"
                    f" {self._remedy}"
                )
        return videos

    def names_here(self, split: Split) -> list[str]:
        """All clips of a split: they can be rendered."""
        return [script.name for script in self.scripts[split]]

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [160, 240], grey.

        Raises:
            BadInput: while iterating, naming the frame that is damaged.
        """
        return iterate_clip(self._clip(video))

    def labels(self) -> Labels:
        """Exact frame labels: 1 where an anomalous instance is visible.

        Raises:
            BadInput: if labels.csv is damaged.
        """
        table = self._table("labels.csv", ["video", "frame", "anomalous"])
        clips = {
            script.name: table.loc[table["video"] == script.name, "anomalous"].to_numpy(np.uint8)
            for script in self.scripts["test"]
        }
        for name, values in clips.items():
            if len(values) != self.length:
                raise BadInput(
                    f"{self.folder / 'labels.csv'}: {len(values)} labels of {name}, expected"
                    f" {self.length}; {self._remedy}"
                )
        return Labels("exact", "the renderer (labels.csv)", clips)

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [160, 240]: the number of the anomalous instance that the pixel shows, or
        0; None for training clips.
        """
        return None if video.split == "train" else iterate_clip(self.folder / "masks" / video.name)

    def tracks(self) -> pd.DataFrame:
        """Exact boxes of the visible pixels of every anomalous instance; `tracks.csv` also says its
        kind.
        """
        return self._table("tracks.csv", list(COLUMNS))

    def events(self) -> list[Event]:
        """Every anomalous instance while any of it is visible, with its kind: `cyclist`, `car`,
        `runner`, `wrong-direction` or `thrown`.

        Raises:
            BadInput: if tracks.csv is damaged.
        """
        table = self._table("tracks.csv", ["video", "kind", "track", "frame"])
        events = []
        for (video, kind, _), rows in table.groupby(["video", "kind", "track"], sort=False):
            visible = np.zeros(self.length, np.uint8)
            visible[rows["frame"]] = 1
            events += [
                Event(str(video), start, end, str(kind)) for start, end in find_stretches(visible)
            ]
        return events

    def check(self) -> list[Check]:
        """Frames against the checksums written with them, labels and tracks against masks; reads
        everything.
        """
        checks = []
        for split in SPLITS:
            videos, clips = self.videos(split), len(self.scripts[split])
            frames = report(partial(self._pixels_agree, videos))
            checks += [
                Check(f"{split} clips", str(clips), str(len(videos))),
                Check(f"{split} frames as rendered", f"{clips * self.length} frames", frames),
            ]
        labels = report(lambda: masks_agree(self, self.labels(), videos))
        tracks = report(partial(self._tracks_agree, videos))
        return [
            *checks,
            Check("masks not empty = labels", f"{len(videos) * self.length} frames agree", labels),
            Check("boxes of masks = tracks", "all agree", tracks),
        ]

    def make(self) -> None:
        """Render the scene unless it is there: into a temporary folder, renamed when whole; of two
        processes one renders, the other waits.
        """
        from filelock import FileLock

        if self.folder.is_dir():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_name("scene.lock")):
            if self.folder.is_dir():
                return
            with replace_folder(self.folder, self.folder.with_name("scene.partial")) as aside:
                self._write(aside)

    @property
    def _remedy(self) -> str:
        return f"delete {self.folder}, it is made again on next use"

    def _clip(self, video: Video) -> Path:
        return self.folder / video.split / video.name

    def _table(self, name: str, columns: list[str]) -> pd.DataFrame:
        self.make()
        path = self.folder / name
        # not in scenes that were rendered before it was kept
        known = self._written().get(name)
        try:
            if known not in (None, sha256(path)):
                raise BadInput(f"{path}: damaged, not as it was written; {self._remedy}")
            texts = {name: "str" for name in ("video", "kind") if name in columns}
            types = dict.fromkeys(columns, "int64") | texts
            return pd.read_csv(path, dtype=types, usecols=columns)[columns]
        except BadInput:
            raise
        except (OSError, ValueError, OverflowError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); {self._remedy}") from error

    def _written(self) -> dict[str, Any]:
        """The checksums written with the scene."""
        path = self.folder / "sha256.json"
        try:
            return dict(read_json(path))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); {self._remedy}") from error

    def _write(self, folder: Path) -> None:
        """All clips, masks, labels and tracks, and the checksums of the clips' pixels."""
        from vadbench.datasets.scene import draw_background

        background = draw_background(self.seed)
        digests: dict[str, str] = {}
        tracks: list[tuple[Any, ...]] = []
        for script in (script for split in SPLITS for script in self.scripts[split]):
            digests[script.name], regions = self._write_clip(folder, script, background)
            tracks += [(script.name, *region) for region in regions]
        table = pd.DataFrame(tracks, columns=["video", "kind", *COLUMNS[1:]])
        table.to_csv(folder / "tracks.csv", index=False)
        marked = set(zip(table["video"], table["frame"], strict=True))
        labels = [
            (script.name, frame, int((script.name, frame) in marked))
            for script in self.scripts["test"]
            for frame in range(self.length)
        ]
        pd.DataFrame(labels, columns=["video", "frame", "anomalous"]).to_csv(
            folder / "labels.csv", index=False
        )
        digests |= {name: sha256(folder / name) for name in ("labels.csv", "tracks.csv")}
        (folder / "sha256.json").write_text(json.dumps(digests, indent=1) + "\n")

    def _write_clip(
        self, folder: Path, script: Script, background: NDArray[np.float32]
    ) -> tuple[str, list[tuple[Any, ...]]]:
        """Sha256 of the clip's pixels, and (kind, instance, frame, x0, y0, x1, y1) of everything
        anomalous in it.
        """
        from vadbench.datasets.cast import cast
        from vadbench.datasets.scene import render_clip

        images, masks = folder / script.split / script.name, folder / "masks" / script.name
        images.mkdir(parents=True)
        if script.split == "test":
            masks.mkdir(parents=True)
        digest, regions = hashlib.sha256(), []
        for frame, (image, mask) in enumerate(
            render_clip(cast(script, self.length, self.seed), self.length, background)
        ):
            digest.update(image.tobytes())
            _write_image(images / f"{frame + 1:03d}.tif", image)
            if script.split == "test":
                _write_image(masks / f"{frame + 1:03d}.png", mask)
            regions += [
                (script.anomalies[number - 1].kind, number, frame, *box)
                for number, box in instance_boxes(mask)
            ]
        return digest.hexdigest(), regions

    def _pixels_agree(self, videos: tuple[Video, ...]) -> str:
        written = self._written()
        for video in videos:
            if hashlib.sha256(self.frames(video).tobytes()).hexdigest() != written.get(video.name):
                return f"{self._clip(video)}: pixels changed; {self._remedy}"
        return f"{sum(video.frames for video in videos)} frames"

    def _tracks_agree(self, videos: tuple[Video, ...]) -> str:
        seen = {
            (video.name, number, frame, *box)
            for video in videos
            for frame, mask in enumerate(self.masks(video) or ())
            for number, box in instance_boxes(mask)
        }
        differing = seen.symmetric_difference(self.tracks().itertuples(index=False, name=None))
        return (
            f"{len(differing)} boxes differ, the first {min(differing)}"
            if differing
            else "all agree"
        )


def instance_boxes(mask: NDArray[np.uint8]) -> list[tuple[int, tuple[int, int, int, int]]]:
    """(instance, (x0, y0, x1, y1; inclusive pixels)) of every instance number in `mask` [H, W], in
    rising order.

    >>> mask = np.zeros((6, 8), np.uint8)
    >>> mask[2:4, 3:6] = 1
    >>> instance_boxes(mask)
    [(1, (3, 2, 5, 3))]
    """
    import cv2

    boxes = []
    for number in np.unique(mask[mask > 0]).tolist():
        x, y, width, height = cv2.boundingRect((mask == number).astype(np.uint8))
        boxes.append((number, (x, y, x + width - 1, y + height - 1)))
    return boxes


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Frames as uncompressed tif: noise hardly compresses, and PNG takes 30 times as long."""
    import cv2

    options = {
        ".tif": [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_NONE],
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
    }
    path.write_bytes(cv2.imencode(path.suffix, image, options[path.suffix])[1].tobytes())
