"""Whether a record is what was written: its digests, its place and its identity, what its numbers
can be.

A digest is no signature. It protects against accidents, and makes whoever changes a number change
all digests on purpose; `vadbench evaluate` computes the numbers again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import quote
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256
from vadbench.results.identity import identity_of
from vadbench.results.values import find_impossible
from vadbench.spec import REGIONS

if TYPE_CHECKING:
    from vadbench.results.schema import ResultRecord, RunRecord

SHA256 = "sha256"  # the field of a document with the digest of the others
SHORT = 12  # digits of an identity that a folder is named by
CHANGED = "it is not what was written (its sha256 is of something else)"
OTHER_SCORES = "its runs have other scores since"
UNSEALED = "made before records carried digests; vadbench evaluate adds them"


def seal(document: Mapping[str, Any]) -> str:
    """The digest of a record's document, all but the digest itself: spaces and the order of fields
    are no part of it.

    Raises:
        ValueError: if it holds what JSON has not.

    >>> seal({"a": 1, "sha256": "x"}) == seal({"a": 1})
    True
    """
    return canonical_hash({name: value for name, value in document.items() if name != SHA256})


def digest_of_file(path: Path) -> str | None:
    """sha256 of a file's bytes; None where it is not there."""
    return sha256(path) if path.is_file() else None


def digest_of_regions(record: ResultRecord) -> str:
    """Of what a record says of regions, and the tracks that it was held against."""
    values = [
        [one.metric, one.convention, one.value, one.n, one.reason, list(one.left_out)]
        for one in record.values
        if one.metric in REGIONS
    ]
    return canonical_hash([values, record.labels.get("regions_sha256")])


def digest_of_result(record: ResultRecord) -> str:
    """Of what a record's values are of, and its runs."""
    return canonical_hash([record.result.model_dump(mode="json"), list(record.runs)])


def find_run_edit(run: RunRecord, folder: Path) -> str | None:
    """What of a run was edited after it was written, None where nothing is seen.

    Args:
        run: as it was read.
        folder: where it was read.
    """
    job = run.job
    if folder.parts[-4:] != (job["dataset"], job["stream"], job["method"], run.identity[:SHORT]):
        return "it lies in the folder of another run"
    if canonical_hash(job) != run.identity:
        return "its job is not that of its identity"
    if run.seconds and min(run.seconds.values()) < 0:
        return "a time below 0 s"
    return None


def find_edit(
    record: ResultRecord, folder: Path, runs: Sequence[RunRecord | None], jackknife: str | None
) -> str | None:
    """What of a record was edited after it was written, None where nothing is seen.

    Args:
        record: as it was read.
        folder: where it was read.
        runs: its runs, None where one is not there.
        jackknife: the digest of the jackknife.npz that is there.
    """
    if folder.parts[-3:] != (record.dataset, record.recipe, record.identity[:SHORT]):
        return "it lies in the folder of another record"
    if identity_of(record.result, record.runs) != record.identity:
        return "its runs, protocol or parts are not those of its identity"
    if record.digests is not None and jackknife not in (None, record.digests.jackknife):
        return "its jackknife.npz is not the one that was written"
    impossible = find_impossible(record.values, record.result.protocol)
    if impossible is not None:
        return impossible
    known = [run.job for run in runs if run is not None]
    seeds = {job["seed"] for job in known} | _network_seeds(known)
    if len(known) == len(runs) and not {0, record.seed} >= seeds >= {record.seed}:
        return f"its seed {record.seed} is not that of its runs"  # of fixed methods it is 0
    for place, run in enumerate(runs):
        differs = None if run is None else _differs(record, place, run)
        if differs is not None:
            return f"its {differs} is not that of its run {record.runs[place][:SHORT]}"
    return None


def _network_seeds(jobs: Sequence[Mapping[str, Any]]) -> set[Any]:
    """The seeds of learnt extractors' networks, where they are the job's."""
    networks = [job["network"] for job in jobs if isinstance(job.get("network"), dict)]
    return {network.get("seed") for network in networks} - {None}


def _differs(record: ResultRecord, place: int, run: RunRecord) -> str | None:
    """What a record says of one of its parts otherwise than the part's run."""
    part, training, job = record.result.parts[place], record.result.training, run.job
    resplit = job.get("resplit") or {}
    split = training.split
    said = {
        "dataset": record.dataset,
        "config": part.config,
        "fingerprint": part.fingerprint,
        "scope": training.scope,
        "training data set": training.source or record.dataset,
        "setting": training.setting,
        "split": None if split is None else split.sha256,
    }
    ran = {
        "dataset": job["dataset"],
        "config": job.get("config", {}),
        "fingerprint": job.get("fingerprint", ""),
        "scope": job.get("scope", "pooled"),
        "training data set": str(job.get("train_dataset", job["dataset"])).partition("@")[0],
        "setting": job.get("setting", "one-class"),
        "split": resplit.get("sha256"),
    }
    differ = [name for name in said if said[name] != ran[name]]
    if differ:
        return differ[0]
    known = set(run.read_outs)
    own = record.result.read_out
    return f"read-out {quote(own)}" if own is not None and own not in known else None
