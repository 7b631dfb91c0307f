"""The feature store: cached stages on disk, written whole or not at all, and checked when they are
read.

    <cache>/<dataset>@<revision>/boxes/<provider>@<fingerprint>/<split>/{index.parquet,
    manifest.json} <cache>/<dataset>@<revision>/<stream>@<fingerprint>/<split>/{x.npy,
    index.parquet, manifest.json}

index.parquet has one row an object, or a window of a frame-centric stream: video (index of the clip
in its split), frame, object_id, and of objects x0, y0, x1, y1 and, from providers that track,
track. Row k of x.npy is its vector.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StrictStr, ValidationError

from vadbench.detector import Features
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.files.atomic import replace_folder
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json
from vadbench.files.npy import map_npy
from vadbench.files.parquet import parquet_names, read_parquet

SCHEMA_VERSION = 1
SMALL = 64 * 2**20  # bytes; files up to this size are hashed whenever they are opened
MANIFEST, INDEX, VECTORS = "manifest.json", "index.parquet", "x.npy"
CORNERS = ("x0", "y0", "x1", "y1")
KEYS = ("video", "frame", "object_id")
AGAIN = "delete the folder and run `vadbench features extract` to make it anew"


class WrittenFile(BaseModel):
    """What a manifest says of a file beside it."""

    model_config = ConfigDict(strict=True)

    bytes: NonNegativeInt
    sha256: str = Field(pattern="[0-9a-f]{64}")
    shape: tuple[NonNegativeInt, NonNegativeInt] | None = None
    dtype: str = "float32"


class Manifest(BaseModel):
    """The fields of a manifest that are read; it may have others."""

    model_config = ConfigDict(strict=True)

    videos: list[tuple[StrictStr, NonNegativeInt]]
    rows: NonNegativeInt
    files: dict[Literal["index.parquet", "x.npy"], WrittenFile]
    dataset: str | None = None
    fingerprint: str | None = None
    split: str | None = None
    contents: str | None = None
    unit: str = "object"
    columns: list[str] = []
    shape: list[NonNegativeInt] | None = None
    network: dict[str, Any] = {}
    held_out: list[str] = []
    scenes: list[str] | None = None
    extractor: dict[str, Any] = {}


@dataclass(frozen=True)
class Index:
    """The objects, or the windows, of a split.

    Attributes:
        video: [N] int32, the clip as its index in the split.
        frame: [N] int32, from 0 in its clip; of a window its centre.
        object_id: [N] int64, equal in all streams on the same boxes.
        box: [N, 4] float32 pixels; None where rows have no boxes.
        track: [N] int64, the track within the clip; None from providers that do not track.

    >>> box = np.zeros((3, 4), np.float32)
    >>> index = Index.of_counts(box, [np.array([1, 0]), np.array([2])])  # two clips
    >>> index.video.tolist(), index.frame.tolist(), index.span(1)
    ([0, 1, 1], [0, 0, 0], slice(1, 3, None))
    """

    video: NDArray[np.int32]
    frame: NDArray[np.int32]
    object_id: NDArray[np.int64]
    box: NDArray[np.float32] | None
    track: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.video)

    @classmethod
    def of_counts(
        cls,
        box: NDArray[np.float32],
        counts: list[NDArray[np.int64]],
        track: NDArray[np.int64] | None = None,
    ) -> Index:
        """Number the boxes [N, 4] of all clips in order, given the objects of each frame of each
        clip.
        """
        video = np.repeat(
            np.arange(len(counts), dtype=np.int32), [int(count.sum()) for count in counts]
        )
        frame = np.concatenate(
            [np.repeat(np.arange(len(count), dtype=np.int32), count) for count in counts]
        )
        return cls(video, frame, np.arange(len(box), dtype=np.int64), box, track)

    @classmethod
    def of_frames(cls, frames: list[NDArray[np.int64]]) -> Index:
        """Number the windows of all clips in order, given the centre frames of each clip's."""
        video = np.repeat(
            np.arange(len(frames), dtype=np.int32), [len(of_clip) for of_clip in frames]
        )
        return cls(
            video,
            np.concatenate(frames).astype(np.int32),
            np.arange(len(video), dtype=np.int64),
            None,
        )

    def rows(self, index: NDArray[np.int64]) -> Index:
        """The rows that `index` selects, their object_id kept."""
        box, track = (
            (None if self.box is None else self.box[index]),
            (None if self.track is None else self.track[index]),
        )
        return Index(self.video[index], self.frame[index], self.object_id[index], box, track)

    def span(self, video: int) -> slice:
        """Where a clip's rows are."""
        return slice(*(int(end) for end in np.searchsorted(self.video, [video, video + 1])))

    def of_clip(self, video: int, frames: int) -> Objects:
        """The objects of a clip, by frame."""
        assert self.box is not None  # a boxes stage has boxes
        rows = self.span(video)
        boxes = np.split(self.box[rows], np.searchsorted(self.frame[rows], np.arange(1, frames)))
        return Objects(boxes, None if self.track is None else self.track[rows])


@dataclass(frozen=True)
class Stream:
    """One stream of one split.

    Attributes:
        features: what a method may see; x is memory-mapped.
        object_id: [N] int64.
        lengths: clip -> its number of frames, in order; frames without objects have no row.
        manifest: what manifest.json says.
    """

    features: Features
    object_id: NDArray[np.int64]
    lengths: dict[str, int]
    manifest: dict[str, Any]


def write(
    folder: Path,
    described: dict[str, Any],
    index: Index,
    vectors: Iterable[NDArray[np.float32]] | None,
    dim: int = 0,
) -> None:
    """Write a stage aside, flush it to disk and rename it into place.

    Args:
        folder: where it goes; must not exist. The caller holds the lock of its parent.
        described: what it is, for the manifest; JSON-ready.
        index: its N objects.
        vectors: blocks [n, dim] float32 that add up to N rows, or None for boxes.
        dim: number of columns.

    Raises:
        BadInput: if the disk is full, or the vectors are not one a row.
    """
    aside = folder.with_name(f".tmp-{folder.name}")
    with explain_disk_errors(folder), replace_folder(folder, aside):
        if vectors is not None:
            _write_vectors(aside / VECTORS, vectors, (len(index), dim))
        _write_index(aside / INDEX, index)
        files: dict[str, dict[str, Any]] = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(aside.iterdir())
        }
        if vectors is not None:
            files[VECTORS] |= {"shape": [len(index), dim], "dtype": "float32"}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            **described,
            "rows": len(index),
            "files": files,
        }
        sealed = {**manifest, "sha256": canonical_hash(manifest)}
        (aside / MANIFEST).write_bytes((json.dumps(sealed, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a stage is.

    Raises:
        BadInput: if its manifest is missing, damaged, of another version of the store, or of
            features that belong elsewhere.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        seal = manifest.pop("sha256")
        version = manifest["schema_version"]
    except FileNotFoundError:
        raise BadInput(
            f"{path}: these features are not there; make them with `vadbench features extract`"
        ) from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"{path}: damaged, not a manifest; {AGAIN}") from error
    if version != SCHEMA_VERSION:
        raise BadInput(
            f"{path}: features in format {version}, this vadbench reads format {SCHEMA_VERSION};"
            f" {AGAIN}"
        )
    if seal != canonical_hash(manifest):
        raise BadInput(
            f"{path}: damaged or edited, its contents do not match their own sha256; {AGAIN}"
        )
    _check_manifest(manifest, folder)
    return dict(manifest)


def _check_manifest(manifest: dict[str, Any], folder: Path) -> None:
    """Refuse one whose fields are missing or of other types, or that was moved here."""
    path = folder / MANIFEST
    try:
        # as JSON: a list of two is as good as a tuple
        read = Manifest.model_validate_json(json.dumps(manifest))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadInput(f"{path}: damaged, {where or 'all'}: {fault['msg']}; {AGAIN}") from error
    lacking = next((name for name in (INDEX,) if name not in read.files), None)
    if lacking:
        raise BadInput(f"{path}: damaged, it names no {lacking}; {AGAIN}")
    for what, said, found in (
        ("split", read.split, folder.name),
        ("fingerprint", read.fingerprint, folder.parent.name.rpartition("@")[2]),
    ):
        if said is not None and said != found:
            raise BadInput(f"{path}: of the {what} {said}, which belongs elsewhere; {AGAIN}")


def read_index(folder: Path, manifest: dict[str, Any]) -> Index:
    """The objects of a stage.

    Raises:
        BadInput: naming the file that is missing or damaged.
    """
    check_files(folder, manifest)
    path = folder / INDEX
    try:
        names = parquet_names(path)
        box, tracked = CORNERS[0] in names, "track" in names
        wanted = (*KEYS, *(CORNERS if box else ()), *(("track",) if tracked else ()))
        found = read_parquet(path, wanted)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: damaged, not an index of objects; {AGAIN}") from error
    for name, values in found.items():
        if values.dtype.kind != ("f" if name in CORNERS else "i"):
            raise BadInput(f"{path}: damaged, {name} is {values.dtype}; {AGAIN}")
    index = Index(
        found["video"],
        found["frame"],
        found["object_id"],
        np.stack([found[name] for name in CORNERS], 1) if box else None,
        found["track"] if tracked else None,
    )
    if len(index) != manifest["rows"]:
        raise BadInput(f"{path}: {len(index)} rows, the manifest says {manifest['rows']}; {AGAIN}")
    _check_places(index, manifest, path)
    return index


def _check_places(index: Index, manifest: dict[str, Any], path: Path) -> None:
    """Refuse rows that are not in the order of the clips, or beyond them."""
    if not len(index):
        return
    frames = np.array([count for _, count in manifest["videos"]], np.int64)
    beyond = (index.video < 0) | (index.video >= len(frames))
    if not beyond.any():
        beyond = (index.frame < 0) | (index.frame >= frames[index.video])
    if beyond.any() or (np.diff(index.video) < 0).any():
        raise BadInput(f"{path}: damaged, rows that are of none of its clips' frames; {AGAIN}")


def check_files(folder: Path, manifest: dict[str, Any], everything: bool = False) -> None:
    """Check a stage's files against its manifest: their sizes, and the contents of small ones or of
    `everything`.

    Raises:
        BadInput: naming the first file that is missing or damaged.
    """
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise BadInput(f"{path}: missing; {AGAIN}")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise BadInput(
                f"{path}: damaged, {size} bytes where {expected['bytes']} were written; {AGAIN}"
            )
        if (everything or size <= SMALL) and sha256(path) != expected["sha256"]:
            raise BadInput(f"{path}: damaged, its sha256 is not the one that was written; {AGAIN}")


def lengths(manifest: dict[str, Any]) -> dict[str, int]:
    """Clip -> frames, in order."""
    return {name: int(frames) for name, frames in manifest["videos"]}


def open_folder(folder: Path, name: str) -> Stream:
    """The stream in `folder`, x memory-mapped; `name` stands in messages of methods that read it.

    Sizes, shapes and types are always checked, contents where a file is small; `verify` checks
    everything.

    Raises:
        BadInput: naming the file that is missing or damaged.
    """
    manifest = read_manifest(folder)
    index = read_index(folder, manifest)
    x = _open_vectors(folder / VECTORS, manifest)
    return Stream(
        Features(x, index.video, index.frame, index.box, name),
        index.object_id,
        lengths(manifest),
        manifest,
    )


def verify(folder: Path) -> None:
    """Check everything a stage holds, reading it all.

    Raises:
        BadInput: naming the first file that is missing or damaged.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest, everything=True)
    if VECTORS in manifest["files"]:
        open_folder(folder, str(folder))  # Features refuses what is not finite
    else:
        read_index(folder, manifest)


def stored(cache: Path) -> list[Path]:
    """The folders of all stages under a cache, boxes and streams, one a split; half-written ones
    are none.
    """
    found = [*cache.glob(f"*@*/*@*/*/{MANIFEST}"), *cache.glob(f"*@*/boxes/*@*/*/{MANIFEST}")]
    return sorted(path.parent for path in found if not path.parent.name.startswith("."))


@contextmanager
def explain_disk_errors(place: Path, variable: str = "VADBENCH_CACHE") -> Iterator[None]:
    """Turn a disk that is full or may not be written into one line.

    Args:
        place: what is written.
        variable: of the environment, that moves it elsewhere.

    Raises:
        BadInput: if that happens in the block.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(
                f"{place}: the disk is full; free some space (or set {variable} to another"
                " disk) and run the same again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BadInput(
                f"{place}: may not be written; set {variable} to a folder of yours"
            ) from error
        raise


def _write_vectors(
    path: Path, blocks: Iterable[NDArray[np.float32]], shape: tuple[int, int]
) -> None:
    """An .npy file block by block through write(): a full disk raises, where a memory map would
    kill the process.
    """
    rows = 0
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            if block.dtype != np.float32 or block.ndim != 2 or block.shape[1] != shape[1]:
                raise BadInput(
                    f"{path}: a block of {block.dtype} {block.shape}, expected float32 [n,"
                    f" {shape[1]}]"
                )
            file.write(np.ascontiguousarray(block).data)
            rows += len(block)
    if rows != shape[0]:
        raise BadInput(
            f"{path}: {rows} vectors for {shape[0]} objects; the extractor must give one a box"
        )


def _write_index(path: Path, index: Index) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"video": index.video, "frame": index.frame, "object_id": index.object_id}
    if index.box is not None:
        columns |= {name: np.ascontiguousarray(index.box[:, k]) for k, name in enumerate(CORNERS)}
    if index.track is not None:
        columns["track"] = index.track
    with path.open("wb") as file:  # Python's own, whose errors say when the disk is full
        pq.write_table(pa.table(columns), file)


def _open_vectors(path: Path, manifest: dict[str, Any]) -> NDArray[np.float32]:
    expected = manifest["files"].get(VECTORS)
    if expected is None or expected.get("shape") is None:
        raise BadInput(f"{path.with_name(MANIFEST)}: damaged, it names no vectors; {AGAIN}")
    try:
        x = map_npy(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: damaged, not an .npy file; {AGAIN}") from error
    if list(x.shape) != expected["shape"] or str(x.dtype) != expected["dtype"]:
        raise BadInput(
            f"{path}: {x.dtype} {list(x.shape)}, the manifest says {expected['dtype']}"
            f" {expected['shape']}; {AGAIN}"
        )
    return np.asanyarray(x)
