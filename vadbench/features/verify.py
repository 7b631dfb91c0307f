"""Whether what is cached is whole, and of the files that are on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from vadbench import registry
from vadbench.datasets.base import Check, Dataset
from vadbench.datasets.open import open_dataset
from vadbench.datasets.part import base_of
from vadbench.errors import BadInput
from vadbench.features.current import outdated_folders, outdated_networks
from vadbench.features.importers.sources import check_imports
from vadbench.features.networks.store import read_manifest as read_network_manifest
from vadbench.features.networks.store import read_network, stored_networks
from vadbench.features.store import read_manifest, stored, verify
from vadbench.locations import cache_root


def verify_features() -> tuple[int, list[str]]:
    """Verify every cached file against its manifest, and the videos it was extracted from, or the
    files it was imported from, where they are on this machine; reads all of them.

    Returns:
        The number of cached folders, and a line for each that is damaged or of files that have
        changed, and for each import of which that is so.
    """
    networks = stored_networks(cache_root())
    folders = [*stored(cache_root()), *networks]
    told = {}
    for folder in folders:
        try:
            (read_network if folder in networks else verify)(folder)
        except BadInput as error:
            told[folder] = str(error)
    whole = [folder for folder in folders if folder not in told and folder not in networks]
    learnt = [folder for folder in networks if folder not in told]
    names = dict.fromkeys(
        folder.relative_to(cache_root()).parts[0].partition("@")[0] for folder in (*whole, *learnt)
    )
    for dataset in (open_dataset(name) for name in names if _is_known(name)):
        outdated = outdated_folders(dataset, whole, cache_root())
        for folder in (*outdated, *outdated_networks(dataset, learnt, cache_root())):
            told[folder] = (
                f"{folder}: of other files than {dataset.name} has now; `vadbench features extract"
                " ... --again` makes it anew"
            )
    for folder in _made_by_others(whole):
        told[folder] = (
            f"{folder}: made with another network than is there now; `vadbench features extract ..."
            " --again` makes it anew"
        )
    for place, line in check_imports(cache_root()).items():
        told.setdefault(place, line)
    return len({*folders, *told}), list(told.values())


def check_cached(dataset: Dataset) -> Check:
    """Whether what is cached of a data set was extracted from the files that it has now; reads
    them.
    """
    expected = "of these files"
    try:
        outdated = outdated_folders(dataset, stored(cache_root()), cache_root())
    except BadInput as error:
        return Check("cached features", expected, str(error))
    names = ", ".join("/".join(folder.parts[-2:]) for folder in outdated)
    return Check(
        "cached features",
        expected,
        f"of other files: {names}; vadbench features extract --again" if outdated else expected,
    )


def _made_by_others(folders: Iterable[Path]) -> Iterator[Path]:
    """Of the cached stages those whose network has other weights now."""
    for folder in folders:
        made = read_manifest(folder).get("network")
        if not made:
            continue
        name = f"{made['name']}@{made['fingerprint']}"
        network = cache_root() / made["dataset"] / "networks" / name
        if network.is_dir() and read_network_manifest(network).sha256 != made["sha256"]:
            yield folder


def _is_known(name: str) -> bool:
    """Whether it is a data set, or a part of one that is known here."""
    if base_of(name) not in registry.names("datasets"):
        return False
    try:
        open_dataset(name)
    except BadInput:  # features of a part whose videos are not remembered any more
        return False
    return True
