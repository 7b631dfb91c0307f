"""`vadbench run --executor slurm` on a real Slurm: what it makes is what one machine makes,
whatever happens on the way.
"""

import os
import re
import signal
from pathlib import Path

import pytest
from same import require_same, scores

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUICK = ("--methods", "gaussian,magnitude,knn", "--datasets", "synthetic")
MULDE = ("--set", "mulde.units=[32,32]", "--set", "mulde.max_steps=300", "--seeds", "2")
SUITE = ("--methods", "mulde,gaussian", "--datasets", "synthetic", *MULDE)
LONG = (
    *("--methods", "mulde", "--datasets", "synthetic"),
    *("--set", "mulde.units=[512,512]", "--set", "mulde.max_steps=100000"),
)


def page_line(beginning):
    """The line of docs/cluster.md that shows what is printed."""
    page = (Path(__file__).parents[2] / "docs/cluster.md").read_text(encoding="utf-8")
    return next(line for line in page.splitlines() if line.startswith(beginning))


def shape(line):
    """A line without its numbers and where its folder lies."""
    return re.sub(r"\d[\da-f]*", "#", re.sub(r"in \S*results/slurm/\S+", "in FOLDER", line))


def test_an_array_makes_what_one_machine_makes(user):
    out, err = user.submit(*SUITE, "--wait")
    assert "submitted: 3 jobs in 3 tasks" in err
    assert err.count("] mulde on synthetic") == 2
    assert "written to" in out
    user.run(*SUITE, results="local")
    require_same(user.results, user.folder / "local")


def test_it_returns_at_once_and_the_same_command_says_how_far_it_is(user):
    _, err = user.submit(*SUITE)
    assert "3 jobs: 0 done" in err
    _, err = user.submit(*SUITE)  # nothing is submitted twice
    assert "submitted" not in err
    user.wait_for_end()
    _, err = user.submit(*SUITE)
    assert err.splitlines()[-1] == "3 jobs: 3 done, 0 running, 0 waiting, 0 failed, 0 missing"
    assert "submitted" not in err


def test_two_submissions_at_once_train_nothing_twice(user):
    processes = [
        user.begin("run", *SUITE, "--results", user.results, "--executor", "slurm")
        for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    user.wait_for_end()
    logs = "".join(path.read_text() for path in user.results.rglob("slurm/*/fits-*.log"))
    assert logs.count("mulde: step 300/300") == 2  # once a seed
    user.run(*SUITE, results="local")
    require_same(user.results, user.folder / "local")


def test_a_killed_task_is_a_record_with_a_reason_and_runs_again(user):
    user.submit(*LONG)
    for process in user.wait_until(user.running):
        os.kill(process, signal.SIGKILL)
    user.wait_for_end()
    (record,) = user.results.glob("runs/synthetic/*/mulde/*/run.json")
    assert "EndedWithoutRecord: cancelled, killed, or its node has died" in record.read_text()
    _, err = user.submit(*LONG)
    assert "submitted: 1 job" in err
    user.call("cancel", "--results", user.results)


def test_cancelled_jobs_leave_nothing_half_written_and_go_on_later(user):
    user.submit(*LONG)
    user.wait_until(user.running)
    out, _ = user.call("cancel", "--results", user.results)
    assert out == "2 tasks cancelled\n"
    user.wait_for_end()
    user.wait_until(lambda: not user.running())
    assert not scores(user.results)
    assert not list(user.results.glob(".tmp/.*"))
    user.submit(*QUICK, "--wait")
    assert len(scores(user.results)) == 3


def test_a_task_at_its_time_limit_is_a_record_with_a_reason(user):
    _, err = user.submit(*LONG, "--wait", "--slurm", "time=3", code=1)
    assert "TimeLimitNear: the batch system's time limit; --slurm time=... asks for more" in err
    user.submit(*LONG)  # goes on
    user.wait_until(
        lambda: any(
            "mulde: goes on after" in path.read_text()
            for path in user.results.rglob("slurm/*/fits-0.log")
        )
    )
    user.call("cancel", "--results", user.results)


def test_a_limit_of_a_job_is_a_record_with_a_reason_and_the_others_are_done(user):
    both = ("--methods", "mulde,gaussian", *LONG[2:])
    _, err = user.submit(*both, "--wait", "--time-limit", "20s", code=1)
    assert "failed: TimeLimitReached: ended after 20 s, --time-limit is 20s" in err
    assert len(scores(user.results)) == 1


def test_jobs_of_a_node_that_dies_run_again_when_it_is_back(user, slurm):
    user.submit(*SUITE)
    user.wait_until(user.running)
    slurm.kill("slurmd", signal.SIGKILL)
    for process in user.running() or ():
        os.kill(process, signal.SIGKILL)
    slurm.start_node()
    user.wait_for_end()
    user.submit(*SUITE, "--wait")
    user.run(*SUITE, results="local")
    require_same(user.results, user.folder / "local")


def test_features_are_extracted_once_before_all_fits(user, tmp_path):
    user.environment["VADBENCH_CACHE"] = str(tmp_path / "cache")
    _, err = user.submit(*QUICK, "--wait")
    assert shape(err.splitlines()[0]) == shape(page_line("submitted: "))
    assert shape(err.splitlines()[1]) == shape(page_line("6 jobs: 0 done"))
    (log,) = user.results.rglob("slurm/*/features-0.log")
    assert "velocity train: 960 frames" in log.read_text()
    assert not any(
        "velocity train" in path.read_text() for path in user.results.rglob("slurm/*/fits-*.log")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--slurm", "array=3"), "--slurm: array is set by vadbench"),
        (("--slurm", "time=1;rm -rf ~"), "--slurm: time=1;rm -rf ~; expected name=value"),
        (("--slurm", "partition=none-such"), "sbatch: "),
        (("--keep-models",), "--keep-models is not there with --executor slurm"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(user, arguments, message):
    _, err = user.submit(*QUICK, *arguments, code=2)
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not user.queue()
    assert not list(user.results.rglob("plan.json"))
