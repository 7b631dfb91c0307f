"""`vadbench data fetch`: archives with a stable public link, downloaded with resume, verified and
unpacked under `$VADBENCH_DATA`.

pooch, the usual library, starts an interrupted download anew; these archives have 700 MB and more,
so the download is our own.
"""

from __future__ import annotations

import gzip
import http.client
import json
import lzma
import struct
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vadbench.datasets.base import Dataset
from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json

DOWNLOADS = ".downloads"
CHECKSUMS = ".checksums.json"
BLOCK = 1 << 20  # bytes read at a time
SECONDS = 60.0  # without a byte until a connection counts as broken
Say = Callable[[str], None]


def fetch(dataset: Dataset, say: Say) -> bool:
    """Download and unpack every archive of a data set; what was downloaded before is verified and
    unpacked again.

    The archives stay in `.downloads` under the data set's root (delete them when all is unpacked).
    The sha256 of an archive is recorded in `.checksums.json` there when it was first unpacked, and
    enforced whenever it is used or downloaded again.

    Args:
        dataset: what to fetch.
        say: receives a line an event.

    Returns:
        Whether there was anything to download: False where a data set has no public link,
            `dataset.how_to_get` is then the way.

    Raises:
        BadInput: if a server does not answer, breaks off, an archive is not the one of the first
            time, is damaged, or would write elsewhere.
    """
    for url in dataset.archives:
        archive = dataset.root / DOWNLOADS / url.rpartition("/")[2]
        if not archive.is_file():
            say(f"downloading {url}")
            download(url, archive, say)
        digest = _require_checksum(dataset.root, url, archive)
        say(f"unpacking {archive}")
        unpack(archive, dataset.root)
        _record(dataset.root, url, digest, archive.stat().st_size)
    return bool(dataset.archives)


def download(url: str, path: Path, say: Say = lambda line: None) -> None:
    """Download `url` to `path`, going on where an earlier try left `<path>.part`.

    A part is continued only if the server says that the file is still the same (its ETag or date,
    in `<path>.part.version`), and kept when the connection breaks. Broken connections are taken up
    again as long as each brings something.

    Raises:
        BadInput: if the server refuses, cannot be reached, or breaks off without sending anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    done = False
    while not done:
        before = _size(part)
        trouble = ""
        try:
            done = _receive(url, part, say)
        except urllib.error.HTTPError as error:
            raise BadInput(
                f"{url}: the server answers {error.code} {error.reason}; see the data set's page"
                " for another link"
            ) from error
        except urllib.error.URLError as error:
            trouble = str(error.reason)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            trouble = str(error) or type(error).__name__
        if not done and _size(part) <= before:
            kept = f", {_size(part)} bytes are kept" if _size(part) else ""
            raise BadInput(
                f"{url}: no connection ({trouble or 'closed at once'}){kept}; the same command goes"
                " on from there"
            )
    part.replace(path)
    _version_of(part).unlink(missing_ok=True)


def _receive(url: str, part: Path, say: Say) -> bool:
    """One connection: append what it brings to `part`; whether the file is complete."""
    version = _version_of(part)
    start = _size(part) if version.is_file() else 0
    headers = (
        {"Range": f"bytes={start}-", "If-Range": version.read_text(encoding="utf-8")}
        if start
        else {}
    )
    try:
        # the scheme is our own link's
        answer = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=SECONDS
        )
    except urllib.error.HTTPError as error:
        if error.code != 416:  # "range not satisfiable": nothing is left to send
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(start):
            return True
        part.unlink()
        return _receive(url, part, say)
    with answer:
        # the whole file: another one than before, or a server that cannot resume
        if answer.status != 206:
            start = 0
        _remember_version(version, answer.headers)
        expected = answer.headers.get("Content-Length")
        total = None if expected is None else start + int(expected)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            return _append(answer, file, start, total, say) == total or total is None


def _append(
    answer: http.client.HTTPResponse, file: BinaryIO, start: int, total: int | None, say: Say
) -> int:
    """Write what comes; how long the file is then."""
    size = told = start
    while block := answer.read(BLOCK):
        file.write(block)
        size += len(block)
        if size - told >= 64 * BLOCK:
            told = size
            say(f"{size >> 20} of {total >> 20 if total else '?'} MB")
    return size


def _remember_version(version: Path, headers: http.client.HTTPMessage) -> None:
    """Keep what tells this file from a later one: a strong ETag or the date; without either a
    broken download starts anew.
    """
    etag = headers.get("ETag", "")
    known = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    if known:
        version.write_text(known, encoding="utf-8")
    else:
        version.unlink(missing_ok=True)


def _version_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz or .zip file into `folder`, over what is there.

    Raises:
        BadInput: if the archive is damaged, of another kind, or holds a path or a link that leads
            out of the folder.
    """
    damaged = (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        RuntimeError,
        NotImplementedError,
        ValueError,
        OverflowError,
        struct.error,
        lzma.LZMAError,
    )
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _require_inside(archive, zipped.namelist())
                zipped.extractall(folder)
        else:
            raise BadInput(f"{archive}: neither a tar nor a zip archive; delete it and fetch again")
    except tarfile.FilterError as error:
        raise BadInput(
            f"{archive}: leads out of the folder it is unpacked in ({error}); do not use it, see"
            " the data set's page"
        ) from error
    except BadInput:
        raise
    except damaged as error:
        raise BadInput(f"{archive}: damaged ({error}); delete it and fetch again") from error


def _require_inside(archive: Path, names: list[str]) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name.partition("/")[0]:
            raise BadInput(
                f"{archive}: {name} leads out of the folder it is unpacked in; do not use it, see"
                " the data set's page"
            )


def _require_checksum(root: Path, url: str, archive: Path) -> str:
    """The archive's sha256, if it is the recorded one or none is recorded."""
    digest = sha256(archive)
    known = _checksums(root).get(url, {}).get("sha256", digest)
    if digest != known:
        raise BadInput(
            f"{archive}: sha256 {digest[:12]}…, but {known[:12]}… when it was first used: damaged,"
            f" or another file than then; delete it and fetch again, or if {url} was meant to"
            f" change, delete its entry in {root / CHECKSUMS}"
        )
    return digest


def _checksums(root: Path) -> dict[str, dict[str, str]]:
    path = root / CHECKSUMS
    if not path.is_file():
        return {}
    remedy = "restore it, or delete it to record them anew"
    try:
        known = read_json(path)
    except BadInput as error:
        raise BadInput(f"{error}: not a table of checksums; {remedy}") from error
    entries = known.values() if isinstance(known, dict) else [None]
    if not all(isinstance(one, dict) and isinstance(one.get("sha256"), str) for one in entries):
        raise BadInput(f"{path}: not a table of checksums; {remedy}")
    return dict(known)


def _record(root: Path, url: str, digest: str, size: int) -> None:
    """Keep the checksum, written whole or not at all."""
    known: dict[str, object] = {**_checksums(root), url: {"sha256": digest, "bytes": size}}
    with replace_file(root / CHECKSUMS) as aside:
        aside.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
