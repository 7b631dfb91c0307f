"""Jobs: one training each, and its identity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vadbench import registry
from vadbench.datasets.base import SPLITS, Resplit, Split
from vadbench.detector import Detector, MethodConfig
from vadbench.features.stream import StreamPlan
from vadbench.files.canonical import canonical_hash
from vadbench.spec import Asked, Scope

IDENTITY_VERSION = 1  # of the document that an identity hashes; it says so


@dataclass(frozen=True)
class Source:
    """The data set that a cross-data-set job is trained on, and its stream."""

    dataset: str
    revision: str
    stream: StreamPlan


@dataclass(frozen=True)
class Job:
    """One training: a method with its settings on one stream of one data set with one seed."""

    method: str
    dataset: str
    revision: str
    stream: StreamPlan
    config: MethodConfig
    seed: int
    resplit: Resplit | None = None  # of the setting, or of the labels
    scope: Scope = "pooled"
    source: Source | None = None  # where it is not the tested data set
    code: dict[str, Any] = field(default_factory=dict)  # as `code_of` says of the method
    # how the settings were asked for; no part of the identity
    asked: Asked | None = field(default=None, compare=False)

    @property
    def streams(self) -> dict[Split, StreamPlan]:
        """The stream that is read of each split: that of the training videos may be another data
        set's.
        """
        splits: tuple[Split, ...] = SPLITS if self.resplit is None else self.resplit.splits
        own = dict.fromkeys(splits, self.stream)
        return own if self.source is None else {**own, "train": self.source.stream}

    @cached_property
    def document(self) -> dict[str, Any]:
        """What the identity hashes: all that decides the scores, nothing else."""
        document = {
            "schema_version": IDENTITY_VERSION,
            "method": self.method,
            "config": self.config.settings("fit", "scoring"),
            "dataset": self.dataset,
            "train_dataset": f"{self.dataset}@{self.revision}",
            "stream": self.stream.name,
            "fingerprint": self.stream.fingerprint,
            "scope": self.scope,
            "setting": "one-class",
            "seed": self.seed,
        }
        if self.code:
            document["code"] = self.code
        if self.stream.network:
            seed = self.stream.network["seed"] if self.stream.seeded else None
            document["network"] = {"fingerprint": self.stream.network_fingerprint, "seed": seed}
        if self.source is not None:
            trained = f"{self.source.dataset}@{self.source.revision}"
            document |= {
                "train_dataset": trained,
                "train_fingerprint": self.source.stream.fingerprint,
            }
        return (
            document
            if self.resplit is None
            else {**document, "setting": self.resplit.setting, "resplit": self.resplit.document}
        )

    @cached_property
    def identity(self) -> str:
        """sha256 of the canonical document."""
        return canonical_hash(self.document)

    @cached_property
    def fit_identity(self) -> str:
        """The identity of the training alone: equal for jobs that differ only in what is computed
        from the fitted model.
        """
        return canonical_hash({**self.document, "config": self.config.settings("fit")})


def shares_fit(job: Job) -> bool:
    """Whether other jobs of the same `fit_identity` take its fit over: the method can score under
    other settings without being fitted again, and one detector is fitted to all scenes.
    """
    method: type[Detector] = registry.load("detectors", job.method)
    return job.scope == "pooled" and method.reconfigured is not Detector.reconfigured


def count_fits(jobs: Iterable[Job]) -> int:
    """How many trainings jobs come to."""
    return len({job.fit_identity if shares_fit(job) else job.identity for job in jobs})
