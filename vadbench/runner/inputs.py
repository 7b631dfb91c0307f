"""What a job reads: its features by split, the rows it is fitted to, what is known of its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Split
from vadbench.datasets.resplit import record_name
from vadbench.errors import BadInput
from vadbench.features.networks.store import read_manifest as read_network_manifest
from vadbench.features.resplit_streams import resplit_streams
from vadbench.features.store import MANIFEST, Stream, read_manifest
from vadbench.features.stream import open_stream
from vadbench.files.canonical import canonical_hash
from vadbench.plans.jobs import Job
from vadbench.results.schema import NetworkCost
from vadbench.runner.per_scene import scenes


def open_streams(
    job: Job, cache_root: Path, only: tuple[Split, ...] | None = None
) -> dict[Split, Stream]:
    """The features that a job reads, by split.

    Args:
        job: whose.
        cache_root: where they are.
        only: the splits that are needed; None: all.

    Raises:
        BadInput: if one is not there or damaged, or tested features are not those learnt from.
    """
    streams = {
        split: open_stream(stream.dataset, stream, cache_root, split)
        for split, stream in job.streams.items()
        if only is None or split in only
    }
    if "train" in streams and (job.source is not None or job.stream.network):
        for split in streams.keys() - {"train"}:
            _require_alike(streams["train"], streams[split])
    return streams if job.resplit is None else resplit_streams(streams, job.resplit)


def _require_alike(train: Stream, test: Stream) -> None:
    """Refuse to score with what was learnt from other features."""
    for what in ("extractor", "columns", "network"):
        one, other = (_without_reader(stream.manifest.get(what)) for stream in (train, test))
        if one != other:
            words = f"{what} {one} where {test.features.name} has {other}"
            again = (
                "remove one of them with `vadbench features remove`"
                if what == "network"
                else "train_on needs the same features: name them with the same options for both"
            )
            raise BadInput(f"{train.features.name}: {words}; {again}")


def _without_reader(described: Any) -> Any:
    """What a manifest says of an extractor, without whose reader gave it the frames: every data set
    has its own.
    """
    if not isinstance(described, dict):
        return described
    return {name: value for name, value in described.items() if name != "reader"}


def split_held_out(job: Job, train: Stream) -> tuple[Stream, Stream]:
    """The training rows that a method is fitted to, and those whose scores calibrate: all of them
    both, unless the stream's network was kept from some videos. With a training a scene, those of a
    scene that was kept from it whole calibrate nothing.

    Raises:
        BadInput: if one of them has no row.
    """
    names = train.manifest.get("held_out", [])
    if not names:
        return train, train
    called = {record_name(name) if job.resplit else name.partition("/")[2] for name in names}
    videos = [place for place, video in enumerate(train.lengths) if video in called]
    held = np.isin(train.features.video, videos)
    if held.all() or not held.any():
        raise BadInput(
            f"{train.features.name}: {int(held.sum())} of {len(held)} training rows are of held-out"
            f" videos; some of both are needed, change {job.stream.stream.extractor}.holdout"
        )
    if job.scope == "scene":
        scene = np.asarray(scenes(train))[train.features.video]
        held_scored = held & np.isin(scene, scene[~held])
        if not held_scored.any():
            raise BadInput(
                f"{train.features.name}: all held-out videos are of scenes with no other; change"
                f' {job.stream.stream.extractor}.holdout, or use scope = "pooled"'
            )
        return select_rows(train, ~held), select_rows(train, held_scored)
    return select_rows(train, ~held), select_rows(train, held)


def select_rows(stream: Stream, chosen: NDArray[np.bool_]) -> Stream:
    """The rows of a stream where `chosen` [N] is true."""
    rows = np.flatnonzero(chosen)
    return replace(stream, features=stream.features.rows(rows), object_id=stream.object_id[rows])


def read_digests(job: Job, cache_root: Path) -> dict[str, str]:
    """The digest of the files that each split's features were extracted from, where frames decided
    them.
    """
    manifests = {
        split: read_manifest(stream.folder(cache_root, split))
        for split, stream in job.streams.items()
    }
    return {
        split: manifest["contents"]
        for split, manifest in manifests.items()
        if "contents" in manifest
    }


def digest_training(job: Job, cache_root: Path) -> str:
    """The digest of the features that a job learns from, which may be extracted again under the
    same name.

    Raises:
        BadInput: if they are not there or damaged.
    """
    splits: tuple[Split, ...] = ("train",) if job.resplit is None else tuple(job.streams)
    folders = [job.streams[split].folder(cache_root, split) for split in splits]
    return canonical_hash([read_manifest(folder)["files"] for folder in folders])


def read_network(job: Job, cache_root: Path) -> NetworkCost | None:
    """What is known of the network that the job's features were made with."""
    plan = job.stream
    if not plan.network:
        return None
    sha256 = read_manifest(plan.folder(cache_root, "test"))["network"]["sha256"]
    folder = plan.network_folder(cache_root)
    if not (folder / MANIFEST).is_file():  # removed since the features were made
        return NetworkCost(fingerprint=plan.network_fingerprint, sha256=sha256)
    known = read_network_manifest(folder)
    return NetworkCost(
        fingerprint=plan.network_fingerprint,
        sha256=sha256,
        seconds=known.seconds if known.sha256 == sha256 else None,
        parameters=known.parameters,
    )
