"""Where trainings are kept until their record is written, and removing what killed processes have
left.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vadbench.executors.claims import sweep_claims
from vadbench.files.atomic import sweep
from vadbench.plans.jobs import Job
from vadbench.results.records import Results

CHECKPOINTS = ".checkpoints"  # under the results folder


def checkpoint_path(results: Results, job: Job, rows: str) -> Path:
    """Where the training of a job is kept until its record is written; `rows` is the digest of what
    it learns from: of others it would go on to a network of neither.
    """
    return results.root / CHECKPOINTS / f"{_stem(job)}-{rows[:16]}.safetensors"


def remove_checkpoints(results: Results, done: Sequence[Job]) -> None:
    """Remove what was kept of the trainings of jobs that are done."""
    folder = results.root / CHECKPOINTS
    for stem in set(map(_stem, done)) if folder.is_dir() else ():
        for path in folder.glob(f"{stem}*"):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # others are kept there
        folder.rmdir()


def _stem(job: Job) -> str:
    return job.fit_identity[:32]


def sweep_left(results: Results, done: Sequence[Job], others: Sequence[Job] = ()) -> None:
    """Remove what killed processes have left: what was being written, claims, and trainings of jobs
    that are done and that none of the others needs.
    """
    results.sweep_temporary()
    sweep_claims(results.root)
    sweep((results.root / CHECKPOINTS).glob(".*"))
    needed = {job.fit_identity for job in others}
    remove_checkpoints(results, [job for job in done if job.fit_identity not in needed])
