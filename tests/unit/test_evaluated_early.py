"""A run evaluates each result as soon as its jobs are there, and says so."""

import re

import pytest
from figure_records import write_dataset

from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

STREAMS = ("velocity@grid", "velocity.hof1@grid")
FUSION = f"gaussian@{'+'.join(STREAMS)}"
ENDED = re.compile(r"\[\d/\d\] (\S+) on folder (\S+), seed 0: ")
EVALUATED = re.compile(r"evaluated folder/(\S+):0: micro AUC ")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")

    def call(*methods, existing="skip"):
        """What happened: `+` a job that ended, `=` a result that was evaluated."""
        fields = {"methods": methods, "features": STREAMS, "datasets": ("folder",)}
        lines = []
        plan = plan_suite(make_suite(fields))
        outcome = run_suite(
            plan, Results(tmp_path / "results"), existing=existing, quiet=True, say=lines.append
        )
        assert not outcome.failed
        ended = [ENDED.match(line) or EVALUATED.match(line) for line in lines]
        return [f"+{one[1]}@{one[2]}" if one.re is ENDED else f"={one[1]}" for one in ended if one]

    return call


def test_a_result_is_evaluated_before_the_next_job_runs_and_a_fusion_after_its_last(run):
    happened = run("magnitude", "gaussian", FUSION)
    single = [f"{method}@{stream}" for method in ("magnitude", "gaussian") for stream in STREAMS]
    ended, evaluated = happened[:8:2], happened[1:8:2]
    assert [job.replace("+", "=") for job in ended] == evaluated
    assert sorted(evaluated) == sorted(f"={job}" for job in single)
    # the quicker method runs first
    assert all("magnitude" in job for job in ended[:2])
    assert happened[8:] == [f"={FUSION}"]


def test_what_has_run_before_is_evaluated_before_anything_runs(run):
    run("gaussian")
    happened = run("magnitude", FUSION)
    assert happened[0] == f"={FUSION}"
    assert happened.count(f"={FUSION}") == 1


def test_what_is_evaluated_is_not_evaluated_again_unless_its_jobs_run_again(run):
    run("gaussian")
    assert run("gaussian") == []
    assert len(run("gaussian", existing="rerun")) == 4
