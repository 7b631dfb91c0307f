"""`Sink`: where a run's curves and records go.

What it catches is every failure of W&B: one warning line, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vadbench.plans.plan import Job, Plan
from vadbench.report.wandb.publication import described_job
from vadbench.report.wandb.publish import publish, records_of
from vadbench.report.wandb.session import Target, failed, mark, start, warn
from vadbench.results.records import Results


@dataclass(frozen=True)
class Sink(Target):
    """Weights & Biases during `vadbench run`; picklable, for jobs in other processes."""

    @contextmanager
    def curves(self, job: Job) -> Iterator[Any]:
        """A pytorch-lightning logger for the training of a job, None where W&B fails; an error of
        the training passes through.
        """
        if failed(self.folder):
            yield None
            return
        run = logger = None
        try:
            from vadbench.report.wandb.training_curves import CurveLogger

            run = start(self, job.identity, **described_job(job.document, job.identity))
            logger = CurveLogger(run, self.folder)
        except Exception as error:
            warn(self.folder, error)
        code = 1
        try:
            yield logger
            code = 0
        finally:
            self._finish(run, code)

    def publish(self, plan: Plan, say: Callable[[str], None]) -> None:
        """Publish the records of a plan that has been run and evaluated, with a leaderboard named
        as its suite.
        """
        if failed(self.folder):
            return
        try:
            say(publish(self, records_of(plan, Results(self.folder)), plan.suite.name))
        except Exception as error:
            warn(self.folder, error)

    def _finish(self, run: Any, code: int) -> None:
        try:
            if run is not None:
                run.finish(exit_code=code)
                mark(self, run, None)
        except Exception as error:
            warn(self.folder, error)
