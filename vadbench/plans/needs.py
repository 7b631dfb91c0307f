"""What jobs need: streams of features, which of them are lacking, and their extraction; and what
methods need of the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vadbench import registry
from vadbench.datasets.base import SPLITS, Split
from vadbench.datasets.open import open_dataset
from vadbench.detector import Detector, MethodConfig
from vadbench.errors import BadInput
from vadbench.features.store import MANIFEST
from vadbench.features.stream import StreamPlan
from vadbench.locations import cache_root
from vadbench.plans.jobs import Job


@dataclass(frozen=True)
class Need:
    """A stream that a job reads."""

    dataset: str
    fingerprint: str
    splits: tuple[Split, ...]
    stream: StreamPlan = field(compare=False)

    def is_cached(self, cache: Path) -> bool:
        """Whether its features are extracted."""
        folders = [self.stream.folder(cache, split) for split in self.splits]
        return all((folder / MANIFEST).is_file() for folder in folders)


@dataclass(frozen=True)
class Ability:
    """What a method needs of this machine under its settings, such as a package or a GPU."""

    method: str
    settings: str  # of the config: as JSON
    config: MethodConfig = field(compare=False)

    def require(self) -> None:
        """Refuse what is not there.

        Raises:
            BadInput: naming it.
        """
        method: type[Detector] = registry.load("detectors", self.method)
        method(self.config, seed=0).require()


Lack = Need | Ability


def extract_features(
    jobs: Iterable[Job],
    quiet: bool = False,
    processes: int | None = None,
    again: bool = False,
) -> dict[Lack, str]:
    """Extract every stream of the jobs that is not in the cache, several clips at a time where
    `processes` says so.

    Args:
        jobs: whose streams.
        quiet: no progress.
        processes: clips at a time; None: as `ensure`.
        again: whether features of files that have changed since are removed and made anew.

    Returns:
        What could not be extracted, each with the reason.
    """
    from vadbench.features.extract import ensure

    def extract(need: Need) -> None:
        ensure(
            open_dataset(need.dataset),
            need.stream,
            cache_root(),
            quiet,
            processes,
            need.splits,
            again,
        )

    return _refusals(jobs, extract)


def find_lacking(jobs: Iterable[Job], thorough: bool = False) -> dict[Lack, str]:
    """What cannot be extracted here, or is cached of files that have changed, each with the
    reason.
    """
    from vadbench.features.current import check_current
    from vadbench.features.extract import require_sources

    def check(need: Need) -> None:
        dataset = open_dataset(need.dataset)
        if not need.is_cached(cache_root()):
            require_sources(dataset, need.stream, cache_root(), need.splits)
        check_current(dataset, need.stream, cache_root(), need.splits, thorough)

    return _refusals(jobs, check)


def find_unable(jobs: Iterable[Job]) -> dict[Lack, str]:
    """What this machine lacks for the methods of jobs that run on it, each with the reason."""
    refused: dict[Lack, str] = {}
    for ability in dict.fromkeys(ability_of(job) for job in jobs):
        try:
            ability.require()
        except BadInput as error:
            prefix, reason = f"{ability.method}: ", str(error)
            refused[ability] = reason if reason.startswith(prefix) else prefix + reason
    return refused


def ability_of(job: Job) -> Ability:
    """What a job needs of the machine that it runs on."""
    return Ability(job.method, job.config.model_dump_json(), job.config)


def what_lacks(job: Job, lacking: Collection[Lack]) -> list[Lack]:
    """Of what is lacking, what a job needs."""
    needs: list[Lack] = [*streams_read(job), ability_of(job)]
    return [need for need in needs if need in lacking]


def _refusals(jobs: Iterable[Job], each: Callable[[Need], None]) -> dict[Lack, str]:
    """Do something for each stream that the jobs read; what was refused, with the reason."""
    refused: dict[Lack, str] = {}
    for need in dict.fromkeys(need for job in jobs for need in streams_read(job)):
        try:
            each(need)
        except BadInput as error:
            refused[need] = str(error)
    return refused


def group_reasons(lacking: Mapping[Lack, str]) -> tuple[str, ...]:
    """One line for all streams that lack the same, and for all methods that do."""
    streams: dict[tuple[str, str], list[str]] = {}
    methods = dict.fromkeys(lacking[need] for need in lacking if isinstance(need, Ability))
    for need, reason in lacking.items():
        if isinstance(need, Ability):
            continue
        streams.setdefault((need.dataset, reason), []).append(need.stream.name)
    prefixes = {
        reason: f"{dataset} {', '.join(names)}: " for (dataset, reason), names in streams.items()
    }
    told = [
        reason if reason.startswith(prefix) else prefix + reason
        for reason, prefix in prefixes.items()
    ]
    return (*told, *methods)


def streams_read(job: Job) -> list[Need]:
    """The streams that a job reads: of the tested data set, and of one trained on beside it."""
    splits = SPLITS if job.resplit is None else open_dataset(job.dataset).splits
    own = Need(job.dataset, job.stream.fingerprint, splits, job.stream)
    if job.source is None:
        return [own]
    learnt = job.source.stream
    return [own, Need(job.source.dataset, learnt.fingerprint, SPLITS, learnt)]
