"""A network that an extractor has learnt, on disk: written whole or not at all, and checked when it
is read.

    <cache>/<training data set>@<revision>/networks/<extractor>@<fingerprint>/
        {model.safetensors, manifest.json}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from vadbench.errors import BadInput
from vadbench.features.store import MANIFEST, explain_disk_errors
from vadbench.files.atomic import replace_folder
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json

MODEL = "model.safetensors"
SCHEMA_VERSION = 1
Arrays = dict[str, NDArray[Any]]


class NetworkManifest(BaseModel):
    """What is known of a network; times are seconds of its training.

    Attributes:
        network: its identity: extractor, version, options, data set, videos, seed.
        trained_on, held_out: videos, as `split/name`.
        contents: split -> digest of the files that it was trained on; of generated ones nothing.
        parameters: how many numbers were learnt.
        loss: [step, mean loss since the point before].
        threads: each number of threads that its steps have taken.
        libraries: versions.
        sha256: of model.safetensors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    network: dict[str, Any]
    trained_on: list[tuple[str, NonNegativeInt]]
    held_out: list[str] = []
    contents: dict[str, str] = {}
    parameters: NonNegativeInt
    seconds: float = Field(ge=0, allow_inf_nan=False)
    cpu_seconds: float = Field(ge=0, allow_inf_nan=False)
    loss: list[tuple[int, float]] = []
    threads: list[int]
    device: str
    libraries: dict[str, str]
    sha256: str = Field(pattern="[0-9a-f]{64}")


@dataclass(frozen=True)
class Network:
    """A network that was read: what is known of it, and what was learnt."""

    manifest: NetworkManifest
    arrays: Arrays


def write_network(folder: Path, manifest: dict[str, Any], arrays: Arrays) -> None:
    """Write a network aside, flush it to disk and rename it into place.

    Args:
        folder: where it goes; the caller holds the lock of its parent.
        manifest: the fields of `NetworkManifest`, all but the sha256.
        arrays: what was learnt.

    Raises:
        BadInput: if the disk is full.
    """
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(values) for name, values in arrays.items()})
    aside = folder.with_name(f".tmp-{folder.name}")
    with explain_disk_errors(folder), replace_folder(folder, aside):
        (aside / MODEL).write_bytes(data)
        described = NetworkManifest(**manifest, sha256=sha256(aside / MODEL))
        document = described.model_dump(mode="json")
        sealed = {**document, "seal": canonical_hash(document)}
        (aside / MANIFEST).write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> NetworkManifest:
    """What is known of a network.

    Raises:
        BadInput: if its manifest is missing, damaged, of another version, or belongs elsewhere.
    """
    path = folder / MANIFEST
    try:
        document = read_json(path)
        seal, version = document.pop("seal"), document["schema_version"]
    except FileNotFoundError:
        raise BadInput(f"{path}: this network is not there; {again(folder)}") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"{path}: damaged, not a manifest; {again(folder)}") from error
    if version != SCHEMA_VERSION:
        raise BadInput(
            f"{path}: a network in format {version}, this vadbench reads format {SCHEMA_VERSION};"
            f" {again(folder)}"
        )
    if seal != canonical_hash(document):
        raise BadInput(
            f"{path}: damaged or edited, its contents do not match their own digest;"
            f" {again(folder)}"
        )
    try:
        manifest = NetworkManifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadInput(f"{path}: damaged, {where}: {fault['msg']}; {again(folder)}") from error
    if not folder.name.endswith(f"@{manifest.fingerprint}") or (
        canonical_hash(manifest.network)[:12] != manifest.fingerprint
    ):
        raise BadInput(f"{path}: of another network, which belongs elsewhere; {again(folder)}")
    return manifest


def read_network(folder: Path) -> Network:
    """A network, its weights checked against their digest.

    Raises:
        BadInput: naming the file that is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    manifest = read_manifest(folder)
    path = folder / MODEL
    try:
        data = path.read_bytes()
        if sha256(path) != manifest.sha256:
            raise BadInput(
                f"{path}: damaged, its sha256 is not the one that was written; {again(folder)}"
            )
        return Network(manifest, load(data))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: missing or damaged; {again(folder)}") from error


def again(folder: Path) -> str:
    """What helps."""
    return (
        f"remove it with `vadbench features remove {folder.parent.parent.name}/networks/"
        f"{folder.name}` and run the same again, it is trained anew"
    )


def stored_networks(cache: Path) -> list[Path]:
    """The folders of all networks under a cache; half-written ones are none."""
    found = cache.glob(f"*@*/networks/*@*/{MANIFEST}")
    return sorted(path.parent for path in found if not path.parent.name.startswith("."))
