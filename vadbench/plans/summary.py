"""What jobs come to, by method and data set: how many are finished, and the time of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vadbench.features.networks.train import is_trained
from vadbench.plans.cost import expected_training
from vadbench.plans.extraction import describe_extractions
from vadbench.plans.jobs import Job, shares_fit
from vadbench.plans.needs import Lack, Need, streams_read, what_lacks
from vadbench.plans.states import State
from vadbench.spec import write_duration


@dataclass(frozen=True)
class Summary:
    """What jobs come to.

    Attributes:
        jobs: how many there are.
        done: finished ones.
        left: those to run.
        barred: those that cannot run on this machine.
        seconds: that those to run will take, as far as it is known.
        unknown: those to run of whose time nothing is known.
    """

    jobs: int
    done: int
    left: int
    barred: int
    seconds: float
    unknown: int

    @property
    def time(self) -> str:
        """`2 min`, `unknown`, or `2 min, unknown for 3`; nothing where nothing is to run."""
        known = [write_duration(self.seconds)] if self.left > self.unknown else []
        several = f" for {self.unknown}" if known else ""
        return ", ".join([*known, *([f"unknown{several}"] if self.unknown else [])])


def summarise(
    jobs: Iterable[Job],
    states: Mapping[str, State],
    seconds: Mapping[str, float | None],
    lacking: Collection[Lack],
) -> Summary:
    """What jobs come to; those that differ in scoring alone share the time of one fit.

    Args:
        jobs: which.
        states: of each, by identity.
        seconds: that each takes, by identity; None: not known.
        lacking: what cannot be extracted here, and what methods lack.
    """
    jobs = list(jobs)
    open_ = [job for job in jobs if states[job.identity] != "done"]
    left = [job for job in open_ if not what_lacks(job, lacking)]
    fits: dict[str, float] = {}
    unknown = 0
    for job in left:
        own = seconds[job.identity]
        unknown += own is None
        if own is not None:
            fit = job.fit_identity if shares_fit(job) else job.identity
            fits[fit] = max(own, fits.get(fit, 0.0))
    return Summary(
        jobs=len(jobs),
        done=len(jobs) - len(open_),
        left=len(left),
        barred=len(open_) - len(left),
        seconds=sum(fits.values()),
        unknown=unknown,
    )


def split_jobs(jobs: Iterable[Job]) -> dict[tuple[str, str], list[Job]]:
    """The jobs by method and data set."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.method, job.dataset), []).append(job)
    return groups


def list_features(jobs: Iterable[Job], lacking: Collection[Lack], cache: Path) -> tuple[str, ...]:
    """`dataset stream` of the features that the jobs need extracted before they run, and that can
    be; `times 3` where they are of three networks, and how long they take where that is known.
    """
    missing = _list_missing(jobs, lacking, cache)
    counts = Counter(f"{need.dataset} {need.stream.name}" for need in missing)
    times: dict[str, str] = {}
    for need, time in describe_extractions(missing, cache).items():
        times.setdefault(f"{need.dataset} {need.stream.name}", f": {time}" if time else "")
    return tuple(
        f"{name}{f', times {count}' * (count > 1)}{times[name]}" for name, count in counts.items()
    )


def list_networks(jobs: Iterable[Job], lacking: Collection[Lack], cache: Path) -> tuple[str, ...]:
    """`dataset extractor, seed 0: 5 min` of each network that has to be trained before that, and
    can be.
    """
    plans = {
        need.stream.network_fingerprint: need.stream
        for need in _list_missing(jobs, lacking, cache)
        if need.stream.network and not is_trained(need.stream.network_folder(cache))
    }
    return tuple(
        f"{str(plan.network['dataset']).partition('@')[0]} {plan.stream.extractor}, seed"
        f" {plan.network['seed']}: {_write_time(expected_training(plan, cache))}"
        for plan in plans.values()
    )


def _list_missing(jobs: Iterable[Job], lacking: Collection[Lack], cache: Path) -> list[Need]:
    able = [job for job in jobs if not what_lacks(job, lacking)]
    needs = dict.fromkeys(need for job in able for need in streams_read(job))
    return [need for need in needs if not need.is_cached(cache)]


def _write_time(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"about {write_duration(seconds)}"
