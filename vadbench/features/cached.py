"""What the cache holds: boxes, networks and streams, their sizes, and their removal."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.networks import store as networks
from vadbench.files.atomic import remove_folder
from vadbench.spec import write_duration


@dataclass(frozen=True)
class Cached:
    """Boxes or a stream of all its splits, or a network.

    Attributes:
        name: its folder below the cache, as `features remove` takes it.
        holds: what it is, in words.
        bytes: on the disk.
    """

    name: str
    holds: str
    bytes: int


def list_cached(cache: Path) -> list[Cached]:
    """All that is whole or damaged under a cache, in the order of the names; what is half-written
    is none.
    """
    splits: dict[Path, list[Path]] = {}
    for folder in store.stored(cache):
        splits.setdefault(folder.parent, []).append(folder)
    words = {folder: _describe_stage(own) for folder, own in splits.items()}
    words |= {folder: _describe_network(folder) for folder in networks.stored_networks(cache)}
    return [
        Cached(folder.relative_to(cache).as_posix(), words[folder], _measure(folder))
        for folder in sorted(words)
    ]


def _describe_stage(folders: Iterable[Path]) -> str:
    """`train 2550 x 6, test 2010 x 6`; of a learnt stream also which network made it."""
    words, made = [], ""
    for folder in folders:
        try:
            manifest = store.read_manifest(folder)
        except BadInput:
            words.append(f"{folder.name} damaged")
            continue
        columns = len(manifest.get("columns", ()))
        words.append(f"{folder.name} {manifest['rows']}{f' x {columns}' if columns else ''}")
        network = manifest.get("network")
        made = f" by {network['name']}@{network['fingerprint']}" if network else made
    return ", ".join(words) + made


def _describe_network(folder: Path) -> str:
    """`seed 0, 51200 parameters, trained in 5 min, loss .0061`."""
    try:
        known = networks.read_manifest(folder)
    except BadInput:
        return "damaged"
    loss = f", loss {known.loss[-1][1]:.4g}" if known.loss else ""
    return (
        f"network, seed {known.network['seed']}, {known.parameters} parameters, trained in"
        f" {write_duration(known.seconds)}{loss}"
    )


def _measure(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def remove_cached(cache: Path, name: str) -> Cached:
    """Remove boxes, a stream or a network, and what is unfinished of it; what was made with it
    stays.

    Args:
        cache: the store's root.
        name: as `list_cached` gives it.

    Raises:
        BadInput: on a name that is none of these, with the nearest one, or one that another process
            writes just now.
    """
    known = {one.name: one for one in list_cached(cache)}
    if name not in known:
        if PurePosixPath(name).name and not known:
            raise BadInput(f"{cache}: no cached features")
        raise registry.unknown("cached features", name, known)
    folder = cache / name
    alone = (folder / store.MANIFEST).is_file()
    places = [folder] if alone else [place for place in folder.iterdir() if _is_stage(place)]
    locks = {place.with_name(f".lock-{place.name}") for place in places}
    locks |= set() if alone else set(folder.glob(".lock-*"))  # of what is not stored yet
    held = []
    try:
        for lock in sorted(locks):
            held.append(FileLock(lock))
            held[-1].acquire(timeout=0)
    except Timeout:
        held.pop()
        raise BadInput(f"{folder}: another process writes it just now; try later") from None
    else:
        remove_folder(folder)
        shutil.rmtree(folder.with_name(f".parts-{folder.name}"), ignore_errors=True)
    finally:
        for each in held:
            each.release()
    return known[name]


def _is_stage(place: Path) -> bool:
    return place.is_dir() and not place.name.startswith(".")
