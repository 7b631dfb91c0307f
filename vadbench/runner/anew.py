"""Jobs that a submission runs although they have finished records. Such a record stays where the
new run fails, and the reason lies beside the plan of the submission.
"""

from __future__ import annotations

from contextlib import suppress

from vadbench.errors import BadInput
from vadbench.executors.submission import PLAN, Submission
from vadbench.files.atomic import replace_file
from vadbench.plans.jobs import Job
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord, read_record, write_json


def is_before(job: Job, results: Results, submission: Submission) -> bool:
    """Whether the record of a job was there when the submission was made."""
    record = results.run_folder(job.document, job.identity) / "run.json"
    try:
        return record.stat().st_mtime < (submission.folder / PLAN).stat().st_mtime
    except FileNotFoundError:
        return False


def write_failure(record: RunRecord, submission: Submission) -> None:
    """Leave the failed record of a job whose finished one stays."""
    with replace_file(submission.failure(record.identity)) as aside:
        write_json(aside, record)


def read_failure(job: Job, submission: Submission) -> RunRecord | None:
    """The failed record that a task has left of a job; None: it has left none that can be read."""
    with suppress(BadInput, OSError):
        read = read_record(submission.failure(job.identity), RunRecord)
        return None if read is None else read[0]
    return None


def read_new(job: Job, results: Results, submission: Submission | None) -> RunRecord | None:
    """The record of a job, or, of one that a submission was to run anew and has not, why.

    Args:
        job: whose task is over.
        results: where the records are.
        submission: that was to run the job although it had a finished record; None: none was.

    Returns:
        None where there is no record, or no word of why.
    """
    if submission is not None and is_before(job, results, submission):
        return read_failure(job, submission)
    return results.run(job.document, job.identity)
