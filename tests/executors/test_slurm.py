"""`vadbench run --executor slurm` on a real Slurm: what it makes is what one machine makes,
whatever happens on the way.
"""

import os
import re
import shutil
import signal
import subprocess
import time
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
    assert "EndedWithoutRecord: cancelled, killed, out of time, or its node" in record.read_text()
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


def test_a_job_that_fails_as_it_runs_again_is_told_and_its_record_stays(user):
    user.run(*SUITE)
    before = scores(user.results).keys()
    again = ("--existing", "rerun", "--memory-limit", "1M", "--wait")
    _, err = user.submit(*SUITE, *again, code=1)
    (line, *_) = (line for line in err.splitlines() if line.startswith("failed: mulde on"))
    assert "MemoryLimitReached: ended at" in line
    assert scores(user.results).keys() == before
    _, err = user.submit(*SUITE, "--wait")  # they are done
    assert "failed: " not in err


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


def test_a_table_that_was_lost_is_made_by_the_same_command(user):
    user.submit(*QUICK)
    (name,) = {line.split()[0] for line in user.queue() if "vadbench-table" in line}
    subprocess.run(["scancel", "-n", name], env=user.environment, check=True)
    user.wait_for_end()
    assert not list(user.results.glob("recipes/*"))
    _, err = user.submit(*QUICK)
    assert "submitted" not in err
    assert err.count("evaluated synthetic/") == 3
    user.run(*QUICK, results="local")
    require_same(user.results, user.folder / "local")


def test_another_protocol_of_what_is_finished_is_evaluated(user):
    user.submit(*QUICK, "--wait")
    out, err = user.submit(*QUICK, "--set", "protocol.smoothing=7", "--wait")
    assert "submitted" not in err
    assert err.count("evaluated synthetic/") == 3
    assert "– [1]" not in out


def test_jobs_of_the_user_that_are_not_of_the_folder_stay(user):
    for name in ("mine", "vadbench-fits-20261130-000000-abcdef-0"):
        command = ["sbatch", "--array=0", f"--job-name={name}", "--hold", "--wrap", "true"]
        subprocess.run(command, env=user.environment, check=True, capture_output=True)
    user.submit(*QUICK, "--slurm", "hold")
    assert len(user.queue()) == 6
    out, _ = user.call("cancel", "--results", user.results)
    assert out == "4 tasks cancelled\n"
    user.wait_until(lambda: len(user.queue()) == 2)
    out, _ = user.call("cancel", "--results", user.results)
    assert out == "0 tasks cancelled\n"
    assert len(user.queue()) == 2


def test_an_old_submission_that_cannot_be_read_keeps_nobody(user):
    old = user.results / "slurm/20200101-000000-abcdef"
    old.mkdir(parents=True)
    (old / "plan.json").write_text("{")
    user.submit(*QUICK, "--slurm", "hold")
    for path in user.results.glob("slurm/*/plan.json"):
        path.write_text("{")
    _, err = user.submit(*QUICK, code=2)  # one that is alive: its jobs are not known
    assert "vadbench cancel ends what is left of it, then remove " in err
    out, _ = user.call("cancel", "--results", user.results)
    assert out == "4 tasks cancelled\n"


def test_options_count_for_more_than_the_environment(user):
    user.environment |= {"SBATCH_TIMELIMIT": "7", "SBATCH_ARRAY_INX": "0", "LOGNAME": "else"}
    user.submit(*QUICK, "--slurm", "hold,time=2:00:00")
    shown = subprocess.run(
        ["squeue", "-h", "-r", "-o", "%l"], env=user.environment, capture_output=True, text=True
    )
    assert shown.stdout.split() == ["2:00:00"] * 4
    _, err = user.submit(*QUICK)
    assert err.splitlines()[-1].startswith("3 jobs: 0 done, 0 running, 3 waiting")
    user.call("cancel", "--results", user.results)


def test_an_interrupted_submission_leaves_no_task(user, tmp_path):
    wrapper = tmp_path / "bin/sbatch"
    wrapper.parent.mkdir()
    real = shutil.which("sbatch", path=user.environment["PATH"])
    wrapper.write_text(f'#!/bin/bash\n{real} "$@"\nsleep 60\n')
    wrapper.chmod(0o755)
    user.environment["PATH"] = f"{wrapper.parent}:{user.environment['PATH']}"
    process = user.begin("run", *QUICK, "--results", user.results, "--executor", "slurm")
    user.wait_until(user.queue)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    user.wait_until(lambda: not user.queue())
    assert not list(user.results.rglob("plan.json"))


def test_waiting_outlasts_a_controller_that_is_away(user, slurm):
    process = user.begin(
        *("run", *SUITE, "--results", user.results, "--executor", "slurm", "--wait")
    )
    user.wait_until(user.running)
    slurm.kill("slurmctld")
    time.sleep(40)  # squeue itself asks for a while
    slurm.start_controller()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "asking again" in err
    assert "written to" in out


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
