"""Which clips these are: a digest of what a split's files hold, and a quick one of their names,
sizes and times.

Images without loss count by their pixels, so that another packing of a release is the same release;
other files by their bytes. What a quick digest stands for is remembered beside the cache, so
contents are read once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from vadbench.datasets.base import Dataset, Split, Video
from vadbench.datasets.folders import image_paths
from vadbench.datasets.images import read_image
from vadbench.datasets.memory import read_memory, remember
from vadbench.errors import BadInput
from vadbench.files.digest import sha256

LOSSLESS = frozenset({".png", ".tif", ".tiff", ".bmp"})


def contents_of(dataset: Dataset, split: Split, cache: Path, thorough: bool = False) -> str | None:
    """16 hex digits of what the split's clips hold; None where they are not all on this machine, or
    we make them.

    Args:
        dataset: whose clips.
        split: which of them.
        cache: the store's root, where quick digests are remembered.
        thorough: whether everything is read although names, sizes and times are known ones.

    Raises:
        BadInput: on an image that cannot be read.
    """
    if dataset.generated:
        return None
    try:
        videos = dataset.videos(split)
        quick = _digest(
            line
            for lines in (_around(dataset, videos), *(_looks(dataset, video) for video in videos))
            for line in lines
        )
    except (BadInput, OSError):  # what is missing is told where it is needed
        return None
    memory = cache / "contents" / f"{dataset.name}.json"
    known = read_memory(memory)
    if thorough or quick not in known:
        known[quick] = _digest(f"{video.name} {_hash_clip(dataset, video)}" for video in videos)
        remember(memory, quick, known[quick])
    return str(known[quick])


def _digest(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _around(dataset: Dataset, videos: tuple[Video, ...]) -> Iterator[str]:
    """Name, size and time of all that lies in the data set's folder, where it does not say which
    files its clips are.
    """
    folder = dataset.root / dataset.name
    if videos and dataset.path(videos[0]) is None and folder.is_dir():
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            status = file.stat()
            yield f"{file.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}"


def _looks(dataset: Dataset, video: Video) -> Iterator[str]:
    """Name, size and time of change of each of the clip's files, or its first frame where no file
    is known.
    """
    path = dataset.path(video)
    if path is None:
        first = next(iter(dataset.read(video)))
        yield (
            f"{video.name} {video.frames} {first.shape}"
            f" {hashlib.sha256(first.tobytes()).hexdigest()}"
        )
        return
    for file in _files(path):
        status = file.stat()
        yield f"{video.name} {file.name} {status.st_size} {status.st_mtime_ns}"


def _hash_clip(dataset: Dataset, video: Video) -> str:
    """The digest of all that the clip's files hold, or of its frames where no file is known."""
    path = dataset.path(video)
    digest = hashlib.sha256()
    if path is None:
        for frame in dataset.read(video):
            digest.update(f"{frame.shape}".encode() + frame.tobytes())
        return digest.hexdigest()
    for file in _files(path):
        if file.suffix.lower() in LOSSLESS:
            image = read_image(file)
            digest.update(f"{image.shape}".encode() + image.tobytes())
        else:
            digest.update(bytes.fromhex(sha256(file)))
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    return image_paths(path) if path.is_dir() else [path]
