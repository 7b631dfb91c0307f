"""Limits of a job's time and memory, and jobs in processes that are watched."""

import os
import time

import noisy_network
import numpy as np
import psutil
import pytest
import sleeper
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.executors import worker
from vadbench.executors.limits import (
    Limits,
    read_duration,
    read_held,
    read_size,
    write_duration,
    write_size,
)
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.suite import make_suite

MIB = 2**20


@pytest.fixture
def run(street_cache, monkeypatch, tmp_path):
    """Runs methods, and the sleeper with settings by label: label -> record and row scores."""
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    noisy_network.write(tmp_path)
    sleeper.put_on_path(tmp_path, monkeypatch)

    def run(rows=None, methods=("gaussian",), folder="results", settings=None, loud=False, **how):
        named = [
            {"label": label, "method": "sleeper", "settings": {"sleeper": settings}}
            for label, settings in (rows or {}).items()
        ]
        suite = {"methods": methods, "datasets": ["synthetic"], "rows": named}
        plan = plan_suite(make_suite({**suite, "settings": settings or {}}))
        results = Results(tmp_path / folder)
        run_suite(plan, results, quiet=not loud, say=lambda line: None, **how)
        assert not [path for name in (".claims", ".tmp") for path in results.root.glob(f"{name}/*")]
        records = {}
        for one in plan.planned:
            (job,) = one.jobs
            record = results.run(job.document, job.identity)
            rows = None if record.status == "failed" else results.rows(record)
            records[one.wanted.label or job.method] = (record, rows)
        return records

    return run


def errors(records):
    """Label -> why it failed; None: it is done."""
    return {label: record.error for label, (record, _) in records.items()}


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_job_over_its_time_has_failed_and_the_others_go_on(run, processes):
    rows = {"quick": {"numbers": 3}, "slow": {"fitting": 90.0}}
    began = time.monotonic()
    found = errors(run(rows, limits=Limits(seconds=6.0), processes=processes))
    assert time.monotonic() - began < 60
    assert found["slow"].startswith("TimeLimitReached: ended after 6 s, --time-limit is 6s")
    assert found["quick"] is None
    assert found["gaussian"] is None


@pytest.mark.slow
def test_a_job_that_heeds_nothing_is_ended_too(run, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.5)
    found = errors(run({"stuck": {"stuck": True}}, limits=Limits(seconds=3.0)))
    assert found["stuck"].startswith("TimeLimitReached: ended after 3 s")
    assert found["gaussian"] is None


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_job_over_its_memory_has_failed_and_the_others_go_on(run, processes):
    rows = {"small": {"mebibytes": 50}, "large": {"mebibytes": 1200, "holding": 90.0}}
    limits = Limits(memory=700 * MIB)
    found = errors(run(rows, limits=limits, processes=processes))
    assert found["large"].startswith("MemoryLimitReached: ended at ")
    assert "--memory-limit is 700 MiB" in found["large"]
    assert found["small"] is None
    assert found["gaussian"] is None


@pytest.mark.slow
def test_what_a_job_has_started_is_counted_and_ended_with_it(run, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 1.0)
    program = f"import time; held = bytearray({1200 * MIB}); time.sleep(90)  # {os.getpid()}"
    rows = {"many": {"starts": program, "holding": 90.0, "stuck": True}}
    found = errors(run(rows, methods=("gaussian",), limits=Limits(memory=700 * MIB)))
    assert found["many"].startswith("MemoryLimitReached: ended at ")
    assert not [
        one for one in psutil.process_iter(["cmdline"]) if program in (one.info["cmdline"] or ())
    ]


def test_limits_change_no_score(run):
    plain = run({"quick": {}}, ("gaussian", "knn"), "plain")
    limited = run({"quick": {}}, ("gaussian", "knn"), limits=Limits(3600.0, 2**40))
    assert plain.keys() == limited.keys()
    for label, (record, rows) in plain.items():
        assert limited[label][0].identity == record.identity
        assert limited[label][0].runtime == record.runtime
        for name, values in rows.items():
            np.testing.assert_array_equal(values, limited[label][1][name])


def test_a_process_that_dies_costs_the_others_nothing(run):
    rows = {"dies": {"ends": True}, "one": {"numbers": 1}, "two": {"numbers": 2}}
    found = errors(run(rows, processes=2))
    assert found.pop("dies").startswith("WorkerDied: its process was ended by exit code 9")
    assert found == {"gaussian": None, "one": None, "two": None}


@pytest.mark.slow
def test_a_failed_job_runs_again_with_a_larger_limit(run):
    rows = {"slow": {"fitting": 4.0}}
    assert "--time-limit is 1s" in errors(run(rows, limits=Limits(seconds=1.0)))["slow"]
    assert errors(run(rows, limits=Limits(seconds=60.0)))["slow"] is None


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_network_goes_on_where_its_time_was_over(run, processes, monkeypatch, capfd):
    settings = {"noisy": {"max_steps": 600}}
    whole = run(methods=("noisy",), folder="whole", settings=settings)
    monkeypatch.setenv("NOISY_NAP", "0.05")
    limits = Limits(seconds=15.0)
    found = run(methods=("noisy",), settings=settings, limits=limits, processes=processes)
    assert "--time-limit is 15s" in errors(found)["noisy"]
    monkeypatch.delenv("NOISY_NAP")
    capfd.readouterr()
    settings = {"noisy": {"max_steps": 600, "progress": "lines"}}
    found = run(methods=("noisy",), settings=settings, loud=True)
    assert "noisy: goes on after" in capfd.readouterr().err
    for name, values in whole["noisy"][1].items():
        np.testing.assert_array_equal(values, found["noisy"][1][name])


def test_memory_that_files_are_mapped_to_is_not_counted(tmp_path):
    before = read_held(os.getpid())
    np.ones(64 * MIB // 8).tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", dtype=np.float64, mode="r")
    assert mapped.sum() == 8 * MIB
    assert read_held(os.getpid()) - before < 32 * MIB
    held = np.ones(64 * MIB // 8)
    assert read_held(os.getpid()) - before > 60 * MIB
    del held


def test_a_process_that_is_gone_holds_nothing():
    assert read_held(2**22 - 1) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("2H", 7200)],
)
def test_times_are_read(text, seconds):
    assert read_duration(text) == seconds
    assert read_duration(write_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 * 2**30), ("512M", 512 * MIB), ("1.5g", 3 * 2**29), ("2GiB", 2**31), ("1024KB", MIB)],
)
def test_sizes_are_read(text, size):
    assert read_size(text) == size


def test_sizes_are_written():
    assert [write_size(size) for size in (8 * 2**30, 700 * MIB)] == ["8.0 GiB", "700 MiB"]


@pytest.mark.parametrize(
    "text", ["", " ", "90", "0s", "-3m", "1.5h", "2:00:00", "m", "3m2h", "inf", "nan", "9" * 400]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadInput, match=r"--time-limit .*: expected a time such as 90s"):
        read_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "8", "0G", "1K", "1023K", "-1G", "G", "8 apples", "nanG", "1e3M", "8GM", "9" * 400 + "G"],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(BadInput, match=r"--memory-limit .*: expected a size such as 512M"):
        read_size(text)


@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit"])
def test_a_limit_that_is_none_is_one_line_before_anything_runs(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["run", "--methods", "gaussian", "--datasets", "synthetic", option, "many"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith(f"{option} 'many': expected")
    assert not list(tmp_path.iterdir())
