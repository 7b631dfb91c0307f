"""Scores that were not computed here, by the name that they were submitted under: of a seed there
are one method's only, and of all seeds the same is declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import Result


@dataclass(frozen=True)
class Given:
    """Scores of one seed.

    Attributes:
        dataset, name, setting: of what, of whom and how they were trained.
        seed: of the training.
        run: the identity of what stands for their job; other scores have another one.
        declared: what was said of them.

    >>> first = Given("ped2", "theirs", "one-class", 0, "a1", {"paper": "Doe, 2026"})
    >>> first.displaces(Given("ped2", "theirs", "one-class", 0, "b2", {}))
    True
    >>> first.list_differences(Given("ped2", "theirs", "one-class", 1, "c3", {}))
    ['paper']
    """

    dataset: str
    name: str
    setting: str
    seed: int
    run: str
    declared: dict[str, Any]

    @classmethod
    def of_result(cls, result: Result, run: str) -> Given:
        """Those that a result is of."""
        training = result.training
        name, declared = result.method, result.parts[0].config
        return cls(result.dataset, name, training.setting, training.seed, run, declared)

    @classmethod
    def of(cls, record: RunRecord | ResultRecord) -> Given:
        """Those that a run stands for, or a record was computed from."""
        if isinstance(record, ResultRecord):
            return cls.of_result(record.result, record.runs[0])
        job = record.job
        setting, declared = job.get("setting", "one-class"), job.get("config", {})
        place = job["dataset"], job["method"], setting, job["seed"]
        return cls(*place, record.identity, declared)

    def displaces(self, other: Given) -> bool:
        """Whether these are other scores of the same seed, or the same ones declared otherwise."""
        return self._is_alike(other) and self.seed == other.seed and self.run != other.run

    def list_differences(self, other: Given) -> list[str]:
        """What is declared otherwise of another seed, sorted: the seeds of one name are one method,
        and nothing may differ.
        """
        if not self._is_alike(other) or self.seed == other.seed:
            return []
        own, there = self.declared, other.declared
        return sorted(name for name in {*own, *there} if own.get(name) != there.get(name))

    def _is_alike(self, other: Given) -> bool:
        mine = self.dataset, self.name, self.setting
        return mine == (other.dataset, other.name, other.setting)
