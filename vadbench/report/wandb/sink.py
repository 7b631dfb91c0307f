"""`Sink`: where a run's curves and records go.

What it catches is every failure of W&B: one warning line, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from vadbench.report.wandb.publication import described_job
from vadbench.report.wandb.publish import publish
from vadbench.report.wandb.session import Target, failed, mark, start, warn
from vadbench.results.records import Results


class HasDocument(Protocol):
    """A job, as far as its W&B run says what it is."""

    @property
    def document(self) -> dict[str, Any]:
        """What its identity hashes."""

    @property
    def identity(self) -> str:
        """Of the job."""


@dataclass(frozen=True)
class Sink(Target):
    """Weights & Biases during `vadbench run`; picklable, for jobs in other processes."""

    @contextmanager
    def curves(self, job: HasDocument) -> Iterator[Any]:
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

    def publish(self, identities: set[str], name: str, say: Callable[[str], None]) -> None:
        """Publish the records of these identities, with a leaderboard of this name."""
        if failed(self.folder):
            return
        try:
            records = Results(self.folder).all_records()
            say(publish(self, [one for one in records if one.identity in identities], name))
        except Exception as error:
            warn(self.folder, error)

    def _finish(self, run: Any, code: int) -> None:
        try:
            if run is not None:
                run.finish(exit_code=code)
                mark(self, run, None)
        except Exception as error:
            warn(self.folder, error)
