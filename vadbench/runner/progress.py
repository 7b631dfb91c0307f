"""What a run says while it lasts: what it takes over, each job that ends, and how long the others
will take.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from vadbench.executors.local import one_fit_each
from vadbench.plans.jobs import Job, shares_fit
from vadbench.results.frame import value_of
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import METRICS, write_duration

# what was expected counts as this part of the run beside what was measured, so that a first job of
# milliseconds decides nothing
TRUST = 0.1


def order_by_cost(jobs: Sequence[Job], seconds: Mapping[str, float | None]) -> list[Job]:
    """The jobs with the quick fits first, so that there is something to see soon, and those of
    unknown time last; jobs of one fit stay together, and equal ones in their order.
    """

    def cost(group: list[Job]) -> tuple[bool, float]:
        known = [own for job in group if (own := seconds[job.identity]) is not None]
        return not known, max(known, default=0.0)

    return [job for group in sorted(one_fit_each(jobs), key=cost) for job in group]


class TimeLeft:
    """How long the rest of a run will take: what was expected, times what the jobs that have ended
    took of what was expected of them, and what goes by between jobs. Of the time of several
    processes, what the next jobs may have taken already is taken to be theirs.

    Args:
        jobs: all of the run, in their order.
        seconds: what each is expected to take, by identity; None: not known.
        processes: how many run at a time.
    """

    def __init__(
        self, jobs: Sequence[Job], seconds: Mapping[str, float | None], processes: int = 1
    ) -> None:
        self.expected: dict[str, float | None] = {}
        for group in one_fit_each(jobs):
            own = {job.identity: seconds[job.identity] for job in group}
            if shares_fit(group[0]):  # the others take its fit over, which is most of the time
                own |= dict.fromkeys((job.identity for job in group[1:]), 0.0)
            self.expected |= own
        self.left = dict(self.expected)
        self.processes = processes
        self.whole = sum(own or 0.0 for own in self.expected.values())
        self.measured = self.ended = self.spent = 0.0
        self.began = time.monotonic()

    def end(self, job: Job, record: RunRecord) -> None:
        """Take note of a job that has ended."""
        expected = self.left.pop(job.identity)
        shared = record.seconds.get("fit", 0.0) if record.fit_shared_with else 0.0
        own = sum(record.seconds.values()) - shared
        self.spent += own
        if expected is not None and record.status == "done":
            self.measured += own
            self.ended += expected

    @property
    def words(self) -> str:
        """`about 4 min left`; of jobs of unknown time how many there are; empty at the end."""
        if not self.left:
            return ""
        unknown = sum(own is None for own in self.left.values())
        more = f", and {unknown} of unknown time" if unknown else ""
        if unknown == len(self.left):
            return f"{unknown} jobs left"
        return f"about {write_duration(self.seconds)} left{more}"

    @property
    def seconds(self) -> float:
        """Of the jobs whose time is known."""
        trusted = TRUST * self.whole
        pace = (self.measured + trusted) / (self.ended + trusted) if self.whole else 1.0
        known = [pace * own for own in self.left.values() if own is not None]
        ended = len(self.expected) - len(self.left)
        others = self.processes - 1  # than the one whose job has just ended
        gone = self.processes * (time.monotonic() - self.began) - self.spent
        running = min(max(gone, 0.0), sum(known[:others]))
        between = max(gone - running, 0.0) / max(ended, 1) * len(self.left)
        at_a_time = max(min(self.processes, len(self.left)), 1)
        for place, own in enumerate(known):  # what runs already has a part behind it
            behind = min(own, running)
            known[place], running = own - behind, running - behind
        return max((sum(known) + between) / at_a_time, *known, 0.0)  # no job is for two processes


def describe_reuse(records: Sequence[RunRecord | None], trains: bool) -> str:
    """One line for the records that are taken as they are, and by what they were made.

    Args:
        records: of the jobs that are not run.
        trains: whether others are.
    """
    makers = Counter(map(_describe_maker, records))
    usual = [
        maker if len(makers) == 1 else f"{maker} ({times})"
        for maker, times in makers.most_common(3)
    ]
    more = f" and {len(makers) - 3} other versions" if len(makers) > 3 else ""
    nothing = "" if trains else "; nothing is trained, --existing rerun trains them again"
    return f"{plural(len(records), 'record')} reused, made by {', '.join(usual)}{more}{nothing}"


def _describe_maker(record: RunRecord | None) -> str:
    """`vadbench 0.1.0 at c268aa5`."""
    environment = {} if record is None else record.environment
    git = environment.get("git") or {}
    at = f" at {git['commit'][:7]}{' with changes' if git.get('dirty') else ''}" if git else ""
    return f"vadbench {environment.get('packages', {}).get('vadbench', 'of unknown version')}{at}"


def describe_run(job: Job, record: RunRecord) -> str:
    """What a job was of, and how it ended: its rows and times, or its error."""
    network = job.stream.network
    own = f", network of seed {network['seed']}" if network else ""
    what = f"{job.method} on {job.dataset} {job.stream.name}, seed {job.seed}{own}"
    if record.status == "failed":
        return f"{what}: failed: {record.error}"
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in record.seconds.items())
    notes = f"; {'; '.join(record.notes)}" if record.notes else ""
    shared = f" (fit shared with {record.fit_shared_with[:12]})" if record.fit_shared_with else ""
    rows = f"{record.train_rows} training rows, {record.test_rows} test rows"
    return f"{what}: {rows}; {times}{notes}{shared}"


def describe_value(record: ResultRecord) -> str:
    """`ped2/mulde@velocity:0: micro AUC 88.7`."""
    value = value_of(record, METRICS["micro AUC"])
    number = f"none ({value.reason})" if value.value is None else f"{100 * value.value:.1f}"
    return f"{record.result.name}: micro AUC {number}"


def plural(number: int, what: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {what}{'s' * (number != 1)}"
